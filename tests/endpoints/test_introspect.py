"""`POST /token/introspect` (RFC 7662): only for permitted callers, nothing about invalid tokens.

SECURITY 2.19, 2.20.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import create_refresh_token

from jwt_authz import Identity, MisuseError
from jwt_authz.endpoints import introspection_blueprint
from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView
from tests import foreign

from .refreshing import ask, authz_of, catalog, log_in, payload, signed, status

Start = Callable[..., Flask]


def introspect(app: Flask, token: str, who: str | None = "eve", **keywords: Any) -> Any:
    keywords = keywords or {"data": {"token": token}}
    if who is None:
        return app.test_client().post("/token/introspect", **keywords)
    caller = log_in(app, who)["access_token"]
    return ask(app, caller, "/token/introspect", "POST", **keywords)


def test_a_valid_token_is_shown_with_its_claims(app: Flask) -> None:
    token = log_in(app)["access_token"]
    answer = introspect(app, token)
    claims = payload(token)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "active": True,
        "token_type": "Bearer",
        **{name: claims[name] for name in ("iss", "sub", "aud", "exp", "iat", "nbf", "jti")},
        "client_id": claims["client_id"],
        "auth_time": claims["auth_time"],
        "roles": ["manager"],
        "permissions": ["orders:read", "orders:write"],
        "tenant": "north",
    }


def test_only_who_meets_the_requirement_may_ask(start: Start) -> None:
    app = start()
    token = log_in(app)["access_token"]
    assert introspect(app, token, None).status_code == 401
    assert introspect(app, token, "ada").status_code == 403
    assert introspect(app, token, "eve").status_code == 200


def test_it_cannot_be_registered_for_everybody() -> None:
    with pytest.raises(MisuseError, match="introspection_blueprint"):
        introspection_blueprint()


def test_all_invalid_tokens_get_the_same_response(start: Start) -> None:
    app = start()
    with app.app_context():
        authz = authz_of(app)
        authz.trust(foreign.trusted())
        expired = signed({"sub": "ada", "jti": "a", "exp": 1})
        revoked = authz.issue("ada", roles=["clerk"])
        authz.revoke(jti=payload(revoked)["jti"])
        plain_refresh = create_refresh_token("ada")
    anothers = foreign.signed(foreign.payload_of())
    assert status(app, anothers) == 200
    tokens = {
        "garbage": "garbage",
        "too long": "e" * 12_000,
        "expired": expired,
        "revoked": revoked,
        "refresh": log_in(app)["refresh_token"],
        "plain refresh": plain_refresh,
        "foreign": anothers,
        "for another audience": signed({**payload(log_in(app)["access_token"]), "aud": "other"}),
        "of another issuer": signed({**payload(log_in(app)["access_token"]), "iss": "other"}),
        "forged": signed({"sub": "ada", "jti": "a", "exp": 9_999_999_999}, "y" * 64),
    }
    answers = {name: introspect(app, token) for name, token in tokens.items()}
    assert {name: answer.json for name, answer in answers.items()} == {
        name: {"active": False} for name in tokens
    }
    assert {answer.status_code for answer in answers.values()} == {200}


def test_guessing_reveals_nothing(start: Start) -> None:
    app = start()
    good = log_in(app)["access_token"]
    caller = log_in(app, "eve")["access_token"]
    head, body, signature = good.split(".")
    chance = random.Random(7)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for _ in range(300):
        guess = "".join(chance.choice(letters) for _ in signature)
        data = {"token": f"{head}.{body}.{guess}"}
        assert ask(app, caller, "/token/introspect", "POST", data=data).json == {"active": False}


def test_the_applications_blocklist_is_asked(start: Start) -> None:
    app = start()
    token = log_in(app)["access_token"]
    blocked = payload(token)["jti"]
    manager = app.extensions["flask-jwt-extended"]
    manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] == blocked)
    assert introspect(app, token).json == {"active": False}


def test_the_applications_identity_loader_is_asked(start: Start) -> None:
    app = start()
    pair, caller = log_in(app), log_in(app, "eve")["access_token"]

    def loader(subject: str, claims: dict[str, Any]) -> Identity | None:
        roles = {"eve": ["auditor"], "ada": ["clerk"]}.get(subject)
        return None if roles is None else Identity(subject, roles=roles, catalogue=catalog())

    authz_of(app).identity_loader(loader)

    def introspected(token: str) -> Any:
        return ask(app, caller, "/token/introspect", "POST", data={"token": token}).json

    assert introspected(pair["access_token"])["permissions"] == ["orders:read"]
    assert introspected(log_in(app, "bob")["access_token"]) == {"active": False}


def test_where_it_cannot_be_known_it_is_a_503(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start()
    token = log_in(app)["access_token"]
    caller = log_in(app, "eve")["access_token"]

    def fail(self: RevocationView, **claims: Any) -> bool:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(RevocationView, "is_revoked", fail)
    answer = ask(app, caller, "/token/introspect", "POST", data={"token": token})
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        ({"json": {"token": "a", "token_type_hint": "access_token"}}, 200),
        ({"json": {}}, 400),
        ({"data": "token=a&token=b", "content_type": "application/x-www-form-urlencoded"}, 400),
        ({"data": "token=a", "content_type": "text/plain"}, 415),
    ],
)
def test_a_form_and_json_are_taken_and_nothing_else(
    start: Start, keywords: dict[str, Any], code: int
) -> None:
    assert introspect(start(), "", **keywords).status_code == code
