"""Permission: an action on a resource, and `PermissionSet`, the permissions that a caller holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from sys import getsizeof
from typing import TypeGuard

from ..errors import MisuseError

_PART = r"(?:[A-Za-z0-9._/-]+|\*)"
_PERMISSION = re.compile(f"({_PART}):({_PART})")


@dataclass(frozen=True, slots=True)
class Permission:
    """An action on a resource, written `resource:action`; either part may be `*`.

    Each part matches `[A-Za-z0-9._/-]+` or is a single `*`; anything else raises `MisuseError`.

    >>> from jwt_authz import Permission
    >>> Permission("orders", "read") == Permission.parse("orders:read")
    True
    >>> str(Permission("orders", "*"))
    'orders:*'
    >>> Permission.parse("orders")
    Traceback (most recent call last):
    jwt_authz.errors.MisuseError: Invalid permission 'orders': expected 'resource:action', ...
    """

    resource: str
    action: str
    covered_by: tuple[str, str, str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.resource, str) and isinstance(self.action, str)):
            raise MisuseError(
                f"Invalid permission ({self.resource!r}, {self.action!r}): expected two strings, "
                "as in Permission('article', 'read')."
            )
        if not _PERMISSION.fullmatch(f"{self.resource}:{self.action}"):
            raise MisuseError(_not_a_permission(f"{self.resource}:{self.action}"))
        object.__setattr__(
            self,
            "covered_by",
            (str(self), f"{self.resource}:*", f"*:{self.action}", "*:*"),
        )

    @classmethod
    def parse(cls, text: str) -> Permission:
        """Return the permission written `resource:action`; raise `MisuseError` if it is invalid."""
        match = _PERMISSION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise MisuseError(_not_a_permission(text))
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.resource}:{self.action}"


def _not_a_permission(text: object) -> str:
    return (
        f"Invalid permission {text!r}: expected 'resource:action', where each part consists of "
        "letters, digits and . _ / - or is a single *. For a role, write has_role(...)."
    )


def _plain(permissions: object) -> TypeGuard[frozenset[str]]:
    return type(permissions) is frozenset and all(type(held) is str for held in permissions)


class PermissionSet:
    """An immutable set of permissions, in which `*` covers any resource or action.

    `permission in held` returns whether a permission of the set covers this one; it looks up at
    most four strings, however large the set. Only a `*` in the set covers a `*`. An invalid
    permission in the set, which a token may contain, covers nothing. `held` is the frozenset of
    its strings.
    """

    __slots__ = ("__weakref__", "_size", "held")

    def __init__(self, permissions: Iterable[str | Permission] = ()) -> None:
        if isinstance(permissions, str):
            raise MisuseError(f"Expected a list of permissions: write [{permissions!r}].")
        self.held = permissions if _plain(permissions) else frozenset(map(str, permissions))
        self._size: int | None = None

    def __contains__(self, wanted: object) -> bool:
        if isinstance(wanted, str):
            wanted = Permission.parse(wanted)
        return isinstance(wanted, Permission) and self.covers(wanted.covered_by)

    def covers(self, covered_by: tuple[str, str, str, str]) -> bool:
        """Return whether the set contains one of a `Permission`'s `covered_by`."""
        return not self.held.isdisjoint(covered_by)

    @property
    def size(self) -> int:
        """The approximate number of bytes that the set takes in memory, with its strings."""
        if self._size is None:
            self._size = 200 + getsizeof(self.held) + sum(map(getsizeof, self.held))
        return self._size

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def __or__(self, other: PermissionSet) -> PermissionSet:
        if not isinstance(other, PermissionSet):
            return NotImplemented
        return PermissionSet(self.held | other.held)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PermissionSet):
            return NotImplemented
        return self.held == other.held

    def __hash__(self) -> int:
        return hash(self.held)

    def __repr__(self) -> str:
        return f"PermissionSet({sorted(self.held)!r})"
