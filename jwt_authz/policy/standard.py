"""The requirements on roles, scopes, levels and claims: `has_role` and its siblings."""

from __future__ import annotations

from typing import Any

from ..errors import MisuseError
from .decision import DEPENDS, NO, YES, Verdict
from .functions import Undecided
from .identity import SUBJECT_CLAIM, Identity, Sources
from .requirements import Has


class has_role(Has):
    """Met by whoever has the role, itself or through a role that includes it.

    With a catalogue, a role that it lacks is a misuse, and refuses.
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
    """Met by a token whose client was granted the scope (RFC 6749 section 3.3)."""

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
    """Met by whoever's level is at least this one, a number or the name of a role."""

    def __init__(self, level: str | int) -> None:
        if isinstance(level, bool) or not isinstance(level, str | int):
            raise MisuseError(f"a level is a number or a role's name, not {level!r}")
        super().__init__(level)

    @property
    def sentence(self) -> str:
        return f"has the level {self.value} or a higher one"

    def _verdict(self, identity: Identity) -> Verdict:
        try:
            return YES if identity.has_level(self.value) else NO
        except MisuseError as error:  # the level is of the program's making, and may be told
            raise Undecided(str(error)) from None

    def analyse(self, identity: Identity) -> Verdict:
        return self._verdict(identity)

    def _claims(self, sources: Sources) -> tuple[str, ...]:
        return sources.roles


_PRESENT: Any = object()


class has_claim(Has):
    """Met by a token with this claim and, where a value is given, with this value.

    A list holds the value if one of its members is equal to it. Without a value the claim must
    be there and be neither null nor false. A claim that is missing or null where a value is
    wanted is not known, and one of another JSON type is an error: both refuse, also under `~`.
    `sub` is not known where the subject is foreign.
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
            raise Undecided(f"the claim {self.name} has another JSON type than {self!r} wants")
        return YES if _same(claim, self.value) else NO

    def _claims(self, sources: Sources) -> tuple[str, ...]:
        return (self.name,)

    def __repr__(self) -> str:
        wanted = "" if self.value is _PRESENT else f", {self.value!r}"
        return f"has_claim({self.name!r}{wanted})"


def _name(verb: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise MisuseError(f"{verb} takes one name: write {verb}('name') for each, joined by & or |")
    return value


def _kind(value: object) -> type:
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else type(value)


def _same(claim: Any, value: Any) -> bool:
    """Whether two JSON values are the same, in which true is not 1, however deep it stands."""
    if _kind(claim) is not _kind(value):
        return False
    if isinstance(claim, list):
        return len(claim) == len(value) and all(map(_same, claim, value))
    if isinstance(claim, dict):
        return claim.keys() == value.keys() and all(_same(claim[n], value[n]) for n in claim)
    return bool(claim == value)
