"""The parts of all guards and rules, and whether a caller meets more of them after a change."""

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


def permissions_in_use() -> set[str]:
    """Return the permissions that the application's guards and rules name."""
    return {
        str(part.permission)
        for whole in _requirements()
        for part in whole.walk()
        if isinstance(part, has_permission)
    }


def meets_more(before: Identity, after: Identity) -> bool:
    """Return whether the identity meets a part after the change that it did not meet before.

    Under a `~`, this is a part that it no longer meets. The parts are checked one by one, since a
    requirement that also depends on a resource has no result as a whole. What functions require is
    unknown.
    """
    parts = {part for whole in _requirements() for part in _innermost(whole, is_negated=False)}
    return any(_rank(*part, after) > _rank(*part, before) for part in parts)


def _requirements() -> Iterator[Requirement]:
    for access in read_matrix(get_app()):
        if access.requirement is not None:
            yield access.requirement
    for _, _, rule in current_state().rules:
        yield rule


def _innermost(requirement: Requirement, is_negated: bool) -> Iterator[tuple[Requirement, bool]]:
    """Yield the innermost parts, and whether each is under a `~`."""
    if not requirement.parts:
        yield requirement, is_negated
    negates = isinstance(requirement, Not)
    for part in requirement.parts:
        yield from _innermost(part, is_negated is not negates)
        if not isinstance(requirement, And | Or | Not | Ruled):  # it may use the part in either way
            yield from _innermost(part, is_negated is negates)


def _rank(part: Requirement, is_negated: bool, identity: Identity) -> int:
    """Return the rank of the part's verdict; reversed under a `~`."""
    try:
        rank = RANK[part.analyse(identity)]
    except MisuseError:  # a name outside the catalog refuses, also under a `~`
        return RANK[NO]
    return RANK[YES] - rank if is_negated else rank
