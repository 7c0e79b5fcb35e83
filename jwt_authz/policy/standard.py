"""Standard requirements on roles, scopes, levels and claims: `has_role` and others."""

from __future__ import annotations

import enum
from typing import Any

from ..errors import MisuseError
from .decision import DEPENDS, NO, YES, Verdict
from .functions import Undecided
from .identity import SUBJECT_CLAIM, Identity, Sources
from .requirements import Has


class has_role(Has):
    """Require a role, held directly or through a role that includes it.

    If the application has a catalog, a role that is not in it refuses every caller. Raises
    `MisuseError` unless the name is a string that is not empty.

    >>> from jwt_authz import Identity, has_role
    >>> bool(has_role("clerk").evaluate(Identity("7", roles=["clerk"])))
    True
    """

    def __init__(self, name: str) -> None:
        super().__init__(_name("has_role", name))

    @property
    def sentence(self) -> str:
        return f"has the role {self.value}"

    def _verdict(self, identity: Identity) -> Verdict:
        if identity.catalogue is not None and self.value not in identity.catalogue:
            raise Undecided(
                f"no role is named {self.value!r}: add Role({self.value!r}, ...) to Roles(...)"
            )
        return YES if identity.has_role(self.value) else NO

    def analyse(self, identity: Identity) -> Verdict:
        return self._verdict(identity)

    def _claims(self, sources: Sources) -> tuple[str, ...]:
        return sources.roles


class has_scope(Has):
    """Require a scope that the client was granted (RFC 6749 section 3.3).

    Raises `MisuseError` unless the name is a string that is not empty.

    >>> from jwt_authz import Identity, has_scope
    >>> bool(has_scope("orders").evaluate(Identity("7", scopes=["profile"])))
    False
    """

    def __init__(self, name: str) -> None:
        super().__init__(_name("has_scope", name))

    @property
    def sentence(self) -> str:
        return f"was granted the scope {self.value}"

    def _verdict(self, identity: Identity) -> Verdict:
        return YES if self.value in identity.scopes else NO

    def _claims(self, sources: Sources) -> tuple[str, ...]:
        return sources.scopes


class has_level(Has):
    """Require at least this level, a number or the name of a role.

    Raises `MisuseError` for another type. A name that is not a role with a level refuses every
    caller.

    >>> from jwt_authz import Identity, has_level
    >>> bool(has_level(2).evaluate(Identity("7", level=3)))
    True
    """

    def __init__(self, level: str | int) -> None:
        if isinstance(level, bool) or not isinstance(level, str | int):
            raise MisuseError(f"Invalid level {level!r}: expected a number or the name of a role.")
        super().__init__(level)

    @property
    def sentence(self) -> str:
        return f"has the level {self.value} or a higher one"

    def _verdict(self, identity: Identity) -> Verdict:
        try:
            return YES if identity.has_level(self.value) else NO
        except MisuseError as error:  # the level is written in the code: safe to log
            raise Undecided(str(error)) from None

    def analyse(self, identity: Identity) -> Verdict:
        return self._verdict(identity)

    def _claims(self, sources: Sources) -> tuple[str, ...]:
        return sources.roles


class _AnyValue(enum.Enum):
    """Stands for no given value; a member of an enumeration, so that copies are the same."""

    PRESENT = enum.auto()


_PRESENT: Any = _AnyValue.PRESENT


class has_claim(Has):
    """Require a claim and, if a value is given, that value.

    Without a value, the claim must be neither missing, null nor false. With a value, the claim
    must equal it or, if it is a list, contain it; a missing or null claim is unknown, and a claim
    of another JSON type is an error: both refuse, also under `~`. `sub` is unknown if the subject
    is foreign. Raises `MisuseError` unless the name is a string that is not empty.

    >>> from jwt_authz import Identity, has_claim
    >>> caller = Identity("7", claims={"plan": "gold", "teams": ["red", "blue"]})
    >>> bool((has_claim("plan", "gold") & has_claim("teams", "red")).evaluate(caller))
    True
    """

    def __init__(self, name: str, value: Any = _PRESENT) -> None:
        self.name = _name("has_claim", name)
        super().__init__(value)

    @property
    def looks_at_subject(self) -> bool:
        return self.name == SUBJECT_CLAIM and self.value is not _PRESENT

    @property
    def sentence(self) -> str:
        if self.value is _PRESENT:
            return f"has the claim {self.name}"
        return f"has the claim {self.name} with the value {self.value!r}"

    def _verdict(self, identity: Identity) -> Verdict:
        claim = identity.claims.get(self.name)
        if self.value is _PRESENT:
            return NO if claim is None or claim is False else YES
        if claim is None or (identity.subject_is_foreign and self.name == SUBJECT_CLAIM):
            return DEPENDS
        if isinstance(claim, list) and not isinstance(self.value, list):
            return YES if any(_same(member, self.value) for member in claim) else NO
        if _kind(claim) is not _kind(self.value):
            raise Undecided(
                f"the claim {self.name} does not have the JSON type that {self!r} expects"
            )
        return YES if _same(claim, self.value) else NO

    def _claims(self, sources: Sources) -> tuple[str, ...]:
        return (self.name,)

    def __repr__(self) -> str:
        wanted = "" if self.value is _PRESENT else f", {self.value!r}"
        return f"has_claim({self.name!r}{wanted})"


def _name(verb: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise MisuseError(
            f"{verb}(...) takes one name, a string: combine several with & or |, as in "
            f"{verb}('a') | {verb}('b')."
        )
    return value


def _kind(value: object) -> type:
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else type(value)


def _same(claim: Any, value: Any) -> bool:
    """Return whether two JSON values are equal; unlike in Python, true is not 1 at any depth."""
    if _kind(claim) is not _kind(value):
        return False
    if isinstance(claim, list):
        return len(claim) == len(value) and all(map(_same, claim, value))
    if isinstance(claim, dict):
        return claim.keys() == value.keys() and all(_same(claim[n], value[n]) for n in claim)
    return bool(claim == value)
