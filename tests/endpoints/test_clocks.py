"""Clocks of workers that differ from the store's, and from those of other issuers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import (
    create_access_token,
    create_refresh_token,
    decode_token,
    jwt_required,
)
from jwt import ExpiredSignatureError, InvalidTokenError

from .refreshing import (
    authz_of,
    log_in,
    payload,
    refresh,
    signed,
    status,
    view_of,
)
from .test_introspect import introspect

Start = Callable[..., Flask]


@pytest.fixture
def app(start: Start) -> Flask:
    """The application with a store in memory, and a view under `jwt_required`."""
    made = start()
    made.add_url_rule("/old", "old", jwt_required()(lambda: "in"))
    made.add_url_rule("/old/refresh", "old refresh", jwt_required(refresh=True)(lambda: "in"))
    return made


def set_store_clock(
    app: Flask, monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float]
) -> None:
    with app.app_context():
        monkeypatch.setattr(view_of(app).store, "_clock", clock)


def issue(app: Flask, **more: Any) -> str:
    with app.app_context():
        return authz_of(app).issue("ada", roles=["manager"], **more)


def is_decoded(app: Flask, token: str) -> bool:
    """Whether Flask-JWT-Extended's own decoding accepts the token."""
    with app.app_context():
        try:
            decode_token(token)
        except InvalidTokenError:
            return False
    return True


def is_active(app: Flask, token: str) -> bool:
    return bool(introspect(app, token).json["active"])


VERIFIERS: Mapping[str, Callable[[Flask, str], bool]] = {
    "requires": lambda app, token: status(app, token) == 200,
    "jwt_required": lambda app, token: status(app, token, "/old") == 200,
    "decode_token": is_decoded,
    "introspection": is_active,
}
"""The ways in which an application verifies its own access tokens."""

in_each_verifier = pytest.mark.parametrize("accepts", VERIFIERS.values(), ids=VERIFIERS)


def token_of(**claims: float) -> str:
    """A token that another process signed, whose times are these seconds from now."""
    now = int(time.time())
    times = {"iat": -30, "exp": 600, **claims}
    return signed(
        {
            "sub": "ada",
            "jti": "one",
            "type": "access",
            **{name: now + seconds for name, seconds in times.items()},
        }
    )


# --- a worker that is behind the store -----------------------------------------------------------


def the_next_second() -> float:
    """A time that is ahead also by whole seconds, by which `iat` and `nbf` count."""
    return math.floor(time.time()) + 1.0


@pytest.mark.slow
@in_each_verifier
def test_a_worker_behind_the_store_accepts_its_own_fresh_tokens(
    app: Flask, accepts: Callable[[Flask, str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_store_clock(app, monkeypatch, the_next_second)
    assert [accepts(app, issue(app)) for _ in range(3)] == [True] * 3


@pytest.mark.slow
def test_a_worker_behind_the_store_takes_its_own_refresh_tokens(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_store_clock(app, monkeypatch, the_next_second)
    answers = []
    for _ in range(3):
        answer = refresh(app, log_in(app)["refresh_token"])
        answers.append((answer.status_code, status(app, answer.json.get("access_token", ""))))
        with app.app_context():
            answers.append((200, status(app, create_refresh_token("ada"), "/old/refresh")))
    assert set(answers) == {(200, 200)}


@pytest.mark.parametrize("ahead", [3_600, -3_600])
def test_every_time_in_a_token_is_by_the_clock_of_the_store(
    app: Flask, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_store_clock(app, monkeypatch, lambda: time.time() + ahead)
    with app.app_context():
        plain = create_access_token("ada", fresh=timedelta(minutes=5))
        again = create_refresh_token("ada", expires_delta=timedelta(hours=2))
        endless = create_refresh_token("ada", expires_delta=False)
    expected = {
        issue(app, fresh=True): {"iat": 0, "nbf": 0, "auth_time": 0, "exp": 900},
        plain: {"iat": 0, "nbf": 0, "exp": 900, "fresh": 300},
        again: {"iat": 0, "nbf": 0, "exp": 7_200},
    }
    now = time.time() + ahead
    for token, times in expected.items():
        found = {name: payload(token)[name] - now for name in times}
        assert found == pytest.approx(times, abs=30)
    assert "exp" not in payload(endless)


def test_times_that_the_application_writes_itself_are_kept(app: Flask) -> None:
    own = {"iat": int(time.time()) - 60, "nbf": int(time.time()) - 50, "exp": 2_000_000_000_0}
    with app.app_context():
        tokens = [
            make("ada", additional_claims=own)
            for make in (create_access_token, create_refresh_token)
        ]
    for token in tokens:
        assert {name: payload(token)[name] for name in own} == own


def test_tokens_have_no_nbf_where_the_application_wants_none(app: Flask) -> None:
    app.config["JWT_ENCODE_NBF"] = False
    assert "nbf" not in payload(issue(app))


def test_a_token_issued_in_the_second_of_a_revocation_is_good(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = int(time.time()) + 0.5
    set_store_clock(app, monkeypatch, lambda: second)
    with app.app_context():
        for what, make, path in (
            ({"subject": "ada"}, create_refresh_token, "/old/refresh"),
            ({"everything": True}, create_refresh_token, "/old/refresh"),
            ({"subject": "ada"}, create_access_token, "/old"),
            ({"role": "manager"}, create_access_token, "/me"),
        ):
            before = make("ada", additional_claims={"roles": ["manager"]})
            authz_of(app).revoke(**what)
            after = make("ada", additional_claims={"roles": ["manager"]})
            assert [status(app, token, path) for token in (before, after)] == [401, 200]


# --- the leeway ----------------------------------------------------------------------------------


@in_each_verifier
def test_iat_and_nbf_may_lie_five_seconds_ahead_by_default_and_exp_may_not_have_passed(
    app: Flask, accepts: Callable[[Flask, str], bool]
) -> None:
    assert accepts(app, token_of(iat=4))
    assert accepts(app, token_of(nbf=4))
    assert not accepts(app, token_of(iat=20))
    assert not accepts(app, token_of(nbf=20))
    assert not accepts(app, token_of(exp=0))
    assert not accepts(app, token_of(exp=-2))


@in_each_verifier
def test_a_leeway_of_zero_that_the_application_sets_accepts_nothing_early(
    app: Flask, accepts: Callable[[Flask, str], bool]
) -> None:
    app.config["JWT_DECODE_LEEWAY"] = 0
    assert accepts(app, token_of())
    assert not accepts(app, token_of(iat=4))
    assert not accepts(app, token_of(nbf=4))


def test_a_leeway_of_zero_counts_from_the_start(start: Start) -> None:
    app = start(JWT_DECODE_LEEWAY=0)
    assert [status(app, token_of(nbf=seconds)) for seconds in (0, 4)] == [200, 401]


@in_each_verifier
@pytest.mark.parametrize("leeway", [30, timedelta(seconds=30)], ids=["number", "timedelta"])
def test_a_leeway_that_the_application_sets_counts_for_exp_as_well(
    app: Flask, accepts: Callable[[Flask, str], bool], leeway: Any
) -> None:
    app.config["JWT_DECODE_LEEWAY"] = leeway
    assert accepts(app, token_of(nbf=20))
    assert accepts(app, token_of(exp=-10))
    assert not accepts(app, token_of(nbf=60))
    assert not accepts(app, token_of(exp=-31))


@pytest.mark.parametrize("leeway", [5, timedelta(seconds=5)], ids=["number", "timedelta"])
def test_a_leeway_as_long_as_the_default_counts_for_exp_once_it_is_set(
    app: Flask, leeway: Any
) -> None:
    token = token_of(exp=-1)
    assert status(app, token) == 401
    app.config["JWT_DECODE_LEEWAY"] = leeway
    assert status(app, token) == 200


def test_an_expired_token_gets_to_flask_jwt_extended_s_loader_with_its_claims(app: Flask) -> None:
    seen: list[tuple[str, str]] = []

    @app.extensions["flask-jwt-extended"].expired_token_loader
    def expired(header: dict[str, Any], claims: dict[str, Any]) -> tuple[str, int]:
        seen.append((header["alg"], claims["sub"]))
        return "expired", 418

    assert status(app, token_of(exp=-2), "/old") == 418
    assert seen == [("HS256", "ada")]


def test_flask_jwt_extended_reads_an_expired_token_where_it_is_asked_to(app: Flask) -> None:
    token = token_of(exp=-2)
    with app.app_context():
        assert decode_token(token, allow_expired=True)["sub"] == "ada"
        with pytest.raises(ExpiredSignatureError):
            decode_token(token)
