"""The emulator as a tenant that allows few requests and answers late: it prints its base address, then serves.

    python -m benchmarks.limited_wiz --rate 3 --burst 3 --latency 0.3

A day holds as many nodes of each dataset as `--count` says.
"""

import argparse
from datetime import UTC, datetime

from wiz_dagster.sandbox.wiz.faults import Fault
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import DEFAULT_VOLUMES, Tenant
from wiz_dagster.sandbox.wiz.tokens import RateLimit


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=3)
    parser.add_argument("--burst", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.3)
    parser.add_argument("--count", type=int, default=50_000)
    options = parser.parse_args()
    tenant = Tenant(now=datetime.now(UTC), days=3, volumes=dict.fromkeys(DEFAULT_VOLUMES, options.count))
    late = Fault("latency", times=None, seconds=options.latency)
    emulator = WizEmulator(tenant, faults=[late], rate_limit=RateLimit(options.rate, options.burst))
    emulator.run(lambda served: print(served.url, flush=True))


if __name__ == "__main__":
    main()
