"""Identity: the frozen object that requirements are evaluated on, and `Claims`, its payload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from sys import getsizeof
from types import MappingProxyType
from typing import Any, Self, TypeVar

from ..errors import MisuseError
from .permissions import Permission, PermissionSet
from .roles import Roles

SUBJECT_CLAIM = "sub"
"""The claim of the subject (RFC 7519 section 4.1.2)."""

DEEPEST_CLAIMS = 32
"""How deeply lists and dicts may be nested in a payload."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})
_EMPTY = 200  # bytes of a `Claims` without its payload
# Names that nearly every token has: one string each for all tokens.
_REGISTERED = {
    name: name
    for name in (
        *("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "type", "fresh", "csrf", "roles"),
        *("permissions", "scope", "tenant", "client_id", "sid", "auth_time", "authz_catalogue"),
    )
}


class Claims(Mapping[str, Any]):
    """A token's payload (RFC 7519 section 4), read-only.

    Looking up a list or dict returns a copy, so that one request cannot change what another one
    reads. Values must be JSON values; others raise `MisuseError`. Strings in lists that are also
    in `known`, such as the names in a catalog, are taken from there, so that payloads share them.
    `size` is the number of bytes that the rest takes in memory.
    """

    __slots__ = ("_deep", "_lists", "_payload", "size")

    def __init__(
        self, payload: Mapping[str, Any] = _NOTHING, known: Mapping[str, str] = _NOTHING
    ) -> None:
        self._payload: dict[str, Any] = {}
        lists: list[str] = []
        deep: list[str] = []
        size = _EMPTY
        for given, value in payload.items():
            name = _REGISTERED.get(given)
            if name is None:
                name = given
                size += getsizeof(given)
            kept, is_flat, bytes_taken = _kept(value, known)
            self._payload[name] = kept
            size += bytes_taken
            if type(kept) is list or type(kept) is dict:
                (lists if is_flat and type(kept) is list else deep).append(name)
        self._lists, self._deep = tuple(lists), tuple(deep)
        self.size = size + getsizeof(self._payload) + 8 * (len(lists) + len(deep))

    def copy(self) -> dict[str, Any]:
        """Return the payload as a new dict."""
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


def size_of(value: Any) -> int:
    """Return the number of bytes that a JSON value takes in memory."""
    return _kept(value, _NOTHING)[2]


def _kept(value: Any, known: Mapping[str, str], depth: int = 1) -> tuple[Any, bool, int]:
    """Return a copy of a JSON value, whether it is flat, and the bytes it takes in memory."""
    kind = type(value)
    if kind is str or value is None or kind is int or kind is float or kind is bool:
        return value, True, getsizeof(value)
    if depth > DEEPEST_CLAIMS:
        raise MisuseError(f"Claims must not be nested deeper than {DEEPEST_CLAIMS} levels.")
    if kind is list and all(type(item) is str for item in value):
        texts = [known.get(item, item) for item in value]
        own = sum(getsizeof(item) for item in value if item not in known)
        return texts, True, getsizeof(texts) + own
    if kind is list:
        items = [_kept(item, known, depth + 1) for item in value]
        is_flat = not any(type(item) is list or type(item) is dict for item in value)
        copied = [item[0] for item in items]
        return copied, is_flat, getsizeof(copied) + sum(item[2] for item in items)
    if kind is dict and all(type(name) is str for name in value):
        members = {name: _kept(item, known, depth + 1) for name, item in value.items()}
        own = sum(getsizeof(name) + member[2] for name, member in members.items())
        made = {name: member[0] for name, member in members.items()}
        return made, False, getsizeof(made) + own
    raise MisuseError(
        "Claims must be JSON values (str, int, float, bool, None, list, dict): "
        "keep other objects in a subclass of Identity."
    )


@dataclass(frozen=True, slots=True)
class Sources:
    """The claims that an identity was read from: names, or JSON Pointers (RFC 6901).

    The level is that of the roles. Empty for an identity that was not read from a token.
    """

    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


_NONE = PermissionSet()
_NO_CLAIMS = Claims()
_NO_SOURCES = Sources()


@dataclass(frozen=True, slots=True, init=False)
class Identity:
    """The caller, as requirements see it: immutable, and equal by content.

    - `subject`: the `sub` claim, a string that is not empty.
    - `issuer`: the `iss` claim, or None.
    - `tenant`: a string or None.
    - `roles`, `scopes`: iterables of strings.
    - `permissions`: a `PermissionSet` or an iterable of `resource:action`; by default those that
      the catalog grants the roles.
    - `level`: a number; by default the highest level of the roles.
    - `claims`: the token's whole payload.
    - `catalogue`: the application's role catalog, which says what each role includes.
    - `sources`: the claims that roles, permissions and scopes were read from.
    - `is_outdated`: whether the token was issued with an earlier version of the catalog.
    - `subject_is_foreign`: whether the subject comes from an issuer without a
      `Issuer.subject_prefix`; `subject` in a condition is then unknown.

    Raises `MisuseError` if the subject is not a string or is empty, or if `roles` or `scopes` is
    a single string.

    >>> from jwt_authz import Identity, Role, Roles
    >>> catalog = Roles(Role("clerk", "orders:read"), Role("manager", includes="clerk", level=2))
    >>> identity = Identity("7", roles=["manager"], catalogue=catalog)
    >>> identity.has_role("clerk"), identity.has_permission("orders:read"), identity.level
    (True, True, 2)
    """

    subject: str
    issuer: str | None
    tenant: str | None
    roles: frozenset[str]
    permissions: PermissionSet
    scopes: frozenset[str]
    level: int
    claims: Claims = field(repr=False, hash=False)
    catalogue: Roles | None = field(repr=False, compare=False)
    sources: Sources = field(repr=False, compare=False)
    is_outdated: bool = field(repr=False, compare=False)
    subject_is_foreign: bool = field(repr=False, compare=False)

    def __init__(
        self,
        subject: str,
        issuer: str | None = None,
        tenant: str | None = None,
        roles: Iterable[str] = frozenset(),
        permissions: PermissionSet | Iterable[str | Permission] | None = None,
        scopes: Iterable[str] = frozenset(),
        level: int | None = None,
        claims: Claims | Mapping[str, Any] = _NO_CLAIMS,
        catalogue: Roles | None = None,
        *,
        sources: Sources = _NO_SOURCES,
        is_outdated: bool = False,
        subject_is_foreign: bool = False,
    ) -> None:
        if not isinstance(subject, str) or not subject:
            raise MisuseError("The subject must be a non-empty string: write Identity(str(id)).")
        names = _names("roles", roles)
        if permissions is None:
            permissions = catalogue.permissions_of(names) if catalogue is not None else _NONE
        if not isinstance(permissions, PermissionSet):
            permissions = PermissionSet(permissions)
        if level is None:
            level = catalogue.level_of(names) if catalogue is not None else 0
        _set(self, "subject", subject)
        _set(self, "issuer", issuer)
        _set(self, "tenant", tenant)
        _set(self, "roles", names)
        _set(self, "permissions", permissions)
        _set(self, "scopes", _names("scopes", scopes))
        _set(self, "level", level)
        _set(self, "claims", claims if isinstance(claims, Claims) else Claims(claims))
        _set(self, "catalogue", catalogue)
        _set(self, "sources", sources)
        _set(self, "is_outdated", is_outdated)
        _set(self, "subject_is_foreign", subject_is_foreign)

    def with_foreign_subject(self) -> Self:
        """Return a copy whose subject does not count as one of the application's own."""
        return _restored(type(self), {**self._state(), "subject_is_foreign": True})

    def as_dict(self) -> dict[str, Any]:
        """Return the identity as JSON values, to hand it to a job; `from_dict` reads it.

        It is not signed, and contains the claims of the token but not the token: hand it only to
        programs that you trust. Attributes that a subclass adds are left out.

        >>> from jwt_authz import Identity
        >>> ann = Identity("7", roles=["clerk"], permissions=["orders:read"])
        >>> Identity.from_dict(ann.as_dict()) == ann
        True
        """
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "tenant": self.tenant,
            "roles": sorted(self.roles),
            "permissions": sorted(self.permissions),
            "scopes": sorted(self.scopes),
            "level": self.level,
            "claims": self.claims.copy(),
            "is_outdated": self.is_outdated,
            "subject_is_foreign": self.subject_is_foreign,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], catalogue: Roles | None = None) -> Self:
        """Return the identity that `as_dict` wrote.

        It has the permissions and the level that it had then. `catalogue`, the application's
        role catalog, says what its roles include. Raises `MisuseError` if the document is not one
        of `as_dict`.
        """
        if not isinstance(document, Mapping) or document.keys() != _MEMBERS:
            raise MisuseError(
                "Identity.from_dict(...) takes what identity.as_dict() returned: a mapping with "
                f"the members {', '.join(sorted(_MEMBERS))}."
            )
        return cls(**document, catalogue=catalogue)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle all attributes, those of subclasses included."""
        return _restored, (type(self), self._state())

    def _state(self) -> dict[str, Any]:
        slots = (name for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ()))
        kept = {name: getattr(self, name) for name in slots if hasattr(self, name)}
        kept.pop("__weakref__", None)
        return {**kept, **getattr(self, "__dict__", {})}

    @property
    def size(self) -> int:
        """The number of bytes it takes in memory, without its permissions and its catalog."""
        own = sum(map(getsizeof, self.scopes)) + getsizeof(self.scopes) + getsizeof(self.roles)
        return self.claims.size + own + getsizeof(self.subject)

    def has_role(self, name: str) -> bool:
        """Return whether the identity has the role, directly or through one that includes it."""
        if name in self.roles:
            return True
        return self.catalogue is not None and name in self.catalogue.with_included(self.roles)

    def has_permission(self, permission: str | Permission) -> bool:
        """Return whether the identity holds a permission that covers `resource:action`."""
        return permission in self.permissions

    def has_scope(self, name: str) -> bool:
        """Return whether the client was granted the scope (RFC 6749 section 3.3)."""
        return name in self.scopes

    def has_level(self, level: str | int) -> bool:
        """Return whether the identity's level is at least `level`, a number or a role's name.

        Raises `MisuseError` as `level_wanted` does.
        """
        return self.level >= self.level_wanted(level)

    def level_wanted(self, level: str | int) -> int:
        """Return the number that a level stands for: itself, or the level of the named role.

        Raises `MisuseError` for a name without a catalog, an unknown role, and one without level.
        """
        if isinstance(level, int):
            return level
        if self.catalogue is None:
            raise MisuseError(
                f"The level {level!r} is the name of a role, but the application has no role "
                "catalog: write Authz(app, roles=Roles(...)), or give the level as a number."
            )
        return self.catalogue.level_named(level)


_set = object.__setattr__
_AnyIdentity = TypeVar("_AnyIdentity", bound=Identity)


def _restored(kind: type[_AnyIdentity], state: Mapping[str, Any]) -> _AnyIdentity:
    made = object.__new__(kind)
    for name, value in state.items():
        _set(made, name, value)
    return made


def _names(what: str, names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, frozenset):
        return names
    if isinstance(names, str):
        raise MisuseError(f"{what} must be a list of names: write {what}=[{names!r}].")
    return frozenset(names)


_MEMBERS = frozenset(Identity("anyone").as_dict())
