"""What the sweep for edited issues asks of Wiz: requests per 100,000 issues, by how many issues a day has.

    .venv/bin/python -m benchmarks.edited_issues

Days of a generated tenant are fetched whole, as the sweep's runs do, and the requests are counted. The seconds are what
the request budget allows for as many, at three a second; nothing here depends on the machine.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wiz_dagster.datasets.issue import ISSUE
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.settings import read_wiz_settings
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.fetch import fetch_window
from wiz_dagster.wiz.rate_limit import open_budget
from wiz_dagster.wiz.windows import day_window

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SIZES = {100: 10, 1_000: 10, 5_000: 3}
"""Issues created a day, and how many days are fetched."""
PER_SECOND = 3


def main() -> None:
    """Print a line a size."""
    for volume, days in SIZES.items():
        issues, requests = swept(volume, days)
        per = requests * 100_000 / issues
        print(
            f"{volume:>6} created a day: {issues} issues of {days} days took {requests} requests; "
            f"{per:.0f} per 100,000 issues, {per / PER_SECOND:.0f} s at {PER_SECOND} a second"
        )


def swept(volume: int, days: int) -> tuple[int, int]:
    """The issues that the days hold and the requests that fetching them took."""
    tenant = Tenant(now=NOW, seed=7, days=30, volumes={"issue": volume})
    issues = 0
    with tempfile.TemporaryDirectory() as home, WizEmulator(tenant) as wiz:
        settings = read_wiz_settings(
            {
                "WIZ_API_URL": wiz.api_url,
                "WIZ_TOKEN_URL": wiz.token_url,
                "WIZ_CLIENT_ID": wiz.client_id,
                "WIZ_CLIENT_SECRET": wiz.client_secret,
                "WIZ_REQUESTS_PER_SECOND": "1000",
                "WIZ_RATE_LIMIT_URL": str(Path(home) / "budget"),
            }
        )
        with WizClient(settings, open_budget(settings)) as client:
            for back in range(3, 3 + days):
                window = day_window((NOW - timedelta(days=back)).date().isoformat())
                with fetch_window(client, ISSUE, window, filters={}, page_size=500) as fetch:
                    issues += len({node["id"] for batch in fetch for node in batch})
            return issues, client.requests


if __name__ == "__main__":
    main()
