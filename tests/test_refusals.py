"""What a refusal looks like from outside: body, challenge, headers, and who may change it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify, request
from flask.testing import FlaskClient
from werkzeug.exceptions import (
    Forbidden,
    HTTPException,
    ServiceUnavailable,
    Unauthorized,
)
from werkzeug.test import TestResponse

from jwt_authz import (
    AuthzError,
    InvalidToken,
    MisuseError,
    NotAllowed,
    NotIdentified,
    Problem,
    allowed,
    authorize,
    current_identity,
    guard,
    has_claim,
    has_role,
    has_scope,
    requirement,
    requires,
)
from jwt_authz.errors import StoreUnavailable
from jwt_authz.guards.placement import exempt
from jwt_authz.refusals import AuthorizationUnavailable
from tests import hostile
from tests.edge import PROBLEM, TYPE, bearer, claims_of, get, guarded_app, token_for

INSTANCE = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@requirement("is the author of this article")
def author(identity: Any) -> bool:
    return False


@requirement("has a store")
def stored(identity: Any) -> bool:
    raise StoreUnavailable


def refusing_app(**config: Any) -> Flask:
    """A view for each kind of refusal."""
    authz = config.pop("authz", None)
    app = guarded_app(authz=authz, **config)
    views = {
        "any": requires(),
        "edit": requires("article:edit"),
        "scope": requires(has_scope("write") & has_scope('re"ad')),
        "author": requires(author),
        "tree": requires(has_role("editor") & (author | has_claim("x", "a value"))),
        "fails": requires(lambda identity: 1 / 0),
        "stored": requires(stored),
        "fresh": requires(fresh=True),
    }
    for name, guarded in views.items():
        app.add_url_rule(f"/{name}", name, guarded(lambda: "in"))
    return app


@pytest.fixture
def client() -> FlaskClient:
    return refusing_app().test_client()


def challenge(response: TestResponse) -> dict[str, str]:
    """The parameters of the challenge, of which there must be exactly one."""
    values = response.headers.getlist("WWW-Authenticate")
    assert len(values) == 1
    scheme, _, rest = values[0].partition(" ")
    assert scheme == "Bearer"
    pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"(?:, |$)', rest)
    assert ", ".join(f'{name}="{value}"' for name, value in pairs) == rest
    return dict(pairs)


# --- a table of every refusal --------------------------------------------------------------------

TABLE: dict[str, tuple[str, Callable[[Flask], str | None], int, str, dict[str, str] | None]] = {
    "no token": ("/any", lambda app: None, 401, "token-missing", {"realm": "api"}),
    "a malformed token": ("/any", lambda app: "x.y.z", 401, "token-malformed", {}),
    "an expired token": (
        "/any",
        lambda app: hostile.token(claims_of(exp=1)),
        401,
        "token-expired",
        {"error_description": "The access token has expired."},
    ),
    "a revoked token": ("/any", lambda app: revoked(app), 401, "token-revoked", {}),
    "a token that is not fresh": (
        "/fresh",
        token_for,
        401,
        "token-not-fresh",
        {"error": "insufficient_user_authentication"},
    ),
    "a permission that is lacking": (
        "/edit",
        lambda app: token_for(app, "bob", "viewer"),
        403,
        "not-allowed",
        {"error": "insufficient_scope"},
    ),
    "a scope that is lacking": (
        "/scope",
        lambda app: token_for(app, claims={"scope": "other"}),
        403,
        "not-allowed",
        {"error": "insufficient_scope", "scope": "write"},
    ),
    "a requirement that fails": ("/fails", token_for, 403, "not-allowed", {}),
    "a store that does not answer": (
        "/stored",
        token_for,
        503,
        "authorization-unavailable",
        None,
    ),
}


def revoked(app: Flask) -> str:
    token = token_for(app, "revoked")
    manager = app.extensions["flask-jwt-extended"]
    manager.token_in_blocklist_loader(lambda header, payload: payload["sub"] == "revoked")
    return token


@pytest.mark.parametrize("refusal", TABLE)
def test_each_refusal_has_its_status_its_problem_and_its_challenge(
    refusal: str, client: FlaskClient
) -> None:
    """SECURITY 2.16."""
    path, make, status, name, expected = TABLE[refusal]
    token = make(client.application)
    response = get(client, path, token)
    body = response.get_json()
    assert response.status_code == body["status"] == status
    assert response.mimetype == PROBLEM
    assert body["type"] == TYPE + name
    assert INSTANCE.fullmatch(body["instance"])
    assert {"type", "title", "status", "detail", "instance"} <= set(body)
    assert set(body) <= {"type", "title", "status", "detail", "instance", "error", "required"}
    assert "Authorization" in response.vary
    if expected is None:
        assert "WWW-Authenticate" not in response.headers
        assert response.headers["Retry-After"].isdigit()
        return
    found = challenge(response)
    assert found["realm"] == "api"
    assert expected.items() <= found.items()
    if token is None:
        assert set(found) == {"realm"}
        assert "error" not in body
    else:
        codes = ("invalid_token", "insufficient_scope", "insufficient_user_authentication")
        assert found["error"] == body["error"]
        assert found["error"] in codes
        assert (found["error"] == "insufficient_scope") == (status == 403)


@pytest.mark.parametrize("refusal", TABLE)
def test_each_refusal_is_the_same_to_head_but_for_its_body(
    refusal: str, client: FlaskClient
) -> None:
    path, make, status, *_ = TABLE[refusal]
    token = make(client.application)
    headers = bearer(token) if token else {}
    response = client.head(path, headers=headers)
    assert (response.status_code, response.data) == (status, b"")
    assert ("WWW-Authenticate" in response.headers) == (status != 503)


def test_the_bad_tokens_of_the_hostile_table_share_one_challenge_but_for_its_text(
    client: FlaskClient,
) -> None:
    for token in ("x.y.z", hostile.token(secret="z" * 40), hostile.token(claims_of(exp=1))):
        found = challenge(get(client, "/any", token))
        assert set(found) == {"realm", "error", "error_description"}
        assert found["error"] == "invalid_token"


def test_each_refusal_has_a_reference_of_its_own(client: FlaskClient) -> None:
    found = {client.get("/any").get_json()["instance"] for _ in range(50)}
    assert len(found) == 50


def test_the_realm_is_the_applications() -> None:
    client = refusing_app(AUTHZ_REALM='the "big" \\ shop').test_client()
    assert challenge(client.get("/any"))["realm"] == r"the \"big\" \\ shop"


@pytest.mark.parametrize("realm", ["a\r\nSet-Cookie: x=1", "a\nb", "naïve", "a\0b"])
def test_a_realm_breaks_no_header(realm: str) -> None:
    response = refusing_app(AUTHZ_REALM=realm).test_client().get("/any")
    assert response.status_code == 401
    assert "Set-Cookie" not in response.headers
    value = response.headers["WWW-Authenticate"]
    assert value.isascii()
    assert value.isprintable()


# --- how much is disclosed -------------------------------------------------------------------


def refused(disclose: str, path: str, **claims: Any) -> tuple[dict[str, Any], dict[str, str]]:
    app = refusing_app(AUTHZ_DISCLOSE=disclose)
    response = get(app.test_client(), path, token_for(app, "bob", "viewer", claims=claims))
    assert response.status_code == 403
    return response.get_json(), challenge(response)


def test_by_default_the_refused_requirements_sentence_is_reported(client: FlaskClient) -> None:
    token = token_for(client.application, "bob", "viewer")
    details = {path: get(client, path, token).get_json()["detail"] for path in ("/edit", "/author")}
    assert details == {
        "/edit": "Requires a caller who has the permission article:edit.",
        "/author": "Requires a caller who is the author of this article.",
    }
    assert refused("sentence", "/edit")[0].keys() == get(client, "/edit", token).get_json().keys()


def test_none_tells_nothing_of_what_was_asked() -> None:
    for path in ("/edit", "/scope", "/author", "/tree", "/fails"):
        body, reported = refused("none", path)
        assert body["detail"] == "This is not allowed."
        assert set(reported) == {"realm", "error", "error_description"}
        assert "required" not in body


def test_tree_tells_what_was_asked_and_what_came_of_each_part() -> None:
    app = refusing_app(AUTHZ_DISCLOSE="tree")
    token = token_for(app, "alice", "editor", claims={"x": "secret"})
    body = get(app.test_client(), "/tree", token).get_json()
    assert body["required"] == {
        "requirement": "has_role('editor') & (author | has_claim('x', 'a value'))",
        "verdict": "no",
        "parts": [
            {"requirement": "has_role('editor')", "verdict": "yes", "claims": ["roles"]},
            {
                "requirement": "author | has_claim('x', 'a value')",
                "verdict": "no",
                "parts": [
                    {"requirement": "author", "verdict": "no"},
                    {"requirement": "has_claim('x', 'a value')", "verdict": "no", "claims": ["x"]},
                ],
            },
        ],
    }
    assert "secret" not in json.dumps(body)


@pytest.mark.parametrize("disclose", ["none", "sentence", "tree"])
def test_an_error_inside_a_requirement_is_never_reported_to_the_client(disclose: str) -> None:
    """SECURITY 2.49."""
    body, _ = refused(disclose, "/fails")
    text = json.dumps(body)
    for secret in ("ZeroDivision", "division", "line", "test_refusals", "lambda identity"):
        assert secret not in text


def test_an_invalid_scope_breaks_no_challenge() -> None:
    """RFC 6749 section 3.3 leaves quotes and backslashes out of scopes."""
    _, reported = refused("sentence", "/scope", scope="write")
    assert '"' not in reported.get("scope", "").replace(r"\"", "")


# --- the application's own handlers --------------------------------------------------------------


def own(error: Any) -> Any:
    return jsonify(own=True, code=error.code, detail=error.description), error.code


@pytest.mark.parametrize(
    "handled",
    [401, Unauthorized, NotIdentified, HTTPException, AuthzError],
    ids=lambda h: getattr(h, "__name__", str(h)),
)
def test_the_applications_handler_of_401_wins(handled: Any) -> None:
    app = refusing_app()
    app.register_error_handler(handled, own)
    response = app.test_client().get("/any")
    assert (response.status_code, response.get_json()["own"]) == (401, True)


@pytest.mark.parametrize(
    "handled",
    [403, Forbidden, NotAllowed, HTTPException, AuthzError],
    ids=lambda h: getattr(h, "__name__", str(h)),
)
def test_the_applications_handler_of_403_wins(handled: Any) -> None:
    app = refusing_app()
    app.register_error_handler(handled, own)
    app.add_url_rule("/inside", "inside", lambda: authorize("article:edit") and "in")
    client, token = app.test_client(), token_for(app, "bob", "viewer")
    for path in ("/edit", "/inside"):
        response = get(client, path, token)
        assert (response.status_code, response.get_json()["own"]) == (403, True)


@pytest.mark.parametrize("handled", [503, ServiceUnavailable, AuthorizationUnavailable])
def test_the_applications_handler_of_503_wins(handled: Any) -> None:
    app = refusing_app()
    app.register_error_handler(handled, own)
    response = get(app.test_client(), "/stored", token_for(app))
    assert (response.status_code, response.get_json()["own"]) == (503, True)


def test_a_handler_may_render_the_problem_and_keep_the_headers() -> None:
    app = refusing_app()

    @app.errorhandler(403)
    def handle(error: NotAllowed) -> Any:
        response = error.get_response()
        response.data = json.dumps({"wrapped": error.problem.as_dict()})
        return response

    response = get(app.test_client(), "/edit", token_for(app, "bob"))
    assert response.get_json()["wrapped"]["type"] == f"{TYPE}not-allowed"
    assert challenge(response)["error"] == "insufficient_scope"


def test_a_handler_finds_the_attributes_that_werkzeugs_own_errors_have() -> None:
    """The refusals are werkzeug exceptions: what reads those must be able to read these."""
    app = refusing_app()

    @app.errorhandler(401)
    def unauthorized(error: Unauthorized) -> Any:
        return {"n": error.name, "d": error.description, "w": error.www_authenticate is None}, 401

    @app.errorhandler(503)
    def unavailable(error: ServiceUnavailable) -> Any:
        return {"n": error.name, "d": error.description, "r": bool(error.retry_after)}, 503

    client = app.test_client()
    assert client.get("/any").get_json()["n"] == "Unauthorized"
    assert get(client, "/stored", token_for(app)).get_json()["n"] == "Service Unavailable"


def test_a_handler_of_a_blueprint_wins_inside_it() -> None:
    app = guarded_app()
    blueprint = Blueprint("b", "b", url_prefix="/b")
    guard(blueprint, "article:edit")
    blueprint.register_error_handler(403, own)
    blueprint.add_url_rule("/", "view", lambda: "in")
    app.register_blueprint(blueprint)
    response = get(app.test_client(), "/b/", token_for(app, "bob"))
    assert response.get_json()["own"]


def test_no_handler_of_ours_stands_in_the_way_of_the_applications_errors() -> None:
    app = refusing_app()
    app.add_url_rule("/abort", "abort", requires()(lambda: Forbidden("its own").get_response()))
    from flask import abort

    app.add_url_rule("/403", "own403", requires()(lambda: abort(403, "its own")))
    response = get(app.test_client(), "/403", token_for(app))
    assert response.status_code == 403
    assert response.mimetype == "text/html"
    assert "WWW-Authenticate" not in response.headers


# --- the abort function --------------------------------------------------------------------------


def test_the_abort_function_gets_the_problem_and_its_response_is_sent() -> None:
    seen: list[Problem] = []

    def abort(problem: Problem) -> Any:
        seen.append(problem)
        return {"refused": problem.status}, problem.status, {"X-Own": "1"}

    app = refusing_app(authz={"abort": abort})
    client = app.test_client()
    response = client.get("/any")
    assert (response.status_code, response.get_json()) == (401, {"refused": 401})
    assert response.headers["X-Own"] == "1"
    assert get(client, "/edit", token_for(app, "bob")).get_json() == {"refused": 403}
    assert get(client, "/stored", token_for(app)).get_json() == {"refused": 503}
    assert [type(problem) for problem in seen] == [Problem] * 3
    assert [problem.status for problem in seen] == [401, 403, 503]


def test_the_abort_function_may_raise_or_leave_it_to_the_refusal() -> None:
    def abort(problem: Problem) -> None:
        if problem.status == 403:
            raise HTTPException(response=jsonify(gone=True))

    app = refusing_app(authz={"abort": abort})
    client = app.test_client()
    assert get(client, "/edit", token_for(app, "bob")).get_json() == {"gone": True}
    assert client.get("/any").mimetype == PROBLEM


def test_the_abort_function_may_be_async() -> None:
    async def abort(problem: Problem) -> Any:
        return "later", 418

    assert refusing_app(authz={"abort": abort}).test_client().get("/any").status_code == 418


@pytest.mark.parametrize("error", [ValueError, KeyError, MisuseError])
def test_an_abort_function_that_crashes_is_not_a_pass(error: type[Exception]) -> None:
    def abort(problem: Problem) -> Any:
        raise error("x")

    app = refusing_app(authz={"abort": abort})
    app.logger.disabled = True
    client = app.test_client()
    for path in ("/any", "/edit", "/stored"):
        assert get(client, path, token_for(app, "bob")).status_code != 403 or path == "/any"
        assert client.get(path).status_code == 500


def test_a_hidden_refusal_is_not_reported_to_the_abort_function() -> None:
    seen: list[Problem] = []
    app = guarded_app(authz={"abort": seen.append})
    app.add_url_rule("/", "view", requires("article:edit", hide=True)(lambda: "in"))
    assert get(app.test_client(), "/", token_for(app, "bob")).status_code == 404
    assert seen == []


# --- what else the answers say -------------------------------------------------------------------


def test_every_guarded_answer_says_that_it_depends_on_the_caller() -> None:
    """SECURITY 1.38."""
    app = refusing_app()
    app.add_url_rule("/asks", "asks", lambda: str(authorize("article:read")))
    app.add_url_rule("/crash", "crash", requires()(lambda: 1 / 0))
    app.add_url_rule("/twice", "twice", requires()(requires()(lambda: "in")))
    app.add_url_rule("/bare", "bare", lambda: "in")
    app.logger.disabled = True
    client, token = app.test_client(), token_for(app, "bob", "viewer")
    for path in ("/any", "/edit", "/asks", "/crash", "/twice"):
        for _ in range(2):
            assert get(client, path, token).headers.getlist("Vary") == ["Authorization"]
            assert client.get(path).headers.getlist("Vary") == ["Authorization"]
    assert "Vary" not in get(client, "/bare", token).headers


def test_a_vary_of_the_views_own_is_kept() -> None:
    app = guarded_app()

    @app.route("/")
    @requires()
    def view() -> Any:
        return "in", 200, {"Vary": "Accept-Language"}

    response = get(app.test_client(), "/", token_for(app))
    names = ", ".join(response.headers.getlist("Vary")).lower().split(", ")
    assert sorted(names) == ["accept-language", "authorization"]


def test_a_refusal_holds_nothing_that_the_caller_sent(client: FlaskClient) -> None:
    environ = {"HTTP_AUTHORIZATION": "Bearer <script>alert(1)</script>.x.y\r\nX-Evil: 1"}
    response = client.get("/any?q=<script>", environ_overrides=environ)
    assert response.status_code == 401
    assert "script" not in response.text
    assert "X-Evil" not in response.headers


def test_each_condition_of_a_token_has_a_name_and_a_sentence_of_its_own() -> None:
    conditions = InvalidToken.__subclasses__()
    assert len({c.name for c in conditions}) == len({c.sentence for c in conditions})
    assert len({c.name for c in conditions}) == len(conditions) > 10
    for condition in conditions:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", condition.name)
        assert condition.sentence.endswith(".")


def test_a_store_that_does_not_answer_in_a_view_is_a_503_as_in_a_guard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = guarded_app()

    @app.get("/revokes")
    @requires()
    def revokes() -> str:
        raise StoreUnavailable("the store is down")

    answer = get(app.test_client(), "/revokes", token_for(app))
    assert (answer.status_code, answer.mimetype) == (503, PROBLEM)
    assert answer.headers["Retry-After"] == "5"
    assert answer.json["instance"] in caplog.text
    assert "the store is down" not in answer.text


def test_an_applications_own_handler_for_503_or_for_the_store_wins() -> None:
    for kind in (503, StoreUnavailable):
        app = guarded_app()
        app.register_error_handler(kind, lambda error: ("ours", 599))
        app.add_url_rule("/", "view", exempt(_raises_unavailable))
        assert app.test_client().get("/").text == "ours"


def _raises_unavailable() -> str:
    raise StoreUnavailable("the store is down")


class SharedCache:
    """A cache in front of an application, as RFC 9111 has it: by URL and what `Vary` names."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.kept: list[tuple[str, dict[str, str | None], TestResponse]] = []

    def get(self, path: str, token: str | None = None) -> TestResponse:
        headers = bearer(token) if token else {}
        for kept_path, named, answer in self.kept:
            if kept_path == path and all(headers.get(n) == v for n, v in named.items()):
                return answer
        answer = self.client.get(path, headers=headers)
        if "no-store" not in answer.headers.get("Cache-Control", ""):
            named = {name: headers.get(name) for name in answer.vary}
            self.kept.append((path, named, answer))
        return answer


def test_a_shared_cache_answers_nobody_with_what_is_anothers() -> None:
    """SECURITY 1.38: in either order, with the bare view as the control that can fail."""
    app = guarded_app()
    app.add_url_rule("/me", "me", requires()(lambda: current_identity.subject))
    app.add_url_rule("/asks", "asks", lambda: str(allowed("article:read")))
    app.add_url_rule("/bare", "bare", lambda: request.headers.get("Authorization", "nobody"))
    alice, bob = token_for(app, "alice", "viewer"), token_for(app, "bob")
    for order in ((None, alice, bob), (bob, alice, None), (alice, bob, None)):
        cache = SharedCache(app.test_client())
        for token in order:
            answer = cache.get("/me", token)
            expected = {None: 401, alice: "alice", bob: "bob"}[token]
            assert expected in (answer.status_code, answer.text)
            assert cache.get("/asks", token).text == str(token == alice)
        assert cache.get("/bare", order[1]).text == cache.get("/bare", order[2]).text


def test_no_answer_invites_a_page_from_elsewhere_to_read_it() -> None:
    """SECURITY 1.42, 2.57."""
    app = refusing_app()
    app.add_url_rule("/me", "me", requires()(lambda: current_identity.subject))
    client, token = app.test_client(), token_for(app, "bob", "viewer")
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    for path in ("/me", "/any", "/edit"):
        for method in ("GET", "OPTIONS"):
            for sent in (headers, {**headers, **bearer(token)}):
                answer = client.open(path, method=method, headers=sent)
                named = {name.lower() for name, _ in answer.headers}
                assert not {name for name in named if name.startswith("access-control-")}
