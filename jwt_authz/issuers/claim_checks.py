"""Claim checks: values that a foreign token must have, and values by which it is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import EllipsisType, MappingProxyType
from typing import Any

from ..errors import ClaimInvalid, ClaimMissing, KindInvalid, MisuseError
from .pointers import MISSING, Pointer, as_pointers

Scalar = str | int | float | bool
Wanted = Scalar | Collection[Scalar] | EllipsisType
Marks = Mapping[str, Wanted]
"""JSON Pointers and their values: a value, one of several, or `...` for any value."""

NOT_ACCESS_TOKENS: Mapping[str, Wanted] = MappingProxyType(
    {
        "/nonce": ...,  # ID tokens: OpenID Connect Core section 2
        "/at_hash": ...,
        "/c_hash": ...,
        "/events": ...,  # log-out tokens and security events: RFC 8417 section 2.2
        "/typ": ("ID", "Refresh", "Offline", "Logout"),  # Keycloak's own
        "/token_use": ("id", "refresh"),  # Cognito's own
        "/token_type": ("id", "id_token", "refresh", "refresh_token"),
        "/type": ("id", "id_token", "refresh", "refresh_token"),
    }
)
"""Values that only ID, refresh and log-out tokens have: the default for `Issuer.refused`."""

_NOTHING: tuple[Any, ...] = (None, "", [], {})


class RequiredClaims:
    """Pointers to claims of which each token must have an accepted value."""

    __slots__ = ("_marks",)

    def __init__(self, marks: Marks) -> None:
        self._marks = _read("required", marks)

    def check(self, payload: Mapping[str, Any]) -> None:
        """Raise `ClaimMissing` or `ClaimInvalid` unless each claim has an accepted value.

        A list has a value if one of its members equals it.
        """
        for place, values in self._marks:
            found = place.find(payload)
            if found is MISSING or found in _NOTHING:
                raise ClaimMissing(f"{place.text} is missing")
            if values is not None and not any(_is_one_of(one, values) for one in _members(found)):
                raise ClaimInvalid(f"{place.text} does not have an accepted value")


class RefusedMarks:
    """Pointers to claims that must not have certain values, compared without regard to case."""

    __slots__ = ("_marks",)

    def __init__(self, marks: Marks) -> None:
        self._marks = tuple(
            (place, None if values is None else tuple(map(_folded, values)))
            for place, values in _read("refused", marks)
        )

    def check(self, payload: Mapping[str, Any]) -> None:
        """Raise `KindInvalid` if a claim has one of the values; for `...`, if it is present."""
        for place, values in self._marks:
            found = place.find(payload)
            if found is MISSING:
                continue
            members = map(_folded, _members(found))
            if values is None or any(_is_one_of(one, values) for one in members):
                raise KindInvalid(f"{place.text} is that of a token that is not accepted")


def _read(what: str, marks: Marks) -> tuple[tuple[Pointer, tuple[Scalar, ...] | None], ...]:
    if not isinstance(marks, Mapping):
        raise MisuseError(
            f"{what} must map JSON Pointers to values: write {what}={{'/azp': 'my-client'}}."
        )
    return tuple((as_pointers(place)[0], _values(what, wanted)) for place, wanted in marks.items())


def _members(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _values(what: str, wanted: Any) -> tuple[Scalar, ...] | None:
    """Return the accepted values; None for any value."""
    if isinstance(wanted, EllipsisType):
        return None
    values = (wanted,) if isinstance(wanted, str | int | float) else wanted
    if not isinstance(values, Collection) or isinstance(values, Mapping | bytes) or not values:
        raise MisuseError(f"{what} takes a value, a list of values or ..., not {wanted!r}.")
    if not all(isinstance(value, str | int | float) for value in values):
        raise MisuseError(f"{what} takes strings, numbers, True and False, not {wanted!r}.")
    return tuple(values)


def _is_one_of(found: Any, values: tuple[Scalar, ...]) -> bool:
    """Return whether a JSON value is one of these; unlike in Python, true is not 1."""
    return any(type(found) is type(value) and found == value for value in values)
