"""The library's decisions against those of the plain model, over generated cases."""

from collections import Counter
from typing import Any

import pytest

from jwt_authz import Decision, Identity
from jwt_authz.policy.decision import DEPENDS, NO, YES, Verdict
from tests.cases import (
    Case,
    Dice,
    library_identity,
    library_requirement,
    library_resource,
    library_roles,
    person_with,
    size,
    written_with_operators,
)
from tests.model import Ended, Tree, allows, truth

CASES = 2_000
MANY = 500_000


def decided(case: Case, build: Any = library_requirement) -> Decision:
    identity = library_identity(case.catalog, case.person)
    decision = build(case.tree).evaluate(identity, library_resource(case.resource))
    assert isinstance(decision, Decision)
    return decision


def expected(case: Case) -> str:
    """What the model says, in the words of a decision."""
    try:
        answer = truth(case.tree, case.catalog, case.person, case.resource)
    except Ended:
        return "error"
    return {True: "yes", False: "no", None: "depends"}[answer]


def outcome_of(decision: Decision) -> str:
    return "error" if decision.error else decision.verdict.value


def smallest(cases: list[Case]) -> Case | None:
    """The case that is the easiest to read, None if there is none."""
    return min(cases, key=lambda case: size(case.tree), default=None)


def compare(count: int) -> tuple[Counter[str], list[Case]]:
    """How many cases there were of each outcome, and those on which the two disagree."""
    outcomes: Counter[str] = Counter()
    disagreed = []
    for seed in range(count):
        case = Dice(seed).case()
        decision, model = decided(case), expected(case)
        outcomes[model] += 1
        allowed = allows(case.tree, case.catalog, case.person, case.resource)
        if outcome_of(decision) != model or not bool(decision) is decision.allowed is allowed:
            disagreed.append(case)
    return outcomes, disagreed


@pytest.mark.slow
def test_two_thousand_generated_cases_are_decided_as_the_model_decides_them() -> None:
    outcomes, disagreed = compare(CASES)
    assert smallest(disagreed) is None
    # A comparison of refusals alone would prove little.
    for outcome in ("yes", "no", "depends", "error"):
        assert outcomes[outcome] >= 100, outcomes


@pytest.mark.long
def test_half_a_million_generated_cases_are_decided_as_the_model_decides_them() -> None:
    assert smallest(compare(MANY)[1]) is None


@pytest.mark.slow
def test_operators_and_classes_spell_the_same_decision() -> None:
    for seed in range(CASES):
        case = Dice(seed).case()
        assert outcome_of(decided(case, written_with_operators)) == outcome_of(decided(case)), case


def known_by_roles(case: Case) -> Identity:
    """What analysis knows of a caller: the roles, and what the catalog gives them."""
    roles = library_roles(case.catalog)
    held = roles.permissions_of(case.person.roles)
    return Identity("anybody", roles=case.person.roles, permissions=held, catalogue=roles)


def by_roles_alone(tree: Tree) -> Tree:
    """The tree with a claim that nobody has in place of all that roles do not settle."""
    kind, *parts = tree
    if kind in ("and", "or", "not"):
        return (kind, *map(by_roles_alone, parts))
    return tree if kind in ("permission", "role", "level") else ("claim", "nowhere", 1)


def analyse(count: int) -> tuple[Counter[Verdict], list[Case]]:
    """The verdicts of the analysis, and the cases on which the model says another."""
    verdicts: Counter[Verdict] = Counter()
    wrong = []
    for seed in range(count):
        case = Dice(seed, clean=True).case()
        person = person_with({}, case.person.roles, None, ())
        settled = truth(by_roles_alone(case.tree), case.catalog, person)
        verdict = library_requirement(case.tree).analyse(known_by_roles(case))
        verdicts[verdict] += 1
        if verdict is not {True: YES, False: NO, None: DEPENDS}[settled]:
            wrong.append(case)
    return verdicts, wrong


def contradict(count: int) -> list[Case]:
    """The cases in which some caller gets another verdict than the one that was settled."""
    contradicted = []
    for seed in range(count):
        dice = Dice(seed, clean=True)
        case = dice.case()
        verdict = library_requirement(case.tree).analyse(known_by_roles(case))
        for _ in range(4):
            other = dice.person()
            claims = {n: v for n, v in other.claims.items() if n not in ("roles", "permissions")}
            person = person_with(claims, case.person.roles, None, other.scopes)
            caller = Case(case.catalog, person, case.tree, dice.random.choice((True, False)))
            decision = decided(caller)
            if decision.error or verdict not in (DEPENDS, decision.verdict):
                contradicted.append(caller)
    return contradicted


@pytest.mark.slow
def test_the_analysis_says_what_the_model_says_of_the_roles_alone() -> None:
    verdicts, wrong = analyse(CASES)
    assert smallest(wrong) is None
    for verdict in (YES, NO, DEPENDS):
        assert verdicts[verdict] >= 100, verdicts


@pytest.mark.slow
def test_what_the_analysis_settles_no_claim_scope_or_resource_changes() -> None:
    assert smallest(contradict(CASES)) is None


@pytest.mark.long
def test_what_the_analysis_settles_stays_settled_in_many_cases() -> None:
    assert smallest(analyse(MANY // 5)[1]) is None
    assert smallest(contradict(MANY // 5)) is None


def test_the_analysis_calls_no_predicate_of_the_application() -> None:
    called = []

    def predicate(identity: Identity) -> bool:
        called.append(identity)
        return True

    requirement = ~(library_requirement(("level", 0)) & predicate)
    assert requirement.analyse(Identity("anybody")) is DEPENDS
    assert called == []
