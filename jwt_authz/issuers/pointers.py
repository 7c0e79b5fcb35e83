"""Pointers (RFC 6901): where in a payload a claim stands, and what is there, of a known type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import ClaimInvalid, MisuseError

MISSING: Final[Any] = object()
"""What `Pointer.find` gives where the payload has nothing at the place."""

_BAD_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Pointer:
    """A place in a payload, as RFC 6901 writes it: `/realm_access/roles`.

    `of_members` takes the names of an object's members for the value, as `members_of` says.
    Raises `MisuseError` for a text that is no pointer into a payload.
    """

    text: str
    of_members: bool = False
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or len(self.text) < 2 or self.text[0] != "/":
            raise MisuseError(
                f"{self.text!r} is no JSON Pointer: write '/realm_access/roles', or "
                "pointer('realm_access', 'roles')"
            )
        if _BAD_ESCAPE.search(self.text):
            raise MisuseError(
                f"{self.text!r} is no JSON Pointer: write ~1 for a slash in a name and ~0 for a "
                "tilde, or pointer('the name as it is')"
            )
        names = (part.replace("~1", "/").replace("~0", "~") for part in self.text[1:].split("/"))
        object.__setattr__(self, "names", tuple(names))

    def find(self, payload: Mapping[str, Any]) -> Any:
        """The value at the place, `MISSING` where there is none.

        Raises `ClaimInvalid` where the way leads through a value that has no members.
        """
        value: Any = payload
        for name in self.names:
            if isinstance(value, Mapping):
                value = value.get(name, MISSING)
            elif isinstance(value, list):
                is_there = _INDEX.fullmatch(name) and int(name) < len(value)
                value = value[int(name)] if is_there else MISSING
            else:
                raise ClaimInvalid(f"what {self.text} leads through is no object")
            if value is MISSING:
                return MISSING
        return value

    def string(self, payload: Mapping[str, Any]) -> str | None:
        """The string at the place, None where nothing is; `ClaimInvalid` for another type."""
        value = self.find(payload)
        if value is MISSING:
            return None
        if not isinstance(value, str):
            raise ClaimInvalid(f"what stands at {self.text} is no string")
        return value

    def listed(self, payload: Mapping[str, Any]) -> Iterable[str]:
        """The names at the place: a list of strings, or one string, which is one name.

        With `of_members`, an object's. Raises `ClaimInvalid` for another type.
        """
        value = self.find(payload)
        if value is MISSING:
            return ()
        if self.of_members:
            if not isinstance(value, Mapping):
                raise ClaimInvalid(f"what stands at {self.text} is no object")
            return value.keys()
        return (value,) if isinstance(value, str) else self._strings(value)

    def words(self, payload: Mapping[str, Any]) -> Iterable[str]:
        """The words at the place: a string with blanks between (RFC 6749 3.3), or a list of them.

        With `of_members`, an object's. Raises `ClaimInvalid` for another type.
        """
        value = MISSING if self.of_members else self.find(payload)
        if isinstance(value, str):
            return filter(None, value.split(" "))
        return self.listed(payload)

    def _strings(self, value: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ClaimInvalid(f"what stands at {self.text} is no list of strings")
        return value


Places = str | Pointer | Iterable[str | Pointer]
"""One pointer or several: the texts of RFC 6901, or what `members_of` makes."""


def pointer(*names: str) -> str:
    """The JSON Pointer through these names, whatever characters they hold.

    `pointer("https://hasura.io/jwt/claims", "x-hasura-user-id")` escapes the slashes.
    """
    if not names or not all(isinstance(name, str) for name in names):
        raise MisuseError("pointer takes the names on the way: write pointer('realm', 'roles')")
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def members_of(text: str) -> Pointer:
    """The place of an object whose members' names are the value: `{"admin": ..., "clerk": ...}`."""
    return Pointer(text, of_members=True)


def as_pointers(places: Places) -> tuple[Pointer, ...]:
    """The pointers that `places` name; raises `MisuseError` for what is none."""
    if isinstance(places, str | Pointer):
        places = (places,)
    return tuple(one if isinstance(one, Pointer) else Pointer(one) for one in places)
