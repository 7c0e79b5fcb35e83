"""Effect: what other roles would let a user do, and keep them from, route by route."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..context import get_app
from ..decision import NO, YES
from ..matrix import read_matrix
from ..reports.access import answer, caller_with


@dataclass(frozen=True, slots=True)
class Effect:
    """One route that is answered otherwise after a change of roles."""

    method: str
    rule: str
    before: str
    after: str
    opens: bool


def effect_of(before: Iterable[str], after: Iterable[str]) -> list[Effect]:
    """The routes that a user with the roles after is answered otherwise than before."""
    old, new = caller_with(*before), caller_with(*after)
    found = []
    for access in read_matrix(get_app()):
        was, will = answer(access, old), answer(access, new)
        if was is not will:
            opens = was is NO or will is YES
            found.append(Effect(access.method, access.rule, was.value, will.value, opens))
    return found
