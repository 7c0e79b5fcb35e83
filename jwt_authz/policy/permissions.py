"""Permission, an action on a resource, and PermissionSet, what somebody holds."""

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

    Parts are `[A-Za-z0-9._/-]+` or a lone `*`; anything else raises `MisuseError`.
    """

    resource: str
    action: str
    covered_by: tuple[str, str, str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.resource, str) and isinstance(self.action, str)):
            raise MisuseError("a permission has two strings: write Permission('article', 'read')")
        if not _PERMISSION.fullmatch(f"{self.resource}:{self.action}"):
            raise MisuseError(_not_a_permission(f"{self.resource}:{self.action}"))
        object.__setattr__(
            self,
            "covered_by",
            (str(self), f"{self.resource}:*", f"*:{self.action}", "*:*"),
        )

    @classmethod
    def parse(cls, text: str) -> Permission:
        """The permission that `resource:action` spells; raises `MisuseError` if it spells none."""
        match = _PERMISSION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise MisuseError(_not_a_permission(text))
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.resource}:{self.action}"


def _not_a_permission(text: object) -> str:
    return (
        f"{text!r} is no permission: write 'resource:action' with exactly one colon, "
        "each part of letters, digits and . _ / - or a lone * (for a role, write has_role(...))"
    )


def _plain(permissions: object) -> TypeGuard[frozenset[str]]:
    return type(permissions) is frozenset and all(type(held) is str for held in permissions)


class PermissionSet:
    """An immutable set of permissions held, in which `*` covers any resource or action.

    `wanted in held` asks whether some permission of the set covers the wanted one; it looks up
    at most four strings, however many are held. A wanted `*` is covered by a held `*` only. A
    string that is no permission may be held (a token can carry anything) and covers nothing.
    `held` is the frozenset of its strings.
    """

    __slots__ = ("__weakref__", "_size", "held")

    def __init__(self, permissions: Iterable[str | Permission] = ()) -> None:
        if isinstance(permissions, str):
            raise MisuseError(f"a list of permissions is wanted: write [{permissions!r}]")
        self.held = permissions if _plain(permissions) else frozenset(map(str, permissions))
        self._size: int | None = None

    def __contains__(self, wanted: object) -> bool:
        if isinstance(wanted, str):
            wanted = Permission.parse(wanted)
        return isinstance(wanted, Permission) and self.covers(wanted.covered_by)

    def covers(self, covered_by: tuple[str, str, str, str]) -> bool:
        """Whether one of a `Permission`'s `covered_by` is held: the bare check, with no parsing."""
        return not self.held.isdisjoint(covered_by)

    @property
    def size(self) -> int:
        """About the bytes that the set takes in memory, its strings included."""
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
