"""docs/reference is what the program would write today, and its links lead somewhere."""

import re

import pytest

from scripts.write_reference import FOLDER, pages
from wiz_dagster.datasets import DATASETS

AGAIN = "not up to date: run `python -m scripts.write_reference`"


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return pages()


def test_the_reference_is_up_to_date(written: dict[str, str]) -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert [name for name in written.keys() | there.keys() if written.get(name) != there.get(name)] == [], AGAIN


def test_every_dataset_has_a_page_with_an_example_and_every_field(written: dict[str, str]) -> None:
    for dataset in DATASETS:
        page = written[f"{dataset.name}.md"]
        assert f"]({dataset.name}.md)" in written["README.md"]
        assert f'"dataset": "wiz.{dataset.stream}"' in page
        assert [field.name for field in dataset.fields() if f"| `{field.name}` |" not in page] == []


def test_every_row_of_a_table_has_as_many_cells_as_its_head(written: dict[str, str]) -> None:
    for text in written.values():
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_every_link_leads_to_a_file(written: dict[str, str]) -> None:
    for text in written.values():
        for target in re.findall(r"\]\((.+?)(?:#.*?)?\)", text):
            assert (FOLDER / target).exists(), target
