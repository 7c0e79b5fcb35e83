"""The challenge of a 401, its problem and `token_type` say how a token is sent."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from jwt_authz import Authz, Problem, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.endpoints import introspection_blueprint, token_blueprint
from tests.edge import bare_app, catalog, token_for

PASSWORD = "correct horse battery"


def app_with(settings: dict[str, Any], **options: Any) -> Flask:
    app = Flask("shop")
    app.config.update(bare_app().config)
    app.config.update(settings)
    accounts = MemoryAccounts()
    accounts.add("ada", PASSWORD, roles=["viewer"])
    Authz(app, roles=catalog(), accounts=accounts, **options)
    app.register_blueprint(token_blueprint())
    app.register_blueprint(introspection_blueprint("article:read"))
    app.add_url_rule("/orders", "orders", requires("article:read")(lambda: "orders"))
    return app


COOKIES = {"JWT_TOKEN_LOCATION": ["cookies"], "JWT_COOKIE_CSRF_PROTECT": False}


@pytest.mark.parametrize(
    ("settings", "scheme", "way"),
    [
        ({}, "Bearer", "Authorization: Bearer <token>"),
        ({"JWT_HEADER_TYPE": "Token"}, "Token", "Authorization: Token <token>"),
        ({"JWT_HEADER_TYPE": ""}, "Bearer", "Authorization: <token>"),
        ({"JWT_HEADER_TYPE": "no scheme"}, "Bearer", "Authorization: no scheme <token>"),
        (
            {"JWT_HEADER_NAME": "X-Token", "JWT_HEADER_TYPE": ""},
            "Bearer",
            "X-Token: <token>",
        ),
        (COOKIES, "Cookie", "the cookie access_token_cookie"),
        ({**COOKIES, "JWT_ACCESS_COOKIE_NAME": "mine"}, "Cookie", "the cookie mine"),
        ({"JWT_TOKEN_LOCATION": "query_string"}, "Bearer", "the query parameter jwt"),
        ({"JWT_TOKEN_LOCATION": ["json"]}, "Bearer", "the member access_token of a JSON body"),
        (
            {"JWT_TOKEN_LOCATION": ["cookies", "headers"], "JWT_HEADER_TYPE": "JWT"},
            "JWT",
            "the cookie access_token_cookie or Authorization: JWT <token>",
        ),
        (
            {"JWT_TOKEN_LOCATION": ["headers", "cookies", "query_string"]},
            "Bearer",
            "Authorization: Bearer <token>, the cookie access_token_cookie or the query parameter "
            "jwt",
        ),
    ],
)
def test_the_challenge_and_the_problem_name_what_is_configured(
    settings: Any, scheme: str, way: str
) -> None:
    refused = app_with(settings).test_client().get("/orders")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == f'{scheme} realm="api"'
    assert refused.json is not None
    assert refused.json["detail"] == f"An access token is required: send {way}."


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, "Bearer"), ({"JWT_HEADER_TYPE": "Token"}, "Token"), (COOKIES, "Bearer")],
)
def test_a_log_in_and_an_introspection_say_what_stands_before_the_token(
    settings: Any, expected: str
) -> None:
    app = app_with(settings)
    made: Any = app.test_client().post("/token", json={"username": "ada", "password": PASSWORD})
    assert made.json["token_type"] == expected
    if settings is not COOKIES:
        headers = {"Authorization": f"{expected} {made.json['access_token']}"}
        assert app.test_client().get("/orders", headers=headers).status_code == 200
        token = token_for(app, "bob", "viewer")
        shown: Any = app.test_client().post(
            "/token/introspect", data={"token": token}, headers=headers
        )
        assert shown.json["token_type"] == expected


def test_every_refusal_has_the_scheme_also_that_of_a_log_in_and_of_an_abort_function() -> None:
    seen: list[Problem] = []
    app = app_with({"JWT_HEADER_TYPE": "Token"}, abort=seen.append)
    client = app.test_client()
    wrong = client.post("/token", json={"username": "ada", "password": "wrong password"})
    invalid = client.get("/orders", headers={"Authorization": "Token x.y.z"})
    headers = {"Authorization": f"Token {token_for(app, 'bob')}"}
    forbidden = client.get("/orders", headers=headers)
    for answer, status in ((wrong, 401), (invalid, 401), (forbidden, 403)):
        assert answer.status_code == status
        assert answer.headers["WWW-Authenticate"].startswith('Token realm="api"')
    assert [str(problem.challenge("shop"))[:20] for problem in seen] == 2 * ['Token realm="shop", ']


def test_where_no_token_is_looked_at_the_caller_is_asked_to_log_in() -> None:
    app = app_with({})
    app.extensions["jwt_authz"].identity_loader(lambda: None)
    refused = app.test_client().get("/orders")
    assert refused.headers["WWW-Authenticate"] == 'Cookie realm="api"'
    assert refused.json is not None
    assert refused.json["detail"] == "Log in first."
