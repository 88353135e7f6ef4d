"""Wiz Defend's webhook: bodies into nodes, nodes into documents."""

import json
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.datasets import dataset_named
from wiz_dagster.datasets.defend import REPEATED
from wiz_dagster.datasets.defend_body import split
from wiz_dagster.ecs.documents import frame_documents
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster_tests.datasets.making import FETCHED_AT, OPTIONS, document, documents
from wiz_dagster_tests.datasets.nodes import DEFEND as FULL
from wiz_dagster_tests.datasets.nodes import defend, triggering_event
from wiz_dagster_tests.datasets.odd_nodes import texts, values
from wiz_dagster_tests.ecs.test_enrichment import mmdb

DEFEND = dataset_named("defend")
UNREPEATED = replace(OPTIONS, preserve_duplicate_custom_fields=False)
PROCESS = {"command": "ls -l /srv", "path": "/bin/ls", "id": "7", "userId": 0, "username": "root"}


def body(*events: Any, **changes: Any) -> dict[str, Any]:
    """A body with these triggering events."""
    rest = {key: value for key, value in defend().items() if key != "triggeringEvent"}
    return rest | {"triggeringEvents": list(events)} | changes


def made(**changes: Any) -> dict[str, Any]:
    """The document of the full node with some keys of its triggering event changed."""
    return document(DEFEND, defend(triggeringEvent=triggering_event(**changes)))


def own(node: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = document(DEFEND, node)["wiz"]["defend"]
    return fields


def drift_of(node: dict[str, Any]) -> Counter[str]:
    return documents(DEFEND, [node])[1]


# Bodies


def test_each_triggering_event_is_a_node_with_the_whole_rest_of_the_body() -> None:
    whole = body({"id": "e-1"}, {"id": "e-2"}, team="soc")
    nodes = split(whole)
    assert [node["triggeringEvent"] for node in nodes] == [{"id": "e-1"}, {"id": "e-2"}]
    for node in nodes:
        assert node.keys() == (whole.keys() - {"triggeringEvents"}) | {"triggeringEvent"}
        assert all(node[key] == whole[key] for key in whole if key != "triggeringEvents")


@pytest.mark.parametrize(
    "one",
    [defend(), {"id": "d-1"}, {}, {"triggeringEvents": []}, {"triggeringEvents": None}, {"triggeringEvents": "text"}],
)
def test_a_body_of_a_single_event_or_of_none_is_its_own_node(one: dict[str, Any]) -> None:
    assert split(one) == [one]


def test_nulls_are_no_events_but_whatever_else_stands_among_them_is() -> None:
    assert [node["triggeringEvent"] for node in split(body(None, "text", 5, {"id": "e"}))] == ["text", 5, {"id": "e"}]
    assert len(split(body(None))) == 1


def test_a_single_event_under_the_name_of_the_list_is_one() -> None:
    assert split({"id": "d", "triggeringEvents": {"id": "e"}}) == [{"id": "d", "triggeringEvent": {"id": "e"}}]


def test_with_events_under_both_names_none_is_lost_and_none_comes_twice() -> None:
    nodes = split(body({"id": "e-1"}, {"id": "e-2"}, triggeringEvent={"id": "e-3"}))
    assert [node["triggeringEvent"]["id"] for node in nodes] == ["e-1", "e-2", "e-3"]
    assert len(split(body({"id": "e-1"}, triggeringEvent={"id": "e-1"}))) == 1


def test_a_body_one_level_down_gives_the_same_nodes_beside_what_stood_around_it() -> None:
    flat = body({"id": "e-1"}, {"id": "e-2"})
    trigger = flat.pop("trigger")
    assert split({"trigger": trigger, "detection": flat}) == split({"trigger": trigger, **flat})


def test_what_a_lifted_body_would_overwrite_is_kept() -> None:
    (node,) = split({"id": "post-1", "severity": "HIGH", "detection": {"id": "d-1", "severity": "HIGH", "outside": 1}})
    assert node == {"id": "d-1", "severity": "HIGH", "outside": 1, "outside_": {"id": "post-1"}}
    assert own(node)["id"] == "d-1"


keys = st.sampled_from(["detection", "triggeringEvents", "triggeringEvent", "id", "outside", "actors"]) | texts
bodies = st.dictionaries(keys, values | st.lists(values, max_size=3) | st.dictionaries(keys, values, max_size=4))


@given(body=bodies)
def test_any_object_gives_nodes_and_each_node_a_document_and_no_value_is_lost(body: dict[str, Any]) -> None:
    nodes = split(body)
    assert nodes
    assert set(leaves(body)) <= {leaf for node in nodes for leaf in leaves(node)}
    assert all(split(node) == [node] for node in nodes if "detection" not in node)
    made, _ = documents_of_any(nodes)
    assert len(made) == len(nodes)


def documents_of_any(nodes: list[dict[str, Any]]) -> tuple[list[bytes], Counter[str]]:
    frame, drift = make_frame(DEFEND, [json.dumps(node).encode() for node in nodes], OPTIONS)
    return list(frame_documents(frame)), drift


def leaves(value: Any) -> Iterator[str]:
    """The values of a body that say something, as texts."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        yield repr(value)


# What Elastic's integration has too


def test_an_event_is_an_alert_about_what_happened() -> None:
    one = document(DEFEND, defend())
    assert one["event"] == {
        "action": "updated-by-rule",
        "category": ["threat"],
        "created": "2026-03-05T04:03:02.123Z",
        "end": "2026-03-05T04:02:00.000Z",
        "id": "ev-1",
        "kind": "alert",
        "outcome": "success",
        "provider": "WizSensorAlert##RuleEngine",
        "reference": "https://wiz.example/detections/d-1",
        "severity": 73,
        "start": "2026-03-05T04:00:00.500Z",
        "type": ["indicator"],
    }
    assert one["@timestamp"] == "2026-03-05T04:01:00.987Z"
    assert one["message"] == "The program /bin/bash was started in `shop-web`."
    assert one["rule"] == {"id": "ar-1", "name": "To Elasticsearch"}
    assert one["observer"] == {"product": "Defend", "vendor": "Wiz"}
    assert one["related"] == {
        "hash": ["da39a3ee5e6b4b0d3255bfef95601890afd80709"],
        "hosts": ["node-3"],
        "ip": ["203.0.113.7", "10.0.0.7"],
        "user": ["ada@corp.example", "ac-1", "ada", "0", "1000", "root", "node"],
    }
    assert (one["destination"], one["cloud"]["provider"]) == ({"ip": "10.0.0.7"}, "EKS")


def test_a_full_node_fills_every_field_but_those_of_other_shapes() -> None:
    node = defend(unknown=1, actors=[deepcopy(FULL["primaryActor"]) | {"id": "ac-9"}])
    resources = [deepcopy(FULL["primaryResource"]) | {"id": "re-9"}]
    hosts = {"type": "VIRTUAL_MACHINE", "externalId": "i-1"}
    node["triggeringEvent"] |= {
        "actor": deepcopy(FULL["primaryActor"]),
        "resources": [deepcopy(FULL["primaryResource"])],
    }
    filled = set(paths(document(DEFEND, node | {"resources": resources})))
    filled |= set(paths(document(DEFEND, node | {"primaryResource": FULL["primaryResource"] | hosts})))
    of_the_sink = ("data_stream.", "event.ingested", "event.module", "event.dataset", "labels.")
    elsewhere = (*of_the_sink, "ecs.", "tags", "event.original", "source.geo.", "wiz.defend.unmapped")
    wanted = {field.name for field in DEFEND.fields() if not field.name.startswith(elsewhere)}
    assert wanted - filled == set()


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            yield from paths(item, prefix)
    else:
        yield prefix


def test_fields_that_repeat_another_are_there_when_asked_for_alone() -> None:
    with_them = set(paths(document(DEFEND, defend())))
    without = set(paths(document(DEFEND, defend(), UNREPEATED)))
    assert with_them - without == REPEATED


@pytest.mark.parametrize(
    ("severity", "number"),
    [("CRITICAL", 99), ("high", 73), ("Medium", 47), ("LOW", 21), ("INFORMATIONAL", 21), ("NONE", None), (5, None)],
)
def test_a_severity_is_a_number_too_in_any_case(severity: object, number: int | None) -> None:
    node = defend(severity=severity)
    assert document(DEFEND, node)["event"].get("severity") == number
    assert own(node)["severity"] == severity


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Success", "success"),
        ("SUCCEEDED, success", "success"),
        ("Failed", "failure"),
        ("Unsuccessful", "failure"),
        ("Pending", "unknown"),
        ("", "unknown"),
        (None, None),
        (5, None),
    ],
)
def test_a_status_is_an_outcome_and_no_failure_a_success(status: object, outcome: str | None) -> None:
    assert made(status=status)["event"].get("outcome") == outcome


def test_the_time_is_the_events_or_the_next_best_and_that_is_counted() -> None:
    node = defend(triggeringEvent=triggering_event(eventTime="soon"))
    assert document(DEFEND, node)["@timestamp"] == "2026-03-05T04:03:02.123Z"
    assert drift_of(node)["missing date: triggeringEvent.eventTime"] == 1
    del node["createdAt"]
    assert document(DEFEND, node)["@timestamp"] == "2026-03-05T04:00:00.500Z"
    del node["timeframe"]
    assert document(DEFEND, node)["@timestamp"] == OPTIONS.fetched_timestamp
    assert FETCHED_AT.isoformat().startswith(OPTIONS.fetched_timestamp[:19])


# What it loses


def test_the_event_has_the_whole_actor_that_the_body_tells_of() -> None:
    one = document(DEFEND, defend())
    assert one["user"] == {"email": "ada@corp.example", "id": "ac-1", "name": "ada"}
    actor = one["wiz"]["defend"]["triggering_event"]["actor"]
    assert (actor["type"], actor["external_id"]) == ("USER_ACCOUNT", "AIDAEXAMPLE")
    (other,) = one["wiz"]["defend"]["actors"]
    assert (other["id"], other["acting_as"]) == ("ac-2", {"id": "ro-2", "name": "deployer"})


def test_the_event_has_the_whole_resources_that_the_body_tells_of() -> None:
    fields = own(defend())
    (resource,) = fields["triggering_event"]["resources"]
    assert (resource["status"], resource["cloud_account"]["external_id"]) == ("Running", "665544332211")
    assert [other["id"] for other in fields["resources"]] == ["re-2"]


def test_an_actor_that_the_body_does_not_tell_of_keeps_what_the_event_says() -> None:
    actor = {"id": "ac-9", "name": "eve", "actingAs": {"id": "ro-9", "name": "owner"}}
    one = made(actor=actor)
    assert one["user"] == {"id": "ac-9", "name": "eve", "effective": {"id": "ro-9", "name": "owner"}}
    assert len(one["wiz"]["defend"]["actors"]) == 2
    assert document(DEFEND, defend(actors=None, triggeringEvent={"actor": actor}))["user"]["name"] == "eve"


@pytest.mark.parametrize(
    "parts", ["text", 5, [None, "text", {"id": {"a": 1}}, {"id": ["a"]}, {}], {"id": "ac-1", "name": "ada"}]
)
def test_odd_lists_of_actors_and_resources_break_no_join(parts: object) -> None:
    node = defend(actors=parts, resources=parts)
    assert document(DEFEND, node)["user"]["id"] == "ac-1"
    assert (
        document(DEFEND, node | {"triggeringEvent": "text"})["wiz"]["defend"]["unmapped"]["triggeringEvent"] == "text"
    )


def test_two_actors_of_one_id_are_both_kept() -> None:
    fields = own(defend(actors=[{"id": "ac-1", "name": "ada"}, {"id": "ac-1", "name": "grace"}]))
    assert fields["triggering_event"]["actor"]["name"] == "ada"
    assert fields["actors"] == [{"id": "ac-1", "name": "grace"}]


def test_the_actors_address_is_the_source() -> None:
    assert document(DEFEND, defend())["source"] == {
        "as": {"number": 64500, "organization": {"name": "Example Networks"}},
        "geo": {"country_name": "Norway"},
        "ip": "203.0.113.7",
    }


def test_the_users_own_database_tells_the_place(tmp_path: Path) -> None:
    database = mmdb(tmp_path / "city.mmdb", {"city": {"names": {"en": "Bergen"}}})
    (one, unknown), _ = documents(
        DEFEND,
        [defend(), defend(triggeringEvent=triggering_event(actorIP="10.0.0.1"))],
        replace(OPTIONS, geoip_database=database),
    )
    assert one["source"]["geo"] == {"city_name": "Bergen"}
    assert unknown["source"]["geo"] == {"country_name": "Norway"}


@pytest.mark.parametrize("address", ["not an address", "fe80::1%eth0", 5, ["203.0.113.7"], {"v4": "203.0.113.7"}])
def test_a_bad_address_loses_nothing_else(address: object) -> None:
    one = made(actorIP=address)
    assert (one["event"]["id"], one["event"]["outcome"], one["event"]["kind"]) == ("ev-1", "success", "alert")
    assert one["wiz"]["defend"]["unmapped"] == {"triggeringEvent.actorIP": address}
    assert one["related"]["ip"] == ["10.0.0.7"]


def test_cloud_accounts_and_organizations_and_the_region_are_ecs_too() -> None:
    one = document(DEFEND, defend())
    assert one["cloud"] == {
        "account": {"id": [665544332211], "name": ["shop"]},
        "provider": "EKS",
        "region": "eu-west-1",
    }
    assert one["organization"] == {"id": ["o-7"], "name": ["Shop Inc."]}
    assert document(DEFEND, defend(cloudAccounts=[]))["cloud"]["account"] == {"id": ["665544332211"]}


def test_what_runs_in_kubernetes_is_a_container_there() -> None:
    one = document(DEFEND, defend())
    assert one["container"] == {
        "id": ["containerd://0a"],
        "image": {"hash": {"all": ["sha256:0b"]}},
        "name": ["shop-web"],
    }
    assert one["orchestrator"] == {
        "cluster": {"id": "kc-1", "name": "shop-cluster"},
        "namespace": "shop",
        "type": "kubernetes",
    }
    without_processes = made(runtimeDetails=None)
    assert without_processes["container"] == {"id": ["containerd://0a"], "name": ["shop-web"]}
    assert "orchestrator" not in document(DEFEND, defend(primaryResource={"id": "re-1"}))


def test_a_virtual_machine_is_a_host() -> None:
    main = {"type": "VIRTUAL_MACHINE", "name": "Web-1", "externalId": "i-1"}
    one = document(DEFEND, defend(primaryResource=main))
    assert one["host"] == {"id": "i-1", "name": "web-1"}
    assert one["related"]["hosts"] == ["web-1"]
    assert "host" not in document(DEFEND, defend())


def test_processes_are_ecs_too() -> None:
    assert document(DEFEND, defend())["process"] == {
        "command_line": ["bash -i", "node server.js"],
        "executable": ["/bin/bash", "/usr/bin/node"],
        "hash": {"sha1": ["da39a3ee5e6b4b0d3255bfef95601890afd80709"]},
        "name": ["bash", "node"],
        "pid": [1560, 1],
        "start": ["2026-03-05T04:01:00.900Z"],
        "user": {"id": ["0", "1000"], "name": ["root", "node"]},
    }


def test_a_single_process_and_hashes_of_other_lengths_are_kept() -> None:
    one = made(runtimeDetails={"processTree": PROCESS | {"hash": "ab" * 32, "path": "C:\\Tools\\ls.exe"}})
    assert one["process"]["name"] == ["ls.exe"]
    assert "hash" not in one["process"]
    assert one["related"]["hash"] == ["ab" * 32]


def test_mitres_names_are_told_apart_from_others() -> None:
    threat = document(DEFEND, defend())["threat"]
    assert threat["framework"] == "MITRE ATT&CK"
    assert threat["tactic"] == {"id": ["TA0002"]}
    assert threat["technique"] == {"id": ["T1059.004", "T1609"], "subtechnique": {"id": ["T1059.004"]}}
    both = document(DEFEND, defend(mitreTactics=None, mitreTechniques=["TA0043-T1595.001"]))["threat"]
    assert both["technique"] == {"id": ["TA0043-T1595.001"], "subtechnique": {"id": ["T1595.001"]}}
    assert "framework" not in document(DEFEND, defend(mitreTactics=["x"], mitreTechniques=["y"]))["threat"]


# What customers and Wiz make of the template


def test_both_spellings_of_a_link_are_one_field() -> None:
    node = defend(detectionURL="https://wiz.example/other")
    assert own(node)["unmapped"] == {"detectionURL": "https://wiz.example/other"}
    del node["detectionUrl"]
    assert document(DEFEND, node)["event"]["reference"] == "https://wiz.example/other"
    assert drift_of(node) == Counter()


def test_keys_of_the_customers_own_are_kept_and_counted() -> None:
    node = defend(team="soc", ticket={"number": 5}, trigger={"type": "Created", "changedBy": "ada"})
    assert own(node)["unmapped"] == {"team": "soc", "ticket": {"number": 5}, "trigger.changedBy": "ada"}
    assert drift_of(node) == {"unknown key: team": 1, "unknown key: ticket": 1, "unknown key: trigger.changedBy": 1}


def test_unknown_keys_inside_lists_keep_their_place_if_no_field_can_mind() -> None:
    odd = {
        "id": "r",
        "someKey": 1,
        "cloudAccount": "text",
        "external_id": 2,
        "a.b": 3,
        "tags": {"k": "v"},
        "name": {"x": 1},
    }
    frame, drift = documents_of_any([defend(resources=None, triggeringEvent={"resources": [odd, "text", None]})])
    fields = json.loads(frame[0])["wiz"]["defend"]
    assert fields["triggering_event"]["resources"] == [{"id": "r", "someKey": 1, "cloudAccount": "text"}]
    assert fields["unmapped"] == {
        "triggeringEvent.resources": "text",
        "triggeringEvent.resources.external_id": 2,
        "triggeringEvent.resources.a.b": 3,
        "triggeringEvent.resources.tags": {"k": "v"},
        "triggeringEvent.resources.name": {"x": 1},
    }
    assert drift["wrong type: triggeringEvent.resources.cloudAccount"] == 1
    assert drift["unknown key: triggeringEvent.resources.someKey"] == 1


@pytest.mark.parametrize("groups", ["None", "", ["Example Bear", "Example Spider"], [], None])
def test_attackers_may_be_a_text_or_a_list(groups: object) -> None:
    meta = made(actorIPMeta={"country": "Norway", "relatedAttackGroupNames": groups})["wiz"]["defend"]
    assert meta["triggering_event"]["actor_ip_meta"].get("related_attack_group_names") == (groups or None)


@pytest.mark.parametrize(
    ("number", "read"),
    [(64500, 64500), ("64500", 64500), ("0xfbf4", 64500), ("AS64500", None), (1.5, None), (2**63, None)],
)
def test_a_number_of_an_autonomous_system_is_read_from_a_text_too(number: object, read: int | None) -> None:
    one = made(actorIPMeta={"autonomousSystemNumber": number})
    assert one["source"].get("as", {}).get("number") == read
    assert ("unmapped" in one["wiz"]["defend"]) == (read is None)


@pytest.mark.parametrize("part", ["trigger", "timeframe", "primaryActor", "primaryResource", "triggeringEvent"])
@pytest.mark.parametrize("value", ["text", 7, True, ["text"], [["text"]], {"neverSeen": 1}])
def test_a_part_of_another_type_is_set_aside_and_the_others_stay(part: str, value: object) -> None:
    one = document(DEFEND, defend(**{part: value}))
    kept = one["wiz"]["defend"]
    assert kept["title"] == "A shell was opened in a container"
    place = f"{part}.neverSeen" if isinstance(value, dict) else part
    assert kept["unmapped"][place] == (1 if isinstance(value, dict) else value)


def test_an_empty_body_is_an_alert_of_the_moment_it_was_fetched() -> None:
    one = document(DEFEND, {})
    assert one["@timestamp"] == OPTIONS.fetched_timestamp
    assert one["event"]["kind"] == "alert"
    assert "wiz" not in one
