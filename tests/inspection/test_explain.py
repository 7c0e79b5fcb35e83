"""Explaining a requirement and a call: it says what the application does, and does nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Request, abort, current_app, redirect, request
from flask.views import MethodView
from flask_jwt_extended import JWTManager
from werkzeug.exceptions import MethodNotAllowed, NotFound

from jwt_authz import (
    Authz,
    Decision,
    Identity,
    MisuseError,
    allowed,
    exempt,
    guard,
    has_claim,
    has_role,
    has_scope,
    requirement,
    requires,
)
from jwt_authz.application import KEY
from jwt_authz.compat import flask_allows
from jwt_authz.errors import StoreUnavailable
from jwt_authz.guards.overrides import Additional, Override, additions, overrides
from jwt_authz.inspection.explain import CallExplanation, explain_call
from jwt_authz.policy.identity import Sources
from tests.edge import bearer, get, guarded_app, token_for


@requirement("is the author of this article")
def author(identity: Identity, article: dict[str, Any]) -> bool:
    return bool(identity.subject == article["author"])


@requirement("has an account that answers")
def stored(identity: Identity) -> bool:
    raise StoreUnavailable("the accounts do not answer")


@requirement
def fails(identity: Identity) -> bool:
    raise LookupError("a secret")


def authz_of(app: Flask) -> Authz:
    extension: Authz = app.extensions["jwt_authz"]
    return extension


def as_caller(app: Flask, token: str | None = None, path: str = "/", method: str = "GET") -> Any:
    headers = bearer(token) if token is not None else {}
    return app.test_request_context(path, method=method, headers=headers)


# --- a requirement -------------------------------------------------------------------------------


def test_the_caller_is_explained_with_the_claims_of_their_token() -> None:
    app = guarded_app()
    with as_caller(app, token_for(app, "bob", "viewer")):
        decision = authz_of(app).explain("article:read", has_role("admin"), has_scope("x"))
    assert isinstance(decision, Decision)
    assert str(decision).splitlines() == [
        "no has_permission('article:read') & has_role('admin') & has_scope('x')",
        "  yes has_permission('article:read') (claim permissions)",
        "  no has_role('admin') (claim roles)",
        "  no has_scope('x') (claim scope, not asked)",
    ]


def test_the_names_of_the_claims_are_those_that_are_set() -> None:
    app = guarded_app(
        AUTHZ_ROLES_CLAIM="groups", AUTHZ_PERMISSIONS_CLAIM="entitlements", AUTHZ_SCOPE_CLAIM="scp"
    )
    with app.app_context():
        token = authz_of(app).issue("bob", roles=["viewer"])
    with as_caller(app, token):
        decision = authz_of(app).explain("article:read", has_role("viewer"), has_scope("x"))
    assert [part.claims for part in decision.parts] == [("entitlements",), ("groups",), ("scp",)]


def test_permissions_that_come_of_the_roles_are_said_to_come_of_their_claim() -> None:
    app = guarded_app(AUTHZ_ENCODING="roles", AUTHZ_ROLES_CLAIM="groups")
    with app.app_context():
        token = authz_of(app).issue("bob", roles=["viewer"])
    with as_caller(app, token):
        assert authz_of(app).explain("article:read").claims == ("groups",)


def test_an_identity_that_is_given_is_explained_for_the_resource() -> None:
    app = guarded_app()
    with app.app_context():
        for subject, verdict in (("alice", "yes"), ("bob", "no")):
            decision = authz_of(app).explain(
                author, identity=Identity(subject), on={"author": "alice"}
            )
            assert str(decision) == f"{verdict} author"


def test_an_identity_of_a_loader_of_ones_own_names_the_claims_that_it_took_over() -> None:
    app = guarded_app()
    extension = authz_of(app)

    @extension.identity_loader
    def load(subject: str, claims: dict[str, Any]) -> Identity:
        if subject == "by hand":
            return Identity(subject, roles=claims["roles"])
        return extension.read_identity(subject, claims)

    asked = has_role("viewer")
    with as_caller(app, token_for(app, "bob", "viewer")):
        assert extension.explain(asked).claims == ("roles",)
    with as_caller(app, token_for(app, "by hand", "viewer")):
        assert extension.explain(asked).claims == ()


@pytest.mark.parametrize(
    ("token", "said"),
    [(None, "no token was sent"), ("x.y.z", "a segment is not canonical base64url")],
)
def test_where_nobody_is_calling_it_says_why(token: str | None, said: str) -> None:
    app = guarded_app()
    with as_caller(app, token):
        decision = authz_of(app).explain("article:read")
    assert not decision
    assert said in decision.error


def test_a_store_that_does_not_answer_is_an_error_of_the_decision() -> None:
    app = guarded_app()
    with app.app_context():
        decision = authz_of(app).explain(stored, identity=Identity("bob"))
    assert not decision
    assert decision.error == "the accounts do not answer"


@pytest.mark.usefixtures("nothing_is_pushed")
def test_overrides_and_additions_in_force_are_reported() -> None:
    app = guarded_app()
    with (
        as_caller(app, token_for(app, "bob", "viewer")),
        overrides.override(Override("article:edit")),
        additions.additional(Additional(has_role("viewer"))),
    ):
        decision = authz_of(app).explain("article:edit")
    assert decision.used_override
    assert str(decision).splitlines()[1:] == [
        "  yes has_role('viewer') (claim roles)",
        "  yes has_permission('article:edit') (overridden)",
    ]


def test_its_verdict_is_that_of_allowed() -> None:
    app = guarded_app()
    asked = ["article:read", "article:edit", has_role("editor"), ~has_claim("x", 1), fails]
    for roles in ([], ["viewer"], ["editor"], ["admin"]):
        with as_caller(app, token_for(app, "bob", *roles)):
            for one in asked:
                assert bool(authz_of(app).explain(one)) is allowed(one)


def test_nothing_is_counted_signalled_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = guarded_app()
    caplog.set_level(logging.DEBUG)
    with as_caller(app, token_for(app, "bob", "viewer"), "/"):
        authz_of(app).explain("article:edit")
        authz_of(app).explain("article:read")
        assert set(authz_of(app).counts.values()) == {0}
    assert [record for record in caplog.records if record.name.startswith("jwt_authz")] == []


def test_what_cannot_be_explained_is_misuse() -> None:
    app = guarded_app()
    with app.app_context():
        with pytest.raises(MisuseError, match="outside a request"):
            authz_of(app).explain("article:read")
        with pytest.raises(MisuseError, match="mapping of HTTP methods"):
            authz_of(app).explain({"GET": "article:read"}, identity=Identity("x"))


def test_log_answer_and_explanation_have_one_and_the_same_tree(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = guarded_app(AUTHZ_DISCLOSE="tree")
    asked = has_role("viewer") & (has_claim("x", 1) | "article:edit")
    app.add_url_rule("/", "view", requires(asked)(lambda: "in"))
    token = token_for(app, "bob", "viewer", claims={"x": 2})
    body = get(app.test_client(), "/", token).get_json()
    with as_caller(app, token):
        decision = authz_of(app).explain(asked)
    assert body["required"] == decision.as_dict()
    assert caplog.records[-1].getMessage().endswith("; ".join(decision.lines()))


# --- a call --------------------------------------------------------------------------------------

LOADED: list[int] = []


def load(id: int) -> dict[str, Any]:
    LOADED.append(id)
    if id == 8:
        raise LookupError("a secret of the database")
    if id == 7:
        return abort(redirect("/elsewhere"))
    return {"author": "alice"} if id < 7 else abort(404)


class Notes(MethodView):
    decorators = [requires({"GET": "article:read", "PUT": has_role("editor")})]  # noqa: RUF012

    def get(self) -> str:
        return "in"

    @requires("article:edit")
    def put(self) -> str:
        return "in"

    @exempt
    def delete(self) -> str:
        return "in"


def app_with_everything(tmp_path: Path, **options: Any) -> Flask:
    app = guarded_app(**options)

    def add(path: str, guard_of: Any, name: str | None = None, **more: Any) -> None:
        app.add_url_rule(path, name or path.strip("/"), guard_of(lambda **keywords: "in"), **more)

    add("/read", requires("article:read"))
    add("/edit", requires("article:edit", has_role("viewer")))
    add("/any", requires())
    add("/optional", requires("article:edit", optional=True))
    add("/fresh", requires(fresh=True))
    add("/hidden", requires("article:edit", hide=True))
    add("/given", requires("article:edit", identity=Identity("x", permissions=["article:edit"])))
    add("/stored", requires(stored))
    add("/fails", requires(fails))
    add("/dry", requires("article:edit", enforce=False))
    add("/articles/<int:id>", requires(author | has_role("admin"), on=load), "article")
    add("/hiding/<int:id>", requires(author, on=load, hide=True), "hiding")
    add("/exempt", exempt)
    add("/bare", lambda view: view)
    app.add_url_rule("/options", "options", requires()(lambda: "in"), methods=["GET", "OPTIONS"])
    both = requires("article:read")(requires(has_role("editor"))(lambda: "in"))
    app.add_url_rule("/both", "both", both)
    app.add_url_rule("/notes", view_func=Notes.as_view("notes"))
    back = Blueprint(
        "back", "back", url_prefix="/back", static_folder=str(tmp_path), static_url_path="/static"
    )
    guard(back, has_role("editor"))
    back.add_url_rule("/stock", "stock", lambda: "in")
    back.add_url_rule("/sales", "sales", requires("article:delete")(lambda: "in"))
    back.add_url_rule("/ping", "ping", exempt(lambda: "in"))
    app.register_blueprint(back)
    app.testing = False
    return app


def explained(app: Flask, method: str, path: str, token: str | None) -> CallExplanation:
    with as_caller(app, token, path, method):
        return explain_call(app, denies_unguarded=authz_of(app).default == "deny")


CALLS = [
    *(("GET", f"/{name}") for name in ("read", "edit", "any", "optional", "fresh", "hidden")),
    *(("GET", f"/{name}") for name in ("given", "stored", "fails", "dry", "exempt", "bare")),
    *(("GET", f"/{kind}/{id}") for kind in ("articles", "hiding") for id in (1, 8, 9)),
    *((method, "/options") for method in ("GET", "HEAD", "OPTIONS")),
    *((method, "/notes") for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")),
    *(("GET", f"/back/{name}") for name in ("stock", "sales", "ping", "static/x.txt")),
    *(("OPTIONS", f"/back/{name}") for name in ("stock", "sales")),
    ("GET", "/both"),
]


@pytest.mark.parametrize(
    "options",
    [{}, {"AUTHZ_ENFORCE": False}, {"authz": {"default": "deny"}}],
    ids=["enforced", "not enforced", "deny"],
)
def test_what_is_said_of_a_call_is_what_becomes_of_it(
    options: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "x.txt").write_text("in")
    app = app_with_everything(tmp_path, **options)
    app.config["AUTHZ_SILENCE"] = ["AZ001"]  # views without a guard are called, too
    tokens = [
        None,
        "x.y.z",
        *(token_for(app, "bob", role) for role in ("viewer", "editor", "admin")),
        token_for(app, "alice", fresh=True),
    ]
    for method, path in CALLS:
        for token in tokens:
            headers = bearer(token) if token else {}
            with app.test_client().open(path, method=method, headers=headers) as answer:
                status = answer.status_code
            found = explained(app, method, path, token)
            assert (found.status or 200) == status, (method, path, *found.lines())
            assert bool(found) is (status == 200)


def test_a_bare_view_is_explained_by_the_default_that_denies(tmp_path: Path) -> None:
    app = app_with_everything(tmp_path, authz={"default": "deny"})
    found = explained(app, "GET", "/bare", token_for(app, "bob", "admin"))
    assert list(found.lines()) == [
        "GET /bare (bare): refused, 403",
        "requires(no_guard): 403 not-allowed",
        "  no no_guard",
    ]


@pytest.mark.parametrize(
    ("method", "path", "why"),
    [
        ("GET", "/exempt", "because it is exempt"),
        ("GET", "/back/ping", "because it is exempt"),
        ("GET", "/bare", "because it has no guard"),
        ("OPTIONS", "/read", "because Flask answers it itself"),
        ("GET", "/back/static/x.txt", "because it is a static file"),
    ],
)
def test_a_call_without_a_guard_is_explained_with_the_reason(
    method: str, path: str, why: str, tmp_path: Path
) -> None:
    found = explained(app_with_everything(tmp_path), method, path, None)
    (line,) = found.lines()
    assert line.endswith(f": allowed, {why}")
    assert found.as_dict()["unguarded"] == why


def test_the_guards_behind_the_one_that_refuses_are_listed_as_not_asked(tmp_path: Path) -> None:
    app = app_with_everything(tmp_path)
    found = explained(app, "GET", "/back/sales", token_for(app, "bob", "viewer"))
    assert list(found.lines()) == [
        "GET /back/sales (back.sales): refused, 403",
        "requires(has_role('editor')): 403 not-allowed",
        "  no has_role('editor') (claim roles)",
        "requires(has_permission('article:delete')): 403 not-allowed (not asked)",
        "  no has_permission('article:delete') (claim permissions)",
    ]
    assert [one["asked"] for one in found.as_dict()["guards"]] == [True, False]


@pytest.mark.parametrize(
    ("path", "role", "line"),
    [
        ("/dry", "viewer", ": 403 not-allowed (not enforced)"),
        ("/hidden", "viewer", ": 404 not-allowed"),
        ("/any", None, ": 401 token-missing: no token was sent"),
        ("/optional", None, ": allowed: no token was sent, and none is required"),
        ("/fresh", "viewer", ": 401 token-not-fresh: A fresh log-in is required."),
        ("/stored", "viewer", ": 503 authorization-unavailable: the accounts do not answer"),
        ("/articles/9", "viewer", ": 404: on= returned no resource"),
        ("/articles/7", "viewer", ": 500: on= returned no resource"),
    ],
)
def test_each_outcome_has_words_of_its_own(
    path: str, role: str | None, line: str, tmp_path: Path
) -> None:
    app = app_with_everything(tmp_path)
    token = token_for(app, "bob", role) if role else None
    assert list(explained(app, "GET", path, token).lines())[1].endswith(line)


def test_a_resource_that_cannot_be_loaded_is_reported_without_the_text_of_the_error(
    tmp_path: Path,
) -> None:
    app = app_with_everything(tmp_path)
    text = "\n".join(explained(app, "GET", "/articles/8", token_for(app, "bob")).lines())
    assert ": 500: on= failed: LookupError in load (test_explain.py" in text
    assert "secret" not in text


def test_nothing_of_the_application_is_run_but_what_loads_the_resource(tmp_path: Path) -> None:
    app = app_with_everything(tmp_path)

    def crash(*arguments: Any, **keywords: Any) -> Any:
        raise AssertionError("this is not to be run")

    app.before_request(crash)
    app.after_request(crash)
    guarded = requires("article:edit", on_fail=crash, throws=AssertionError)
    app.add_url_rule("/own", "own", guarded(crash))
    LOADED.clear()
    assert explained(app, "GET", "/own", token_for(app, "bob", "viewer")).status == 403
    assert explained(app, "GET", "/own", token_for(app, "eve", "editor"))
    assert explained(app, "GET", "/articles/1", token_for(app, "alice"))
    assert LOADED == [1]
    assert set(app.extensions[KEY].audit.counts.values()) == {0}


def test_a_call_that_no_view_answers_is_what_routing_says(tmp_path: Path) -> None:
    app = app_with_everything(tmp_path)
    with pytest.raises(NotFound):
        explained(app, "GET", "/nowhere", None)
    with pytest.raises(MethodNotAllowed):
        explained(app, "DELETE", "/read", None)


def test_a_guard_of_an_old_extension_is_not_explained_and_said_so() -> None:
    app = guarded_app()
    flask_allows.Allows(app, identity_loader=lambda: "ada")
    app.add_url_rule("/", "view", flask_allows.requires(lambda user: True)(lambda: "in"))
    with pytest.raises(MisuseError, match=r"a guard of jwt_authz\.compat"):
        explained(app, "GET", "/", None)


# --- someone supposed ---------------------------------------------------------------------------


def real_request() -> Request:
    return request._get_current_object()  # type: ignore[attr-defined, no-any-return]


def test_a_token_can_be_taken_wherever_the_application_looks_for_tokens() -> None:
    app = guarded_app(JWT_TOKEN_LOCATION=["cookies"])
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "in"))
    for role, status in (("viewer", 403), ("editor", None)):
        token = token_for(app, "bob", role)
        with app.test_request_context("/"):
            state = app.extensions[KEY]
            state.authenticator(app).take(real_request(), token)
            assert explain_call(app, denies_unguarded=False).status == status


def test_a_token_that_is_not_good_is_taken_as_such_and_callbacks_are_asked() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    manager: JWTManager = app.extensions["flask-jwt-extended"]
    blocked = token_for(app, "blocked")

    @manager.token_in_blocklist_loader
    def is_blocked(header: Any, payload: Any) -> bool:
        return bool(payload["sub"] == "blocked")

    for token, problem in (("x.y.z", "token-malformed"), (blocked, "token-revoked")):
        with app.test_request_context("/"):
            app.extensions[KEY].authenticator(app).take(real_request(), token)
            (answer,) = explain_call(app, denies_unguarded=False).answers
            assert (answer.status, answer.problem) == (401, problem)


def test_where_no_token_is_looked_at_none_can_be_taken_but_an_identity_can_be_supposed() -> None:
    app = guarded_app()
    authz_of(app).identity_loader(lambda: None)
    app.add_url_rule("/", "view", requires(has_role("admin"))(lambda: "in"))
    with app.test_request_context("/"):
        authenticator = app.extensions[KEY].authenticator(app)
        with pytest.raises(MisuseError, match="no token is looked at"):
            authenticator.take(real_request(), "x.y.z")
        sources = Sources(roles=("roles",))
        authenticator.suppose(real_request(), Identity("x", roles=["admin"], sources=sources))
        assert explain_call(current_app, denies_unguarded=False)  # type: ignore[arg-type]


def test_an_identity_loader_is_asked_about_someone_supposed() -> None:
    app = guarded_app()

    @authz_of(app).identity_loader
    def find(subject: str, claims: dict[str, Any]) -> Any:
        return None if subject == "gone" else Identity(subject, roles=["admin"])

    app.add_url_rule("/", "view", requires(has_role("admin"))(lambda: "in"))
    for subject, status in (("bob", None), ("gone", 401)):
        with app.test_request_context("/"):
            app.extensions[KEY].authenticator(app).suppose(real_request(), Identity(subject))
            assert explain_call(app, denies_unguarded=False).status == status
