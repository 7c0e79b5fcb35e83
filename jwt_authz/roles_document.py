"""Reads the roles of a JSON or TOML document; each error names the place where it is."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .errors import MisuseError

_MEMBERS = ("permissions", "includes", "level")


class Told(NamedTuple):
    """What a document tells of one role, and the place where it does."""

    place: str
    name: str
    permissions: tuple[str, ...]
    includes: tuple[str, ...]
    level: int | None


def read_document(path: Path) -> Any:
    """What a file holds whose name ends in `.json` or `.toml`.

    Raises MisuseError for a file that cannot be read, or is not what its name says.
    """
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise MisuseError(f"{path}: roles stand in a file whose name ends in .json or .toml")
    try:
        return parse(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise MisuseError(f"{path} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise MisuseError(f"{path}: it is nested too deeply") from None
    except ValueError as error:  # no UTF-8, no JSON, no TOML: each says line and column, or byte
        raise MisuseError(f"{path}: {error}") from None


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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of a JSON object, in which a name stands once: TOML has no other, either."""
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one object")
    return members


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique)


_PARSERS: Mapping[str, Callable[[str], Any]] = {".json": _json, ".toml": tomllib.loads}
