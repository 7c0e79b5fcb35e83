"""Problem: the body of a refusal (RFC 9457) and the challenge beside it (RFC 6750)."""

import dataclasses
import inspect
import json
import re
from typing import Any

import pytest

from jwt_authz import (
    Decision,
    Identity,
    InvalidToken,
    MisuseError,
    Problem,
    Requirement,
    errors,
    has_claim,
    has_permission,
    has_role,
    has_scope,
    requirement,
)
from jwt_authz.policy import problem as problems
from jwt_authz.policy.problem import (
    not_allowed,
    token_invalid,
    token_missing,
    unavailable,
    wrong_credentials,
)

READER = Identity("u1", roles=["reader"], scopes=["profile"])  # type: ignore[arg-type]
SECRET = "alice@example.org"
CONDITIONS = [
    condition
    for _, condition in inspect.getmembers(errors, inspect.isclass)
    if issubclass(condition, InvalidToken)
]

# RFC 9110 section 11.6.1 and RFC 6750 section 3: Bearer, then name="value" with commas between.
PARAMETER = r'[a-z_]+="(?:[ !#-\[\]-~]|\\["\\])*"'
CHALLENGE = re.compile(rf"Bearer {PARAMETER}(?:, {PARAMETER})*")


def parameters(challenge: str | None) -> dict[str, str]:
    """Return the parameters of a challenge, unescaped; each must occur once."""
    assert challenge is not None
    assert CHALLENGE.fullmatch(challenge), challenge
    pairs = re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', challenge)
    assert len(dict(pairs)) == len(pairs)
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in pairs}


def refused(asked: Requirement, identity: Any = READER) -> Decision:
    decision = asked.evaluate(identity)
    assert not decision
    return decision


EVERY = [
    token_missing(),
    wrong_credentials(),
    unavailable(),
    *(token_invalid(condition("a detail")) for condition in CONDITIONS),
    *(not_allowed(refused(has_role("admin")), how) for how in ("none", "sentence", "tree")),
]


@pytest.mark.parametrize("problem", EVERY, ids=lambda problem: problem.type)
def test_the_body_has_the_members_of_rfc_9457_and_no_other(problem: Problem) -> None:
    body = json.loads(json.dumps(problem.as_dict()))
    assert list(body)[:5] == ["type", "title", "status", "detail", "instance"]
    assert set(body) <= {"type", "title", "status", "detail", "instance", "error", "required"}
    assert re.fullmatch(r"urn:jwt-authz:problem:[a-z]+(-[a-z]+)*", body["type"])
    assert body["status"] in (401, 403, 503)
    assert body["title"] and body["detail"]
    assert body["title"][-1] != "."
    assert body["detail"][-1] == "."
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", body["instance"])


@pytest.mark.parametrize("problem", EVERY, ids=lambda problem: problem.type)
def test_the_challenge_is_one_that_rfc_6750_describes(problem: Problem) -> None:
    challenge = problem.challenge("api")
    if problem.status == 503:
        assert challenge is None
        return
    found = parameters(challenge)
    assert found["realm"] == "api"
    assert found.get("error") == problem.error
    assert ("error_description" in found) is (problem.error is not None)
    assert set(found) <= {"realm", "error", "error_description", "scope", "max_age"}


def test_the_challenge_has_the_maximum_age_in_whole_seconds() -> None:
    """RFC 9470 section 3."""
    problem = token_invalid(errors.TokenNotFresh(max_age=90.5))
    assert parameters(problem.challenge("api"))["max_age"] == "90"
    assert "max_age" not in parameters(token_invalid(errors.TokenNotFresh()).challenge("api"))


def test_a_problem_cannot_be_changed() -> None:
    problem = token_missing()
    for field in dataclasses.fields(Problem):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(problem, field.name, None)


def test_each_problem_has_an_instance_of_its_own() -> None:
    made = [token_missing().instance for _ in range(1_000)]
    made += [not_allowed(refused(has_role("a"))).instance for _ in range(1_000)]
    assert len(set(made)) == 2_000


# 401


def test_a_request_without_a_token_gets_no_error_code() -> None:
    """SECURITY 2.16."""
    problem = token_missing()
    assert problem.status == 401
    assert "error" not in problem.as_dict()
    assert problem.challenge("api") == 'Bearer realm="api"'
    assert problem.type == "urn:jwt-authz:problem:token-missing"


def test_a_wrong_password_gets_no_token_error_code() -> None:
    problem = wrong_credentials()
    assert problem.status == 401
    assert problem.challenge("api") == 'Bearer realm="api"'
    assert "error" not in problem.as_dict()


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.__name__)
def test_an_invalid_token_gets_its_condition_but_not_the_detail(condition: Any) -> None:
    problem = token_invalid(condition(f"the value was {SECRET}"))
    assert problem.status == 401
    assert problem.type == f"urn:jwt-authz:problem:{condition.name}"
    assert problem.detail == condition.sentence
    codes = {
        "TokenNotFresh": "insufficient_user_authentication",
        "RefreshRefused": "invalid_grant",
        "TokenReused": "invalid_grant",
    }
    assert problem.error == codes.get(condition.__name__, "invalid_token")
    assert SECRET not in json.dumps(problem.as_dict())
    assert SECRET not in str(problem.challenge("api"))


def test_each_condition_has_a_name_and_a_sentence_of_its_own() -> None:
    assert len({condition.name for condition in CONDITIONS}) == len(CONDITIONS)
    assert len({condition.sentence for condition in CONDITIONS}) == len(CONDITIONS)
    assert len(CONDITIONS) > 10
    for condition in CONDITIONS:
        assert str(condition()) == condition.sentence
        assert condition().detail == ""
        assert str(condition("more")) == condition("more").detail == "more"
        assert isinstance(condition(), errors.AuthzError)


# 403


def test_a_refusal_is_a_403_with_insufficient_scope() -> None:
    problem = not_allowed(refused(has_role("admin")))
    assert problem.status == 403
    assert problem.type == "urn:jwt-authz:problem:not-allowed"
    assert problem.as_dict()["error"] == "insufficient_scope"
    assert parameters(problem.challenge("api"))["error"] == "insufficient_scope"


def test_disclosing_none_does_not_mention_the_requirement() -> None:
    asked = has_role("admin") & has_scope("payments") | has_permission("vault:open")
    problem = not_allowed(refused(asked), "none")
    text = json.dumps(problem.as_dict()) + str(problem.challenge("api"))
    for word in ("admin", "payments", "vault", "scope="):
        assert word not in text
    assert problem.detail == "This is not allowed."


def test_disclosing_the_sentence_shows_that_of_the_refusing_requirement() -> None:
    asked = has_role("reader") & has_role("admin")
    problem = not_allowed(refused(asked), "sentence")
    assert problem.detail == "Requires a caller who has the role admin."
    assert "required" not in problem.as_dict()
    assert not_allowed(refused(asked)).detail == problem.detail


def test_disclosing_the_tree_shows_all_evaluated_parts() -> None:
    asked = has_role("reader") & ~has_role("reader") & has_role("never asked")
    decision = refused(asked)
    body = not_allowed(decision, "tree").as_dict()
    assert body["required"] == decision.as_dict()
    assert [part["verdict"] for part in body["required"]["parts"]] == ["yes", "no"]
    assert body["detail"] == not_allowed(decision, "sentence").detail


@pytest.mark.parametrize("disclose", ["all", "", "None", None, True, 1])
def test_an_unknown_disclosure_is_a_misuse(disclose: Any) -> None:
    with pytest.raises(MisuseError, match="expected none, sentence or tree"):
        not_allowed(refused(has_role("admin")), disclose)


@pytest.mark.parametrize("disclose", ["none", "sentence", "tree"])
def test_an_error_is_reported_as_rights_that_could_not_be_evaluated(disclose: str) -> None:
    @requirement("has paid")
    def paid(identity: Identity) -> bool:
        raise ValueError(SECRET)

    for asked in (paid, ~paid, has_role("reader") & paid):
        problem = not_allowed(refused(asked), disclose)
        text = json.dumps(problem.as_dict()) + str(problem.challenge("api"))
        assert problem.status == 403
        assert SECRET not in text
        assert "ValueError" not in text
        assert "test_problem" not in text
        if disclose != "none":
            assert problem.detail == "The access rights could not be evaluated."


@pytest.mark.parametrize("disclose", ["none", "sentence", "tree"])
def test_no_claim_value_gets_into_a_problem(disclose: str) -> None:
    identity = Identity(SECRET, claims={"plan": SECRET})  # type: ignore[arg-type]
    for asked in (has_claim("plan", "gold"), has_claim("plan", 1), has_role("admin")):
        problem = not_allowed(refused(asked, identity), disclose)
        assert SECRET not in json.dumps(problem.as_dict()) + str(problem.challenge("api"))


# The scope of the challenge


@pytest.mark.parametrize(
    ("asked", "scope"),
    [
        (has_scope("payments"), "payments"),
        (has_scope("profile") & has_scope("payments"), "payments"),
        (has_role("reader") & has_scope("payments"), "payments"),
        (has_scope("a") | has_scope("b"), "a b"),
        (has_role("admin"), None),
        (has_role("admin") & has_scope("payments"), None),
    ],
    ids=repr,
)
def test_the_challenge_names_the_required_scopes_that_were_not_granted(
    asked: Requirement, scope: str | None
) -> None:
    """SECURITY 2.16."""
    for disclose in ("sentence", "tree"):
        challenge = not_allowed(refused(asked), disclose).challenge("api")
        assert parameters(challenge).get("scope") == scope


def test_a_negated_scope_is_not_in_the_challenge() -> None:
    asked = ~has_scope("readonly") & has_role("admin")
    assert "scope" not in parameters(not_allowed(refused(asked)).challenge("api"))


def test_a_scope_wanted_twice_is_named_once() -> None:
    pay = has_scope("payments")
    asked = (pay & has_role("a")) | (pay & has_role("b"))
    assert parameters(not_allowed(refused(asked)).challenge("api"))["scope"] == "payments"


# Quoting

AWKWARD = [
    'say "hello"',
    "back\\slash",
    'both \\" of them',
    "line\r\nSet-Cookie: x=1",
    "tab\there",
    "nul\0",
    "del\x7f",
    "umlaut \u00e4 and \u4e2d",
    "\u2028",
    "emoji \U0001f600",
    "lone \udc80",
]


@pytest.mark.parametrize("realm", AWKWARD, ids=ascii)
def test_a_realm_is_quoted_and_cannot_leave_its_quotes_or_its_line(realm: str) -> None:
    for problem in (token_missing(), not_allowed(refused(has_role("admin")))):
        challenge = problem.challenge(realm)
        assert challenge is not None
        found = parameters(challenge)
        assert challenge.isascii() and challenge.isprintable()
        plain = "".join(c for c in realm if " " <= c <= "~")
        assert found["realm"].replace("?", "") == plain


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
def test_the_sentence_of_a_requirement_cannot_leave_its_quotes_or_its_line(text: str) -> None:
    @requirement(f"says {text}")
    def says(identity: Identity) -> bool:
        return False

    for asked in (says, has_role(text), has_claim("a", text), has_scope(text)):
        problem = not_allowed(refused(asked))
        challenge = problem.challenge("api")
        assert challenge is not None
        parameters(challenge)
        assert challenge.isascii() and challenge.isprintable()
        assert not re.search(r"[\r\n]", challenge)


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
def test_a_description_and_a_scope_have_only_the_characters_that_rfc_6750_lets_them(
    text: str,
) -> None:
    for asked in (has_role(text), has_scope(text.replace(" ", "_"))):
        found = parameters(not_allowed(refused(asked)).challenge("api"))
        assert re.fullmatch(r"[ !#-\[\]-~]*", found["error_description"])
        assert re.fullmatch(r"[ !#-\[\]-~]*", found.get("scope", ""))


def test_the_body_keeps_a_sentence_as_it_was_written() -> None:
    @requirement('is "the one" \u00e4')
    def one(identity: Identity) -> bool:
        return False

    assert not_allowed(refused(one)).detail == 'Requires a caller who is "the one" \u00e4.'


# 503


def test_an_unavailable_store_is_a_503_without_a_challenge() -> None:
    problem = unavailable()
    assert problem.status == 503
    assert problem.challenge("api") is None
    assert "error" not in problem.as_dict()


def test_the_names_of_problems_are_stable() -> None:
    assert problems.TYPE_PREFIX == "urn:jwt-authz:problem:"
    assert {problem.type.removeprefix(problems.TYPE_PREFIX) for problem in EVERY} == {
        "token-missing",
        "wrong-credentials",
        "authorization-unavailable",
        "not-allowed",
        *(condition.name for condition in CONDITIONS),
    }
