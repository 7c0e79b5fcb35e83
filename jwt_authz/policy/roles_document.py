"""The roles that a JSON or TOML document tells of; each error names the place where it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import MisuseError

_MEMBERS = ("permissions", "includes", "level")


class Told(NamedTuple):
    """What a document tells of one role, and the place where it does."""

    place: str
    name: str
    permissions: tuple[str, ...]
    includes: tuple[str, ...]
    level: int | None


def told_roles(document: Any) -> Iterator[Told]:
    """The roles that a document tells of; raises MisuseError that names the place."""
    if not isinstance(document, Mapping) or set(document) != {"roles"}:
        raise MisuseError("a catalogue is one table, roles, and nothing beside it: write [roles.x]")
    roles = document["roles"]
    if not isinstance(roles, Mapping):
        raise MisuseError("roles maps names to roles: write [roles.clerk]")
    for name, members in roles.items():
        place = f"roles.{name}"
        if not isinstance(members, Mapping):
            raise MisuseError(f"{place} is a table: write permissions, includes and level into it")
        for member in members:
            if member not in _MEMBERS:
                raise MisuseError(f"{place}.{member}: write one of {', '.join(_MEMBERS)}")
        permissions, includes = (_texts(place, one, members.get(one, [])) for one in _MEMBERS[:2])
        yield Told(place, name, permissions, includes, _level(place, members.get("level")))


def _texts(place: str, member: str, value: Any) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise MisuseError(f"{place}.{member} is a list of texts")
    for position, text in enumerate(listed):
        if not isinstance(text, str):
            raise MisuseError(f"{place}.{member}[{position}] is no text")
    return tuple(listed)


def _level(place: str, value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise MisuseError(f"{place}.level is a whole number")
    return value
