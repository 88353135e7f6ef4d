"""Adding up drift and telling it apart."""

from collections import Counter

from wiz_dagster.ecs.drift import MOST_ENTRIES, add_drift, told_apart


def test_drift_is_told_apart_by_kind_field_and_value_the_most_frequent_first() -> None:
    drift = {"unknown value: status=a=b: c": 1, "wrong type: notes.user": 3, "missing key: id": 2}
    assert told_apart(drift) == [
        ("wrong type", "notes.user", "", 3),
        ("missing key", "id", "", 2),
        ("unknown value", "status", "a=b: c", 1),
    ]


def test_endless_new_values_are_counted_together_and_crowd_nothing_out() -> None:
    total = Counter[str]()
    for start in range(0, 4 * MOST_ENTRIES, MOST_ENTRIES):
        add_drift(total, {f"unknown value: status={start + number}": 2 for number in range(MOST_ENTRIES)})
        add_drift(total, {f"missing key: k{start}": 1, "unknown value: status=0": 5, "unknown key: late": 1})
    assert total["unknown value: (others)"] == 2 * 3 * MOST_ENTRIES
    assert total["unknown value: status=0"] == 2 + 4 * 5
    assert total["unknown key: (others)"] == 4
    assert {"missing key: k0", "missing key: k3000"} <= total.keys()
    assert len(total) == MOST_ENTRIES + 4 + 2
