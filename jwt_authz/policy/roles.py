"""Roles: `Role`, a named set of permissions, and `Roles`, the catalog of an application's roles."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar

from ..errors import MisuseError
from .permissions import Permission, PermissionSet
from .roles_document import read_roles

_Value = TypeVar("_Value", bound=Sized)
_Catalog = TypeVar("_Catalog", bound="Roles")
_MEMO_NAMES = 65_536  # names in all cached combinations, about 2.5 MiB; roles are not limited
_FINGERPRINT_BYTES = 12  # 16 characters: enough to tell an application's catalogs apart


@dataclass(frozen=True, slots=True, init=False)
class Role:
    """A named set of permissions, which may include other roles and may have a level.

    `permissions` are strings or `Permission`s, `includes` is the name of a role or an iterable of
    names, and `level` an integer that orders roles (guest 0 < user 1 < admin 2). Raises
    `MisuseError` for anything else.

    >>> from jwt_authz import Role
    >>> Role("manager", "orders:refund", includes="clerk", level=2)
    Role('manager', 'orders:refund', includes=['clerk'], level=2)
    """

    name: str
    permissions: tuple[Permission, ...]
    includes: tuple[str, ...]
    level: int | None

    def __init__(
        self,
        name: str,
        *permissions: str | Permission,
        includes: str | Iterable[str] = (),
        level: int | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise MisuseError(
                f"Invalid role name {name!r}: expected a string that is not blank, as in "
                "Role('clerk', ...)."
            )
        if level is not None and (isinstance(level, bool) or not isinstance(level, int)):
            raise MisuseError(f"Role {name!r}: invalid level {level!r}, expected an integer.")
        held = (p if isinstance(p, Permission) else Permission.parse(p) for p in permissions)
        _set(self, "name", name)
        _set(self, "permissions", tuple(held))
        _set(self, "includes", _included(name, includes))
        _set(self, "level", level)

    def __repr__(self) -> str:
        parts = [repr(self.name), *(repr(str(held)) for held in self.permissions)]
        if self.includes:
            parts.append(f"includes={list(self.includes)!r}")
        if self.level is not None:
            parts.append(f"level={self.level}")
        return f"Role({', '.join(parts)})"


_set = object.__setattr__


def _permission(place: str, position: int, text: str) -> Permission:
    try:
        return Permission.parse(text)
    except MisuseError as error:
        raise MisuseError(f"{place}.permissions[{position}]: {error}") from None


def _included(role: str, names: object) -> tuple[str, ...]:
    included = (names,) if isinstance(names, str) else names
    if not isinstance(included, Iterable) or isinstance(included, Mapping | bytes):
        raise MisuseError(f"Role {role!r}: includes must be names of roles, not {names!r}.")
    listed = tuple(included)
    for name in listed:
        if not isinstance(name, str):
            raise MisuseError(f"Role {role!r}: includes must be names of roles, not {name!r}.")
    return listed


class Roles(Mapping[str, Role]):
    """The role catalog of an application: an immutable mapping of names to `Role`s.

    Raises `MisuseError` for two roles with the same name, an unknown name in `includes`, and a
    cycle. The checks take time linear in the number of roles and inclusions.

    >>> from jwt_authz import Role, Roles
    >>> roles = Roles(
    ...     Role("clerk", "orders:read"),
    ...     Role("manager", "orders:refund", includes="clerk"),
    ... )
    >>> sorted(roles.with_included(["manager"]))
    ['clerk', 'manager']
    >>> "orders:read" in roles.permissions_of(["manager"])
    True
    """

    _is_open = False

    def __init__(self, *roles: Role) -> None:
        by_name: dict[str, Role] = {}
        for role in roles:
            if not isinstance(role, Role):
                raise MisuseError(f"Roles(...) takes Role objects, not {role!r}.")
            if role.name in by_name:
                raise MisuseError(f"Two roles have the name {role.name!r}: names must be unique.")
            by_name[role.name] = role
        self._by_name = MappingProxyType(by_name)
        self._refuse_unknown()
        self._refuse_cycles()
        self._granted = PermissionSet(held for role in roles for held in role.permissions)
        self._with_included: _Memo[frozenset[str]] = _Memo()
        self._permissions: _Memo[PermissionSet] = _Memo()

    @classmethod
    def from_document(cls, document: Any) -> Roles:
        """Return the catalog of a parsed JSON or TOML document.

        `{"roles": {"clerk": {"permissions": [...], "includes": [...], "level": 1}}}`; each of the
        three members is optional. Raises `MisuseError` that names the place of an error.
        """
        roles = []
        for read in read_roles(document):
            held = (_permission(read.place, n, p) for n, p in enumerate(read.permissions))
            roles.append(Role(read.name, *held, includes=read.includes, level=read.level))
        return cls(*roles)

    def __getitem__(self, name: str) -> Role:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"Roles({', '.join(map(repr, self._by_name.values()))})"

    @property
    def permissions(self) -> PermissionSet:
        """All permissions that roles of the catalog grant, with wildcards as written."""
        return self._granted

    @cached_property
    def ordered_permissions(self) -> tuple[str, ...]:
        """All permissions that roles grant, sorted: compact tokens hold positions in this list."""
        return tuple(sorted(self._granted))

    @cached_property
    def fingerprint(self) -> str:
        """16 characters that identify what the roles grant, the same in every process.

        They change with the roles, their inclusions and their permissions, but not with the order
        of the roles or their levels.
        """
        content = sorted(
            (role.name, sorted(set(map(str, role.permissions))), sorted(set(role.includes)))
            for role in self._by_name.values()
        )
        digest = sha256(json.dumps(content).encode()).digest()
        return urlsafe_b64encode(digest[:_FINGERPRINT_BYTES]).decode()

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The names of the roles and the texts of their permissions, each mapped to itself.

        Cached tokens share these strings, to save memory.
        """
        return MappingProxyType({text: text for text in (*self._by_name, *self._granted)})

    def with_included(self, names: Iterable[str]) -> frozenset[str]:
        """Return these roles and all that they include; unknown names are left out."""
        wanted = frozenset(names)
        found = self._with_included.get(wanted)
        if found is None:
            wanted = self._known(wanted)
            found = self._with_included.get(wanted)
        if found is None:
            found = frozenset(self._walk(wanted))
            self._with_included.put(wanted, found)
        return found

    def _known(self, names: Iterable[str]) -> frozenset[str]:
        """Return the known ones of these names, as the catalog's own strings: a cache key."""
        roles = self._by_name
        return frozenset(roles[name].name for name in names if name in roles)

    def including(self, name: str) -> tuple[str, ...]:
        """Return the names of the roles that include this one directly."""
        return tuple(role.name for role in self._by_name.values() if name in role.includes)

    def permissions_of(self, names: Iterable[str]) -> PermissionSet:
        """Return the permissions of these roles and all that they include."""
        wanted = frozenset(names)
        found = self._permissions.get(wanted)
        if found is None:
            wanted = self._known(wanted)
            found = self._permissions.get(wanted)
        if found is None:
            texts = self.texts
            found = PermissionSet(
                texts[str(held)]
                for name in self.with_included(wanted)
                for held in self[name].permissions
            )
            self._permissions.put(wanted, found)
        return found

    def level_of(self, names: Iterable[str]) -> int:
        """Return the highest level of these roles and all that they include, or 0."""
        levels = (self[name].level for name in self.with_included(names))
        return max((level for level in levels if level is not None), default=0)

    def level_named(self, name: str) -> int:
        """Return the level of a role; raise `MisuseError` if it is unknown or has no level."""
        if name not in self._by_name:
            raise MisuseError(
                f"Unknown level {name!r}: expected a number or the name of a role in Roles(...)."
            )
        level = self._by_name[name].level
        if level is None:
            raise MisuseError(f"role {name!r} has no level: write Role({name!r}, level=...)")
        return level

    def open_ended(self) -> Roles:
        """Return a copy that knows every permission, for applications with other issuers."""
        return _catalog(type(self), tuple(self.values()), is_open=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the roles alone: what is cached of them is computed again."""
        return _catalog, (type(self), tuple(self.values()), self._is_open)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # immutable

    def knows(self, permission: Permission) -> bool:
        """Return whether a role grants the permission, or a wildcard that covers it."""
        return self._is_open or self._granted.covers(permission.covered_by)

    def _walk(self, names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        waiting = [name for name in names if name in self._by_name]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(self[name].includes)
        return found

    def _refuse_unknown(self) -> None:
        for role in self._by_name.values():
            for name in role.includes:
                if name not in self._by_name:
                    raise MisuseError(
                        f"Role {role.name!r} includes the unknown role {name!r}: "
                        f"add Role({name!r}, ...) to Roles(...)."
                    )

    def _refuse_cycles(self) -> None:
        # Depth first, without recursion: a chain of 10,000 roles must work.
        done: set[str] = set()
        for start in self._by_name:
            path: dict[str, Iterator[str]] = {}
            if start not in done:
                path[start] = iter(self[start].includes)
            while path:
                name = next(reversed(path))
                included = next(path[name], None)
                if included is None:
                    done.add(name)
                    del path[name]
                elif included in path:
                    cycle = [*list(path)[list(path).index(included) :], included]
                    raise MisuseError(f"Roles include each other: {' > '.join(cycle)}.")
                elif included not in done:
                    path[included] = iter(self[included].includes)


def _catalog(kind: type[_Catalog], roles: Iterable[Role], is_open: bool) -> _Catalog:
    made = kind(*roles)
    made._is_open = is_open
    return made


def is_fingerprint(text: str) -> bool:
    """Return whether a text has the form of `Roles.fingerprint`."""
    return _FINGERPRINT.fullmatch(text) is not None


_FINGERPRINT = re.compile(r"[A-Za-z0-9_-]{16}")


class _Memo(Generic[_Value]):
    """A cache by combination of roles, cleared when full, so that its memory is bounded."""

    __slots__ = ("_answers", "_names", "get")

    def __init__(self) -> None:
        self._answers: dict[frozenset[str], _Value] = {}
        self._names = 0
        self.get = self._answers.get

    def put(self, key: frozenset[str], answer: _Value) -> None:
        names = len(key) + len(answer) + 8  # 8 for the entry itself
        if self._names + names > _MEMO_NAMES:
            self._answers.clear()
            self._names = 0
        self._answers[key] = answer
        self._names += names
