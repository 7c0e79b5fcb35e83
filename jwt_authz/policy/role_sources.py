"""Catalogue: where an application's roles come from when they can change while it runs."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..errors import MisuseError
from .permissions import Permission
from .roles import Roles
from .trusted_files import refuse_world_writable


@runtime_checkable
class RolesSource(Protocol):
    """What `Authz(roles=...)` loads the catalogue from, and loads it anew after each change.

    `Authz.reload_roles` says that there was one.
    """

    def load(self) -> Roles:
        """The catalogue as it is now.

        Raises MisuseError where what is there is no catalogue, StoreUnavailable where there is no
        answer.
        """
        ...


@runtime_checkable
class ManagedRoles(RolesSource, Protocol):
    """A source whose roles can be changed here; `flask authz roles` needs one.

    Each change is made as a whole or not at all, and may be repeated: what is so already stays.
    All raise MisuseError for a role that there is not, or a change after which it would be no
    catalogue, and StoreUnavailable.
    """

    def add(
        self,
        name: str,
        *permissions: str | Permission,
        includes: str | Iterable[str] = (),
        level: int | None = None,
    ) -> None:
        """Add a role: see `Role`."""
        ...

    def remove(self, name: str) -> None:
        """Remove a role from the catalogue and from all users; none may include it."""
        ...

    def grant(self, name: str, *permissions: str | Permission) -> None:
        """Give the role these permissions besides those that it has."""
        ...

    def take(self, name: str, *permissions: str | Permission) -> None:
        """Take these permissions from the role; what it includes keeps its own."""
        ...

    def include(self, name: str, *others: str) -> None:
        """Have the role include these."""
        ...

    def exclude(self, name: str, *others: str) -> None:
        """Have the role include these no more."""
        ...

    def set_level(self, name: str, level: int | None) -> None:
        """Give the role another level, or none."""
        ...


class RolesFile:
    """A catalogue in a file, JSON or TOML by the end of its name: see `Roles.from_document`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def load(self) -> Roles:
        """Return the catalog as the file has it now.

        Raises `MisuseError` that names the file and the place in it, also if every user of the
        machine may write the file.
        """
        refuse_world_writable(self.path)
        document = _read(self.path)
        try:
            return Roles.from_document(document)
        except MisuseError as error:
            raise MisuseError(f"{self.path}: {error}") from None


def _read(path: Path) -> Any:
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
