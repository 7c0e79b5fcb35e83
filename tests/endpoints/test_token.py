"""`POST /token`: the log-in of an application's own users."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from flask_jwt_extended import decode_token
from flask_jwt_extended.utils import get_unverified_jwt_headers
from werkzeug.test import TestResponse

from jwt_authz import current_identity, guard, requires
from jwt_authz.accounts import User
from jwt_authz.endpoints import token_blueprint
from jwt_authz.endpoints.bodies import LONGEST_BODY
from jwt_authz.endpoints.token import LONGEST_PASSWORD
from jwt_authz.errors import StoreUnavailable
from tests.edge import PROBLEM, TYPE, get, guarded_app

PASSWORD = "correct horse battery staple"


class Users:
    """Accounts that keep count of how often they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.users = {
            "alice": User("subject-1", "alice", ("editor",), tenant="t1"),
            "bob": User("subject-2", "bob"),
            "dave": User("subject-4", "dave", disabled=True),
        }
        self.fails: Exception | None = None

    def authenticate(self, username: str, password: str) -> User | None:
        self.asked.append((username, password))
        if self.fails is not None:
            raise self.fails
        user = self.users.get(username)
        return user if user and password == PASSWORD and not user.disabled else None

    def find(self, subject: str) -> User | None:
        return next((u for u in self.users.values() if u.subject == subject), None)


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture
def app(users: Users) -> Flask:
    return login_app(users)


def login_app(users: Any, **config: Any) -> Flask:
    authz = config.pop("authz", {})
    app = guarded_app(authz={"accounts": users, **authz}, **config)
    app.register_blueprint(token_blueprint())
    app.add_url_rule("/me", "me", requires()(lambda: current_identity.subject))
    app.add_url_rule("/edit", "edit", requires("article:edit")(lambda: "edited"))
    app.add_url_rule("/fresh", "fresh", requires(fresh=True)(lambda: "fresh"))
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def log_in(client: FlaskClient, username: Any = "alice", password: Any = PASSWORD) -> TestResponse:
    return client.post("/token", json={"username": username, "password": password})


# --- success -------------------------------------------------------------------------------------


def test_a_log_in_gives_a_token_that_the_api_accepts(client: FlaskClient) -> None:
    response = log_in(client)
    body = response.get_json()
    assert response.status_code == 200
    assert set(body) == {"access_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    token = body["access_token"]
    assert get(client, "/me", token).text == "subject-1"
    assert get(client, "/edit", token).text == "edited"
    assert get(client, "/fresh", token).text == "fresh"
    nothing = log_in(client, "bob").get_json()["access_token"]
    assert get(client, "/edit", nothing).status_code == 403


def test_the_token_has_the_shape_of_rfc_9068(app: Flask) -> None:
    token = log_in(app.test_client()).get_json()["access_token"]
    with app.app_context():
        app.config["JWT_DECODE_AUDIENCE"] = app.name
        header, payload = get_unverified_jwt_headers(token), decode_token(token)
    assert header["typ"] == "at+jwt"
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= payload.keys()
    assert payload["sub"] == "subject-1"
    assert payload["roles"] == ["editor"]
    assert payload["permissions"] == ["article:edit", "article:read", "report:read"]
    assert payload["tenant"] == "t1"
    assert "alice" not in json.dumps(payload)
    assert PASSWORD not in json.dumps(payload)


def test_the_answer_is_never_stored(client: FlaskClient, users: Users) -> None:
    """SECURITY 1.38, 2.17."""
    for response in (log_in(client), log_in(client, "alice", "wrong"), client.post("/token")):
        if response.status_code in (200, 400, 415):
            assert response.headers["Cache-Control"] == "no-store"


def test_each_log_in_gives_another_token(client: FlaskClient) -> None:
    """SECURITY 2.38."""
    assert len({log_in(client).get_json()["access_token"] for _ in range(10)}) == 10


@pytest.mark.parametrize(
    ("lifetime", "seconds"), [(timedelta(hours=1), 3_600), (120, 120), (timedelta(seconds=90), 90)]
)
def test_expires_in_is_the_tokens_own_time(users: Users, lifetime: Any, seconds: int) -> None:
    app = login_app(users, JWT_ACCESS_TOKEN_EXPIRES=lifetime)
    body = log_in(app.test_client()).get_json()
    assert body["expires_in"] == seconds
    with app.app_context():
        app.config["JWT_DECODE_AUDIENCE"] = app.name
        payload = decode_token(body["access_token"])
    assert payload["exp"] - payload["iat"] == seconds


def test_the_url_is_the_applications_choice(users: Users) -> None:
    app = guarded_app(authz={"accounts": users})
    app.register_blueprint(token_blueprint("/login"), url_prefix="/v1")
    body = {"username": "alice", "password": PASSWORD}
    assert app.test_client().post("/v1/login", json=body).status_code == 200


def test_a_log_in_passes_where_everything_else_is_closed(users: Users) -> None:
    app = guarded_app(authz={"accounts": users, "default": "deny"})
    guard(app, "article:edit")
    app.register_blueprint(token_blueprint())
    assert log_in(app.test_client()).status_code == 200


def test_a_charset_in_the_content_type_is_accepted(client: FlaskClient) -> None:
    body = json.dumps({"username": "alice", "password": PASSWORD})
    response = client.post("/token", data=body, content_type="application/json; charset=utf-8")
    assert response.status_code == 200


# --- refusal -------------------------------------------------------------------------------------


def test_a_wrong_password_an_unknown_and_a_disabled_user_get_the_same_response(
    client: FlaskClient, users: Users
) -> None:
    """SECURITY 1.33, 2.43."""
    answers = []
    for username, password in (("alice", "wrong"), ("nobody", PASSWORD), ("dave", PASSWORD)):
        response = log_in(client, username, password)
        body = response.get_json()
        body.pop("instance")
        answers.append((response.status_code, body, response.headers["WWW-Authenticate"]))
    assert len({str(answer) for answer in answers}) == 1
    status, body, challenge = answers[0]
    assert status == body["status"] == 401
    assert body["type"] == f"{TYPE}wrong-credentials"
    assert challenge == 'Bearer realm="api"'
    assert "error" not in body
    assert len(users.asked) == 3


def test_a_refused_log_in_is_problem_json_and_the_applications_handler_wins(users: Users) -> None:
    app = login_app(users)
    assert log_in(app.test_client(), "alice", "wrong").mimetype == PROBLEM
    app = login_app(users)
    app.register_error_handler(401, lambda error: ({"own": True}, 401))
    assert log_in(app.test_client(), "alice", "wrong").get_json() == {"own": True}


def test_a_refused_log_in_is_logged_without_name_or_password(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """SECURITY 2.48."""
    caplog.set_level(logging.DEBUG)
    response = log_in(client, "mallory-the-name", "mallory-the-password")
    assert response.status_code == 401
    messages = [r.getMessage() for r in caplog.records if r.name.startswith("jwt_authz")]
    assert len(messages) == 1
    assert response.get_json()["instance"] in messages[0]
    assert "mallory" not in caplog.text


def test_a_log_in_leaves_neither_token_nor_password_in_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    log_in(client)
    assert "eyJ" not in caplog.text
    assert PASSWORD not in caplog.text


def test_a_store_that_does_not_answer_is_503(client: FlaskClient, users: Users) -> None:
    users.fails = StoreUnavailable("postgresql://root:secret@db")
    response = log_in(client)
    assert response.status_code == 503
    assert response.headers["Retry-After"].isdigit()
    assert response.get_json()["type"] == f"{TYPE}authorization-unavailable"
    assert "secret" not in response.text


@pytest.mark.parametrize(
    "error", [ValueError, KeyError, TypeError, RecursionError, OSError, AttributeError]
)
def test_a_store_that_crashes_gives_no_token(
    error: type[Exception], client: FlaskClient, users: Users
) -> None:
    """SECURITY 1.28."""
    client.application.logger.disabled = True
    users.fails = error("x")
    response = log_in(client)
    assert response.status_code == 500
    assert "access_token" not in response.text


def test_a_role_outside_the_catalog_is_left_out_of_the_token_and_logged_without_its_name(
    client: FlaskClient, users: Users, caplog: pytest.LogCaptureFixture
) -> None:
    """A role that was taken out of the code must not lock its users out of the rest."""
    users.users["alice"] = User("subject-1", "alice", ("king", "viewer"))
    token = log_in(client).get_json()["access_token"]
    with client.application.app_context():
        claims = decode_token(token)
    assert (claims["roles"], claims["permissions"]) == (["viewer"], ["article:read"])
    assert "a role that is not in the catalog" in caplog.text
    assert "king" not in caplog.text


def test_an_application_without_accounts_gives_no_token() -> None:
    app = guarded_app()
    app.logger.disabled = True
    app.register_blueprint(token_blueprint())
    assert log_in(app.test_client()).status_code == 500


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_only_a_post_logs_in(method: str, client: FlaskClient, users: Users) -> None:
    """SECURITY 1.42."""
    query = {"username": "alice", "password": PASSWORD}
    response = client.open("/token", method=method, query_string=query, json=query)
    assert response.status_code == 405
    assert users.asked == []


# --- bodies --------------------------------------------------------------------------------------

GOOD = {"username": "alice", "password": PASSWORD}

BAD_BODIES: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"username=alice",
    "a list": [GOOD],
    "a text": "alice",
    "null": None,
    "a number": 1,
    "no password": {"username": "alice"},
    "no username": {"password": PASSWORD},
    "an empty username": {**GOOD, "username": ""},
    "an empty password": {**GOOD, "password": ""},
    "a username that is a number": {**GOOD, "username": 1},
    "a username that is null": {**GOOD, "username": None},
    "a username that is true": {**GOOD, "username": True},
    "a username that is a list": {**GOOD, "username": ["alice"]},
    "a username that is an object": {**GOOD, "username": {"$ne": ""}},
    "a password that is a number": {**GOOD, "password": 12345678},
    "a password that is null": {**GOOD, "password": None},
    "a password that is an object": {**GOOD, "password": {"$ne": ""}},
    "a username of 256 characters": {**GOOD, "username": "x" * 256},
    "another member": {**GOOD, "roles": ["admin"]},
    "a level": {**GOOD, "is_admin": True},
    "a repeated member": b'{"username":"alice","username":"bob","password":"x"}',
    "a repeated password": b'{"username":"alice","password":"x","password":"y"}',
    "a lone surrogate": rb'{"username":"alice","password":"\ud800xxxxxxx"}',
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "Latin-1": '{"username":"alice","password":"é"}'.encode("latin-1"),
    "NaN": b'{"username":"alice","password":NaN}',
    "nested deep": b"[" * 10_000,
    "nested deep inside": b'{"username":' + b"[" * 5_000 + b"]" * 5_000 + b',"password":"x"}',
    "a long number": b'{"username":"alice","password":' + b"9" * 10_000 + b"}",
    "two objects": json.dumps(GOOD).encode() * 2,
}


def post(client: FlaskClient, body: Any) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/token", data=data, content_type="application/json")


@pytest.mark.parametrize("body", BAD_BODIES)
def test_a_body_that_holds_no_credentials_is_400_and_asks_nobody(
    body: str, client: FlaskClient, users: Users
) -> None:
    """SECURITY 2.29, 2.51."""
    response = post(client, BAD_BODIES[body])
    assert response.status_code == 400
    assert response.mimetype == PROBLEM
    assert response.get_json()["error"] == "invalid_request"
    assert response.headers["Cache-Control"] == "no-store"
    assert users.asked == []


def test_what_is_wrong_is_named_and_nothing_from_outside_is_repeated(client: FlaskClient) -> None:
    response = post(client, {"username": 1, "evil<script>": "x" * 50, "password": PASSWORD})
    assert response.get_json()["detail"] == "Invalid or missing: another member, username."
    for part in ("script", "x" * 50, PASSWORD):
        assert part not in response.text


@pytest.mark.parametrize("size", [LONGEST_BODY + 1, 10 * 2**20])
@pytest.mark.parametrize("has_length", [True, False], ids=["length", "chunked"])
def test_a_body_too_large_is_413_before_it_is_read(
    size: int, has_length: bool, client: FlaskClient, users: Users
) -> None:
    """SECURITY 1.34, 2.53, F12."""
    data = json.dumps({**GOOD, "password": "x" * size}).encode()
    options: dict[str, Any] = {"data": data}
    if not has_length:
        from io import BytesIO

        options = {
            "input_stream": BytesIO(data),
            "environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        }
    response = client.post("/token", content_type="application/json", **options)
    assert response.status_code == 413
    assert response.mimetype == PROBLEM
    assert users.asked == []


def test_a_password_is_cut_off_before_it_is_hashed(client: FlaskClient, users: Users) -> None:
    """SECURITY 1.34, F12."""
    longest = "x" * LONGEST_PASSWORD
    assert log_in(client, "alice", longest).status_code == 401
    assert len(users.asked) == 1
    for too_long in (longest + "x", "é" * (LONGEST_PASSWORD // 2 + 1), "x" * 16_000):
        response = log_in(client, "alice", too_long)
        assert response.status_code in (400, 413)
    assert len(users.asked) == 1


def test_a_password_is_handed_over_as_it_was_sent(client: FlaskClient, users: Users) -> None:
    for password in (" blank ", "nul\0inside", "\uff21\u0301", "é", "e\u0301", "😀" * 20, "\t\n"):
        log_in(client, "alice", password)
        assert users.asked[-1] == ("alice", password)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "text/json",
        "application/jsonp",
        "application/vnd.api+json",
        "image/png",
    ],
)
def test_a_body_of_another_kind_is_415_so_that_no_foreign_page_can_log_in(
    content_type: str, client: FlaskClient, users: Users
) -> None:
    """A page elsewhere may send these without asking; JSON it may not. SECURITY 1.42."""
    data = json.dumps(GOOD)
    response = client.post("/token", data=data, content_type=content_type)
    assert response.status_code == 415
    assert response.mimetype == PROBLEM
    assert users.asked == []


@pytest.mark.parametrize("grant", ["password", "client_credentials", "refresh_token", ""])
def test_a_grant_of_oauth_is_unsupported(grant: str, client: FlaskClient, users: Users) -> None:
    """SECURITY 2.24."""
    form = client.post("/token", data={"grant_type": grant, **GOOD})
    as_json = post(client, {"grant_type": grant, **GOOD})
    for response in (form, as_json):
        assert response.status_code == 400
        assert response.get_json()["error"] == "unsupported_grant_type"
        assert response.headers["Cache-Control"] == "no-store"
    assert users.asked == []


def test_a_huge_form_is_refused(client: FlaskClient, users: Users) -> None:
    data = b"x=1&" * 500_000
    kind = "application/x-www-form-urlencoded"
    response = client.post("/token", data=data, content_type=kind)
    assert response.status_code in (400, 413, 415)
    assert users.asked == []


def test_a_log_in_reads_no_credentials_from_query_or_header(
    client: FlaskClient, users: Users
) -> None:
    response = client.post("/token?username=alice&password=x", auth=("alice", PASSWORD), json={})
    assert response.status_code == 400
    assert users.asked == []


def test_the_applications_own_limit_on_bodies_counts_too(users: Users) -> None:
    app = login_app(users, MAX_CONTENT_LENGTH=100)
    response = log_in(app.test_client(), "alice", "x" * 200)
    assert response.status_code == 413
    assert users.asked == []


def test_the_answer_does_not_depend_on_who_is_logged_in_already(
    client: FlaskClient, users: Users
) -> None:
    token = log_in(client).get_json()["access_token"]
    for header in (f"Bearer {token}", "Bearer x.y.z"):
        response = client.post("/token", json=GOOD, headers={"Authorization": header})
        assert response.status_code == 200


def test_a_view_after_a_log_in_on_the_same_client_needs_the_token(client: FlaskClient) -> None:
    assert log_in(client).status_code == 200
    assert client.get("/me").status_code == 401
    assert "Set-Cookie" not in log_in(client).headers


def test_the_accounts_see_the_request_they_are_asked_in(client: FlaskClient, users: Users) -> None:
    """To slow guessing down by address, say."""
    seen: list[str] = []
    inner = users.authenticate
    users.authenticate = lambda n, p: seen.append(request.path) or inner(n, p)  # type: ignore[method-assign,func-returns-value]
    log_in(client)
    assert seen == ["/token"]


@pytest.mark.slow
@pytest.mark.parametrize("chunked", [False, True], ids=["of a stated length", "chunked"])
@pytest.mark.parametrize("mimetype", ["application/x-www-form-urlencoded", "text/plain"])
def test_a_large_body_of_any_kind_is_refused_unread(
    mimetype: str, chunked: bool, client: FlaskClient
) -> None:
    """A form of a million fields takes gigabytes to read, and nobody has logged in yet."""

    class Endless:
        read_bytes = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 100_000
            self.read_bytes += size
            return (b"a=1&" * (size // 4 + 1))[:size]

    body = Endless()
    environ: dict[str, Any] = {"wsgi.input": body, "wsgi.input_terminated": True}
    if not chunked:
        environ["CONTENT_LENGTH"] = "60000000"
    response = client.post("/token", content_type=mimetype, environ_overrides=environ)
    assert response.status_code == 413
    assert body.read_bytes < 100_000
