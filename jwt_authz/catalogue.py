"""Catalogue: where an application's roles come from when they can change while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, runtime_checkable

from .permissions import Permission
from .roles import Roles


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
    """A catalogue in a JSON or TOML file: see `Roles.from_file`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def load(self) -> Roles:
        """The catalogue as the file has it now; raises MisuseError that names the place."""
        return Roles.from_file(self.path)
