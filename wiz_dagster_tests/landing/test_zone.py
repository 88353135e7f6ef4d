import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wiz_dagster.errors import PermanentError
from wiz_dagster.landing import parts
from wiz_dagster.landing.manifest import KEPT_FETCHES, FetchInfo, Tenant
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster_tests.landing.landing_helpers import (
    DAY,
    START,
    Figures,
    Node,
    by_id,
    fetch_info,
    land,
    node,
    read,
    zone_at,
)


def test_what_was_landed_is_read_back_as_it_came(tmp_path: Path) -> None:
    nodes = [node("a", 1, "ünïcode\n\u2028"), node("b", 2), {"id": "c", "updatedAt": None, "deep": {"x": [1, None]}}]
    land(zone_at(tmp_path), nodes[:1], [], nodes[1:])
    assert read(zone_at(tmp_path, tenant=None)) == nodes


def test_keys_tell_ids_and_versions_apart(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    land(zone, [node("a", 1), node("b", 1)])
    first = [key for batch in zone.day("issue", DAY).batches() for key in batch.keys]
    land(zone, [node("a", 2)], minute=1)
    second = [key for batch in zone.day("issue", DAY).batches(after_generation=1) for key in batch.keys]
    assert [len(key) for key in first + second] == [24, 24, 24]
    assert second[0][:16] == first[0][:16] != first[1][:16]
    assert second[0][16:] > first[0][16:] == first[1][16:]


def test_a_second_fetch_stores_only_what_is_new_and_keeps_what_wiz_no_longer_returns(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    land(zone, [node("gone", 1), node("same", 1), node("changed", 1, "before")])
    report = land(zone, [node("same", 1), node("changed", 5, "after"), node("fresh", 1)], minute=1)
    assert (report.nodes, report.new, report.unchanged, report.generation) == (3, 2, 1, 2)
    found = by_id(read(zone))
    assert sorted(found) == ["changed", "fresh", "gone", "same"]
    assert found["changed"]["text"] == "after"
    assert by_id(read(zone, after_generation=1)).keys() == {"changed", "fresh"}
    day = zone.day("issue", DAY)
    assert (day.nodes, day.captured, day.fetched_at) == (4, 5, fetch_info(1).fetched_at)


def test_nodes_that_are_known_by_their_content_are_never_versions_of_each_other(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    for minute, batch in enumerate(([node("a", 1), node("a", 2), node("a", 1)], [node("a", 2), node("a", 3), {}])):
        report = zone.land("issue", DAY, [batch], fetch_info(minute), Figures(), None, by_content=True)
        assert (report.new, report.unchanged + report.repeated) == (2, 1)
    assert read(zone) == [node("a", 1), node("a", 2), node("a", 3), {}]
    assert read(zone, after_generation=1) == [node("a", 3), {}]


def test_an_older_version_fetched_later_does_not_win(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    land(zone, [node("a", 5, "new")])
    land(zone, [node("a", 2, "old")], minute=1)
    assert by_id(read(zone))["a"]["text"] == "new"


def test_a_node_that_changes_back_without_a_new_version_is_read_as_it_is_now(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    for minute, text in enumerate(["red", "blue", "red"]):
        land(zone, [node("a", 1, text)], minute=minute)
    assert by_id(read(zone))["a"]["text"] == "red"
    assert by_id(read(zone, after_generation=2)).keys() == {"a"}


def test_nodes_without_an_id_are_kept_once_each(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    for minute in range(2):
        land(zone, [{"text": "x"}, {"id": "", "text": "y"}, {"id": None}, {"text": "x"}], minute=minute)
    assert read(zone) == [{"text": "x"}, {"id": "", "text": "y"}, {"id": None}]


def test_a_fetch_with_nothing_new_is_recorded_and_keeps_the_generation(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    for minute in range(2):
        report = land(zone, [node("a", 1)], minute=minute)
    assert (report.generation, report.new, report.parts) == (1, 0, 0)
    assert [fetch.new_nodes for fetch in zone.day("issue", DAY).manifest.fetches] == [1, 0]


def test_an_empty_day_is_landed_and_empty(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    land(zone)
    assert (read(zone), zone.generation("issue", DAY), zone.days("issue")) == ([], 0, [DAY])


def test_equal_nodes_of_one_fetch_are_stored_once_and_counted(tmp_path: Path) -> None:
    report = land(zone_at(tmp_path), [node("a"), node("a")], [node("a"), node("b")])
    assert (report.nodes, report.new, report.repeated) == (4, 2, 2)


def test_equal_nodes_are_noticed_however_many_lie_between_them(tmp_path: Path) -> None:
    pages = [[{"id": str(number)} for number in range(start, start + 9_000)] for start in range(0, 54_000, 9_000)]
    report = land(zone_at(tmp_path), *pages, pages[0], pages[3], pages[5])
    assert (report.nodes, report.new, report.repeated) == (81_000, 54_000, 27_000)


def test_a_node_nested_deeper_than_the_fast_writer_allows_is_landed_like_any_other(tmp_path: Path) -> None:
    deep: Node = {}
    for _ in range(400):
        deep = {"below": deep}
    zone = zone_at(tmp_path)
    land(zone, [node("a") | deep, node("b")])
    assert by_id(read(zone)) == {"a": node("a") | deep, "b": node("b")}


def test_half_a_surrogate_pair_is_landed_as_a_question_mark(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    land(zone, [node("a", text="one \ud800 half"), node("b", text="\N{GRINNING FACE}")])
    assert {found["id"]: found["text"] for found in read(zone)} == {"a": "one ? half", "b": "\N{GRINNING FACE}"}


def test_the_manifest_remembers_a_bounded_number_of_fetches(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    for minute in range(KEPT_FETCHES + 5):
        land(zone, minute=minute)
    fetches = zone.day("issue", DAY).manifest.fetches
    assert [fetches[0].run_id, fetches[-1].run_id, len(fetches)] == ["run-5", f"run-{KEPT_FETCHES + 4}", KEPT_FETCHES]


def test_figures_filled_while_the_nodes_are_drawn_stand_in_the_manifest(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    figures = Figures()

    def drawn() -> Iterator[list[Node]]:
        yield [node("a")]
        figures.wiz_count, figures.warnings = 7, ["late"]

    zone.land("issue", DAY, drawn(), fetch_info(), figures, "updatedAt")
    fetch = zone.day("issue", DAY).manifest.fetches[0]
    assert (fetch.wiz_count, fetch.warnings, fetch.nodes) == (7, ("late",), 1)


def test_a_fetch_that_fails_midway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_NODES", 1)
    zone = zone_at(tmp_path)

    def failing() -> Iterator[list[Node]]:
        yield [node("a"), node("b")]
        raise PermanentError("Wiz refused")

    with pytest.raises(PermanentError, match="Wiz refused"):
        zone.land("issue", DAY, failing(), fetch_info(), Figures(), "updatedAt")
    with pytest.raises(PermanentError, match="materialize wiz/raw/issue first"):
        zone.day("issue", DAY)
    assert list((tmp_path / "issue" / DAY).iterdir()) == []


def test_large_landings_are_cut_into_parts_by_nodes_and_by_bytes(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    report = land(zone, [{"id": str(number)} for number in range(parts.MAX_NODES + 1)])
    assert [part.nodes for part in zone.day("issue", DAY).parts] == [parts.MAX_NODES, 1]
    assert report.parts == 2
    noise = random.Random(1)
    land(zone, [node("big", 1, noise.randbytes(4_000_000).hex()), node("next", 1)], minute=1)
    assert [part.nodes for part in zone.day("issue", DAY).parts][2:] == [1, 1]
    assert [len(batch.lines) for batch in zone.day("issue", DAY).batches(size=15_000)] == [15_000, 5_000, 1, 1, 1]


def test_a_reader_keeps_the_day_it_opened(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    land(zone, [node("a", 1)])
    opened = zone.day("issue", DAY)
    land(zone, [node("a", 2), node("b", 1)], minute=1)
    lines = [line for batch in opened.batches() for line in batch.lines]
    assert [orjson.loads(line) for line in lines] == [node("a", 1)]
    assert (opened.generation, zone.generation("issue", DAY)) == (1, 2)


def test_another_tenants_zone_is_refused_naming_both_hosts(tmp_path: Path) -> None:
    other = Tenant.of("https://api.eu9.app.wiz.io/graphql", "client-1")
    land(zone_at(tmp_path), [node("a")])
    attempts: list[Callable[[LandingZone], object]] = [land, read, LandingZone.check_writable]
    for attempt in attempts:
        with pytest.raises(PermanentError, match=r"us1\.app.*eu9\.app.*WIZ_LANDING_URL"):
            attempt(zone_at(tmp_path, other))
    with pytest.raises(PermanentError, match="service account"):
        land(zone_at(tmp_path, Tenant.of("https://api.us1.app.wiz.io/graphql", "client-2")))


def test_landing_without_a_tenant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="WIZ_CLIENT_ID"):
        land(zone_at(tmp_path, tenant=None))


@pytest.mark.parametrize(
    ("dataset", "day"), [("../x", DAY), ("Issue", DAY), ("issue", "2026-02-30"), ("issue", "20261120"), ("issue", "")]
)
def test_names_that_are_no_dataset_or_day_are_refused(tmp_path: Path, dataset: str, day: str) -> None:
    with pytest.raises(PermanentError, match="isn't"):
        zone_at(tmp_path).day(dataset, day)


def test_a_day_is_listed_only_when_it_was_landed(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    for day in ("2026-11-21", "2026-11-19"):
        land(zone, [node("a")], day=day)
    (tmp_path / "issue" / "2026-11-20").mkdir()
    (tmp_path / "issue" / "notes").mkdir()
    assert zone.days("issue") == ["2026-11-19", "2026-11-21"]
    assert zone.days("audit") == []


_FETCHES = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]), st.tuples(st.integers(0, 3), st.sampled_from(["x", "y"])), max_size=4
    ),
    min_size=1,
    max_size=7,
)


@settings(max_examples=30, deadline=None)
@given(fetches=_FETCHES, repeats=st.randoms(use_true_random=False), part_nodes=st.integers(1, 3))
def test_after_any_fetches_the_newest_version_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    fetches: list[dict[str, tuple[int, str]]],
    repeats: random.Random,
    part_nodes: int,
) -> None:
    zone = zone_at(tmp_path_factory.mktemp("zone"))
    model: dict[str, tuple[int, str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MAX_NODES", part_nodes)
        for minute, fetch in enumerate(fetches):
            nodes = [node(node_id, version, text) for node_id, (version, text) in fetch.items()]
            nodes += repeats.sample(nodes, repeats.randint(0, len(nodes)))
            before, generation = dict(model), zone.generation("issue", DAY) if minute else 0
            land(zone, nodes, minute=minute)
            for node_id, (version, text) in fetch.items():
                if node_id not in model or version >= model[node_id][0]:
                    model[node_id] = (version, text)
            expected = {node_id: node(node_id, *known) for node_id, known in model.items()}
            assert by_id(read(zone)) == expected
            changed = {node_id for node_id, known in model.items() if before.get(node_id) != known}
            assert by_id(read(zone, after_generation=generation)).keys() == changed


def test_a_key_ends_in_the_version_with_the_highest_byte_first(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    for minute, version in enumerate((1, 2)):
        land(zone, [node("a", version)], minute=minute)
    (key,) = [key for batch in zone.day("issue", DAY).batches() for key in batch.keys]
    moment = START + timedelta(seconds=2)
    assert int.from_bytes(key[16:], "big", signed=True) == moment.timestamp() * 1_000_000


def hours(start: float, end: float, query_hash: str = "q1") -> FetchInfo:
    window = {"window_start": START + timedelta(hours=start), "window_end": START + timedelta(hours=end)}
    return fetch_info().model_copy(update={**window, "query_hash": query_hash})


def test_a_day_is_covered_up_to_where_complete_fetches_of_one_question_reach_without_a_gap(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)

    def covered(fetch: FetchInfo, **figures: int) -> dict[str, float]:
        zone.land("issue", DAY, [], fetch, Figures(**figures), "updatedAt")
        found = zone.day("issue", DAY).manifest.covered
        return {name: (until - START) / timedelta(hours=1) for name, until in found.items()}

    assert covered(hours(1, 2)) == {}
    assert covered(hours(0, 3)) == {"q1": 3}
    assert covered(hours(2.5, 4)) == {"q1": 4}
    assert covered(hours(5, 6)) == {"q1": 4}
    assert covered(hours(4, 7), missing=1) == {"q1": 4}
    assert covered(hours(4, 7), null_nodes=1) == {"q1": 4}
    assert covered(hours(0, 1)) == {"q1": 4}
    assert covered(hours(0, 2, "narrower")) == {"q1": 4, "narrower": 2}
    assert covered(hours(4, 24)) == {"q1": 24, "narrower": 2}
