"""Grants: the roles and permissions that an issuer may grant, out of those that its tokens name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, TypeVar

from ..errors import MisuseError
from ..policy.permissions import Permission, PermissionSet
from .pointers import Places, Pointer, as_pointers

Granted = Mapping[str, str | Collection[str]] | Collection[str]
"""The issuer's names and ours for each; a collection stands for names that are the same."""

RolePlaces = Places | Mapping[Any, Granted]
"""The place of the roles; a mapping gives each place its own grants."""

Order = Literal["resource:action", "action:resource"]
ORDERS: tuple[Order, ...] = ("resource:action", "action:resource")

_Value = TypeVar("_Value")


class RoleGrants:
    """The mapping of the issuer's roles to ours, for each place in the payload."""

    __slots__ = ("_by_place",)

    def __init__(self, places: RolePlaces, granted: Granted) -> None:
        if isinstance(places, Mapping):
            if granted:
                raise MisuseError(
                    "With roles_at as a mapping, each place has its own roles: remove roles=."
                )
            pairs = ((as_pointers(place)[0], own) for place, own in places.items())
        else:
            pairs = ((place, granted) for place in as_pointers(places))
        self._by_place = tuple((place, _translations("roles", own)) for place, own in pairs)

    @property
    def places(self) -> tuple[Pointer, ...]:
        """The places to read; none if nothing may be granted."""
        return tuple(place for place, granted in self._by_place if granted)

    @property
    def ours(self) -> frozenset[str]:
        """All of our roles that can be granted."""
        return frozenset(
            name for _, granted in self._by_place for ours in granted.values() for name in ours
        )

    def granted(self, payload: Mapping[str, Any]) -> frozenset[str]:
        """Return the roles that a payload is granted; raise `ClaimInvalid` for another type."""
        found: set[str] = set()
        for place, translations in self._by_place:
            if translations:
                found.update(_translated(place.listed(payload), translations))
        return frozenset(found)


class PermissionGrants:
    """The mapping of the issuer's permissions to ours.

    A collection is an allow list of our permissions, in which `*` is a wildcard. A mapping is
    exact: its keys are the issuer's permissions as written in the token.
    """

    __slots__ = ("_allowed", "_flips", "_places", "_translations")

    def __init__(self, places: Places, granted: Granted, order: Order) -> None:
        if order not in ORDERS:
            raise MisuseError(
                f"Invalid permission_order {order!r}: expected {' or '.join(ORDERS)}."
            )
        self._places = as_pointers(places)
        self._flips = order == "action:resource"
        self._translations = _translations("permissions", granted)
        for ours in self._translations.values():
            for permission in ours:
                Permission.parse(permission)
        self._allowed = PermissionSet(() if isinstance(granted, Mapping) else granted)

    @property
    def places(self) -> tuple[Pointer, ...]:
        """The places to read; none if nothing may be granted."""
        return self._places if self._translations else ()

    def granted(self, payload: Mapping[str, Any]) -> frozenset[str]:
        """Return the permissions of a payload; raise `ClaimInvalid` for another type."""
        found: set[str] = set()
        for place in self.places:
            theirs = place.words(payload)
            if self._allowed:
                found.update(self._among_allowed(theirs))
            else:
                found.update(_translated(theirs, self._translations))
        return frozenset(found)

    def _among_allowed(self, theirs: Iterable[str]) -> Iterable[str]:
        for name in theirs:
            first, _, second = name.partition(":")
            if not first or not second or ":" in second:
                continue
            resource, action = (second, first) if self._flips else (first, second)
            ours = f"{resource}:{action}"
            if self._allowed.covers((ours, f"{resource}:*", f"*:{action}", "*:*")):
                yield ours


def _translated(
    theirs: Iterable[str], translations: Mapping[str, tuple[str, ...]]
) -> Iterable[str]:
    return (ours for name in theirs for ours in translations.get(name, ()))


def _translations(what: str, granted: Granted) -> dict[str, tuple[str, ...]]:
    """Return the mapping of the issuer's names to ours; raise `MisuseError` for anything else."""
    if isinstance(granted, str) or not isinstance(granted, Collection):
        raise MisuseError(
            f"Invalid {what} {granted!r}: expected a mapping {{'theirs': 'ours'}}, or a list "
            "of names that are the same on both sides."
        )
    pairs = granted.items() if isinstance(granted, Mapping) else ((name, name) for name in granted)
    return {_name(what, theirs): names_of(what, ours) for theirs, ours in pairs}


def names_of(what: str, names: str | Collection[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple without repetitions; raise `MisuseError` if invalid."""
    if isinstance(names, str):
        return (_name(what, names),)
    if not isinstance(names, Collection) or isinstance(names, Mapping | bytes):
        raise MisuseError(f"{what} takes a name or a list of names, not {names!r}.")
    return tuple(dict.fromkeys(_name(what, name) for name in names))


def _name(what: str, name: object) -> str:
    if not isinstance(name, str) or not name:
        raise MisuseError(f"{what} takes names, which are non-empty strings, not {name!r}.")
    return name
