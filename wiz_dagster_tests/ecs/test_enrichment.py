"""User agents and places of addresses."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from wiz_dagster.datasets import AUDIT
from wiz_dagster.ecs.fingerprint import fingerprint
from wiz_dagster.ecs.user_agent import parse_user_agent
from wiz_dagster.errors import SettingsError
from wiz_dagster_tests.datasets.making import OPTIONS, document
from wiz_dagster_tests.datasets.nodes import audit


def test_a_browser_is_recognised_with_its_system_and_device() -> None:
    text = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"  # noqa: E501
    assert parse_user_agent(text) == (text, "Mobile Safari", "17.5", "iPhone", "iOS", "17.5", "iOS 17.5")


def test_what_is_not_recognised_is_other() -> None:
    assert parse_user_agent("-") == ("-", "Other", None, "Other", None, None, None)


class Whole(NamedTuple):
    """A whole number with its control bytes; the low half of the first one is its size."""

    number: int
    control: tuple[int, ...]


def uint16(number: int) -> Whole:
    return Whole(number, (0xA2,))


def encoded(value: Any) -> bytes:
    """A value in MaxMind's data format (short ones only)."""
    if isinstance(value, dict):
        return bytes([0xE0 | len(value)]) + b"".join(encoded(key) + encoded(item) for key, item in value.items())
    if isinstance(value, list):
        return bytes([len(value), 4]) + b"".join(map(encoded, value))
    if isinstance(value, float):
        return bytes([0x68]) + struct.pack(">d", value)
    if isinstance(value, Whole):
        return bytes(value.control) + value.number.to_bytes(value.control[0] & 0xF, "big")
    text = value.encode()
    return bytes([0x40 | len(text)]) + text


def mmdb(path: Path, record: dict[str, Any]) -> Path:
    """A database that knows the addresses from 128.0.0.0 up."""
    unknown, known = 1, 1 + 16
    tree = unknown.to_bytes(3, "big") + known.to_bytes(3, "big")
    about = {
        "node_count": Whole(1, (0xC4,)),
        "record_size": uint16(24),
        "ip_version": uint16(4),
        "database_type": "Test-City",
        "languages": ["en"],
        "binary_format_major_version": uint16(2),
        "binary_format_minor_version": uint16(0),
        "build_epoch": Whole(1, (0x08, 2)),
        "description": {"en": "test"},
    }
    path.write_bytes(tree + bytes(16) + encoded(record) + b"\xab\xcd\xefMaxMind.com" + encoded(about))
    return path


def test_places_come_from_the_users_own_database(tmp_path: Path) -> None:
    record = {
        "city": {"names": {"en": "Utrecht"}},
        "continent": {"names": {"en": "Europe"}},
        "country": {"iso_code": "NL", "names": {"en": "Netherlands"}},
        "location": {"latitude": 52.5, "longitude": 5.25},
        "subdivisions": [{"iso_code": "UT", "names": {"en": "Utrecht"}}],
    }
    options = replace(OPTIONS, geoip_database=mmdb(tmp_path / "city.mmdb", record))
    assert document(AUDIT, audit(), options)["source"]["geo"] == {
        "city_name": "Utrecht",
        "continent_name": "Europe",
        "country_iso_code": "NL",
        "country_name": "Netherlands",
        "location": {"lat": 52.5, "lon": 5.25},
        "region_iso_code": "NL-UT",
        "region_name": "Utrecht",
    }
    assert "geo" not in document(AUDIT, audit(sourceIP="10.0.0.1"), options)["source"]
    assert document(AUDIT, audit(sourceIP="2001:db8::1"), options)["source"] == {"ip": "2001:db8::1"}
    assert fingerprint(AUDIT, options) != fingerprint(AUDIT, OPTIONS)


@pytest.mark.parametrize("content", [None, b"no database"])
def test_an_unreadable_database_is_a_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="WIZ_GEOIP_DATABASE"):
        document(AUDIT, audit(), replace(OPTIONS, geoip_database=path))
