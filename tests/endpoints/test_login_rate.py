"""Guessing is slowed down, by account and by address, and the owner still gets in."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from jwt_authz import MisuseError
from jwt_authz.endpoints import attempts, token_blueprint
from jwt_authz.endpoints import login_attempt as login_gate
from jwt_authz.endpoints.attempts import WIDER, Caller
from jwt_authz.endpoints.rate_limit import LoginRate
from jwt_authz.errors import StoreUnavailable
from tests.edge import PROBLEM, TYPE, guarded_app, turn_clock
from tests.endpoints.test_token import PASSWORD, Users

HOME, OFFICE, EVIL = "192.0.2.1", "198.51.100.7", "203.0.113.66"


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory:"
    url: str = request.getfixturevalue("redis_url")
    return url


def login_app(users: Users, store: str = "memory:", **config: Any) -> Flask:
    app = guarded_app(authz={"accounts": users}, AUTHZ_LOGIN_RATE_STORE=store, **config)
    app.register_blueprint(token_blueprint())
    return app


def log_in(
    app: Flask, password: str = PASSWORD, username: str = "alice", address: str | None = HOME
) -> TestResponse:
    environ = {} if address is None else {"REMOTE_ADDR": address}
    client: FlaskClient = app.test_client()
    body = {"username": username, "password": password}
    return client.post("/token", json=body, environ_overrides=environ)


def statuses(app: Flask, times: int, **options: Any) -> list[int]:
    return [log_in(app, **options).status_code for _ in range(times)]


# The guesser


@pytest.mark.slow
def test_a_guesser_is_stopped_after_ten_guesses_a_minute(users: Users, store: str) -> None:
    """SECURITY 2.41: a thousand guesses, of which ten are looked at; a hundred in Redis."""
    app = login_app(users, store)
    guesses = 1_000 if store == "memory:" else 100
    found = statuses(app, guesses, password="wrong", address=EVIL)
    assert found == [401] * 10 + [429] * (guesses - 10)
    assert len(users.asked) == 10
    assert log_in(app, PASSWORD, address=EVIL).status_code == 429  # nor is a lucky guess
    assert len(users.asked) == 10


def test_the_answer_is_a_problem_that_says_when_to_come_again(users: Users, store: str) -> None:
    app = login_app(users, store, AUTHZ_LOGIN_RATE="2 per minute")
    statuses(app, 2, password="wrong")
    answer = log_in(app, "wrong")
    assert answer.status_code == answer.get_json()["status"] == 429
    assert answer.mimetype == PROBLEM
    assert answer.get_json()["type"] == f"{TYPE}too-many-attempts"
    assert 50 <= int(answer.headers["Retry-After"]) <= 60
    assert "WWW-Authenticate" not in answer.headers
    assert "alice" not in answer.text


def test_after_the_time_in_retry_after_there_is_another_try(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = login_app(users, AUTHZ_LOGIN_RATE="2/minute")
    assert statuses(app, 3, password="wrong") == [401, 401, 429]
    turn_clock(monkeypatch, int(log_in(app, "wrong").headers["Retry-After"]) + 0.1)
    assert log_in(app, PASSWORD).status_code == 200


@pytest.mark.slow
def test_one_account_is_guarded_against_many_addresses(users: Users, store: str) -> None:
    app = login_app(users, store)
    addresses = [f"203.0.{n // 250}.{n % 250}" for n in range(120)]
    found = [log_in(app, "wrong", address=address).status_code for address in addresses]
    assert found == [401] * 10 * WIDER + [429] * (120 - 10 * WIDER)
    assert log_in(app, "wrong", "bob", HOME).status_code == 401  # another account is not


@pytest.mark.slow
def test_one_address_is_stopped_at_many_accounts(users: Users, store: str) -> None:
    app = login_app(users, store)
    found = [log_in(app, "wrong", f"user-{n}", EVIL).status_code for n in range(120)]
    assert found == [401] * 10 * WIDER + [429] * (120 - 10 * WIDER)
    assert log_in(app, "wrong", "someone", HOME).status_code == 401


def test_all_addresses_of_an_ipv6_network_count_as_one(users: Users) -> None:
    app = login_app(users)
    found = [log_in(app, "wrong", address=f"2001:db8:0:1::{n:x}").status_code for n in range(20)]
    assert found == [401] * 10 + [429] * 10
    assert log_in(app, "wrong", address="2001:db8:0:2::1").status_code == 401


def test_a_name_counts_however_it_is_spelled(users: Users) -> None:
    app = login_app(users, AUTHZ_LOGIN_RATE="5 per minute")
    spelled = ["alice", "Alice", "ALICE ", "\u00e1lice", "\uff41l\u200bice", "alice"]
    found = [log_in(app, "wrong", name).status_code for name in spelled]
    assert found == [401] * 5 + [429]


def test_who_is_not_there_is_answered_like_who_is(users: Users) -> None:
    """SECURITY 1.33: the limit does not tell names either."""
    answers = {}
    for name in ("alice", "nobody", "dave"):
        app = login_app(users)
        found = [log_in(app, "wrong", name) for _ in range(15)]
        answers[name] = [(a.status_code, a.get_json()["detail"]) for a in found]
    assert answers["alice"] == answers["nobody"] == answers["dave"]


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP"])
def test_an_address_in_a_forged_header_is_not_trusted(users: Users, name: str) -> None:
    """SECURITY 2.58."""
    app = login_app(users)
    client = app.test_client()
    body = {"username": "alice", "password": "wrong"}
    found = [
        client.post("/token", json=body, headers={name: f"10.0.0.{n}"}).status_code
        for n in range(15)
    ]
    assert found == [401] * 10 + [429] * 5


def test_behind_a_proxy_that_the_application_trusts_the_clients_address_counts(
    users: Users,
) -> None:
    app = login_app(users)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    body = {"username": "alice", "password": "wrong"}
    for address in ("10.0.0.1", "10.0.0.2"):
        headers = {"X-Forwarded-For": address}
        found = [
            app.test_client().post("/token", json=body, headers=headers).status_code
            for _ in range(11)
        ]
        assert found == [401] * 10 + [429]


@pytest.mark.slow
def test_without_an_address_the_account_alone_counts(users: Users) -> None:
    app = login_app(users)
    client = app.test_client()
    body = {"username": "alice", "password": "wrong"}

    def ask(name: str) -> int:
        made = client.post(
            "/token", json={**body, "username": name}, environ_overrides={"REMOTE_ADDR": ""}
        )
        return made.status_code

    assert [ask("alice") for _ in range(12)] == [401] * 10 + [429] * 2
    assert {ask(f"user-{n}") for n in range(150)} == {401}


# The owner


def test_the_owner_gets_in_from_elsewhere_during_guessing(users: Users, store: str) -> None:
    """SECURITY 2.41."""
    app = login_app(users, store)
    statuses(app, 1_000, password="wrong", address=EVIL)
    assert log_in(app, PASSWORD, address=HOME).status_code == 200


@pytest.mark.slow
def test_what_succeeds_is_not_counted(users: Users) -> None:
    app = login_app(users)
    assert set(statuses(app, 200)) == {200}
    assert statuses(app, 11, password="wrong") == [401] * 10 + [429]


def test_a_store_that_does_not_answer_counts_for_nothing(users: Users) -> None:
    app = login_app(users)
    users.fails = StoreUnavailable("down")
    assert set(statuses(app, 30)) == {503}
    users.fails = None
    assert log_in(app).status_code == 200


def test_a_body_that_holds_no_credentials_counts_for_nothing(users: Users) -> None:
    app = login_app(users)
    for _ in range(30):
        assert app.test_client().post("/token", json={"username": "alice"}).status_code == 400
    assert log_in(app, "wrong", address="127.0.0.1").status_code == 401


# Settings


@pytest.mark.parametrize(
    ("rate", "tries"),
    [
        ("3 per minute", 3),
        ("1/second", 1),
        ("4 per 10 minutes", 4),
        ("2/hours", 2),
        ("5 per day", 5),
    ],
)
def test_the_rate_is_a_setting(users: Users, rate: str, tries: int) -> None:
    app = login_app(users, AUTHZ_LOGIN_RATE=rate)
    assert statuses(app, tries + 2, password="wrong")[: tries + 1] == [401] * tries + [429]


@pytest.mark.slow
def test_an_empty_rate_turns_it_off(users: Users) -> None:
    app = login_app(users, AUTHZ_LOGIN_RATE="")
    assert set(statuses(app, 200, password="wrong")) == {401}
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []


def test_two_applications_count_apart_in_memory_and_together_in_redis(
    users: Users, redis_url: str
) -> None:
    one, two = login_app(users), login_app(users)
    statuses(one, 11, password="wrong")
    assert log_in(two, "wrong").status_code == 401
    one, two = login_app(users, redis_url), login_app(users, redis_url)
    statuses(one, 10, password="wrong")
    assert log_in(two, "wrong").status_code == 429
    assert log_in(two, PASSWORD, address=OFFICE).status_code == 200
    with redis.Redis.from_url(redis_url) as client:
        keys = list(client.scan_iter("LIMITS*"))
        assert len(keys) == 5
        assert b"alice" not in b" ".join(keys)
        assert all(client.ttl(key) > 0 for key in keys)


def test_a_redis_that_does_not_answer_leaves_each_process_to_count_alone(
    users: Users, caplog: pytest.LogCaptureFixture
) -> None:
    app = login_app(users, "redis://127.0.0.1:1/0")
    with caplog.at_level(logging.ERROR):
        assert statuses(app, 15, password="wrong") == [401] * 10 + [429] * 5
        assert log_in(app, PASSWORD, address=OFFICE).status_code == 200
    warnings = [r for r in caplog.records if "in each process separately" in r.getMessage()]
    assert 1 <= len(warnings) <= 3
    assert "127.0.0.1" not in caplog.text


def test_a_redis_that_comes_back_is_used_again(redis_url: str) -> None:
    rate = LoginRate(redis_url, 2, 60, "shop")
    shared, caller = rate._shared, Caller.of("alice", HOME)
    rate._shared = LoginRate("redis://127.0.0.1:1/0", 2, 60, "shop")._shared
    rate.failed(caller, False)
    assert rate._here.wait_times(caller).here == 0
    rate._shared = shared
    for _ in range(2):
        rate.failed(caller, False)
    assert LoginRate(redis_url, 2, 60, "shop").wait_times(caller).here > 0


def test_a_refusal_is_counted_and_logged_without_the_name(
    users: Users, caplog: pytest.LogCaptureFixture
) -> None:
    app = login_app(users, AUTHZ_LOGIN_RATE="1 per minute")
    caplog.set_level(logging.WARNING)
    statuses(app, 2, password="a wrong password", username="mallory")
    (first, second) = [r.getMessage() for r in caplog.records if r.name.startswith("jwt_authz")]
    assert "wrong-credentials" in first
    assert "too-many-attempts" in second
    assert "mallory" not in caplog.text
    with app.app_context():
        assert app.extensions["jwt_authz"].counts["not identified"] == 2


def test_the_applications_handler_for_429_is_asked(users: Users) -> None:
    app = login_app(users, AUTHZ_LOGIN_RATE="1 per minute")
    app.register_error_handler(429, lambda error: ({"wait": error.retry_after}, 429))
    statuses(app, 1, password="wrong")
    assert 1 <= log_in(app, "wrong").get_json()["wait"] <= 60


# Without the extra


@pytest.fixture
def without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_gate, "LoginRate", None)
    message = (
        "counting log-ins needs limits, which is not installed: pip install 'jwt_authz[ratelimit]'"
    )
    monkeypatch.setattr(login_gate, "_MISSING", message, raising=False)


def bare_login_app(users: Users, **config: Any) -> Flask:
    app = guarded_app(authz={"accounts": users}, **config)
    app.register_blueprint(token_blueprint())
    return app


@pytest.mark.slow
@pytest.mark.usefixtures("without_limits")
def test_without_the_extra_the_log_in_works_and_the_check_warns(users: Users) -> None:
    app = bare_login_app(users)
    assert set(statuses(app, 50, password="wrong")) == {401}
    assert log_in(app).status_code == 200
    with app.app_context():
        (warning,) = app.extensions["jwt_authz"].check()
    assert warning.startswith("the log-in has no limit on guesses: ")
    assert "pip install 'jwt_authz[ratelimit]'" in warning


@pytest.mark.usefixtures("without_limits")
def test_without_the_extra_an_application_without_the_log_in_is_not_warned() -> None:
    app = guarded_app()
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []


@pytest.mark.parametrize(
    "setting",
    [
        {"AUTHZ_LOGIN_RATE": "10 per minute"},
        {"AUTHZ_LOGIN_RATE_STORE": "redis://127.0.0.1"},
    ],
)
@pytest.mark.usefixtures("without_limits")
def test_without_the_extra_a_limit_that_was_set_is_a_misuse(
    users: Users, setting: dict[str, str]
) -> None:
    app = bare_login_app(users, **setting)
    with app.app_context(), pytest.raises(MisuseError) as raised:
        app.extensions["jwt_authz"].check()
    assert str(raised.value).startswith(f"{next(iter(setting))} is set, but counting log-ins needs")
    assert "pip install 'jwt_authz[ratelimit]'" in str(raised.value)
    assert log_in(app).status_code == 500


@pytest.mark.usefixtures("without_limits")
def test_without_the_extra_a_limit_can_be_turned_off(users: Users) -> None:
    app = bare_login_app(users, AUTHZ_LOGIN_RATE="")
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []


@pytest.mark.slow
def test_the_endpoints_can_be_imported_without_the_extra() -> None:
    code = (
        "import sys; sys.modules['limits'] = None\n"
        "from jwt_authz.endpoints import token_blueprint\n"
        "from jwt_authz.endpoints import login_attempt\n"
        "print(login_attempt._MISSING)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'jwt_authz[ratelimit]'" in done.stdout


def test_a_redis_store_without_its_client_names_the_extra(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limits.errors import ConfigurationError

    from jwt_authz.endpoints import rate_limit as login_rate

    def missing(*arguments: Any, **options: Any) -> Any:
        raise ConfigurationError("'redis' prerequisite not available")

    monkeypatch.setattr(login_rate, "storage_from_string", missing)
    app = login_app(users, "redis://127.0.0.1")
    with app.app_context(), pytest.raises(MisuseError, match=r"jwt_authz\[redis,ratelimit\]"):
        app.extensions["jwt_authz"].check()


# The caller


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::/64"),
        ("unix:", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_is_counted_as_the_network_of_one_host(
    address: str | None, counted: str
) -> None:
    assert Caller.of("a", address).address == counted


def test_a_name_is_counted_by_a_digest() -> None:
    one, other = Caller.of("alice", HOME), Caller.of("alicf", HOME)
    assert one.account != other.account
    assert "alice" not in one.both
    assert len(one.account) == len(Caller.of("x" * 255, HOME).account) == 20
    assert Caller.of("\ud800", HOME).account != one.account
    assert attempts.WIDER == 10
