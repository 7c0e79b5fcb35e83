"""Role sources: where an application's roles come from if they can change while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..errors import MisuseError
from .permissions import Permission
from .roles import Roles
from .trusted_files import refuse_world_writable


@runtime_checkable
class RolesSource(Protocol):
    """Where `Authz(roles=...)` loads the role catalog from, at the start and after each change.

    Call `Authz.reload_roles` after a change.
    """

    def load(self) -> Roles:
        """Return the current catalog.

        Raises `MisuseError` if the stored catalog is invalid, and `StoreUnavailable` if the source
        does not answer.
        """
        ...


@runtime_checkable
class ManagedRoles(RolesSource, Protocol):
    """A source whose roles can also be changed; `flask authz roles` needs one.

    Each change is atomic and idempotent. All methods raise `MisuseError` for an unknown role and
    for a change that would make the catalog invalid, and `StoreUnavailable`.
    """

    def add(
        self,
        name: str,
        *permissions: str | Permission,
        includes: str | Iterable[str] = (),
        level: int | None = None,
    ) -> None:
        """Add a role; the arguments are those of `Role`."""
        ...

    def remove(self, name: str) -> None:
        """Remove a role from the catalog and from all users; no other role may include it."""
        ...

    def grant(self, name: str, *permissions: str | Permission) -> None:
        """Add permissions to the role."""
        ...

    def take(self, name: str, *permissions: str | Permission) -> None:
        """Remove permissions from the role, but not from the roles that it includes."""
        ...

    def include(self, name: str, *others: str) -> None:
        """Make the role include other roles."""
        ...

    def exclude(self, name: str, *others: str) -> None:
        """Make the role no longer include other roles."""
        ...

    def set_level(self, name: str, level: int | None) -> None:
        """Set the level of the role, or remove it."""
        ...


class RolesFile:
    """A catalog in a file that ends in `.json` or `.toml`: see `Roles.from_document`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def load(self) -> Roles:
        """Return the catalog that the file contains now.

        Raises `MisuseError`, with the file and the place in it, if the catalog is invalid, and
        also if every user of the machine can write the file.
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
        raise MisuseError(f"{path}: expected a file name that ends in .json or .toml")
    try:
        return parse(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise MisuseError(f"Cannot read {path}: {error.strerror}") from None
    except RecursionError:
        raise MisuseError(f"{path}: the document is nested too deeply") from None
    except ValueError as error:  # not UTF-8, JSON or TOML; the text names line and column, or byte
        raise MisuseError(f"{path}: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object; raise `ValueError` for a repeated name, as TOML does."""
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} occurs twice in one object")
    return members


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique)


def _toml(text: str) -> Any:
    return import_module("tomllib").loads(text)  # few applications have roles in TOML


_PARSERS: Mapping[str, Callable[[str], Any]] = {".json": _json, ".toml": _toml}
