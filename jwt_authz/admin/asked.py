"""Asked: what guards and rules ask for, part by part, and whether a caller comes to meet more."""

from __future__ import annotations

from collections.abc import Iterator

from .._context import get_app
from ..application import current_parts
from ..conditions.rules import Ruled
from ..errors import MisuseError
from ..inspection.matrix import read_matrix
from ..policy.decision import DEPENDS, NO, YES
from ..policy.identity import Identity
from ..policy.requirements import And, Not, Or, Requirement, has_permission

RANK = {NO: 0, DEPENDS: 1, YES: 2}
"""The verdicts, the better the higher."""


def asked_permissions() -> set[str]:
    """The permissions that the application's guards and rules name."""
    return {
        str(part.permission)
        for whole in _asked()
        for part in whole.walk()
        if isinstance(part, has_permission)
    }


def meets_more(before: Identity, after: Identity) -> bool:
    """Whether some part that roles settle is met by the one and not by the other before it.

    Under a `~` it is one that is not met any more. Part by part, since a requirement whose other
    parts depend on a resource tells nothing as a whole. What a function asks for is not known.
    """
    parts = {place for whole in _asked() for place in _places(whole, is_negated=False)}
    return any(_standing(*place, after) > _standing(*place, before) for place in parts)


def _asked() -> Iterator[Requirement]:
    for access in read_matrix(get_app()):
        if access.requirement is not None:
            yield access.requirement
    for _, _, rule in current_parts().rules:
        yield rule


def _places(requirement: Requirement, is_negated: bool) -> Iterator[tuple[Requirement, bool]]:
    """The parts that have no parts themselves, and whether each stands under a `~`."""
    if not requirement.parts:
        yield requirement, is_negated
    negates = isinstance(requirement, Not)
    for part in requirement.parts:
        yield from _places(part, is_negated is not negates)
        if not isinstance(requirement, And | Or | Not | Ruled):  # what it makes of it, who knows?
            yield from _places(part, is_negated is negates)


def _standing(part: Requirement, is_negated: bool, identity: Identity) -> int:
    try:
        rank = RANK[part.analyse(identity)]
    except MisuseError:  # a name that the catalogue lacks refuses, under a `~` as well
        return RANK[NO]
    return RANK[YES] - rank if is_negated else rank
