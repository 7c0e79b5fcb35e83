"""`POST /token/revoke` (RFC 7009): the bearer of a token may end it; 503 without an answer.

SECURITY 1.27, 2.18, 2.35.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import create_access_token, create_refresh_token
from werkzeug.test import TestResponse

from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import MemoryStore, RevocationView, Statement
from jwt_authz.tokens import KeySet
from tests.edge import turn_clock

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


def test_a_token_that_is_not_valid_yet_stays_revoked_when_its_time_comes(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start()
    ahead = int(time.time()) + 60
    with app.app_context():
        tokens = [
            create_access_token("ada", additional_claims={"nbf": ahead}),
            create_access_token("ada", additional_claims={"iat": ahead + 0.25}),
            create_access_token("ada", additional_claims={"iat": ahead, "nbf": ahead}),
        ]
        kept = create_access_token("ada", additional_claims={"nbf": ahead})
    assert [status(app, token) for token in tokens] == [401, 401, 401]
    assert [revoke(app, token).status_code for token in tokens] == [200, 200, 200]
    turn_clock(monkeypatch, 120)
    assert [status(app, token) for token in tokens] == [401, 401, 401]
    assert status(app, kept) == 200


def test_a_log_in_whose_tokens_are_not_valid_yet_ends_with_its_refresh_token(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start()
    pair, other = log_in(app), log_in(app)
    ahead = {"iat": int(time.time()) + 60, "nbf": int(time.time()) + 60}
    early = signed({**payload(pair["refresh_token"]), **ahead}, typ="rt+jwt")
    access = signed({**payload(pair["access_token"]), **ahead}, typ="at+jwt")
    assert revoke(app, early).status_code == 200
    turn_clock(monkeypatch, 120)
    assert refresh(app, pair["refresh_token"]).status_code == 401
    assert [status(app, token) for token in (access, pair["access_token"])] == [401, 401]
    assert status(app, other["access_token"]) == 200


def test_a_token_that_only_another_process_accepts_is_revoked_there(
    start: Start, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    strict = start(AUTHZ_STORE_URL=shared, AUTHZ_TOKEN_PROFILE="at+jwt", JWT_DECODE_AUDIENCE="x")
    lenient = start(AUTHZ_STORE_URL=shared)
    with lenient.app_context():
        token = create_access_token("ada")
    assert [status(strict, token), status(lenient, token)] == [401, 200]
    assert revoke(strict, token).status_code == 200
    with lenient.app_context():
        view_of(lenient).refresh()
    assert status(lenient, token) == 401


def test_a_token_of_a_key_that_was_rotated_is_revoked_while_the_key_is_known(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, path = KeySet.new("ES256"), tmp_path / "keys.json"
    first.write(str(path))
    app = start(AUTHZ_KEYS_FILE=str(path))
    with app.app_context():
        token = create_access_token("ada", additional_claims={"nbf": int(time.time()) + 60})
    first.with_new_key().rotated().write(str(path))
    assert revoke(app, token).status_code == 200
    turn_clock(monkeypatch, 120)
    assert status(app, token) == 401


def test_a_token_of_another_kind_with_an_id_is_revoked(start: Start) -> None:
    app = start()
    with app.app_context():
        token = create_refresh_token("ada")
        jti = payload(token)["jti"]
        assert revoke(app, token).status_code == 200
        assert view_of(app).knows_id(jti)


def test_a_token_that_never_expires_stays_revoked(app: Flask) -> None:
    with app.app_context():
        claims = payload(create_access_token("ada"))
    for changes in ({"exp": 2**53}, {"exp": 1e300}, {}):
        unending = {name: value for name, value in claims.items() if name != "exp"} | changes
        unending["jti"] = f"until {changes}"
        assert revoke(app, signed(unending)).status_code == 200
        assert view_of(app).knows_id(unending["jti"])
    for known in view_of(app)._known.statements():
        assert known.forget_at > time.time() + 100 * 365 * 86_400
        assert Statement.from_json(known.to_json()) == known  # other processes can read it


def test_a_token_that_has_expired_by_this_clock_alone_is_revoked(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start()
    token = log_in(app)["access_token"]
    store = view_of(app).store
    real = time.time
    monkeypatch.setattr(store, "_clock", real)  # which stays right
    turn_clock(monkeypatch, 3_600)  # and this process's own does not
    assert revoke(app, token).status_code == 200
    monkeypatch.setattr(time, "time", real)
    assert view_of(app).knows_id(payload(token)["jti"])


def test_a_refresh_in_the_middle_of_a_revocation_gives_no_usable_token(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start()
    pair, late = log_in(app), []
    end = MemoryStore.end

    def end_later(store: MemoryStore, family: str) -> bool:
        late.append(refreshed(app, pair["refresh_token"]))
        return end(store, family)

    monkeypatch.setattr(MemoryStore, "end", end_later)
    assert revoke(app, pair["refresh_token"]).status_code == 200
    assert [status(app, one["access_token"]) for one in late] == [401]


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
