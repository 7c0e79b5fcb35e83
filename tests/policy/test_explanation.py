"""Explanation: every part of a requirement with its verdict, and the claims that it read."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_authz import (
    Decision,
    Identity,
    Requirement,
    Role,
    Roles,
    has_claim,
    has_level,
    has_permission,
    has_role,
    has_scope,
    requirement,
)
from jwt_authz.errors import StoreUnavailable
from jwt_authz.policy.explanation import explain, with_claims
from jwt_authz.policy.identity import Sources
from jwt_authz.policy.requirements import And, Not, Or
from tests.cases import Dice, library_identity, library_requirement, library_resource

SHOP = Roles(
    Role("clerk", "orders:read", level=1),
    Role("manager", "orders:*", includes="clerk", level=2),
)
CLERK = Identity(
    "ada",
    roles=["clerk"],
    scopes=["orders"],
    catalogue=SHOP,
    claims={"plan": "gold"},
    sources=Sources(("groups",), ("may",), ("scp",)),
)


@requirement("has paid")
def paid(identity: Identity) -> bool:
    raise ConnectionError("postgres://user:secret@db is down")


@requirement("has an account that answers")
def stored(identity: Identity) -> bool:
    raise StoreUnavailable("the accounts do not answer")


def lines(asked: Any, **options: Any) -> list[str]:
    return list(explain(asked, CLERK, **options).lines())


# --- the claims ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "claims"),
    [
        (has_role("clerk"), ("groups",)),
        (has_level(1), ("groups",)),
        (has_permission("orders:read"), ("may",)),
        (has_scope("orders"), ("scp",)),
        (has_claim("plan", "gold"), ("plan",)),
        (has_claim("missing"), ("missing",)),
        (paid, ()),
        (has_role("clerk") & has_scope("orders"), ()),
    ],
    ids=repr,
)
def test_each_requirement_names_the_claim_that_it_reads(asked: Any, claims: Any) -> None:
    assert explain(asked, CLERK).claims == claims


def test_claims_are_shown_with_their_requirement() -> None:
    both = Identity("ada", sources=Sources(permissions=("/groups", "/may")))
    decision = explain("orders:read" & has_claim("plan"), both)
    assert str(decision).splitlines() == [
        "no has_permission('orders:read') & has_claim('plan')",
        "  no has_permission('orders:read') (claims /groups and /may)",
        "  no has_claim('plan') (claim plan, not asked)",
    ]
    first, second = decision.as_dict()["parts"]
    assert first["claims"] == ["/groups", "/may"]
    assert second == {
        "requirement": "has_claim('plan')",
        "verdict": "no",
        "claims": ["plan"],
        "asked": False,
    }


def test_an_identity_without_a_token_names_no_claims() -> None:
    by_hand = Identity("job", roles=["clerk"], catalogue=SHOP)
    assert str(explain("orders:read" & has_role("clerk"), by_hand)).count("claim") == 0


def test_an_object_that_is_not_an_identity_is_explained_as_an_error() -> None:
    decision = explain(has_role("clerk"), "ada")
    assert decision.error
    assert decision.claims == ()


def test_a_decision_returned_by_a_function_names_its_claims_too() -> None:
    @requirement
    def on_duty(identity: Identity) -> Decision:
        return has_role("manager").evaluate(identity)

    assert lines(on_duty) == ["no on_duty", "  no has_role('manager') (claim groups)"]


def test_a_hostile_claim_name_cannot_break_a_line() -> None:
    decision = explain(has_claim("x\r\nyes has_role('admin')\x1b[2J"), CLERK)
    assert len(str(decision).splitlines()) == 1
    assert str(decision).isprintable()


def test_adding_claims_changes_nothing_else_in_a_decision() -> None:
    decision = (has_role("clerk") & has_scope("x")).evaluate(CLERK)
    evaluated = with_claims(decision, CLERK)
    assert bool(evaluated) is bool(decision)
    assert evaluated.sentence == decision.sentence
    assert [part.requirement for part in evaluated.parts] == list(evaluated.requirement.parts)  # type: ignore[attr-defined]


# --- all parts -----------------------------------------------------------------------------------


def test_parts_after_the_deciding_one_are_marked_as_not_asked() -> None:
    assert lines((has_role("manager") & has_scope("orders")) | has_role("clerk") | ~paid) == [
        "yes (has_role('manager') & has_scope('orders')) | has_role('clerk') | ~paid",
        "  no has_role('manager') & has_scope('orders')",
        "    no has_role('manager') (claim groups)",
        "    yes has_scope('orders') (claim scp, not asked)",
        "  yes has_role('clerk') (claim groups)",
        "  error ~paid (not asked)",
        f"    error paid (not asked): ConnectionError in paid (test_explanation.py, line {LINE})",
    ]


LINE = paid.function.__code__.co_firstlineno + 2


def test_each_part_is_evaluated_once() -> None:
    calls: list[str] = []

    class Counted(Requirement):
        def __init__(self, name: str, answer: bool) -> None:
            self.name, self.answer = name, answer

        def fulfill(self, identity: Any) -> bool:
            calls.append(self.name)
            return self.answer

    a, b, c, d = (Counted(name, name in "bd") for name in "abcd")
    explain((a & b) | ~(b & (c | d)) | d, CLERK)
    assert sorted(calls) == sorted(["a", "b", "b", "c", "d", "d"])


@pytest.mark.parametrize(
    "asked", [stored, ~stored, stored | has_role("clerk"), has_role("clerk") & stored], ids=repr
)
def test_a_store_that_does_not_answer_ends_the_explanation(asked: Any) -> None:
    with pytest.raises(StoreUnavailable):
        explain(asked, CLERK)


def test_a_failing_store_that_a_request_does_not_reach_changes_no_verdict() -> None:
    decision = explain(has_role("clerk") | stored, CLERK)
    assert decision
    assert decision.parts[1].error == "a store does not answer: the accounts do not answer"
    assert not decision.parts[1].asked


def test_an_overridden_requirement_shows_its_own_verdict_too() -> None:
    role = has_role("manager")
    decision = explain(role & "orders:read", CLERK, overridden={role})
    assert decision
    assert decision.used_override
    assert list(decision.lines())[1] == "  yes has_role('manager') (overridden)"
    whole = role & "orders:refund"
    assert list(explain(whole, CLERK, overridden={whole}).lines()) == [
        "yes has_role('manager') & has_permission('orders:refund') (overridden)",
        "  no has_role('manager') (claim groups, not asked)",
        "  no has_permission('orders:refund') (claim may, not asked)",
    ]


def test_an_override_of_a_part_not_asked_does_not_count_as_used() -> None:
    role = has_role("manager")
    assert not explain(has_role("clerk") | role, CLERK, overridden={role}).used_override


def test_the_resource_is_passed_to_each_part() -> None:
    @requirement
    def buyer(identity: Identity, order: str) -> bool:
        return order == identity.subject

    assert lines(has_role("clerk") | buyer, on="ada")[-1] == "  yes buyer (not asked)"


def test_an_explanation_has_the_verdict_of_the_request_and_starts_with_its_tree() -> None:
    for seed in range(400):
        case = Dice(seed).case()
        asked = library_requirement(case.tree)
        identity = library_identity(case.catalog, case.person)
        resource = library_resource(case.resource)
        decision, whole = asked.evaluate(identity, resource), explain(asked, identity, resource)
        assert (whole.verdict, whole.error) == (decision.verdict, decision.error)
        assert_begins_with(whole, decision)
        assert_complete(whole)


def assert_begins_with(whole: Decision, decision: Decision) -> None:
    assert whole.requirement == decision.requirement
    assert whole.verdict is decision.verdict
    assert [part.asked for part in whole.parts] == [
        number < len(decision.parts) for number in range(len(whole.parts))
    ]
    for part, seen in zip(whole.parts, decision.parts, strict=False):
        assert_begins_with(part, seen)


def assert_complete(whole: Decision) -> None:
    if isinstance(whole.requirement, And | Or | Not):
        assert [part.requirement for part in whole.parts] == list(whole.requirement.parts)
    for part in whole.parts:
        assert_complete(part)
