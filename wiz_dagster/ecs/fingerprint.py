"""The fingerprint of a mapping: equal fingerprints mean that the same nodes give the same documents.

It covers the code of `ecs/` and of the dataset's modules and field table as installed, the options but for the fetch
time, and the data of the user-agent parser and the GeoIP database. A receipt holds it, so that a changed mapping
rewrites what it changed.
"""

from __future__ import annotations

import hashlib
import sys
from importlib import metadata
from pathlib import Path

from wiz_dagster.ecs.frames import HasTransform
from wiz_dagster.ecs.geoip import open_database
from wiz_dagster.ecs.options import EcsOptions

_PARSERS = ("ua-parser", "ua-parser-builtins")


def fingerprint(dataset: HasTransform, options: EcsOptions) -> str:
    """The fingerprint (32 hex digits) of the mapping of a dataset under these options."""
    module = Path(str(sys.modules[dataset.transform.__module__].__file__))
    own = [path for kind in ("*.py", "_fields.csv") for path in sorted(module.parent.glob(f"{module.stem}{kind}"))]
    sources = [*sorted(Path(__file__).parent.glob("*.py")), *own]
    said = [
        dataset.name,
        *(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in sources),
        *(f"{name} {metadata.version(name)}" for name in _PARSERS),
        repr((options.tags, options.preserve_original_event, options.preserve_duplicate_custom_fields)),
        _geoip_build(options.geoip_database),
    ]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def _geoip_build(path: Path | None) -> str:
    if path is None:
        return "no geoip"
    about = open_database(path).metadata()
    return f"{about.database_type} {about.build_epoch} {about.node_count}"
