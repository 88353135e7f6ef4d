"""Writes docs/reference: a page for each dataset and an index of them, from what the program itself reads.

Usage: python -m scripts.write_reference, from the root of the project. A test fails while the pages aren't up to date.
Nothing is described here: the words are those of the datasets' records and field tables, and of the settings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scripts.markdown import code, codes, fenced, paragraphs, table
from scripts.reference_example import example
from wiz_dagster.assets import day_meaning
from wiz_dagster.dataset_settings import DatasetSettings, without_meaning
from wiz_dagster.datasets import DATASETS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.fields import ECS_VERSION, Field
from wiz_dagster.elasticsearch.latest_views import LatestView, view_of, views_of
from wiz_dagster.elasticsearch.templates import template_name

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
GENERATED = "<!-- Written by scripts/write_reference.py; change what it reads, then run it again. -->"
ABOUT = """\
Per dataset: how Wiz is asked, what a day holds, the settings, an example document and every field. The index templates
are made of the same tables. *Extra* counts the fields that Elastic's integration lacks."""
ABOUT_VIEWS = """\
One document a finding, in plain indices. Ask the alias: it shows the findings that still stand."""
ABOUT_FIELDS = f"""\
*From*: `ECS`, as ECS {ECS_VERSION} has it; `own`, below `wiz.` or, for the lineage, `labels.`; `Elastic`, outside ECS
where Elastic's integration has it. *Extra*: the integration lacks it."""

SENT = (
    ("Sent by", "Wiz's webhook, to the [receiver](../defend.md); Wiz is never asked"),
    ("A node", "one triggering event with the whole rest of its body; the body, if it has no such event"),
    ("Filed under", "the UTC day that it was received on"),
    ("Version", "none: a node is known by its content, and an equal one is stored once"),
)


def pages() -> dict[str, str]:
    """The text of each file below docs/reference, by its name."""
    return {"README.md": _index(DATASETS), **{f"{dataset.name}.md": _page(dataset) for dataset in DATASETS}}


def _index(datasets: Sequence[Dataset]) -> str:
    rows = [
        (
            f"[{dataset.name}]({dataset.name}.md)",
            dataset.description,
            code(f"logs-wiz.{dataset.stream}-<namespace>"),
            code(dataset.scope) if dataset.scope else "none",
            len(dataset.fields()),
            sum(field.extra for field in dataset.fields()),
        )
        for dataset in datasets
    ]
    views = [
        (
            code(f"wiz/latest/{view.name}"),
            code(view.alias),
            code(view.index),
            f"[{dataset.name}]({dataset.name}.md#latest-state)",
        )
        for view, dataset in views_of(datasets)
    ]
    return paragraphs(
        (
            "# Reference",
            GENERATED,
            ABOUT,
            table(("dataset", "what", "data stream", "Wiz scope", "fields", "extra"), rows),
            "## Latest state",
            ABOUT_VIEWS,
            table(("asset", "alias", "index", "made of"), views),
        )
    )


def _page(dataset: Dataset) -> str:
    view = view_of(dataset)
    return paragraphs(
        (
            f"# {dataset.name}",
            GENERATED,
            dataset.description,
            table(("", ""), _facts(dataset)),
            day_meaning(dataset),
            *_settings(dataset),
            *(_latest(view, dataset) if view else ()),
            "## Example",
            "Made of a node of the sandbox's generated tenant, with the default settings.",
            fenced(example(dataset)),
            *_fields(dataset),
        )
    )


def _facts(dataset: Dataset) -> list[tuple[str, str]]:
    return [
        *(SENT if dataset.pushed else _asking(dataset)),
        ("Assets", f"`wiz/raw/{dataset.name}`, `wiz/{dataset.name}`"),
        ("Data stream", code(f"logs-wiz.{dataset.stream}-<namespace>")),
        ("Index template", code(template_name(dataset))),
    ]


def _asking(dataset: Dataset) -> list[tuple[str, str]]:
    file = dataset.query_file or f"{dataset.name}.graphql"
    query = f"../../wiz_dagster/datasets/{file}"
    return [
        ("Wiz's root field", f"`{dataset.root}`, asked for with [{file}]({query})"),
        ("Wiz scope", code(dataset.scope)),
        ("Asked for", _asked(dataset)),
        ("Filed under", _filed(dataset)),
        ("Version", _version(dataset)),
        ("How far back", _reach(dataset)),
        ("Always in `filterBy`", code(json.dumps(dict(dataset.always))) if dataset.always else "nothing"),
        ("Statuses", codes(dataset.statuses) if dataset.statuses else "all that there are, without asking for them"),
        ("Filters, and their place in `filterBy`", _filters(dataset)),
    ]


def _asked(dataset: Dataset) -> str:
    if dataset.snapshot:
        return "everything that there is now, in one sweep"
    first, *others = [code(str(walk.filter_field)) for walk in dataset.walks]
    return "".join([f"nodes whose {first} lies in the day", *(f", then those whose {other} does" for other in others)])


def _filed(dataset: Dataset) -> str:
    if dataset.snapshot:
        return "the UTC day that the sweep was begun on"
    first, *others = map(code, dataset.window_fields)
    return f"the UTC day of {first}" + "".join(f"; where that is null, of {other}" for other in others)


def _version(dataset: Dataset) -> str:
    if dataset.snapshot:
        return "the start of the sweep: a complete sweep takes the place of the day's one before"
    if dataset.version_field is None:
        return "none: what Wiz returned once never changes"
    return f"`{dataset.version_field}`: of each Wiz id, a day holds the newest"


def _reach(dataset: Dataset) -> str:
    if dataset.snapshot:
        return "today only"
    if dataset.reach_days is None:
        return "no limit that Wiz documents"
    return f"about {dataset.reach_days} days; older ones are asked for all the same, with a warning"


def _filters(dataset: Dataset) -> str:
    shown = (code(name) if name == path else f"{code(name)} ({code(path)})" for name, path in dataset.filters.items())
    return ", ".join(shown) or "none"


def _settings(dataset: Dataset) -> tuple[str, ...]:
    own = {"tags": list(dataset.default_tags), "all_statuses": True, "filters": {}}
    rows = []
    for name, schema in DatasetSettings.model_json_schema()["properties"].items():
        if name not in without_meaning(dataset):
            default = own.get(name, schema.get("default"))
            rows.append(
                (code(name), _kind(schema), "" if default is None else code(json.dumps(default)), schema["description"])
            )
    return (
        "## Settings",
        f"Below `datasets.{dataset.name}` in the file that `WIZ_CONFIG` names; every key is optional.",
        table(("key", "type", "default", "what"), rows),
    )


def _kind(schema: dict[str, Any]) -> str:
    """The type of a setting in words, from its JSON schema."""
    kind = next(one for one in schema.get("anyOf", [schema]) if one["type"] != "null")
    if kind["type"] == "integer":
        return f"whole number, {kind['minimum']} to {kind['maximum']}"
    if kind.get("format") == "date":
        return "day, YYYY-MM-DD"
    names = {"boolean": "true or false", "string": "text", "array": "list of texts", "object": "lists of texts by name"}
    return names[kind["type"]]


def _latest(view: LatestView, dataset: Dataset) -> tuple[str, ...]:
    newest = "that of the newest sweep" if dataset.snapshot else f"the one with the newest `{dataset.version_field}`"
    return (
        "## Latest state",
        (
            f"`wiz/latest/{view.name}` keeps one document a finding, with the fields below, in the index\n"
            f"`{view.index}`: {newest}, whatever is written after it.\n"
            f"The alias `{view.alias}` shows those that this query finds:"
        ),
        fenced(view.shown),
    )


def _fields(dataset: Dataset) -> tuple[str, ...]:
    fields = dataset.fields()
    extras = [field for field in fields if field.extra]
    rows = [
        (code(field.name), field.type, _origin(field), "yes" if field.extra else "", field.description, field.source)
        for field in fields
    ]
    return (
        "## What Elastic's integration lacks",
        (
            f"{len(extras)} of the {len(fields)} fields. [conformance.md](../conformance.md) has the few places where\n"
            "the others differ from the integration's, each with the reason."
        ),
        "\n".join(f"* {line}" for line in _grouped(extras)),
        "## Fields",
        ABOUT_FIELDS,
        table(("field", "type", "from", "extra", "what", "source in Wiz"), rows),
    )


def _origin(field: Field) -> str:
    if field.is_ecs:
        return "ECS"
    return "own" if field.name.startswith(("wiz.", "labels.")) else "Elastic"


def _grouped(fields: Iterable[Field]) -> list[str]:
    """The names by the object that they stand in."""
    groups: dict[str, list[str]] = {}
    for field in fields:
        parent, _, name = field.name.rpartition(".")
        groups.setdefault(parent, []).append(name)
    return [f"{code(parent)}: {', '.join(names)}" if parent else codes(names) for parent, names in groups.items()]


def main() -> None:
    """Write the files, and remove those that no dataset stands behind."""
    texts = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
