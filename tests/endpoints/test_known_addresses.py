"""An address from which the owner of an account has logged in is known, for that account alone."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from werkzeug.middleware.proxy_fix import ProxyFix

from jwt_authz import Authz
from jwt_authz.accounts import User, models
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.accounts.sqlalchemy import SQLAlchemyAccounts
from jwt_authz.endpoints import password_blueprint, token_blueprint
from jwt_authz.endpoints import rate_limit as login_rate
from jwt_authz.endpoints.attempts import KNOWN_SECONDS, MOST_ACCOUNTS
from jwt_authz.errors import StoreUnavailable
from tests.edge import bearer, turn_clock
from tests.endpoints.test_login_rate import EVIL, HOME, OFFICE, log_in, login_app, statuses, store
from tests.endpoints.test_token import PASSWORD, Users

__all__ = ["store"]  # a fixture

OTHER_PASSWORD = "the guesser's own password"


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture(params=["in memory", "in a database"])
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "in memory":
        yield MemoryAccounts()
        return
    engine = create_engine(f"sqlite:///{tmp_path / 'users.db'}")
    models.metadata.create_all(engine)
    yield SQLAlchemyAccounts(sessionmaker(engine), models.User)
    engine.dispose()


@pytest.mark.slow
def test_a_right_password_from_an_address_that_is_known_is_never_refused(
    users: Users, store: str
) -> None:
    app = login_app(users, store)
    assert log_in(app, PASSWORD, address=HOME).status_code == 200
    for n in range(300):  # more than enough addresses to close the account
        log_in(app, "wrong", address=f"203.0.113.{n % 250}")
    assert log_in(app, PASSWORD, address=OFFICE).status_code == 429
    assert log_in(app, PASSWORD, address=HOME).status_code == 200
    found = statuses(app, 50, password="wrong", address=HOME)  # and by who sits beside them
    assert found == [401] * 10 + [429] * 40
    for name in range(200):
        log_in(app, "wrong", f"user-{name}", HOME)
    assert statuses(app, 3, password=PASSWORD, address=HOME) == [200] * 3


def test_an_address_is_known_for_one_account_alone(users: Users) -> None:
    app = login_app(users)
    assert log_in(app, PASSWORD, "bob", EVIL).status_code == 200
    statuses(app, 20, password="wrong", address=EVIL)
    assert log_in(app, PASSWORD, "alice", EVIL).status_code == 429
    assert log_in(app, PASSWORD, "bob", EVIL).status_code == 200


def test_an_address_stays_known_for_two_weeks_at_least_and_four_at_most(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_let_in(days: float) -> bool:
        app = login_app(users)
        turn_clock(monkeypatch, 0)
        assert log_in(app, PASSWORD, address=HOME).status_code == 200
        turn_clock(monkeypatch, days * 86_400)
        statuses(app, 11, password="wrong", address=HOME)
        return log_in(app, PASSWORD, address=HOME).status_code == 200

    assert KNOWN_SECONDS == 14 * 86_400
    assert is_let_in(13.9)
    assert not is_let_in(28.1)


# Look-alikes


@pytest.mark.slow
@pytest.mark.parametrize(
    "look_alike",
    ["Alice", "ALICE", "alice ", " alice", "\uff41lice", "\u00e1lice", "ali\u200bce", "al\u0131ce"],
)
def test_a_look_alike_account_lends_no_exemption_to_guess(
    accounts: Any, store: str, look_alike: str
) -> None:
    accounts.add("alice", PASSWORD)
    accounts.add(look_alike, OTHER_PASSWORD)
    app = login_app(accounts, store)
    for _ in range(3):
        assert log_in(app, OTHER_PASSWORD, look_alike, EVIL).status_code == 200
    assert statuses(app, 30, password="wrong", address=EVIL) == [401] * 10 + [429] * 20
    assert log_in(app, PASSWORD, "alice", EVIL).status_code == 429
    assert log_in(app, OTHER_PASSWORD, look_alike, EVIL).status_code == 200


@pytest.mark.slow
def test_log_ins_by_a_look_alike_account_do_not_start_the_count_again(
    accounts: Any, store: str
) -> None:
    accounts.add("alice", PASSWORD)
    accounts.add("Alice", OTHER_PASSWORD)
    app = login_app(accounts, store)
    found = []
    for _ in range(10):
        found += statuses(app, 4, password="wrong", address=EVIL)
        log_in(app, OTHER_PASSWORD, "Alice", EVIL)
    assert found == [401] * 10 + [429] * 30


def test_accounts_that_look_up_no_names_know_an_address_by_the_exact_name(users: Users) -> None:
    users.users["Alice"] = users.users["bob"]
    app = login_app(users)
    assert log_in(app, PASSWORD, "Alice", EVIL).status_code == 200
    assert statuses(app, 20, password="wrong", address=EVIL) == [401] * 10 + [429] * 10
    assert log_in(app, PASSWORD, "alice", EVIL).status_code == 429
    assert log_in(app, PASSWORD, "Alice", EVIL).status_code == 200


def test_a_later_user_of_the_same_name_is_not_known_where_the_former_was(
    accounts: Any, store: str
) -> None:
    app = login_app(accounts, store)
    former = accounts.add("alice", OTHER_PASSWORD)
    assert log_in(app, OTHER_PASSWORD, address=EVIL).status_code == 200
    accounts.remove(former.subject)
    accounts.add("alice", PASSWORD)
    assert statuses(app, 20, password="wrong", address=EVIL) == [401] * 10 + [429] * 10
    assert log_in(app, PASSWORD, address=EVIL).status_code == 429


class Loose(MemoryAccounts):
    """Accounts that compare names without regard to case and blanks, as databases may."""

    def authenticate(self, username: str, password: str) -> User | None:
        return super().authenticate(username.strip().lower(), password)

    def named(self, username: str) -> User | None:
        return super().named(username.strip().lower())


def test_where_spellings_are_one_account_they_share_guesses_and_known_addresses(store: str) -> None:
    accounts = Loose()
    accounts.add("alice", PASSWORD)
    app = login_app(accounts, store)
    spellings = ["alice", "Alice", "ALICE", " alice", "alice "]
    found = [log_in(app, "wrong", name, EVIL).status_code for name in 4 * spellings]
    assert found == [401] * 10 + [429] * 10
    assert log_in(app, PASSWORD, "ALICE ", HOME).status_code == 200
    for name in 4 * spellings:
        log_in(app, "wrong", name, HOME)
    assert {log_in(app, PASSWORD, name, HOME).status_code for name in spellings} == {200}


def test_two_applications_on_one_store_do_not_share_known_addresses(redis_url: str) -> None:
    apps = []
    for name, password in (("shop", PASSWORD), ("blog", OTHER_PASSWORD)):
        accounts = MemoryAccounts()
        accounts.add("alice", password, subject="1")
        app = Flask(name)
        app.config.update(JWT_SECRET_KEY="x" * 32, AUTHZ_LOGIN_RATE_STORE=redis_url)
        Authz(app, accounts=accounts)
        app.register_blueprint(token_blueprint())
        apps.append(app)
    shop, blog = apps
    assert log_in(blog, OTHER_PASSWORD, address=EVIL).status_code == 200
    assert statuses(shop, 20, password="wrong", address=EVIL) == [401] * 10 + [429] * 10
    assert log_in(shop, PASSWORD, address=EVIL).status_code == 429
    assert log_in(blog, OTHER_PASSWORD, address=EVIL).status_code == 200


def test_another_process_knows_an_address_after_five_seconds_at_the_latest(
    users: Users, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = login_app(users, redis_url), login_app(users, redis_url)
    statuses(there, 1, password="wrong", address=OFFICE)
    assert log_in(here, PASSWORD, address=OFFICE).status_code == 200
    statuses(here, 10, password="wrong", address=OFFICE)
    assert log_in(there, PASSWORD, address=OFFICE).status_code == 429
    now = time.monotonic()
    monkeypatch.setattr(login_rate.time, "monotonic", lambda: now + 5)
    assert log_in(there, PASSWORD, address=OFFICE).status_code == 200


def test_names_are_looked_up_only_at_an_address_that_is_known_for_an_account(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    def named(username: str) -> Any:
        looked_up.append(username)
        return users.users.get(username)

    monkeypatch.setattr(users, "named", named, raising=False)
    app = login_app(users)
    statuses(app, 20, password="wrong", address=EVIL)
    assert looked_up == []
    log_in(app, address=HOME)
    log_in(app, address=HOME)
    assert looked_up == ["alice"]


def test_accounts_that_do_not_answer_the_look_up_of_a_name_are_a_503(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "named", users.users.get, raising=False)
    app = login_app(users)
    assert log_in(app).status_code == 200

    def fails(username: str) -> Any:
        raise StoreUnavailable("down")

    monkeypatch.setattr(users, "named", fails)
    assert log_in(app).status_code == 503


# Addresses that many share


def test_an_address_that_many_accounts_share_is_known_for_none(store: str) -> None:
    accounts = MemoryAccounts()
    for number in range(MOST_ACCOUNTS + 1):
        accounts.add(f"user-{number}", PASSWORD)
    app = login_app(accounts, store)
    for number in range(MOST_ACCOUNTS):
        assert log_in(app, PASSWORD, f"user-{number}").status_code == 200
    statuses(app, 20, username="user-0", password="wrong")
    assert log_in(app, PASSWORD, "user-0").status_code == 200  # a household may share it
    assert log_in(app, PASSWORD, f"user-{MOST_ACCOUNTS}").status_code == 200
    assert log_in(app, PASSWORD, "user-0").status_code == 429
    assert statuses(app, 20, username="user-1", password="wrong") == [401] * 10 + [429] * 10


def test_an_address_that_was_shared_in_the_last_two_weeks_is_known_for_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accounts = MemoryAccounts()
    for number in range(MOST_ACCOUNTS + 1):
        accounts.add(f"user-{number}", PASSWORD)
    app = login_app(accounts)
    for number in range(MOST_ACCOUNTS + 1):
        log_in(app, PASSWORD, f"user-{number}")
    turn_clock(monkeypatch, KNOWN_SECONDS)
    assert log_in(app, PASSWORD, "user-0").status_code == 200
    assert statuses(app, 11, username="user-0", password="wrong") == [401] * 10 + [429]
    assert log_in(app, PASSWORD, "user-0").status_code == 429


# Proxies


def ask(app: Flask, password: str, **headers: str) -> int:
    body = {"username": "alice", "password": password}
    return app.test_client().post("/token", json=body, headers=headers).status_code


@pytest.mark.parametrize("is_first", [True, False], ids=["first request", "a later one"])
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_behind_a_proxy_that_is_not_configured_no_address_is_known(
    users: Users, caplog: pytest.LogCaptureFixture, header: str, is_first: bool
) -> None:
    app = login_app(users)
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []
    if not is_first:
        assert app.test_client().get("/nowhere").status_code == 404
    owner, guesser = {header: "192.0.2.1"}, {header: "203.0.113.66"}
    with caplog.at_level(logging.WARNING):
        assert ask(app, PASSWORD, **owner) == 200
        found = [ask(app, "wrong", **guesser) for _ in range(30)]
    assert found == [401] * 10 + [429] * 20
    assert ask(app, PASSWORD, **owner) == 429
    reported = [
        r.getMessage() for r in caplog.records if "no proxy is configured" in r.getMessage()
    ]
    assert len(reported) == 1
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == [
            f"{reported[0].removesuffix(' [AZ508]')} [AZ508]"
        ]
    assert header in reported[0]
    assert "ProxyFix" in reported[0]


def test_a_header_by_which_a_stranger_claims_a_proxy_harms_no_owner(users: Users) -> None:
    app = login_app(users)
    assert log_in(app, address=HOME).status_code == 200
    for number in range(30):
        ask(app, "wrong", **{"X-Forwarded-For": f"10.0.0.{number}"})
    statuses(app, 20, password="wrong", address=HOME)
    assert log_in(app, address=HOME).status_code == 200


def test_behind_a_proxy_that_is_configured_addresses_are_known_and_nothing_is_warned_of(
    users: Users,
) -> None:
    app = login_app(users)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    owner = {"X-Forwarded-For": "192.0.2.1"}
    assert ask(app, PASSWORD, **owner) == 200
    for _ in range(20):
        ask(app, "wrong", **owner)
    assert ask(app, PASSWORD, **owner) == 200
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"x_for": 0}, "X-Forwarded-For"),
        ({"x_for": 2}, "X-Forwarded-For"),
        ({}, "Forwarded"),
    ],
)
def test_behind_a_proxy_whose_header_is_not_taken_no_address_is_known(
    users: Users, options: dict[str, int], header: str
) -> None:
    app = login_app(users)
    app.wsgi_app = ProxyFix(app.wsgi_app, **options)  # type: ignore[method-assign]
    assert ask(app, PASSWORD, **{header: "192.0.2.1"}) == 200
    for _ in range(12):
        ask(app, "wrong", **{header: "192.0.2.66"})
    assert ask(app, PASSWORD, **{header: "192.0.2.66"}) == 429
    with app.app_context():
        (warning,) = app.extensions["jwt_authz"].check()
    assert f"requests arrive with {header}" in warning


def test_a_client_on_the_host_of_the_proxy_is_known_and_nothing_is_warned_of(users: Users) -> None:
    app = login_app(users)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    here = {"X-Forwarded-For": "127.0.0.1"}
    assert ask(app, PASSWORD, **here) == 200
    for _ in range(20):
        ask(app, "wrong", **here)
    assert ask(app, PASSWORD, **here) == 200
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []


@pytest.mark.parametrize("address", ["", "unix:"])
def test_without_an_address_nobody_is_known(users: Users, address: str) -> None:
    app = login_app(users)
    assert log_in(app, address=address).status_code == 200
    assert statuses(app, 12, password="wrong", address=address) == [401] * 10 + [429] * 2
    assert log_in(app, address=address).status_code == 429


# A change of password


def test_the_old_password_of_a_change_is_guessed_within_the_same_limits(accounts: Any) -> None:
    accounts.add("alice", PASSWORD)
    accounts.add("Alice", OTHER_PASSWORD)
    app = login_app(accounts, AUTHZ_STORE_URL="memory:")
    app.register_blueprint(password_blueprint())
    token = log_in(app, PASSWORD, address=HOME).get_json()["access_token"]

    def change(old: str, address: str) -> int:
        answer = app.test_client().put(
            "/me/password",
            json={"old_password": old, "new_password": "another good password"},
            headers=bearer(token),
            environ_overrides={"REMOTE_ADDR": address},
        )
        return answer.status_code

    assert log_in(app, OTHER_PASSWORD, "Alice", EVIL).status_code == 200
    found = [change(f"guess {number}", EVIL) for number in range(15)]
    assert found == [403] * 10 + [429] * 5
    assert change(PASSWORD, EVIL) == 429
    assert log_in(app, PASSWORD, address=EVIL).status_code == 429  # and the log-in with it
    assert change(PASSWORD, OFFICE) == 200
