"""Conditions, asked of an object or a mapping: what is known, what matches, and what is misuse."""

from __future__ import annotations

import operator
import pickle
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from jwt_authz import (
    Identity,
    MisuseError,
    Requirement,
    attr,
    has_claim,
    has_permission,
    has_role,
)
from jwt_authz.conditions import claim, issuer, now, one_instant, subject, tenant
from jwt_authz.conditions.rules import Rules
from jwt_authz.policy.decision import DEPENDS, NO, YES, Verdict
from jwt_authz.policy.explanation import explain, with_claims

ADA = Identity("ada", tenant="acme", claims={"team": "red", "level": 3, "teams": ["red", "blue"]})
KEY = UUID("11111111-2222-3333-4444-555555555555")


class Status(Enum):
    DRAFT = "draft"
    PUBLISHED = "published"


@dataclass
class Team:
    id: int


@dataclass
class Article:
    owner: str | None = None
    team: Team | None = None


def verdict(requirement: Requirement, on: Any, identity: Any = ADA) -> Verdict:
    decision = requirement.evaluate(identity, on)
    assert not decision.error, decision.error
    return decision.verdict


def error(requirement: Requirement, on: Any, identity: Any = ADA) -> str:
    decision = requirement.evaluate(identity, on)
    assert not decision
    return next(part.error for part in decision.leaves() if part.error)


def test_an_attribute_is_compared_with_the_subject_on_an_object_and_on_a_mapping() -> None:
    owns = attr("owner") == subject
    assert verdict(owns, Article(owner="ada")) is YES
    assert verdict(owns, {"owner": "ada"}) is YES
    assert verdict(owns, Article(owner="bob")) is NO
    assert verdict(owns, {"owner": "bob"}) is NO


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        (attr("n") == 1, 1, 2),
        (attr("n") != 1, 2, 1),
        (attr("n") < 1, 0, 1),
        (attr("n") <= 1, 1, 2),
        (attr("n") > 1, 2, 1),
        (attr("n") >= 1, 1, 0),
        (operator.lt(1, attr("n")), 2, 1),
        (operator.ge(1, attr("n")), 1, 2),
        (operator.eq(1, attr("n")), 1, 2),
        (attr("n").in_([1, 2]), 2, 3),
        (attr("n") < 1.5, 1.0, 1.5),
        (attr("n") == 1, 1.0, 1.5),
        (attr("n") == Decimal("1.5"), Decimal("1.50"), Decimal("1.51")),
        (attr("n") == 2, Decimal("2.0"), Decimal("2.1")),
        (attr("n") == True, True, False),  # noqa: E712
        (attr("n") == "a", "a", "A"),
        (attr("n") < "a", "Z", "é"),
        (attr("n") == Status.DRAFT, Status.DRAFT, Status.PUBLISHED),
        (attr("n") == KEY, KEY, UUID(int=1)),
        (attr("n") < date(2026, 1, 1), date(2025, 1, 1), date(2026, 1, 1)),
        (attr("n") == tenant, "acme", "other"),
        (attr("n") == claim("team"), "red", "blue"),
        (attr("n") >= claim("level"), 3, 2),
        (attr("n").in_(claim("teams")), "blue", "green"),
        (attr("n").is_(None), None, 1),
        (attr("n").is_not(None), 1, None),
    ],
)
def test_a_condition_is_met_or_not(condition: Requirement, yes: Any, no: Any) -> None:
    assert verdict(condition, {"n": yes}) is YES
    assert verdict(condition, {"n": no}) is NO
    assert verdict(~condition, {"n": yes}) is NO
    assert verdict(~condition, {"n": no}) is YES


@pytest.mark.parametrize(
    ("condition", "on"),
    [
        (attr("n") == 1, {"n": None}),
        (attr("n") == 1, {}),
        (attr("n") == 1, Article()),
        (attr("n") == 1.5, {"n": float("nan")}),
        (attr("n") == 1, {"n": Decimal("NaN")}),
        (attr("n").in_([1]), {"n": None}),
        (attr("n").in_([]), {"n": None}),
        (attr("n").is_(None), {}),
        (attr("team.id") == 1, Article()),
        (attr("n") == claim("missing"), {"n": "x"}),
        (attr("n") == issuer, {"n": "x"}),
        (attr("n") == subject.as_(int), {"n": 1}),
        (attr("n") == attr("m"), {"n": 1, "m": None}),
        (attr("n").in_(claim("missing")), {"n": 1}),
    ],
)
def test_what_is_missing_is_not_known_and_not_makes_no_yes_of_it(
    condition: Requirement, on: Any
) -> None:
    assert verdict(condition, on) is DEPENDS
    assert verdict(~condition, on) is DEPENDS
    assert not condition.evaluate(ADA, on)
    assert not (~condition).evaluate(ADA, on)


def test_no_value_is_among_no_values() -> None:
    assert verdict(attr("n").in_([]), {"n": 1}) is NO


def test_the_way_to_an_attribute_goes_over_objects_and_mappings() -> None:
    assert verdict(attr("team.id") == 1, Article(team=Team(1))) is YES
    assert verdict(attr("team.id") == 1, {"team": {"id": 1}}) is YES
    assert verdict(attr("team.id") == 1, {"team": Team(2)}) is NO
    assert verdict(attr("team.id").is_(None), Article()) is YES


@pytest.mark.parametrize("text", ["017", " 17", "+17", "1_7", "\uff11\uff17", "x", str(2**63)])
def test_a_subject_that_is_not_exactly_an_integers_text_is_none(text: str) -> None:
    owns = attr("owner") == subject.as_(int)
    assert verdict(owns, {"owner": 17}, Identity("17")) is YES
    assert verdict(owns, {"owner": 17}, Identity(text)) is DEPENDS


def test_a_claim_is_converted_to_a_uuid() -> None:
    owns = attr("key") == claim("org").as_(UUID)
    assert verdict(owns, {"key": KEY}, Identity("ada", claims={"org": str(KEY)})) is YES
    assert verdict(owns, {"key": KEY}, Identity("ada", claims={"org": KEY.hex})) is DEPENDS
    assert "expected a string" in error(owns, {"key": KEY}, Identity("ada", claims={"org": 5}))


@pytest.mark.parametrize(
    ("condition", "on"),
    [
        (attr("n") == 1, {"n": "1"}),
        (attr("n") == 1, {"n": True}),
        (attr("n") == 1, {"n": [1]}),
        (attr("n") == 1.5, {"n": Decimal("1.5")}),
        (attr("n") == subject, {"n": 1}),
        (attr("n") < claim("flag"), {"n": True}),
        (attr("n") == claim("level"), {"n": "3"}),
        (attr("n").in_([1]), {"n": "1"}),
        (attr("n").in_(claim("level")), {"n": 3}),
        (attr("n").in_(claim("teams")), {"n": 1}),
        (attr("n") == attr("m"), {"n": 1, "m": 1.0}),
        (attr("n") == subject, {"n": datetime(2026, 1, 1, tzinfo=UTC)}),
    ],
)
def test_values_of_types_that_do_not_match_are_an_error_and_refuse_also_under_not(
    condition: Requirement, on: Any
) -> None:
    who = Identity("ada", claims={"level": 3, "teams": ["red"], "flag": True})
    assert error(condition, on, who)
    assert error(~condition, on, who)
    assert not (condition | has_role("x")).evaluate(
        Identity("ada", roles=["x"], claims=who.claims), on
    )


def test_an_error_tells_no_value() -> None:
    message = error(
        attr("n") == claim("secret"), {"n": 1}, Identity("a", claims={"secret": "hush"})
    )
    assert "hush" not in message
    assert "a string" in message


def test_numbers_of_a_claim_are_compared_whether_or_not_they_have_a_point() -> None:
    adult = claim("age") >= 18
    assert verdict(adult, {}, Identity("a", claims={"age": 18.5})) is YES
    assert verdict(adult, {}, Identity("a", claims={"age": 17.5})) is NO
    assert error(adult, {}, Identity("a", claims={"age": "18"}))


def test_a_condition_on_the_identity_alone_needs_no_resource() -> None:
    assert (tenant == "acme").evaluate(ADA)
    assert (subject == "ada").evaluate(ADA)
    assert not (tenant == "acme").takes_resource
    assert (attr("owner") == subject).takes_resource


def test_a_condition_on_a_resource_without_one_is_an_error() -> None:
    decision = (~(attr("owner") == subject)).evaluate(ADA)
    assert not decision
    assert "write on=" in next(part.error for part in decision.leaves())


def test_an_identity_of_another_class_is_an_error() -> None:
    assert "identity loader" in error(attr("owner") == subject, {"owner": "ada"}, object())


def test_a_time_without_a_zone_is_utc() -> None:
    noon = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    east = noon.astimezone(timezone(timedelta(hours=5)))
    due = attr("at") <= noon
    for same in (noon, east, noon.replace(tzinfo=None)):
        assert verdict(due, {"at": same}) is YES
        assert verdict(attr("at") == same, {"at": noon}) is YES
    assert verdict(due, {"at": noon.replace(tzinfo=None) + timedelta(microseconds=1)}) is NO


def test_now_is_the_time_of_the_evaluation() -> None:
    due = attr("at") <= now
    assert verdict(due, {"at": datetime.now(UTC) - timedelta(minutes=1)}) is YES
    assert verdict(due, {"at": datetime.now(UTC) + timedelta(minutes=1)}) is NO
    with one_instant(datetime(2020, 1, 1, tzinfo=UTC)):
        assert verdict(due, {"at": datetime(2020, 1, 1, tzinfo=UTC)}) is YES
        assert verdict(due, {"at": datetime(2020, 1, 1, 0, 0, 1, tzinfo=UTC)}) is NO


def test_now_is_one_instant_inside_a_block() -> None:
    with one_instant():
        first = now.read(ADA, {})
        assert now.read(ADA, {}) == first
        with one_instant():
            assert now.read(ADA, {}) == first


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: attr("a") == None, "is_(None)"),  # noqa: E711
        (lambda: attr("a").in_([None]), "is_(None)"),
        (lambda: attr("a").is_(True), "attr('a') == True"),
        (lambda: attr("a") == [1], ".in_([...])"),
        (lambda: attr("a") == object(), "Cannot compare with object"),
        (lambda: attr("a").in_("abc"), "takes a list"),
        (lambda: attr("a").in_(attr("b")), "takes a list"),
        (lambda: attr("a") == float("nan"), "No column can store"),
        (lambda: attr("a") == 2**63, "No column can store"),
        (lambda: attr("a") == "x\0", "No column can store"),
        (lambda: attr("a") == "\ud800", "No column can store"),
        (lambda: attr("a") > True, "has no order"),
        (lambda: attr("a") < KEY, "has no order"),
        (lambda: attr(""), "Invalid attribute"),
        (lambda: attr("a..b"), "Invalid attribute"),
        (lambda: attr("__class__"), "Invalid attribute"),
        (lambda: attr(5), "Invalid attribute"),  # type: ignore[arg-type]
        (lambda: claim(""), "takes the name of a claim"),
        (lambda: subject.as_(float), "int or UUID"),
        (lambda: subject == 5, "subject.as_(int)"),
        (lambda: tenant == KEY, "UUID"),
        (lambda: now < "2026", "a datetime"),
        (lambda: attr("a") == 1 | attr("b") == 2, "parentheses"),  # type: ignore[operator]
        (lambda: attr("a") & attr("b"), "parentheses"),
        (lambda: ~attr("a"), "parentheses"),
        (lambda: attr("a") == ("x:y" & has_role("x")), "parentheses"),
        (lambda: 1 < attr("a") < 5, "(1 < a) & (a < 5)"),
        (lambda: (attr("a") == 1) and (attr("b") == 2), "& | ~ instead of and"),
        (lambda: not attr("a"), "compare it"),
        (lambda: 5 in attr("a"), ".in_([...])"),
    ],
)
def test_misuse_is_reported_where_it_is_written(make: Any, message: str) -> None:
    with pytest.raises(MisuseError) as raised:
        make()
    assert message in str(raised.value)


def test_equal_conditions_are_equal_and_have_equal_hashes() -> None:
    assert (attr("a") == 1) == (attr("a") == 1)
    assert hash(attr("a") == 1) == hash(attr("a") == 1)
    assert (attr("a") < attr("b")) == (attr("a") < attr("b"))
    assert (subject == attr("a")) == (attr("a") == subject)
    assert attr("a").in_([1, 2]) == attr("a").in_([1, 2])
    assert len({attr("a").is_(None), attr("a").is_(None), attr("b").is_(None)}) == 2


@pytest.mark.parametrize(
    "other",
    [
        attr("a") == True,  # noqa: E712
        attr("a") == 1.0,
        attr("a") == Decimal(1),
        attr("a") != 1,
        attr("b") == 1,
        attr("a") == claim("b"),
        attr("a").in_([1]),
        has_role("a"),
    ],
)
def test_other_conditions_are_not_equal(other: Requirement) -> None:
    assert (attr("a") == 1) != other


def test_a_condition_reads_like_its_source() -> None:
    rule = (attr("owner") == subject) | ~attr("team.id").in_(claim("teams"))
    assert repr(rule) == "(attr('owner') == subject) | ~attr('team.id').in_(claim('teams'))"
    assert repr(operator.gt(5, attr("n"))) == "(attr('n') < 5)"
    assert repr(subject == attr("n")) == "(subject == attr('n'))"
    assert repr(attr("n") == subject.as_(int)) == "(attr('n') == subject.as_(int))"
    assert repr(attr("n").is_not(None)) == "~attr('n').is_(None)"


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (attr("owner") == subject, "the resource's owner is their subject"),
        (attr("n") >= claim("x"), "the resource's n is at least their claim x"),
        (attr("n").in_([1, 2]), "the resource's n is one of 1, 2"),
        (attr("n").in_([]), "the resource's n is one of nothing"),
        (attr("n").in_(claim("x")), "the resource's n is in their claim x"),
        (attr("n").is_(None), "the resource's n is not set"),
        (attr("at") < now, "the resource's at is less than now"),
    ],
)
def test_a_condition_has_a_sentence(condition: Requirement, sentence: str) -> None:
    assert condition.sentence == f"meets the condition that {sentence}"


def test_a_condition_can_be_given_a_sentence_and_stays_the_same() -> None:
    said = (attr("owner") == subject).saying("is the owner")
    assert said.sentence == "is the owner"
    assert (said | has_role("x")).sentence == "is the owner or has the role x"
    assert said == (attr("owner") == subject)
    assert hash(said) == hash(attr("owner") == subject)
    assert (attr("owner") == subject).sentence != said.sentence
    assert verdict(said, {"owner": "ada"}) is YES


def test_a_condition_names_the_claims_that_it_looks_at() -> None:
    assert (attr("a") == claim("x").as_(int)).claims_of(ADA) == ("x",)
    assert (claim("y") == claim("x")).claims_of(ADA) == ("y", "x")
    assert (attr("a") == subject).claims_of(ADA) == ()


def test_a_condition_depends_for_the_matrix() -> None:
    assert (attr("a") == subject).analyse(ADA) is DEPENDS


def test_a_foreign_subject_is_not_known_under_any_sign_and_not_makes_no_yes_of_it() -> None:
    who = Identity("17", "https://id.example", claims={"sub": "17"}, subject_is_foreign=True)
    for condition in (
        attr("owner") == subject,
        attr("owner") != subject,
        attr("owner") == claim("sub"),
        subject.in_(["17"]),
        subject == "17",
        subject != "18",
        has_claim("sub", "17"),
        has_claim("sub", "18"),
    ):
        for asked in (condition, ~condition):
            for owner in ("17", "18"):
                assert verdict(asked, {"owner": owner}, who) is DEPENDS
    assert verdict(attr("owner") == subject.as_(int), {"owner": 17}, who) is DEPENDS
    assert verdict(attr("iss") == issuer, {"iss": "https://id.example"}, who) is YES
    assert verdict(has_claim("sub"), {}, who) is YES  # it has one, whatever it is


# --- several related objects ---------------------------------------------------------------------


@dataclass
class Member:
    name: str | None = None
    level: int | None = None


@dataclass
class Room:
    members: Any = ()


IS_MEMBER = attr("members").any(attr("name") == subject)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([], NO),
        ([Member("bob")], NO),
        ([Member("bob"), Member("ada")], YES),
        ([Member(None), Member("ada")], YES),
        ([Member("bob"), Member(None)], DEPENDS),
        ([Member("bob"), None], DEPENDS),
        (None, DEPENDS),
        ([{"name": "ada"}], YES),
        ([{"other": "ada"}], DEPENDS),
        ({"first": Member("bob"), "second": Member("ada")}, YES),
        ((Member("ada"), Member("bob")), YES),
    ],
)
def test_one_of_several_related_objects_has_to_meet_it(members: Any, expected: Verdict) -> None:
    assert verdict(IS_MEMBER, Room(members)) is expected


def test_the_opposite_of_any_lets_nothing_unknown_through() -> None:
    assert verdict(~IS_MEMBER, Room([])) is YES
    assert verdict(~IS_MEMBER, Room([Member("bob")])) is YES
    assert verdict(~IS_MEMBER, Room([Member("ada")])) is NO
    for members in ([Member(None)], None):
        assert verdict(~IS_MEMBER, Room(members)) is DEPENDS
        assert not (~IS_MEMBER).evaluate(ADA, Room(members))
    assert verdict(~IS_MEMBER, {}) is DEPENDS


@pytest.mark.parametrize("members", ["ada", 17, b"ada"])
def test_what_cannot_be_iterated_is_an_error(members: Any) -> None:
    message = f"attr('members') is {type(members).__name__}, expected several objects"
    for requirement in (IS_MEMBER, ~IS_MEMBER):
        assert error(requirement, Room(members)) == message


def test_an_iterator_is_refused_since_it_is_empty_the_second_time() -> None:
    room = Room(iter([Member("ada")]))
    for requirement in (IS_MEMBER, ~IS_MEMBER):
        message = "attr('members') is an iterator, which can be read only once: use a list"
        assert error(requirement, room) == message


def test_an_explanation_says_nothing_of_the_condition_as_if_it_were_about_the_resource() -> None:
    for members in ([], [{"name": "bob"}]):
        decision = explain(IS_MEMBER, ADA, {"name": "ada", "members": members})
        assert (decision.verdict, decision.parts) == (NO, ())


@pytest.mark.parametrize("order", [1, -1])
def test_an_error_of_one_object_refuses_whatever_the_order(order: int) -> None:
    members = [Member("ada"), Member(17)][::order]  # type: ignore[arg-type]
    for requirement in (IS_MEMBER, ~IS_MEMBER):
        assert "an integer cannot be compared with a string" in error(requirement, Room(members))


def test_any_is_combined_nested_and_compared_with_claims() -> None:
    inner = (attr("name") == subject) & (attr("level") >= claim("level"))
    assert verdict(attr("members").any(inner), Room([Member("ada", 3)])) is YES
    assert verdict(attr("members").any(inner), Room([Member("ada", 2), Member("bob", 3)])) is NO
    house = {"rooms": [Room([]), Room([Member("ada", 3)])], "owner": Article(owner="bob")}
    assert verdict(attr("rooms").any(IS_MEMBER), house) is YES
    assert verdict(attr("owner.owner").in_(["x"]) | attr("rooms").any(IS_MEMBER), house) is YES
    assert verdict(attr("members").any(has_role("x") | (attr("name") == "ada")), Room([])) is NO


def test_any_is_a_value_with_a_name_and_a_sentence() -> None:
    again = attr("members").any(attr("name") == subject)
    assert (again == IS_MEMBER, hash(again) == hash(IS_MEMBER)) == (True, True)
    assert attr("others").any(attr("name") == subject) != IS_MEMBER
    assert repr(IS_MEMBER) == "attr('members').any((attr('name') == subject))"
    assert IS_MEMBER.sentence == (
        "meets the condition that for one of the resource's members, the caller meets the "
        "condition that the resource's name is their subject"
    )
    assert IS_MEMBER.saying("is a member").sentence == "is a member"
    assert pickle.loads(pickle.dumps(IS_MEMBER)) == IS_MEMBER
    read = attr("members").any(attr("name") == claim("team")).evaluate(ADA, Room([]))
    assert with_claims(read, ADA).claims == ("team",)


@pytest.mark.parametrize("given", ["a:b", None, True, lambda identity: True, attr("name")])
def test_any_takes_a_requirement_alone(given: Any) -> None:
    with pytest.raises(MisuseError, match=r"write attr\('members'\).any\(attr\(...\) == ...\)"):
        attr("members").any(given)


def test_a_permission_that_has_a_rule_is_refused_inside_any() -> None:
    rules = Rules()
    rules.add("member:read", Member, attr("name") == subject)
    requirement = has_role("x") | attr("members").any(~has_permission("member:read"))
    for model in (Room, Member):
        with pytest.raises(MisuseError, match="write the conditions of the rule instead"):
            rules.applied_to(requirement, model)
    without_rule = attr("members").any(has_permission("member:list"))
    assert rules.applied_to(without_rule, Room) is without_rule
