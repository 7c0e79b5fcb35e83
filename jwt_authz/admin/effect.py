"""Effect: what a change of roles would let whom do, and keep them from, route by route."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..context import get_app
from ..decision import NO, YES
from ..identity import Identity
from ..matrix import read_matrix
from ..reports.access import answer, caller_with
from ..roles import Roles


@dataclass(frozen=True, slots=True)
class Effect:
    """One route that is answered otherwise after a change: to `role`, where several are told of."""

    method: str
    rule: str
    before: str
    after: str
    opens: bool
    role: str = ""


def effect_of(before: Iterable[str], after: Iterable[str]) -> list[Effect]:
    """The routes that a user with the roles after is answered otherwise than before."""
    return effects_between(caller_with(*before), caller_with(*after))


def effects_between(before: Identity, after: Identity) -> list[Effect]:
    """The routes that the one identity is answered otherwise than the other."""
    return _effects({"": (before, after)})


def effect_of_catalogue(before: Roles, after: Roles) -> list[Effect]:
    """The routes that some role is answered otherwise once the catalogue is another one."""
    old, new = before.open_ended(), after.open_ended()
    return _effects({role: (_with(role, old), _with(role, new)) for role in (*before, *after)})


def _effects(callers: Mapping[str, tuple[Identity, Identity]]) -> list[Effect]:
    return [
        Effect(access.method, access.rule, was.value, will.value, was is NO or will is YES, role)
        for access in read_matrix(get_app())
        for role, (before, after) in callers.items()
        if (was := answer(access, before)) is not (will := answer(access, after))
    ]


def _with(role: str, catalogue: Roles) -> Identity:
    """Somebody who has the role, if there is one of this name, and no other."""
    return Identity("anybody", roles=[role] if role in catalogue else [], catalogue=catalogue)
