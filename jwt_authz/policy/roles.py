"""Role, a named set of permissions, and Roles, the catalogue of all roles of an application."""

from __future__ import annotations

import copy
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from ..errors import MisuseError
from .permissions import Permission, PermissionSet
from .roles_document import told_roles

_Value = TypeVar("_Value", bound=Sized)
_MEMO_NAMES = 65_536  # of all combinations that are remembered, about 2.5 MiB; no limit on roles
_FINGERPRINT_BYTES = 12  # 16 characters: no two catalogues of one application meet by chance


@dataclass(frozen=True, slots=True, init=False)
class Role:
    """A named set of permissions, which may include other roles and may have a level.

    `permissions` are strings or `Permission`s, `includes` a role's name or several; `level` is
    a whole number that orders roles (guest 0 < user 1 < admin 2).
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
            raise MisuseError(f"a role needs a name: write Role('clerk', ...), not Role({name!r})")
        if level is not None and (isinstance(level, bool) or not isinstance(level, int)):
            raise MisuseError(f"role {name!r}: a level is a whole number, not {level!r}")
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
        raise MisuseError(f"role {role!r}: includes takes names of roles, not {names!r}")
    listed = tuple(included)
    for name in listed:
        if not isinstance(name, str):
            raise MisuseError(f"role {role!r}: includes takes names of roles, not {name!r}")
    return listed


class Roles(Mapping[str, Role]):
    """The catalogue of all roles of an application: an immutable mapping of names to `Role`s.

    Raises `MisuseError` for two roles of one name, an unknown name in `includes`, and a cycle.
    Checked in time linear in roles and inclusions, however deep they are.
    """

    _is_open = False

    def __init__(self, *roles: Role) -> None:
        by_name: dict[str, Role] = {}
        for role in roles:
            if not isinstance(role, Role):
                raise MisuseError(f"Roles takes Role objects: write Role(...), not {role!r}")
            if role.name in by_name:
                raise MisuseError(f"two roles are named {role.name!r}: a name is given once")
            by_name[role.name] = role
        self._by_name = MappingProxyType(by_name)
        self._refuse_unknown()
        self._refuse_cycles()
        self._granted = PermissionSet(held for role in roles for held in role.permissions)
        self._with_included: _Memo[frozenset[str]] = _Memo()
        self._permissions: _Memo[PermissionSet] = _Memo()

    @classmethod
    def from_document(cls, document: Any) -> Roles:
        """The catalogue of a JSON or TOML document as Python reads it.

        `{"roles": {"clerk": {"permissions": [...], "includes": [...], "level": 1}}}`; of the three
        members none has to be there. Raises `MisuseError` that names the place.
        """
        roles = []
        for told in told_roles(document):
            held = (_permission(told.place, n, p) for n, p in enumerate(told.permissions))
            roles.append(Role(told.name, *held, includes=told.includes, level=told.level))
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
        """All that some role of the catalogue grants, wildcards as they were written."""
        return self._granted

    @cached_property
    def ordered_permissions(self) -> tuple[str, ...]:
        """All that some role grants, in the order of their text: what positions count from 0."""
        return tuple(sorted(self._granted))

    @cached_property
    def fingerprint(self) -> str:
        """16 characters that stand for what the roles grant, the same in every process.

        Others as soon as a role, what it includes or a permission of it changes. The order in
        which they are written and the levels make no difference: no permission comes of them.
        """
        told = sorted(
            (role.name, sorted(set(map(str, role.permissions))), sorted(set(role.includes)))
            for role in self._by_name.values()
        )
        digest = sha256(json.dumps(told).encode()).digest()
        return urlsafe_b64encode(digest[:_FINGERPRINT_BYTES]).decode()

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The names of the roles and the texts of their permissions, each by itself.

        Tokens that carry them share these strings in memory.
        """
        return MappingProxyType({text: text for text in (*self._by_name, *self._granted)})

    def with_included(self, names: Iterable[str]) -> frozenset[str]:
        """These roles and all that they include; names that the catalogue lacks are left out."""
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
        """Those of the names that are roles, as the catalog's own strings: a key to remember by."""
        roles = self._by_name
        return frozenset(roles[name].name for name in names if name in roles)

    def including(self, name: str) -> tuple[str, ...]:
        """The roles that name this one in their own `includes`."""
        return tuple(role.name for role in self._by_name.values() if name in role.includes)

    def permissions_of(self, names: Iterable[str]) -> PermissionSet:
        """The permissions of these roles and of all they include; an unknown name grants none."""
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
        """The highest level of these roles, included ones counted; 0 where none has a level."""
        levels = (self[name].level for name in self.with_included(names))
        return max((level for level in levels if level is not None), default=0)

    def level_named(self, name: str) -> int:
        """The level of the role of this name; raises `MisuseError` if it is unknown or has none."""
        if name not in self._by_name:
            raise MisuseError(f"no role is named {name!r}: a level's name is a role's name")
        level = self._by_name[name].level
        if level is None:
            raise MisuseError(f"role {name!r} has no level: write Role({name!r}, level=...)")
        return level

    def open_ended(self) -> Roles:
        """This catalogue where others grant permissions, too: every permission is known to it."""
        opened = copy.copy(self)
        opened._is_open = True
        return opened

    def knows(self, permission: Permission) -> bool:
        """Whether some role grants the permission, or a wildcard that covers it."""
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
                        f"role {role.name!r} includes {name!r}, which the catalogue lacks: "
                        f"add Role({name!r}, ...) to Roles(...)"
                    )

    def _refuse_cycles(self) -> None:
        # Depth first, without recursion: a chain of 10,000 roles is no reason to fail.
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
                    raise MisuseError(f"roles include each other: {' > '.join(cycle)}")
                elif included not in done:
                    path[included] = iter(self[included].includes)


def is_fingerprint(text: str) -> bool:
    """Whether a text has the form of `Roles.fingerprint`."""
    return _FINGERPRINT.fullmatch(text) is not None


_FINGERPRINT = re.compile(r"[A-Za-z0-9_-]{16}")


class _Memo(Generic[_Value]):
    """Answers by combinations of roles, cleared when full: a flood of them must not fill memory."""

    __slots__ = ("_answers", "_names", "get")

    def __init__(self) -> None:
        self._answers: dict[frozenset[str], _Value] = {}
        self._names = 0
        self.get = self._answers.get

    def put(self, key: frozenset[str], answer: _Value) -> None:
        names = len(key) + len(answer) + 8  # for what an entry takes beside its names
        if self._names + names > _MEMO_NAMES:
            self._answers.clear()
            self._names = 0
        self._answers[key] = answer
        self._names += names
