"""Laws of logic that hold for every requirement, over generated cases."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from jwt_authz import (
    Decision,
    Identity,
    MisuseError,
    Requirement,
    Roles,
    has_claim,
    has_level,
    has_permission,
    has_role,
)
from jwt_authz.policy.decision import DEPENDS, NO, YES
from jwt_authz.policy.functions import NO_RESOURCE
from jwt_authz.policy.requirements import And, Or
from jwt_authz.tokens.encodings import IdentityReader
from tests.cases import (
    PERMISSIONS,
    WRONG_ANSWERS,
    Case,
    Dice,
    library_identity,
    library_requirement,
    library_resource,
    predicate,
)

CASES = 1_000


class Asked:
    """A caller and a resource, to evaluate several requirements on."""

    def __init__(self, case: Case, identity: Identity | None = None) -> None:
        self.identity = identity or library_identity(case.catalog, case.person)
        self.resource = library_resource(case.resource)

    def __call__(self, requirement: Requirement) -> Decision:
        return requirement.evaluate(self.identity, self.resource)

    def agree(self, one: Requirement, other: Requirement) -> bool:
        """Return whether both have the same outcome: yes, no, unknown, or an error."""
        first, second = self(one), self(other)
        same = first.verdict is second.verdict and bool(first.error) == bool(second.error)
        return same and bool(first) == bool(second)


def triples(clean: bool, count: int = CASES) -> Iterator[tuple[Asked, list[Requirement]]]:
    """Yield a caller, and three requirements of one catalog."""
    for seed in range(count):
        dice = Dice(seed, clean)
        case = dice.case()
        trees = [case.tree, *(dice.tree(case.catalog, depth=2) for _ in range(2))]
        yield Asked(case), [library_requirement(tree) for tree in trees]


def test_de_morgan_holds_also_where_there_are_errors() -> None:
    for asked, (a, b, _) in triples(clean=False):
        assert asked.agree(~(a & b), ~a | ~b), (a, b)
        assert asked.agree(~(a | b), ~a & ~b), (a, b)


def test_double_negation_changes_nothing_also_where_there_are_errors() -> None:
    for asked, (a, _, _) in triples(clean=False):
        assert asked.agree(~~a, a), a


def test_grouping_changes_nothing_also_where_there_are_errors() -> None:
    for asked, (a, b, c) in triples(clean=False):
        assert asked.agree((a & b) & c, a & (b & c)), (a, b, c)
        assert asked.agree((a | b) | c, a | (b | c)), (a, b, c)
        assert asked.agree(And(a, b, c), a & b & c), (a, b, c)
        assert asked.agree(Or(a, b, c), a | b | c), (a, b, c)


def test_the_order_of_parts_changes_no_verdict() -> None:
    for asked, (a, b, _) in triples(clean=True):
        assert asked.agree(a & b, b & a), (a, b)
        assert asked.agree(a | b, b | a), (a, b)


def test_distribution_absorption_and_repetition_change_no_verdict() -> None:
    for asked, (a, b, c) in triples(clean=True):
        assert asked.agree(a & (b | c), (a & b) | (a & c)), (a, b, c)
        assert asked.agree(a | (b & c), (a | b) & (a | c)), (a, b, c)
        assert asked.agree(a & (a | b), a), (a, b)
        assert asked.agree(a | (a & b), a), (a, b)
        assert asked.agree(a & a, a), a
        assert asked.agree(a | a, a), a


def test_nobody_is_allowed_both_a_requirement_and_its_opposite() -> None:
    for asked, (a, _, _) in triples(clean=False):
        assert not asked(a & ~a), a
        assert not (asked(a) and asked(~a)), a


def test_adding_a_permission_never_turns_an_allow_into_a_deny_without_negation() -> None:
    """SECURITY 1.16."""
    gained = 0
    for seed in range(CASES):
        case = Dice(seed, clean=True, negated=False).case()
        requirement = library_requirement(case.tree)
        identity = library_identity(case.catalog, case.person)
        before = Asked(case, identity)(requirement)
        for permission in PERMISSIONS:
            richer = replace(identity, permissions=[*identity.permissions, permission])
            after = Asked(case, richer)(requirement)
            assert after or not before, (case, permission)
            gained += bool(after) and not before
    assert gained >= 50


def test_adding_a_role_never_turns_an_allow_into_a_deny_without_negation() -> None:
    gained = 0
    for seed in range(CASES):
        case = Dice(seed, clean=True, negated=False).case()
        requirement = library_requirement(case.tree)
        person = replace(case.person, permissions=None)
        before = Asked(case, library_identity(case.catalog, person))(requirement)
        for role in case.catalog.roles:
            roles = [*person.roles, role]
            richer = replace(person, roles=roles, claims={**person.claims, "roles": roles})
            after = Asked(case, library_identity(case.catalog, richer))(requirement)
            assert after or not before, (case, role)
            gained += bool(after) and not before
    assert gained >= 50


@pytest.mark.parametrize("encoding", ["full", "roles"])
def test_removing_a_claim_never_turns_a_deny_into_an_allow_without_negation(
    encoding: Any,
) -> None:
    """SECURITY 1.16."""
    lost = 0
    for seed in range(CASES):
        case = Dice(seed, clean=True, negated=False).case()
        requirement = library_requirement(case.tree)
        roles = library_identity(case.catalog, case.person).catalogue
        reader = IdentityReader(encoding, roles)
        before = Asked(case, reader.read("someone", case.person.claims))(requirement)
        for name in case.person.claims:
            rest = {other: v for other, v in case.person.claims.items() if other != name}
            after = Asked(case, reader.read("someone", rest))(requirement)
            assert before or not after, (case, name)
            lost += bool(before) and not after
    assert lost >= 50


def negations(requirement: Requirement) -> Iterator[Requirement]:
    """Yield the requirement under one, two and three `~`."""
    for _ in range(3):
        requirement = ~requirement
        yield requirement


def test_no_number_of_negations_turns_an_error_into_an_allow() -> None:
    errors = 0
    for asked, (a, b, _) in triples(clean=False):
        if not asked(a).error:
            continue
        errors += 1
        for negated in negations(a):
            assert not asked(negated), a
            assert asked(negated).error, a
            assert not asked(negated | b), a
            assert not asked(negated & b), a
    assert errors >= 50


def test_what_the_analysis_refuses_or_rejects_is_never_allowed() -> None:
    refused = unknown = 0
    for seed in range(CASES):
        case = Dice(seed).case()
        caller = library_identity(case.catalog, replace(case.person, permissions=None))
        requirement = library_requirement(case.tree)
        known = Identity("anybody", roles=caller.roles, catalogue=caller.catalogue)
        try:
            verdict = requirement.analyse(known)
        except MisuseError:
            unknown += 1
            verdict = NO
        if verdict is NO:
            refused += 1
            assert not Asked(case, caller)(requirement), case
    assert unknown >= 50
    assert refused >= 200


@pytest.mark.parametrize("answer", WRONG_ANSWERS, ids=repr)
def test_an_answer_that_is_not_a_bool_ends_the_decision_wherever_it_stands(answer: Any) -> None:
    wrong, good = predicate(answer), predicate(True)
    for requirement in (wrong, wrong & good, good & wrong, wrong | good, ~wrong | good):
        for stands in (requirement, *negations(requirement)):
            decision = stands.evaluate(Identity("someone"))
            assert not decision
            assert decision.error


def test_a_missing_resource_ends_the_decision_wherever_it_stands() -> None:
    needs, good = predicate("resource"), predicate(True)
    for requirement in (needs, needs | good, good & needs):
        for stands in (requirement, *negations(requirement)):
            assert not stands.evaluate(Identity("someone"), NO_RESOURCE)
            assert stands.evaluate(Identity("someone"), NO_RESOURCE).error


def test_an_unknown_role_ends_the_decision_wherever_it_stands() -> None:
    identity = Identity("someone", roles=["ghost"], catalogue=Roles())
    for stands in (has_role("ghost"), *negations(has_role("ghost"))):
        assert not stands.evaluate(identity)
        assert stands.evaluate(identity).error


@pytest.mark.parametrize("payload", [{}, {"plan": None}], ids=["missing", "null"])
def test_a_claim_that_is_not_known_allows_neither_the_requirement_nor_its_opposite(
    payload: dict[str, Any],
) -> None:
    identity = Identity("someone", claims=payload)  # type: ignore[arg-type]
    wanted = has_claim("plan", "gold")
    for stands in (wanted, *negations(wanted), wanted | ~wanted, wanted & ~wanted):
        decision = stands.evaluate(identity)
        assert not decision
        assert not decision.error
    assert wanted.evaluate(identity).verdict is DEPENDS


def test_an_unknown_value_matters_only_if_nothing_else_decides() -> None:
    identity, wanted = Identity("someone"), has_claim("plan", "gold")
    yes, no = predicate(True), predicate(False)
    assert (wanted | yes).evaluate(identity)
    assert (~wanted | yes).evaluate(identity)
    assert (~(wanted & no)).evaluate(identity)
    assert not (wanted & yes).evaluate(identity)
    assert not (~(wanted | no)).evaluate(identity)


@pytest.mark.parametrize("unknown", [has_role("ghost"), has_permission("no:one"), has_level("x")])
def test_the_analysis_finds_an_unknown_name_where_the_decision_would_meet_it(unknown: Any) -> None:
    identity, opaque = Identity("someone", catalogue=Roles()), predicate(True)
    for stands in (unknown, *negations(unknown), unknown | opaque, ~(unknown & opaque)):
        with pytest.raises(MisuseError):
            stands.analyse(identity)
    assert (has_level(0) | unknown).analyse(identity) is YES
    assert (has_level(1) & unknown).analyse(identity) is NO
    assert (~(opaque & unknown)).analyse(identity) is DEPENDS
    assert (opaque | unknown).analyse(identity) is DEPENDS
