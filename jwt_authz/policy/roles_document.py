"""Roles document: reads the roles in a parsed JSON or TOML document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import MisuseError

_MEMBERS = ("permissions", "includes", "level")


class DocumentedRole(NamedTuple):
    """A role as a document describes it, and its place in the document."""

    place: str
    name: str
    permissions: tuple[str, ...]
    includes: tuple[str, ...]
    level: int | None


def read_roles(document: Any) -> Iterator[DocumentedRole]:
    """Yield the roles of a document; raise `MisuseError` that names the place of an error."""
    if not isinstance(document, Mapping) or set(document) != {"roles"}:
        raise MisuseError("Expected one table, roles, at the top level, as in [roles.clerk].")
    roles = document["roles"]
    if not isinstance(roles, Mapping):
        raise MisuseError("roles: expected a table of roles by name, as in [roles.clerk].")
    for name, members in roles.items():
        place = f"roles.{name}"
        if not isinstance(members, Mapping):
            raise MisuseError(f"{place}: expected a table of permissions, includes and level.")
        for member in members:
            if member not in _MEMBERS:
                raise MisuseError(
                    f"{place}.{member}: unknown name, expected one of {', '.join(_MEMBERS)}."
                )
        permissions, includes = (_texts(place, one, members.get(one, [])) for one in _MEMBERS[:2])
        yield DocumentedRole(
            place, name, permissions, includes, _level(place, members.get("level"))
        )


def _texts(place: str, member: str, value: Any) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise MisuseError(f"{place}.{member}: expected a list of strings.")
    for position, text in enumerate(listed):
        if not isinstance(text, str):
            raise MisuseError(f"{place}.{member}[{position}]: expected a string.")
    return tuple(listed)


def _level(place: str, value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise MisuseError(f"{place}.level: expected an integer.")
    return value
