"""Explanation: a decision with every part evaluated, and the claims that each part read.

How it works. A request stops at the part that decides. An explanation takes the same decision
first, then evaluates the parts that the request did not reach. Those are marked as not asked and
do not change the verdict. Each part is evaluated once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ..errors import StoreUnavailable
from .decision import NO, Decision
from .functions import NO_RESOURCE
from .requirements import Requirement


def explain(
    requirement: Requirement,
    identity: Any,
    on: Any = NO_RESOURCE,
    overridden: Collection[Requirement] = (),
) -> Decision:
    """Return the decision about this identity and `on`, with every part and its claims.

    Raises `StoreUnavailable` if the request itself would reach a store that does not answer.
    """
    decision = requirement.evaluate(identity, on, overridden)
    return with_claims(_completed(decision, identity, on, overridden), identity)


def with_claims(decision: Decision, identity: Any) -> Decision:
    """Return the decision with the claims of this identity that each part read."""
    parts = tuple(with_claims(part, identity) for part in decision.parts)
    asked, claims = decision.requirement, decision.claims
    if isinstance(asked, Requirement) and not decision.overridden:
        claims = asked.claims_of(identity)
    return replace(decision, parts=parts, claims=claims)


def _completed(
    decision: Decision, identity: Any, on: Any, overridden: Collection[Requirement]
) -> Decision:
    """Return the decision with the parts that the request did not evaluate."""
    asked = [_completed(part, identity, on, overridden) for part in decision.parts]
    others = (_not_asked(part, identity, on, overridden) for part in _left_out(decision))
    return replace(decision, parts=(*asked, *others))


def _left_out(decision: Decision) -> tuple[Requirement, ...]:
    asked = decision.requirement
    if not isinstance(asked, Requirement) or (decision.error and not decision.parts):
        return ()
    if asked.parts_are_about_related:
        return ()
    return asked.parts[len(decision.parts) :]


def _not_asked(
    requirement: Requirement, identity: Any, on: Any, overridden: Collection[Requirement]
) -> Decision:
    """Return the decision about a part that the request does not reach."""
    try:
        decision = requirement.evaluate(identity, on, overridden)
    except StoreUnavailable as error:
        decision = Decision(NO, requirement, error=f"a store does not answer: {error}")
    return _marked(_completed(decision, identity, on, overridden))


def _marked(decision: Decision) -> Decision:
    return replace(decision, asked=False, parts=tuple(map(_marked, decision.parts)))
