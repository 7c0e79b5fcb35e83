"""The parts of guards and rules, and whether a change lets a caller meet more of them."""

from __future__ import annotations

from collections.abc import Iterator

from .._context import get_app
from ..application import current_state
from ..conditions.rules import Ruled
from ..errors import MisuseError
from ..inspection.matrix import read_matrix
from ..policy.decision import DEPENDS, NO, YES
from ..policy.identity import Identity
from ..policy.requirements import And, Not, Or, Requirement, has_permission

RANK = {NO: 0, DEPENDS: 1, YES: 2}
"""The verdicts, from refused to allowed."""


def asked_permissions() -> set[str]:
    """Return the permissions in the application's guards and rules."""
    return {
        str(part.permission)
        for whole in _asked()
        for part in whole.walk()
        if isinstance(part, has_permission)
    }


def meets_more(before: Identity, after: Identity) -> bool:
    """Return whether the identity meets a part after the change that it did not meet before.

    Under a `~`, this is a part that it no longer meets. The parts are checked one by one, since a
    requirement that also depends on a resource has no result as a whole. What functions ask for is
    unknown.
    """
    parts = {place for whole in _asked() for place in _places(whole, is_negated=False)}
    return any(_standing(*place, after) > _standing(*place, before) for place in parts)


def _asked() -> Iterator[Requirement]:
    for access in read_matrix(get_app()):
        if access.requirement is not None:
            yield access.requirement
    for _, _, rule in current_state().rules:
        yield rule


def _places(requirement: Requirement, is_negated: bool) -> Iterator[tuple[Requirement, bool]]:
    """Yield the innermost parts, and whether each is under a `~`."""
    if not requirement.parts:
        yield requirement, is_negated
    negates = isinstance(requirement, Not)
    for part in requirement.parts:
        yield from _places(part, is_negated is not negates)
        if not isinstance(requirement, And | Or | Not | Ruled):  # it may use the part in either way
            yield from _places(part, is_negated is negates)


def _standing(part: Requirement, is_negated: bool, identity: Identity) -> int:
    try:
        rank = RANK[part.analyse(identity)]
    except MisuseError:  # a name outside the catalog refuses, also under a `~`
        return RANK[NO]
    return RANK[YES] - rank if is_negated else rank
