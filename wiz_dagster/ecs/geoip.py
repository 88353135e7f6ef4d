"""Places of IP addresses by the user's own MaxMind database (GeoLite2 City or alike), named as in ECS `*.geo`.

Without a database there is no `source.geo`. The file is opened once a process and read through the memory map.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import maxminddb

from wiz_dagster.errors import SettingsError


@lru_cache(maxsize=4)
def open_database(path: Path) -> maxminddb.Reader:
    """The opened database.

    Raises:
        SettingsError: the file can't be read or is no MaxMind database.
    """
    try:
        return maxminddb.open_database(path)
    except (OSError, maxminddb.InvalidDatabaseError):
        raise SettingsError(
            f"WIZ_GEOIP_DATABASE: {path} can't be read as a MaxMind database; name a readable .mmdb file or unset it."
        ) from None


def place(path: Path, address: str) -> dict[str, Any] | None:
    """What the database knows of an address, as the object below `*.geo`; None for an unknown one."""
    try:
        found: Any = open_database(path).get(address)
    except ValueError:  # an IPv6 address in a database of IPv4 addresses
        return None
    if not isinstance(found, dict):
        return None
    region: dict[str, Any] = next(iter(found.get("subdivisions") or ()), {})
    country: dict[str, Any] = found.get("country") or {}
    location: dict[str, Any] = found.get("location") or {}
    region_code = region.get("iso_code") and f"{country.get('iso_code')}-{region['iso_code']}"
    geo = {
        "city_name": _english(found.get("city")),
        "continent_name": _english(found.get("continent")),
        "country_iso_code": country.get("iso_code"),
        "country_name": _english(country),
        "region_iso_code": region_code,
        "region_name": _english(region),
        "timezone": location.get("time_zone"),
    }
    if "latitude" in location and "longitude" in location:
        geo["location"] = {"lat": location["latitude"], "lon": location["longitude"]}
    return geo


def _english(record: dict[str, Any] | None) -> str | None:
    name: str | None = ((record or {}).get("names") or {}).get("en")
    return name
