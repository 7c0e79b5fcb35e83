"""Identities, catalogs, requirements, decisions, problems and refusals survive pickle and copy."""

import copy
import json
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from werkzeug.exceptions import HTTPException

from jwt_authz import (
    Decision,
    Identity,
    MisuseError,
    NotAllowed,
    NotIdentified,
    Permission,
    Problem,
    Requirement,
    Role,
    Roles,
    attr,
    has_claim,
    has_level,
    has_permission,
    has_role,
    has_scope,
    requirement,
)
from jwt_authz.conditions import claim, now, subject, tenant
from jwt_authz.errors import (
    RefreshRefused,
    StoreUnavailable,
    TokenExpired,
    TokenNotFresh,
    TokenReused,
)
from jwt_authz.refusals import AuthorizationUnavailable, TokenNotIssued, TooManyAttempts

ROLES = Roles(
    Role("clerk", "orders:read", level=1),
    Role("manager", "orders:*", includes="clerk", level=3),
)
CLAIMS = {"sub": "7", "roles": ["manager"], "team": {"id": 7, "tags": ["a", "b"]}}
MANAGER = Identity("7", "https://id.example", "north", ["manager"], claims=CLAIMS, catalogue=ROLES)
PROBLEM = Problem("urn:example:tall", "Not allowed", 403, "Requires a caller who is tall.")


class Clerk(Identity):
    """An identity of an application, with an attribute of its own."""

    desk: int


class PaidClerk(Identity):
    """An identity with an attribute in a slot."""

    __slots__ = ("salary",)
    salary: int


class from_country(Requirement):
    """A requirement of an application, without any support for pickle."""

    takes_country: ClassVar[bool] = True

    def __init__(self, code: str) -> None:
        self.code = code

    def fulfill(self, identity: Any) -> bool:
        return bool(identity.claims.get("country") == self.code)


@requirement("is the buyer")
def buyer(identity: Identity, order: Any) -> bool:
    return bool(order["buyer"] == identity.subject)


def is_seven(identity: Identity) -> bool:
    return identity.subject == "7"


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def pickled_by_the_oldest_protocol_with_slots(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing, protocol=2))


def sent_to_another_process(thing: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(copy.copy, (thing,))


EACH_WAY = pytest.mark.parametrize(
    "through", [pickled, pickled_by_the_oldest_protocol_with_slots, copy.copy, copy.deepcopy]
)


@EACH_WAY
def test_an_identity_stays_what_it_was(through: Callable[[Any], Any]) -> None:
    made = through(MANAGER)
    assert made == MANAGER
    assert hash(made) == hash(MANAGER)
    assert dict(made.claims) == CLAIMS
    assert made.has_role("clerk")
    assert made.has_permission("orders:refund")
    assert made.has_level("manager")
    assert made.catalogue.fingerprint == ROLES.fingerprint


@EACH_WAY
def test_what_a_foreign_subject_may_stays_unknown(through: Callable[[Any], Any]) -> None:
    made = through(MANAGER.with_foreign_subject())
    assert not (attr("owner") == subject).evaluate(made, {"owner": "7"})


@EACH_WAY
@pytest.mark.parametrize(("kind", "name"), [(Clerk, "desk"), (PaidClerk, "salary")])
def test_an_identity_of_a_subclass_keeps_its_own_attributes(
    through: Callable[[Any], Any], kind: type[Identity], name: str
) -> None:
    own = kind("7", roles=["clerk"])
    object.__setattr__(own, name, 12)
    made = through(own)
    assert type(made) is kind
    assert getattr(made, name) == 12
    assert made.roles == {"clerk"}


@EACH_WAY
def test_a_catalog_grants_what_it_granted(through: Callable[[Any], Any]) -> None:
    made = through(ROLES)
    assert dict(made) == dict(ROLES)
    assert made.fingerprint == ROLES.fingerprint
    assert made.permissions_of(["manager"]) == ROLES.permissions_of(["manager"])
    assert made.with_included(["manager"]) == {"clerk", "manager"}


@EACH_WAY
def test_a_catalog_that_knows_every_permission_still_does(through: Callable[[Any], Any]) -> None:
    assert through(ROLES.open_ended()).knows(Permission.parse("users:read"))
    assert not through(ROLES).knows(Permission.parse("users:read"))


@EACH_WAY
@pytest.mark.parametrize(
    "asked",
    [
        has_permission("orders:read"),
        has_role("manager"),
        has_scope("read"),
        has_level(2),
        has_claim("team"),
        from_country("FI"),
        has_permission("orders:read") & ~has_role("suspended") | has_level("manager"),
        attr("owner") == subject,
        (attr("tenant") == tenant) & (attr("until") > now),
        attr("team") == claim("team"),
        attr("deleted").is_(None),
        buyer,
    ],
    ids=repr,
)
def test_a_requirement_decides_as_before(asked: Requirement, through: Callable[[Any], Any]) -> None:
    resource = {"owner": "7", "buyer": "7", "tenant": "north", "deleted": None}
    made = through(asked)
    assert made == asked
    assert repr(made) == repr(asked)
    assert made.evaluate(MANAGER, resource) == asked.evaluate(MANAGER, resource)


def test_a_requirement_that_was_evaluated_takes_no_catalog_along() -> None:
    asked = has_permission("orders:read")
    before = len(pickle.dumps(asked))
    assert asked.evaluate(MANAGER)
    assert len(pickle.dumps(asked)) == before


@EACH_WAY
def test_a_decision_keeps_its_reasons(through: Callable[[Any], Any]) -> None:
    asked = has_permission("orders:read") & ~has_role("manager") & is_seven
    decision = asked.evaluate(MANAGER)
    made = through(decision)
    assert isinstance(made, Decision)
    assert made == decision
    assert not made
    assert str(made) == str(decision)
    assert made.sentence == decision.sentence


def test_a_decision_about_a_lambda_is_pickled_with_its_reasons() -> None:
    decision = (has_role("manager") & requirement(lambda identity: False)).evaluate(MANAGER)
    made = pickled(decision)
    assert not made
    assert str(made) == str(decision)
    assert made.as_dict() == decision.as_dict()


@pytest.mark.parametrize("asked", [requirement(lambda identity: True)], ids=["lambda"])
def test_a_lambda_that_was_pickled_refuses_and_says_why(asked: Requirement) -> None:
    for made in (pickled(asked), ~pickled(asked), pickled(~asked)):
        decision = made.evaluate(MANAGER)
        assert not decision
        assert "define it with def at the top of a module" in decision.error


def test_a_lambda_can_be_copied() -> None:
    asked = requirement(lambda identity: True)
    for made in (copy.copy(asked), copy.deepcopy(asked), copy.deepcopy(asked & asked)):
        assert made.evaluate(MANAGER)


REFUSALS = [
    NotAllowed(PROBLEM),
    NotIdentified(Problem("urn:x", "Authentication required", 401, "Send a token."), "shop"),
    AuthorizationUnavailable(Problem("urn:x", "Unavailable", 503, "Try again later.")),
    TokenNotIssued(Problem("urn:x", "Token not issued", 503, "Too many roles.")),
    TooManyAttempts(Problem("urn:x", "Too many", 429, "Wait."), "api", 30),
]


@EACH_WAY
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: type(refusal).__name__)
def test_a_refusal_answers_as_before(refusal: Any, through: Callable[[Any], Any]) -> None:
    made = through(refusal)
    assert type(made) is type(refusal)
    assert isinstance(made, HTTPException)
    assert made.problem == refusal.problem
    assert str(made) == str(refusal)
    assert made.code == refusal.code
    assert made.get_response().get_data() == refusal.get_response().get_data()
    assert dict(made.get_headers()) == dict(refusal.get_headers())


@EACH_WAY
@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (TokenExpired("exp 12"), {"detail": "exp 12", "name": "token-expired"}),
        (TokenExpired(), {"detail": ""}),
        (TokenNotFresh("old", max_age=60.0), {"detail": "old", "max_age": 60.0}),
        (RefreshRefused(), {"detail": "", "code": "invalid_grant"}),
        (TokenReused("twice", subject="7", family="f1"), {"subject": "7", "family": "f1"}),
        (StoreUnavailable("no answer"), {"args": ("no answer",)}),
        (MisuseError("wrong"), {"args": ("wrong",)}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_keeps_its_data(
    error: Exception, attributes: dict[str, Any], through: Callable[[Any], Any]
) -> None:
    made = through(error)
    assert type(made) is type(error)
    assert str(made) == str(error)
    assert {name: getattr(made, name) for name in attributes} == attributes


@EACH_WAY
@pytest.mark.parametrize(
    "value",
    [PROBLEM, Permission.parse("orders:*"), MANAGER.permissions, MANAGER.sources, ROLES["clerk"]],
    ids=lambda value: type(value).__name__,
)
def test_a_value_equals_its_copy(value: Any, through: Callable[[Any], Any]) -> None:
    assert through(value) == value


@pytest.mark.slow
def test_another_process_receives_them() -> None:
    for thing in (MANAGER, ROLES["manager"], PROBLEM, buyer):
        assert sent_to_another_process(thing) == thing
    assert sent_to_another_process(NotAllowed(PROBLEM)).problem == PROBLEM


# An identity for a job


def test_an_identity_is_handed_to_a_job_as_json() -> None:
    document = json.loads(json.dumps(MANAGER.as_dict()))
    made = Identity.from_dict(document, ROLES)
    assert made == MANAGER
    assert made.has_role("clerk")
    assert made.has_permission("orders:refund")
    assert dict(made.claims) == CLAIMS


def test_a_job_gets_the_rights_of_the_log_in_whatever_the_catalog_says_now() -> None:
    today = Roles(Role("manager", "users:*", level=9))
    made = Identity.from_dict(MANAGER.as_dict(), today)
    assert made.has_permission("orders:refund")
    assert not made.has_permission("users:edit")
    assert made.level == 3


def test_a_foreign_subject_stays_foreign_in_a_job() -> None:
    made = Identity.from_dict(MANAGER.with_foreign_subject().as_dict())
    assert made.subject_is_foreign
    assert not (attr("owner") == subject).evaluate(made, {"owner": "7"})


def test_a_document_shares_nothing_with_its_identity() -> None:
    document = MANAGER.as_dict()
    document["claims"]["team"]["tags"].append("c")
    assert MANAGER.claims["team"]["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    "document",
    [{}, {"subject": "7"}, {**MANAGER.as_dict(), "admin": True}, "7", None, [MANAGER.as_dict()]],
    ids=["empty", "partial", "unknown member", "a text", "nothing", "a list"],
)
def test_a_job_refuses_another_document(document: Any) -> None:
    with pytest.raises(MisuseError, match=r"takes what identity\.as_dict\(\) returned"):
        Identity.from_dict(document)


def test_a_job_refuses_an_identity_without_a_subject() -> None:
    with pytest.raises(MisuseError, match="subject must be a non-empty string"):
        Identity.from_dict({**MANAGER.as_dict(), "subject": ""})
