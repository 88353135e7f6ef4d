"""User agents by the maintained ua-parser expressions, named as in ECS and worded as Elastic's processor does.

What isn't recognised is `Other`. Parsed texts are remembered: a tenant has few of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import ua_parser

PATHS = (
    "user_agent.original",
    "user_agent.name",
    "user_agent.version",
    "user_agent.device.name",
    "user_agent.os.name",
    "user_agent.os.version",
    "user_agent.os.full",
)
NOTHING: tuple[str | None, ...] = (None,) * len(PATHS)


@lru_cache(maxsize=10_000)
def parse_user_agent(text: str) -> tuple[str | None, ...]:
    """The values of `PATHS` for a user agent's text."""
    found = ua_parser.parse(text)
    agent, system, device = found.user_agent, found.os, found.device
    version = _dotted(agent.major, agent.minor, agent.patch, agent.patch_minor) if agent else None
    system_version = _dotted(system.major, system.minor, system.patch, system.patch_minor) if system else None
    return (
        text,
        agent.family if agent else "Other",
        version,
        device.family if device else "Other",
        system.family if system else None,
        system_version,
        f"{system.family} {system_version}" if system and system_version else system.family if system else None,
    )


def _dotted(*numbers: str | None) -> str | None:
    return ".".join(_leading(numbers)) or None


def _leading(numbers: Iterable[str | None]) -> list[str]:
    kept: list[str] = []
    for number in numbers:
        if not number:
            break
        kept.append(number)
    return kept
