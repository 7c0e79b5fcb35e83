"""`POST /token/revoke` (RFC 7009): whoever has a token may end it; 503 where that cannot be said.

SECURITY 1.27, 2.18, 2.35.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import create_access_token
from werkzeug.test import TestResponse

from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import MemoryStore, RevocationView

from .refreshing import (
    PROBLEM,
    authz_of,
    log_in,
    payload,
    refresh,
    refreshed,
    signed,
    status,
    view_of,
)

Start = Callable[..., Flask]
FORM = "application/x-www-form-urlencoded"


def revoke(app: Flask, token: str, **keywords: Any) -> TestResponse:
    return app.test_client().post("/token/revoke", **(keywords or {"data": {"token": token}}))


def test_a_refresh_token_ends_its_log_in_and_no_other(app: Flask) -> None:
    bystander, first = log_in(app), log_in(app)
    second = refreshed(app, first["refresh_token"])

    answer = revoke(app, second["refresh_token"])

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert refresh(app, second["refresh_token"]).status_code == 401
    assert [status(app, pair["access_token"]) for pair in (first, second)] == [401, 401]
    assert status(app, bystander["access_token"]) == 200
    assert refresh(app, bystander["refresh_token"]).status_code == 200


def test_an_access_token_ends_alone(app: Flask) -> None:
    pair = log_in(app)
    assert revoke(app, pair["access_token"]).status_code == 200
    assert status(app, pair["access_token"]) == 401
    assert status(app, refreshed(app, pair["refresh_token"])["access_token"]) == 200


def test_a_refresh_token_that_was_used_up_ends_its_log_in_as_well(app: Flask) -> None:
    first = log_in(app)
    second = refreshed(app, first["refresh_token"])
    assert revoke(app, first["refresh_token"]).status_code == 200
    assert refresh(app, second["refresh_token"]).status_code == 401


def test_revoking_twice_is_as_good_as_once(app: Flask) -> None:
    pair = log_in(app)
    for token in pair["access_token"], pair["refresh_token"]:
        assert [revoke(app, token).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    "token",
    [
        "garbage",
        "a.b.c",
        "e" * 12_000,
        signed({"sub": "ada", "jti": "a", "exp": 9_999_999_999}, "y" * 64),
        signed({"sub": "ada", "jti": "a", "exp": 1}),
    ],
    ids=["garbage", "a.b.c", "long", "another's", "expired"],
)
def test_a_token_that_is_not_good_is_answered_200_and_ends_nothing(
    start: Start, token: str
) -> None:
    app = start()
    pair = log_in(app)
    before = len(view_of(app)._known)
    assert revoke(app, token).status_code == 200
    assert len(view_of(app)._known) == before
    assert status(app, pair["access_token"]) == 200


def test_a_forged_token_with_somebodys_family_ends_nothing(start: Start) -> None:
    app = start()
    pair = log_in(app)
    for token in pair["access_token"], pair["refresh_token"]:
        forged = signed(payload(token), "y" * 64, typ="rt+jwt")
        assert revoke(app, forged).status_code == 200
    assert status(app, pair["access_token"]) == 200
    assert refresh(app, pair["refresh_token"]).status_code == 200


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize(
    ("place", "name"),
    [(MemoryStore, "end"), (MemoryStore, "revoke"), (RevocationView, "check_age")],
)
def test_a_store_that_fails_is_a_503_and_never_a_200(
    start: Start, monkeypatch: pytest.MonkeyPatch, kind: str, place: type, name: str
) -> None:
    app = start()
    token = log_in(app)[kind]
    needed = {"access_token": ("revoke", "check_age"), "refresh_token": ("end", "revoke")}

    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise StoreUnavailable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(place, name, fail)
        answer = revoke(app, token)
    if name in needed[kind]:
        assert (answer.status_code, answer.mimetype) == (503, PROBLEM)
        assert int(answer.headers["Retry-After"]) > 0
    assert revoke(app, token).status_code == 200
    assert status(app, token) == 401


def test_a_token_without_an_id_cannot_be_revoked_and_that_is_said(start: Start) -> None:
    app = start()
    with app.app_context():
        claims = payload(create_access_token("ada"))
    del claims["jti"]
    for token in (signed(claims), signed({**claims, "jti": ""})):
        assert status(app, token) == 200
        answer = revoke(app, token)
        assert (answer.status_code, answer.json["error"]) == (400, "unsupported_token_type")


@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        ({"json": {"token": "a"}}, 200),
        ({"data": {"token": "a", "token_type_hint": "refresh_token"}}, 200),
        ({"json": {"token": "a", "token_type_hint": "nonsense"}}, 200),
        ({"json": {}}, 400),
        ({"json": {"token": ["a"]}}, 400),
        ({"json": {"token": "a", "token_type_hint": False}}, 400),
        ({"data": "token=a&token=b", "content_type": FORM}, 400),
        ({"data": "token=a", "content_type": "text/plain"}, 415),
    ],
)
def test_a_form_and_json_are_taken_and_nothing_else(
    start: Start, keywords: dict[str, Any], code: int
) -> None:
    assert revoke(start(), "", **keywords).status_code == code


def test_a_revoked_access_token_is_forgotten_when_it_would_have_expired(start: Start) -> None:
    app = start()
    token = log_in(app)["access_token"]
    revoke(app, token)
    (known,) = view_of(app)._known.statements()
    assert payload(token)["exp"] <= known.forget_at <= payload(token)["exp"] + 2 * 3_600


def test_the_statement_of_an_ended_log_in_is_kept_as_long_as_access_tokens_live(
    start: Start,
) -> None:
    app = start()
    pair = log_in(app)
    with app.app_context():
        authz_of(app).revoke(family=payload(pair["access_token"])["sid"])
    (known,) = view_of(app)._known.statements()
    assert known.kind == "family"
    assert known.forget_at - known.revoked_at < 2 * 3_600
    assert status(app, pair["access_token"]) == 401
    assert refresh(app, pair["refresh_token"]).status_code == 401
