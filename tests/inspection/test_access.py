"""What the matrix says of callers is what they are answered."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jwt_authz import (
    Identity,
    Role,
    Roles,
    exempt,
    guard,
    has_claim,
    has_level,
    has_role,
    has_scope,
    requirement,
    requires,
)
from jwt_authz.errors import StoreUnavailable
from jwt_authz.inspection.access import (
    NOT_IDENTIFIED,
    WITHOUT_ROLE,
    answer,
    caller_with,
    depends_on,
    read_access,
)
from jwt_authz.inspection.matrix import read_matrix
from tests.cases import Dice
from tests.edge import bare_app, bearer, guarded_app, token_for
from tests.inspection.generated import Builder

APPLICATIONS = 50
TOKENS = 3  # for each kind of caller, with other claims, scopes and freshness
_REFUSED = {401, 403, 404}


def tokens(app: Flask, dice: Dice, *roles: str) -> list[str]:
    """Tokens with these roles, and what else a token may say."""
    found = []
    for number in range(TOKENS):
        person = dice.person()
        taken = ("roles", "permissions", "scope")
        claims = {name: v for name, v in person.claims.items() if name not in taken}
        claims["scope"] = " ".join(person.scopes)
        found.append(token_for(app, "alice", *roles, claims=claims, fresh=number == 1))
    return found


def called(client: FlaskClient, access: Any, method: str, token: str | None) -> bool:
    """Whether the caller was let in."""
    path = access.rule.replace("<int:id>", "7")
    headers = bearer(token) if token is not None else {}
    status = client.open(path, method=method, headers=headers).status_code
    assert status == 200 or status in _REFUSED, (status, access)
    return status == 200


@pytest.mark.slow
def test_every_route_of_generated_applications_answers_every_role_as_the_matrix_says() -> None:
    verdicts: Counter[str] = Counter()
    depending: Counter[bool] = Counter()
    for seed in range(APPLICATIONS):
        builder = Builder(seed)
        app = builder.build()
        client = app.test_client()
        callers: dict[str, list[str | None]] = {NOT_IDENTIFIED: [None]}
        callers[WITHOUT_ROLE] = [*tokens(app, builder.dice)]
        callers.update((role, [*tokens(app, builder.dice, role)]) for role in builder.roles)
        with app.app_context():
            rows = read_access().rows
        listed = {(row.rule, row.method) for row in rows}
        for row in rows:
            for caller, verdict in row.answers():
                methods = [row.method]
                if row.method == "GET" and (row.rule, "HEAD") not in listed:
                    methods.append("HEAD")
                for method, token in ((m, t) for m in methods for t in callers[caller]):
                    came_in = called(client, row, method, token)
                    verdicts[verdict.value] += 1
                    if verdict.value == "depends":
                        depending[came_in] += 1
                    else:
                        assert came_in is (verdict.value == "yes"), (seed, caller, row)
    # A comparison of refusals alone would prove little.
    assert min(verdicts["yes"], verdicts["no"], verdicts["depends"]) >= 500, verdicts
    assert min(depending[True], depending[False]) >= 150, depending


def test_an_answer_that_depends_says_on_what_and_no_other_does() -> None:
    depending = 0
    for seed in range(APPLICATIONS):
        builder = Builder(seed)
        app = builder.build()
        with app.app_context():
            for access in read_matrix(app):
                for roles in ((), *((role,) for role in builder.roles)):
                    caller = caller_with(*roles)
                    depends = answer(access, caller).value == "depends"
                    assert bool(depends_on(access, caller)) is depends, (seed, access)
                    depending += depends
    assert depending >= 100


def view() -> str:
    return "in"


def answers(app: Flask, method: str = "GET") -> dict[str, str]:
    """The answers of the first route for each kind of caller."""
    with app.app_context():
        row = next(row for row in read_access().rows if row.method == method)
    return {caller: verdict.value for caller, verdict in row.answers()}


NOBODY_KNOWN = {NOT_IDENTIFIED: "no", WITHOUT_ROLE: "no"}


@requirement("is the author")
def author(identity: Any, article: Any) -> bool:
    return bool(identity.subject == article)


def test_roles_are_listed_in_the_order_of_the_catalog_with_what_they_include() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires("article:edit")(view))
    with app.app_context():
        assert read_access().roles == ("viewer", "editor", "admin")
    assert answers(app) == {**NOBODY_KNOWN, "viewer": "no", "editor": "yes", "admin": "yes"}


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (has_scope("payments"), "was granted the scope payments"),
        (has_claim("plan", "gold"), "has the claim plan with the value 'gold'"),
        (author, "is the author"),
        (lambda identity: True, "meets <lambda>"),
    ],
    ids=["scope", "claim", "resource", "function"],
)
def test_what_the_roles_do_not_settle_depends_on_it(asked: Any, reason: str) -> None:
    app = guarded_app()
    guarded = requires(asked, has_level(1), on=lambda: "alice")
    app.add_url_rule("/", "view", guarded(view))
    assert answers(app) == {**NOBODY_KNOWN, "viewer": "no", "editor": "depends", "admin": "depends"}
    with app.app_context():
        (access,) = read_matrix(app)
        assert depends_on(access, caller_with("editor")) == [reason]
        assert depends_on(access, caller_with("viewer")) == []


def test_a_role_that_is_enough_by_itself_may_whatever_else_would_do() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires(author | has_role("admin"), on=lambda: "bob")(view))
    assert answers(app) == {
        NOT_IDENTIFIED: "no",
        WITHOUT_ROLE: "depends",
        "viewer": "depends",
        "editor": "depends",
        "admin": "yes",
    }


@pytest.mark.parametrize(("error", "status"), [(ValueError, 403), (StoreUnavailable, 503)])
def test_a_function_that_fails_refuses_who_may_unless_it_is_not_asked(
    error: type[Exception], status: int
) -> None:
    @requirement("is on duty")
    def on_duty(identity: Identity) -> bool:
        raise error("down")

    for asked, answered in (
        (on_duty | has_role("admin"), status),
        (has_role("admin") | on_duty, 200),
    ):
        app = guarded_app()
        app.add_url_rule("/", "view", requires(asked)(view))
        assert answers(app)["admin"] == "yes"
        token = token_for(app, "alice", "admin")
        assert app.test_client().get("/", headers=bearer(token)).status_code == answered


def test_a_fresh_token_is_what_it_depends_on() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires("article:edit", fresh=True)(view))
    assert answers(app) == {**NOBODY_KNOWN, "viewer": "no", "editor": "depends", "admin": "depends"}
    with app.app_context():
        (access,) = read_matrix(app)
        assert depends_on(access, caller_with("editor")) == ["brings a fresh token"]


def test_an_optional_token_lets_in_who_brings_none() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires("article:edit", optional=True)(view))
    assert answers(app) == {
        NOT_IDENTIFIED: "yes",
        WITHOUT_ROLE: "no",
        "viewer": "no",
        "editor": "yes",
        "admin": "yes",
    }


def test_an_identity_that_the_code_gives_is_not_the_caller() -> None:
    app = guarded_app()
    other = Identity("service", roles=["admin"])
    app.add_url_rule("/", "view", requires(has_role("admin"), identity=other)(view))
    assert set(answers(app).values()) == {"depends"}
    assert app.test_client().get("/").status_code == 200


@pytest.mark.parametrize("said", ["exempt", "nothing"])
@pytest.mark.parametrize("default", ["allow", "deny"])
def test_a_view_without_a_guard_is_everybodys_or_nobodys(default: str, said: str) -> None:
    app = guarded_app(authz={"default": default})
    app.add_url_rule("/", "view", exempt(lambda: "in") if said == "exempt" else lambda: "in")
    expected = "no" if (default, said) == ("deny", "nothing") else "yes"
    assert set(answers(app).values()) == {expected}


def test_a_method_without_an_entry_is_nobodys_also_under_a_not() -> None:
    app = guarded_app()
    guarded = requires({"GET": "article:read"})
    app.add_url_rule("/", "view", guarded(view), methods=["GET", "PUT"])
    assert set(answers(app, "PUT").values()) == {"no"}


def test_a_name_that_the_catalog_lacks_is_nobodys_also_under_a_not() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires(~has_role("ghost"))(view))
    assert set(answers(app).values()) == {"no"}


def test_an_application_without_a_catalog_has_the_two_kinds_of_caller_without_a_role() -> None:
    app = guarded_app(authz={"roles": None})
    guard(app, has_role("boss"))
    app.add_url_rule("/", "view", view)
    with app.app_context():
        assert read_access().roles == ()
    assert answers(app) == NOBODY_KNOWN


def test_an_application_without_an_authz_gets_an_error_that_says_so() -> None:
    app = bare_app()
    with app.app_context(), pytest.raises(Exception, match="has no Authz: write Authz"):
        read_access()


def test_nothing_of_the_application_is_called() -> None:
    seen = []

    def opaque(identity: Any) -> bool:
        seen.append(identity)
        return True

    app = guarded_app(authz={"roles": Roles(Role("one"))})
    app.add_url_rule("/", "view", requires(opaque, on=lambda: seen.append(1))(view))
    assert answers(app)["one"] == "depends"
    assert seen == []


@pytest.mark.parametrize("config", [{}, {"AUTHZ_ENFORCE": False}], ids=["guard", "setting"])
def test_what_is_not_enforced_lets_everybody_in(config: dict[str, Any]) -> None:
    app = guarded_app(authz={"default": "deny"}, **config)
    enforce = bool(config)  # by the one or by the other
    guarded = requires(author | "article:edit", fresh=True, on=lambda: None, enforce=enforce)
    app.add_url_rule("/", "view", guarded(view))
    assert set(answers(app).values()) == {"yes"}
    assert app.test_client().get("/").status_code == 200


def test_a_guard_that_is_enforced_counts_beside_one_that_is_not() -> None:
    app = guarded_app()
    dry = requires(author, has_role("admin"), on=lambda: None, enforce=False)
    app.add_url_rule("/", "view", requires()(dry(view)))
    found = answers(app)
    assert found.pop(NOT_IDENTIFIED) == "no"
    assert set(found.values()) == {"yes"}


def test_under_the_setting_a_view_of_which_nothing_was_said_is_open_also_under_deny() -> None:
    app = guarded_app(authz={"default": "deny"}, AUTHZ_ENFORCE=False)
    app.add_url_rule("/", "view", view)
    assert set(answers(app).values()) == {"yes"}
