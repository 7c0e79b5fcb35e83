"""The admin page: who is let in, what is refused that was forged, and what each answer carries.

SECURITY 2.30, 2.57, 2.58.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import decode_token, jwt_required
from jwt import InvalidTokenError

from jwt_authz import MisuseError, exempt, guard
from jwt_authz.admin import admin_page_blueprint
from jwt_authz.admin.api import FRESH
from jwt_authz.admin.cookie import COOKIE
from jwt_authz.authentication import verified
from jwt_authz.endpoints import introspection_blueprint

from .application import PASSWORD, SECRET, ask, close, make_app, tokens
from .browsing import HERE, log_in, logged_in, send, token_of

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser in which ann is logged in."""
    return logged_in(app)


def test_a_browser_is_sent_to_the_log_in_and_back(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/admin/trail?page=1")
    assert answer.status_code == 303
    assert answer.location == "/admin/log-in?next=/admin/trail?page%3D1"
    form = {"username": "ann", "password": PASSWORD, "next": "/admin/trail?page=1"}
    answer = client.post("/admin/log-in", data=form, headers=HERE)
    assert (answer.status_code, answer.location) == (303, "/admin/trail?page=1")
    assert client.get(answer.location).status_code == 200


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_no_log_in_sends_a_browser_to_another_host(app: Flask, target: str) -> None:
    form = {"username": "ann", "password": PASSWORD, "next": target}
    answer = app.test_client().post("/admin/log-in", data=form, headers=HERE)
    assert answer.location == "/admin/"


def test_the_cookie_is_for_the_page_alone_and_out_of_the_reach_of_scripts(app: Flask) -> None:
    client = app.test_client()
    for host, is_secure in (("localhost", False), ("example.org", True)):
        answer = log_in(client, base_url=f"http://{host}")
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        for part in ("Path=/admin/", "HttpOnly", "SameSite=Strict", "Max-Age=900"):
            assert part in cookie
        assert ("Secure" in cookie) is is_secure


def value_of(client: FlaskClient) -> str:
    """Return the value of the page's cookie."""
    cookie = client.get_cookie(COOKIE, path="/admin/")
    assert cookie is not None
    return cookie.value


def test_the_cookie_opens_no_bearer_route(app: Flask) -> None:
    app.add_url_rule("/fje", "fje", exempt(jwt_required()(lambda: "in")))
    app.add_url_rule("/refreshed", "refreshed", exempt(jwt_required(refresh=True)(lambda: "in")))
    app.register_blueprint(introspection_blueprint("users:manage"))
    client = logged_in(app)
    value = value_of(client)
    for headers in ({"Cookie": f"{COOKIE}={value}"}, {"Authorization": f"Bearer {value}"}):
        for path in ("/me", "/vault", "/admin/api/users", "/fje", "/refreshed", "/token/families"):
            refused = app.test_client(use_cookies=False).get(path, headers=headers)
            assert refused.status_code in (401, 422), path
    refreshed = app.test_client().post("/token/refresh", json={"refresh_token": value})
    assert refreshed.status_code in (400, 401)
    with app.app_context(), pytest.raises(InvalidTokenError):
        decode_token(value)
    introspected = ask(
        app, tokens(app, "ann")["access_token"], "POST", "/token/introspect", json={"token": value}
    )
    assert introspected.json == {"active": False}
    revoked = app.test_client().post("/token/revoke", json={"token": value})
    assert (revoked.status_code, revoked.json["error"]) == (400, "unsupported_token_type")
    assert client.get("/admin/").status_code == 200


def test_the_cookie_is_of_a_kind_and_for_an_audience_of_its_own(
    app: Flask, client: FlaskClient
) -> None:
    value = value_of(client)
    payload = jwt.decode(value, options={"verify_signature": False})
    own = jwt.decode(tokens(app, "ann")["access_token"], options={"verify_signature": False})
    assert jwt.get_unverified_header(value)["typ"] == "authz-page+jwt"
    assert payload["type"] != own["type"]
    assert payload["aud"] != own["aud"]


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "at+jwt"}, {}),
        ({"typ": "JWT"}, {}),
        ({"typ": "rt+jwt"}, {}),
        ({}, {"type": "access"}),
        ({}, {"type": "refresh"}),
        ({}, {"type": None}),
        ({}, {"aud": "administration"}),
        ({}, {"aud": None}),
        ({}, {"iss": "https://other.example"}),
        ({}, {"sid": None}),
        ({}, {"cnf": {"jkt": "x"}}),
    ],
    ids=str,
)
def test_no_other_kind_of_token_is_a_cookie(
    app: Flask, client: FlaskClient, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    good = jwt.decode(value_of(client), options={"verify_signature": False})

    def answer(header: dict[str, Any], claims: dict[str, Any]) -> int:
        payload = {name: of for name, of in {**good, **claims}.items() if of is not None}
        text = jwt.encode(payload, SECRET, headers={"typ": "authz-page+jwt", **header})
        other = app.test_client(use_cookies=False)
        return other.get("/admin/", headers={"Cookie": f"{COOKIE}={text}"}).status_code

    assert answer({}, {}) == 200
    assert answer(header, claims) == 303


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_a_token_of_the_api_is_not_a_cookie_however_often_it_was_used(
    app: Flask, name: str
) -> None:
    text = tokens(app, "ann")[name]
    ask(app, text, "GET", "/me")
    answer = app.test_client(use_cookies=False).get(
        "/admin/", headers={"Cookie": f"{COOKIE}={text}"}
    )
    assert answer.status_code == 303
    assert ask(app, text, "GET", "/me").status_code == (200 if name == "access_token" else 401)


def test_wrong_passwords_are_reported_and_slowed(tmp_path: Path, app: Flask) -> None:
    slowed = make_app(f"sqlite:///{tmp_path / 'slowed.sqlite'}", AUTHZ_LOGIN_RATE="2/hour")
    client = slowed.test_client()
    first = log_in(client, password="wrong password")
    assert first.status_code == 401
    assert "Set-Cookie" not in first.headers
    assert 'role="alert"' in first.text
    assert "wrong password" not in first.text
    statuses = [log_in(client, password="wrong password").status_code for _ in range(3)]
    assert statuses[-1] == 429
    close(slowed)


def test_a_caller_who_may_not_administer_sees_a_message(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "bob")
    answer = client.get("/admin/")
    assert answer.status_code == 403
    assert "you are not an administrator" in answer.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_what_another_site_sends_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    data = {"csrf_token": token_of(client), "disabled": "true"}
    answer = client.post("/admin/user/bob/disabled", data=data, headers=headers)
    assert answer.status_code == 403
    form = {"username": "ann", "password": PASSWORD}
    assert client.post("/admin/log-in", data=form, headers=headers).status_code == 403
    assert "enabled" in client.get("/admin/?search=bob").text


@pytest.mark.parametrize(
    "origin",
    [
        *("http://[", "http://[::1", "http://a]b", "http://localhost:99999999", "http://"),
        *("://localhost", "//localhost", "localhost", "http:localhost", "file://localhost"),
        *(
            "http://localhost/",
            "http://evil@localhost",
            "http://\u2100.example",
            "\x00",
            "http://[",
        ),
    ],
)
@pytest.mark.parametrize("name", ["Origin", "Referer"])
def test_a_malformed_origin_or_referer_is_refused(app: Flask, origin: str, name: str) -> None:
    form = {"username": "ann", "password": PASSWORD}
    client = app.test_client()
    answer = client.post(
        "/admin/log-in", data=form, environ_overrides={f"HTTP_{name.upper()}": origin}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["[", "[::1", "localhost:[", "a]b", "localhost:99999999", ""])
def test_a_malformed_host_does_not_break_the_page(app: Flask, host: str) -> None:
    form = {"username": "ann", "password": PASSWORD}
    for headers in (HERE, {"Origin": "null"}, {"Origin": "http://"}, {"Origin": f"http://{host}"}):
        answer = app.test_client().post(
            "/admin/log-in", data=form, headers=headers, environ_overrides={"HTTP_HOST": host}
        )
        assert answer.status_code < 500
        assert answer.status_code == 303 or "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("host", "is_secure"),
    [("localhost", False), ("LOCALHOST:5000", False), ("[::1]:5000", False), ("127.0.0.1", False),
     ("localhost.example", True), ("127.0.0.10", True), ("shop.example:80", True)],
)  # fmt: skip
def test_the_cookie_is_secure_unless_the_host_is_this_machine(
    app: Flask, host: str, is_secure: bool
) -> None:
    answer = log_in(app.test_client(), base_url=f"http://{host}")
    assert ("Secure" in answer.headers["Set-Cookie"]) is is_secure


def test_a_form_with_another_token_is_refused(app: Flask, client: FlaskClient) -> None:
    other = app.test_client()
    log_in(other, "ann")
    for given in ("", "0" * 64, token_of(other)):
        data = {"csrf_token": given, "disabled": "true"}
        answer = client.post("/admin/user/bob/disabled", data=data, headers=HERE)
        assert answer.status_code == 403
    origin = {"Origin": "http://localhost"}
    data = {"csrf_token": token_of(client), "disabled": "true"}
    assert client.post("/admin/user/bob/disabled", data=data, headers=origin).status_code == 303


def test_a_body_that_is_not_a_form_or_too_long_is_refused(client: FlaskClient) -> None:
    for data, kind in ((b"{}", "application/json"), (b"a=" + 70_000 * b"x", FORM)):
        answer = client.post("/admin/new", data=data, content_type=kind, headers=HERE)
        assert answer.status_code == 400


@pytest.mark.slow
@pytest.mark.parametrize("path", ["", "log-in", "new", "access", "trail", "user/bob", "user/x"])
def test_every_page_carries_the_headers_that_keep_it_safe(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/admin/{path}")
    policy = answer.headers["Content-Security-Policy"].split("; ")
    for part in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ):
        assert part in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]
    assert not re.search(r"<script(?! src=)|style=|\son\w+=|https?://", answer.text)


def test_a_name_is_shown_as_text_and_never_as_markup(app: Flask, client: FlaskClient) -> None:
    name = '<script>alert(1)</script>"\u202e'
    app.extensions["jwt_authz"].accounts.add(name, PASSWORD, subject="mallory")
    for path in ("", "user/mallory"):
        text = client.get(f"/admin/{path}").text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "\u202e" not in text


def test_roles_are_changed_by_the_form_and_in_force_at_once(
    app: Flask, client: FlaskClient
) -> None:
    old = tokens(app, "bob")["access_token"]
    preview = send(client, "user/bob/preview", roles=["viewer"])
    assert "/write" in preview.text
    assert ask(app, old, "GET", "/write").status_code == 200
    answer = send(client, "user/bob/roles", roles=["viewer"])
    assert (answer.status_code, answer.location) == (303, "/admin/user/bob?done=roles")
    assert "is in force" in client.get(answer.location).text
    assert ask(app, old, "GET", "/write").status_code == 401
    assert "change roles" in client.get("/admin/trail").text


def test_a_refused_change_is_shown_next_to_the_user(client: FlaskClient) -> None:
    answer = send(client, "user/ann/disabled", disabled="true")
    assert answer.status_code == 409
    assert "No administrator who holds as much would remain" in answer.text
    assert send(client, "user/nobody/disabled", disabled="true").status_code == 404


def test_a_user_is_created_by_the_form(app: Flask, client: FlaskClient) -> None:
    answer = send(client, "new", username="dee", password="short")
    assert answer.status_code == 400
    assert "short" not in answer.text
    answer = send(client, "new", username="dee", password=PASSWORD, roles=["viewer"])
    assert answer.status_code == 303
    assert "The user is created" in client.get(answer.location).text
    assert tokens(app, "dee")["token_type"] == "Bearer"


def test_a_change_asks_for_the_password_again_after_a_while(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time() + FRESH.total_seconds() + 1
    monkeypatch.setattr(verified, "time", lambda: later)
    answer = send(client, "user/bob/roles", roles=["viewer"])
    assert answer.location == "/admin/log-in?next=/admin/user/bob&confirm=1"
    assert "recent log-in" in client.get(answer.location).text
    assert 'value="editor" checked' in client.get("/admin/user/bob").text


def test_a_log_out_ends_the_log_in_also_for_a_copied_cookie(
    app: Flask, client: FlaskClient
) -> None:
    cookie = client.get_cookie(COOKIE, path="/admin/")
    assert cookie is not None
    assert send(client, "log-out").location == "/admin/log-in"
    kept = app.test_client()
    kept.set_cookie(COOKIE, cookie.value, path="/admin/")
    assert kept.get("/admin/").status_code == 303


@pytest.mark.parametrize("cookie", ["x", "a.b.c", "é", 9_000 * "x"])
def test_an_invalid_cookie_leads_to_the_log_in(app: Flask, cookie: str) -> None:
    headers = {"Cookie": f"{COOKIE}={cookie}"}
    answer = app.test_client(use_cookies=False).get("/admin/", headers=headers)
    assert answer.status_code == 303


def test_a_script_without_a_log_in_redirects_the_page(app: Flask) -> None:
    answer = app.test_client().get("/admin/?search=b", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/admin/log-in?next=/admin/")


def test_the_page_opens_beside_a_guard_of_the_whole_application(app: Flask) -> None:
    guard(app, "articles:read")
    client = app.test_client()
    assert log_in(client).status_code == 303
    assert client.get("/admin/").status_code == 200


def test_a_page_without_a_requirement_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match=r'admin_page_blueprint\("users:manage"\)'):
        admin_page_blueprint()


def test_each_page_is_guarded_but_for_the_way_in_and_out(app: Flask) -> None:
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("jwt_authz_admin_page.") and "GET" in (rule.methods or ()):
            path = rule.rule.replace("<subject>", "bob").replace("<path:filename>", "admin.css")
            expected = 200 if rule.endpoint.endswith(("static", "show_log_in")) else 303
            with app.test_client().get(path) as answer:
                assert answer.status_code == expected, path
