"""The two roles with the least privileges: one for `wiz-dagster setup`, one for the runs.

As the body of Elasticsearch's role API, and as JSON (which is YAML) also for `roles.yml`. The secure sandbox and
`docs/elasticsearch.md` take them from here.
"""

from __future__ import annotations

from typing import Any

SETUP_ROLE = "wiz_dagster_setup"
RUN_ROLE = "wiz_dagster_run"
STREAMS = ["logs-wiz.*"]
LATEST = ["security_solution-wiz.*", "wiz.issue_latest*"]

ROLES: dict[str, dict[str, Any]] = {
    SETUP_ROLE: {
        "cluster": ["monitor", "manage_index_templates"],
        "indices": [{"names": [*STREAMS, *LATEST], "privileges": ["manage"]}],
    },
    RUN_ROLE: {
        "cluster": ["monitor"],
        "indices": [
            {
                "names": STREAMS,
                "privileges": ["create_doc", "auto_configure", "read", "delete", "view_index_metadata", "maintenance"],
            },
            {"names": LATEST, "privileges": ["index", "read", "view_index_metadata", "maintenance"]},
        ],
    },
}
