"""Decision: a value that is true or false, with its reasons."""

import dataclasses
import json
from typing import Any

import pytest

from jwt_authz import Decision, Identity, has_claim, has_permission, has_role, requirement
from jwt_authz.policy.decision import DEPENDS, NO, YES, Verdict

CLERK = Identity("u1", roles=["clerk"], permissions=["orders:read"])  # type: ignore[arg-type]


@requirement("has paid")
def paid(identity: Identity) -> bool:
    raise ConnectionError("postgres://user:secret@db is down")


@requirement("is the buyer of this order")
def buyer(identity: Identity, order: Any) -> bool:
    return bool(identity.subject == order)


@pytest.mark.parametrize(
    ("verdict", "error", "allowed"),
    [
        (YES, "", True),
        (NO, "", False),
        (DEPENDS, "", False),
        (YES, "an error", False),
        (NO, "an error", False),
        (DEPENDS, "an error", False),
    ],
)
def test_only_a_yes_without_an_error_allows(verdict: Verdict, error: str, allowed: bool) -> None:
    decision = Decision(verdict, has_role("clerk"), error=error)
    assert bool(decision) is allowed
    assert decision.allowed is allowed


def test_a_decision_cannot_be_changed() -> None:
    decision = has_role("admin").evaluate(CLERK)
    for field in dataclasses.fields(Decision):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(decision, field.name, YES)


def test_decisions_are_equal_by_content() -> None:
    assert has_role("admin").evaluate(CLERK) == has_role("admin").evaluate(CLERK)
    assert has_role("admin").evaluate(CLERK) != has_role("clerk").evaluate(CLERK)


def test_a_decision_prints_as_a_tree_of_the_evaluated_parts() -> None:
    asked = has_permission("orders:read") & ~has_role("clerk") & has_role("never asked")
    assert str(asked.evaluate(CLERK)).splitlines() == [
        "no has_permission('orders:read') & ~has_role('clerk') & has_role('never asked')",
        "  yes has_permission('orders:read')",
        "  no ~has_role('clerk')",
        "    yes has_role('clerk')",
    ]


def test_an_unknown_value_prints_as_depends() -> None:
    lines = list((~has_claim("plan", "gold")).evaluate(CLERK).lines())
    assert lines == ["depends ~has_claim('plan', 'gold')", "  depends has_claim('plan', 'gold')"]


def test_an_error_is_shown_on_each_level_and_its_text_once() -> None:
    lines = list((~(paid & has_role("clerk"))).evaluate(CLERK).lines())
    assert [line.split()[0] for line in lines] == ["error", "error", "error"]
    assert [line.count("ConnectionError") for line in lines] == [0, 0, 1]
    assert "secret" not in "".join(lines)


def test_leaves_are_the_requirements_without_parts_in_order_of_evaluation() -> None:
    asked = (has_role("a") | has_role("clerk")) & ~has_role("b") & has_role("c") & has_role("d")
    leaves = [leaf.requirement for leaf in asked.evaluate(CLERK).leaves()]
    assert leaves == [has_role("a"), has_role("clerk"), has_role("b"), has_role("c")]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (has_role("admin"), "has the role admin"),
        (has_role("clerk") & has_role("admin"), "has the role admin"),
        (has_role("admin") & has_role("clerk"), "has the role admin"),
        (has_role("a") | has_role("b"), "has the role a or has the role b"),
        (
            has_role("clerk") & (has_role("a") | buyer),
            "has the role a or is the buyer of this order",
        ),
        (~has_role("clerk"), "is not someone who has the role clerk"),
        (has_permission("orders:write"), "has the permission orders:write"),
    ],
    ids=repr,
)
def test_the_sentence_is_that_of_the_refusing_requirement(asked: Any, sentence: str) -> None:
    assert asked.evaluate(CLERK, "u2").sentence == sentence


def test_the_tree_in_a_body_is_json_without_error_texts() -> None:
    asked = (has_role("admin") | has_claim("plan", "gold")) & paid
    tree = asked.evaluate(CLERK).as_dict()
    assert json.loads(json.dumps(tree)) == tree
    assert "postgres" not in json.dumps(tree)
    assert "ConnectionError" not in json.dumps(tree)
    assert tree == {
        "requirement": "(has_role('admin') | has_claim('plan', 'gold')) & paid",
        "verdict": "error",
        "parts": [
            {
                "requirement": "has_role('admin') | has_claim('plan', 'gold')",
                "verdict": "depends",
                "parts": [
                    {"requirement": "has_role('admin')", "verdict": "no"},
                    {"requirement": "has_claim('plan', 'gold')", "verdict": "depends"},
                ],
            },
            {"requirement": "paid", "verdict": "error"},
        ],
    }


def test_an_overridden_requirement_is_marked() -> None:
    asked = has_role("admin") & has_role("clerk")
    decision = asked.evaluate(CLERK, overridden={has_role("admin")})
    assert decision
    assert list(decision.lines())[1] == "  yes has_role('admin') (overridden)"
    assert decision.as_dict()["parts"][0]["overridden"] is True
    assert "overridden" not in decision.as_dict()["parts"][1]
    assert decision.parts[0].overridden
    assert not decision.parts[1].overridden


def test_the_names_of_the_three_verdicts_are_stable() -> None:
    assert [verdict.value for verdict in (YES, NO, DEPENDS)] == ["yes", "no", "depends"]
    assert len(Verdict) == 3
