"""Identity, the frozen object that requirements look at, and Claims, its token's payload."""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .errors import MisuseError
from .permissions import Permission, PermissionSet
from .roles import Roles

DEEPEST_CLAIMS = 32
"""How many lists and dicts may stand in each other in a payload."""


class Claims(Mapping[str, Any]):
    """A token's payload (RFC 7519 section 4), read-only.

    A list or dict that is taken out of it is the reader's own copy, so that nothing done to it
    in one request is seen by another. It holds JSON values only; others raise `MisuseError`.
    """

    # What tokens share (names, roles, permissions) is interned, and so stands in memory once.
    __slots__ = ("_deep", "_lists", "_payload", "size")

    def __init__(self, payload: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._payload = {sys.intern(name): _kept(value) for name, value in payload.items()}
        containers = {n: v for n, v in self._payload.items() if isinstance(v, list | dict)}
        self._lists = tuple(n for n, v in containers.items() if _is_list_of_scalars(v))
        self._deep = tuple(n for n in containers if n not in self._lists)
        self.size = 70 * len(self._payload) + len(marshal.dumps(self._payload))

    def copy(self) -> dict[str, Any]:
        """The payload as a plain dict of the caller's own."""
        payload = self._payload.copy()
        for name in self._lists:
            payload[name] = payload[name].copy()
        for name in self._deep:
            payload[name] = deepcopy(payload[name])
        return payload

    def __getitem__(self, name: str) -> Any:
        value = self._payload[name]
        return deepcopy(value) if isinstance(value, list | dict) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._payload)

    def __len__(self) -> int:
        return len(self._payload)

    def __repr__(self) -> str:
        return f"Claims(<{', '.join(sorted(self))}>)"


def _kept(value: Any, depth: int = 1) -> Any:
    """A copy of a JSON value, its strings in lists interned; raises `MisuseError` for another."""
    if type(value) is str or value is None or isinstance(value, bool | int | float):
        return value
    if depth > DEEPEST_CLAIMS:
        raise MisuseError(f"claims are nested deeper than {DEEPEST_CLAIMS}: flatten them")
    if isinstance(value, list):
        return [sys.intern(v) if type(v) is str else _kept(v, depth + 1) for v in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _kept(item, depth + 1) for name, item in value.items()}
    raise MisuseError(
        "claims hold JSON values only (str, int, float, bool, None, list, dict): "
        "put other objects into a subclass of Identity, not into its claims"
    )


def _is_list_of_scalars(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(item, list | dict) for item in value)


_FROM_THE_ROLES = PermissionSet()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling, as far as requirements may look: frozen, equal by content.

    `subject` is the `sub` claim, always a string; `issuer` who signed the token, or None;
    `tenant` a string or None; `roles` and `scopes` any iterables of strings; `permissions` a
    `PermissionSet` or an iterable of `resource:action`, by default those that the catalogue gives
    the roles; `level` a number, by default the highest level of the roles; `claims` the token's
    whole payload; `catalogue` the application's `Roles`, which tells what roles include.
    Raises `MisuseError` for a subject that is no string.
    """

    subject: str
    issuer: str | None = None
    tenant: str | None = None
    roles: frozenset[str] = frozenset()
    permissions: PermissionSet = _FROM_THE_ROLES
    scopes: frozenset[str] = frozenset()
    level: int = -1  # worked out from the roles where none is given
    claims: Claims = field(default_factory=Claims, repr=False, hash=False)
    catalogue: Roles | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.subject, str) or not self.subject:
            raise MisuseError("a subject is a string that is not empty: write Identity(str(id))")
        _set(self, "roles", _names("roles", self.roles))
        _set(self, "scopes", _names("scopes", self.scopes))
        if self.permissions is _FROM_THE_ROLES and self.catalogue is not None:
            _set(self, "permissions", self.catalogue.permissions_of(self.roles))
        if not isinstance(self.permissions, PermissionSet):
            _set(self, "permissions", PermissionSet(self.permissions))
        if not isinstance(self.claims, Claims):
            _set(self, "claims", Claims(self.claims))
        if self.level < 0:
            _set(self, "level", self.catalogue.level_of(self.roles) if self.catalogue else 0)

    def has_role(self, name: str) -> bool:
        """Whether the identity has the role, itself or through one that includes it."""
        if name in self.roles:
            return True
        return self.catalogue is not None and name in self.catalogue.with_included(self.roles)

    def has_permission(self, permission: str | Permission) -> bool:
        """Whether a permission held covers this one (`resource:action`)."""
        return permission in self.permissions

    def has_scope(self, name: str) -> bool:
        """Whether the client was granted the scope (RFC 6749 section 3.3)."""
        return name in self.scopes

    def has_level(self, level: str | int) -> bool:
        """Whether the identity's level is at least this one, a number or a role's name."""
        return self.level >= self.level_wanted(level)

    def level_wanted(self, level: str | int) -> int:
        """The number that a level means here; a name needs a catalogue, else `MisuseError`."""
        if isinstance(level, int):
            return level
        if self.catalogue is None:
            raise MisuseError(
                f"the level {level!r} is a role's name and there is no catalogue: "
                "write Authz(app, roles=Roles(...)), or give the level as a number"
            )
        return self.catalogue.level_named(level)


_set = object.__setattr__


def _names(what: str, names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, frozenset):
        return names
    if isinstance(names, str):
        raise MisuseError(f"{what} is a list of names: write {what}=[{names!r}]")
    return frozenset(names)
