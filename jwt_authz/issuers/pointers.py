"""Pointers: find a claim in a payload by JSON Pointer (RFC 6901), and check its type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import ClaimInvalid, MisuseError

MISSING: Final[Any] = object()
"""The result of `Pointer.find` if the payload has no such value."""

_BAD_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Pointer:
    """The place of a value in a payload, as a JSON Pointer (RFC 6901): `/realm_access/roles`.

    With `of_members`, the value is the list of an object's member names; see `members_of`.
    Raises `MisuseError` for an invalid pointer.
    """

    text: str
    of_members: bool = False
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or len(self.text) < 2 or self.text[0] != "/":
            raise MisuseError(
                f"Invalid JSON Pointer {self.text!r}: write '/realm_access/roles', or "
                "pointer('realm_access', 'roles')."
            )
        if _BAD_ESCAPE.search(self.text):
            raise MisuseError(
                f"Invalid JSON Pointer {self.text!r}: write ~1 for a slash in a name and ~0 for "
                "a tilde, or pointer('the name as it is')."
            )
        names = (part.replace("~1", "/").replace("~0", "~") for part in self.text[1:].split("/"))
        object.__setattr__(self, "names", tuple(names))

    def find(self, payload: Mapping[str, Any]) -> Any:
        """Return the value at the pointer, `MISSING` if there is none.

        Raises `ClaimInvalid` if a value on the way is not an object.
        """
        value: Any = payload
        for name in self.names:
            if isinstance(value, Mapping):
                value = value.get(name, MISSING)
            elif isinstance(value, list):
                is_there = _INDEX.fullmatch(name) and int(name) < len(value)
                value = value[int(name)] if is_there else MISSING
            else:
                raise ClaimInvalid(f"a value on the way to {self.text} is not an object")
            if value is MISSING:
                return MISSING
        return value

    def string(self, payload: Mapping[str, Any]) -> str | None:
        """Return the string at the pointer, or None; raise `ClaimInvalid` for another type."""
        value = self.find(payload)
        if value is MISSING:
            return None
        if not isinstance(value, str):
            raise ClaimInvalid(f"the value at {self.text} is not a string")
        return value

    def listed(self, payload: Mapping[str, Any]) -> Iterable[str]:
        """Return the names at the pointer: a list of strings, or one string, which is one name.

        With `of_members`, the member names of an object. Raises `ClaimInvalid` for another type.
        """
        value = self.find(payload)
        if value is MISSING:
            return ()
        if self.of_members:
            if not isinstance(value, Mapping):
                raise ClaimInvalid(f"the value at {self.text} is not an object")
            return value.keys()
        return (value,) if isinstance(value, str) else self._strings(value)

    def words(self, payload: Mapping[str, Any]) -> Iterable[str]:
        """Return the words at the pointer: a space-separated string (RFC 6749 3.3), or a list.

        With `of_members`, the member names of an object. Raises `ClaimInvalid` for another type.
        """
        value = MISSING if self.of_members else self.find(payload)
        if isinstance(value, str):
            return filter(None, value.split(" "))
        return self.listed(payload)

    def _strings(self, value: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ClaimInvalid(f"the value at {self.text} is not a list of strings")
        return value


Places = str | Pointer | Iterable[str | Pointer]
"""One pointer or several: strings of RFC 6901, or results of `members_of`."""


def pointer(*names: str) -> str:
    """Return the JSON Pointer through these names, with special characters escaped.

    Raises `MisuseError` without a name, and for a name that is not a string.

    >>> from jwt_authz.issuers import pointer
    >>> pointer("https://hasura.io/jwt/claims", "x-hasura-user-id")
    '/https:~1~1hasura.io~1jwt~1claims/x-hasura-user-id'
    """
    if not names or not all(isinstance(name, str) for name in names):
        raise MisuseError(
            "pointer() takes the names of nested members: write pointer('realm', 'roles')."
        )
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def members_of(text: str) -> Pointer:
    """Return a pointer whose value is the list of an object's member names.

    For a payload with `{"roles": {"admin": {}, "clerk": {}}}`:

    >>> from jwt_authz.issuers import members_of
    >>> list(members_of("/roles").listed({"roles": {"admin": {}, "clerk": {}}}))
    ['admin', 'clerk']
    """
    return Pointer(text, of_members=True)


def as_pointers(places: Places) -> tuple[Pointer, ...]:
    """Return the pointers for `places`; raise `MisuseError` for an invalid one."""
    if isinstance(places, str | Pointer):
        places = (places,)
    return tuple(one if isinstance(one, Pointer) else Pointer(one) for one in places)
