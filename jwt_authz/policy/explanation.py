"""Explanation: a decision with all that it is made of, and the claims that each part looked at.

How it works. A request stops at the part that decides, and an explanation goes on from there: the
request's own decision is taken first, then each part that it did not come to, which is marked as
not asked and changes nothing about the verdict. So each part is evaluated once.
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
    """The decision about this identity and the resource `on`, with every part and its claims.

    Raises `StoreUnavailable` where the request would come to a store that does not answer.
    """
    decision = requirement.evaluate(identity, on, overridden)
    return with_claims(_completed(decision, identity, on, overridden), identity)


def with_claims(decision: Decision, identity: Any) -> Decision:
    """The decision, in which each part names the claims of this identity that it looked at."""
    parts = tuple(with_claims(part, identity) for part in decision.parts)
    asked, claims = decision.requirement, decision.claims
    if isinstance(asked, Requirement) and not decision.overridden:
        claims = asked.claims_of(identity)
    return replace(decision, parts=parts, claims=claims)


def _completed(
    decision: Decision, identity: Any, on: Any, overridden: Collection[Requirement]
) -> Decision:
    """The decision with the parts that it was taken without."""
    asked = [_completed(part, identity, on, overridden) for part in decision.parts]
    others = (_not_asked(part, identity, on, overridden) for part in _left_out(decision))
    return replace(decision, parts=(*asked, *others))


def _left_out(decision: Decision) -> tuple[Requirement, ...]:
    asked = decision.requirement
    if not isinstance(asked, Requirement) or (decision.error and not decision.parts):
        return ()
    return asked.parts[len(decision.parts) :]


def _not_asked(
    requirement: Requirement, identity: Any, on: Any, overridden: Collection[Requirement]
) -> Decision:
    """What a part would have said to which the request does not come."""
    try:
        decision = requirement.evaluate(identity, on, overridden)
    except StoreUnavailable as error:
        decision = Decision(NO, requirement, error=f"a store does not answer: {error}")
    return _marked(_completed(decision, identity, on, overridden))


def _marked(decision: Decision) -> Decision:
    return replace(decision, asked=False, parts=tuple(map(_marked, decision.parts)))
