"""Regenerates wiz_dagster/ecs/ecs-<version>.json from Elastic's npm package @elastic/ecs (needs npm and node).

Usage: python scripts/renew_ecs_fields.py 9.4.0. Then set ECS_VERSION in wiz_dagster/ecs/fields.py and run the tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "wiz_dagster" / "ecs"
PRINT_FLAT = "process.stdout.write(JSON.stringify(require('./package').EcsFlat))"


def flat_fields(version: str) -> dict[str, dict[str, Any]]:
    """Every field of that ECS release, as the package describes it."""
    with tempfile.TemporaryDirectory() as folder:
        npm = ["npm", "pack", "--silent", f"@elastic/ecs@{version}"]
        subprocess.run(npm, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            archive.extractall(folder, filter="data")
        done = subprocess.run(["node", "-e", PRINT_FLAT], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607
    fields: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return fields


def facts(field: dict[str, Any]) -> dict[str, Any]:
    """What the project uses of a field."""
    kept: dict[str, Any] = {"type": field["type"]}
    if "array" in field.get("normalize", []):
        kept["array"] = True
    if field.get("allowed_values"):
        kept["allowed"] = [value["name"] for value in field["allowed_values"]]
    if field.get("index") is False:
        kept["searchable"] = False
    return kept


def main(version: str) -> None:
    """Write the file for that release."""
    lines = [f"{json.dumps(name)}: {json.dumps(facts(field))}" for name, field in sorted(flat_fields(version).items())]
    head = {"version": version, "source": f"npm @elastic/ecs {version}", "license": "Apache-2.0"}
    text = json.dumps(head)[:-1] + ',\n"fields": {\n' + ",\n".join(lines) + "\n}}\n"
    (TARGET / f"ecs-{version}.json").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1])
