"""The settings that vary by dataset: one optional YAML file, named by `WIZ_CONFIG`.

Every key is optional and an empty file is valid. Unknown keys are refused with the nearest known one, and a filter that
Wiz does not have for a dataset is refused by name. What a single run overrides is the assets' run configuration.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.errors import SettingsError
from wiz_dagster.settings import BegunDay


def _day(value: object) -> object:
    """YAML reads a day as a date, and a quoted one as text."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def _retention(value: object) -> str:
    text = str(value)
    if not re.fullmatch(r"[1-9]\d*[dh]", text):
        raise ValueError("expected days or hours, such as 90d")
    return text


class DatasetSettings(BaseModel):
    """One dataset's settings; the defaults are those of Elastic's integration where it has the same setting."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, strict=True, use_attribute_docstrings=True
    )

    enabled: bool = True
    """Whether the dataset's assets, job and schedule are there."""
    start_date: Annotated[BegunDay, BeforeValidator(_day)] | None = None
    """The first day of the dataset's partitions; without it `WIZ_START_DATE`."""
    page_size: int | None = Field(default=None, ge=1, le=500)
    """Nodes asked for with one request; without it `WIZ_PAGE_SIZE`."""
    all_statuses: bool | None = None
    """Whether findings of all statuses are asked for; without them Wiz returns open findings only."""
    tags: list[str] | None = None
    """`tags` of every document, in the place of the integration's own."""
    preserve_original_event: bool = False
    """Keep the node as Wiz sent it in `event.original`."""
    preserve_duplicate_custom_fields: bool = False
    """Keep those `wiz.*` fields whose value stands in an ECS field too."""
    lookback: int = Field(default=3, ge=1, le=30)
    """How many days before today the daily schedule asks for again."""
    retention: Annotated[str, BeforeValidator(_retention)] | None = None
    """How long Elasticsearch keeps the documents, in days or hours such as `90d`; without it for ever."""
    filters: Mapping[str, list[str]] = Field(default_factory=dict)
    """Filter name to the values wanted, applied by Wiz; without it everything is asked for."""

    @property
    def kept(self) -> timedelta | None:
        """The retention as a time; None: for ever."""
        if self.retention is None:
            return None
        number = int(self.retention[:-1])
        return timedelta(days=number) if self.retention.endswith("d") else timedelta(hours=number)


ASKED_WITH = ("page_size", "all_statuses", "lookback", "filters")
"""The settings that shape what Wiz is asked."""


def without_meaning(dataset: Dataset) -> dict[str, str]:
    """The settings that mean nothing for the dataset, each with the reason."""
    reasons = {}
    if not dataset.statuses:
        reasons["all_statuses"] = "Wiz returns all of them by itself"
    if dataset.snapshot:
        reasons["lookback"] = "Wiz only tells what there is now, so no earlier day can be asked for again"
    if dataset.pushed:
        reasons |= dict.fromkeys(ASKED_WITH, "Wiz sends the dataset by itself, nothing is asked for")
    return reasons


def read_dataset_settings(path: Path | None, datasets: Sequence[Dataset]) -> dict[str, DatasetSettings]:
    """Settings by dataset name, defaults where the file is silent.

    Raises `SettingsError` naming the file, the key and what it expects.
    """
    document = _load(path) if path else {}
    known = {dataset.name: dataset for dataset in datasets}
    _refuse_unknown(path, "", document, ["datasets"])
    given = _mapping(path, "datasets", document.get("datasets"))
    _refuse_unknown(path, "datasets.", given, list(known))
    return {name: _one(path, dataset, _mapping(path, name, given.get(name))) for name, dataset in known.items()}


def filter_by(
    dataset: Dataset, filters: Mapping[str, Sequence[str]], *, all_statuses: bool | None = None
) -> dict[str, Any]:
    """What `filterBy` holds besides the window: what the dataset always asks for, its statuses, the chosen filters.

    `all_statuses` False leaves the choice to Wiz, which then returns open findings only. Filters without values are
    left out, as Wiz may refuse an empty list. Raises `SettingsError` where Wiz has no such filter.
    """
    wanted: dict[str, Any] = copy.deepcopy(dict(dataset.always))
    if dataset.statuses and all_statuses is not False:
        wanted["status"] = list(dataset.statuses)
    for name, values in filters.items():
        if name not in dataset.filters:
            have = ", ".join(sorted(dataset.filters)) or "none"
            raise SettingsError(f"Wiz has no filter {name!r} for {dataset.name}; it has: {have}.")
        if values:
            *parents, last = dataset.filters[name].split(".")
            place = wanted
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = list(values)
    return wanted


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise SettingsError(f"WIZ_CONFIG: {path} can't be read as YAML{where}.") from None
    return _mapping(path, "the file", document)


def _mapping(path: Path | None, where: str, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise SettingsError(f"WIZ_CONFIG: {path}: {where} must be a mapping of names to settings.")
    return value


def _one(path: Path | None, dataset: Dataset, given: dict[str, Any]) -> DatasetSettings:
    _refuse_unknown(path, f"datasets.{dataset.name}.", given, list(DatasetSettings.model_fields))
    _refuse_meaningless(path, dataset, given)
    try:
        settings = DatasetSettings.model_validate(given)
        filter_by(dataset, settings.filters, all_statuses=settings.all_statuses)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"WIZ_CONFIG: {path}: datasets.{dataset.name}.{key}: {message}.") from None
    except SettingsError as error:
        raise SettingsError(f"WIZ_CONFIG: {path}: datasets.{dataset.name}.filters: {error}") from None
    return settings


def _refuse_meaningless(path: Path | None, dataset: Dataset, given: Mapping[str, Any]) -> None:
    for key, reason in without_meaning(dataset).items():
        if key in given:
            raise SettingsError(f"WIZ_CONFIG: {path}: datasets.{dataset.name}.{key}: {reason}; leave it out.")


def _refuse_unknown(path: Path | None, prefix: str, given: Mapping[str, Any], known: list[str]) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known: {', '.join(known)}."
            raise SettingsError(f"WIZ_CONFIG: {path}: unknown key {prefix}{key}{hint}")
