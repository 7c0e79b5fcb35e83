"""`PUT /me/password`: by the old one alone, with an end to all that was issued before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from werkzeug.test import TestResponse

from jwt_authz import Authz, Identity, MisuseError, Role, Roles
from jwt_authz._concurrency.slots import Slots
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.audit import changed
from jwt_authz.endpoints import password_blueprint, token_blueprint
from jwt_authz.errors import StoreUnavailable
from jwt_authz.logins.log_in import Logins
from jwt_authz.revocation import RevocationView
from tests.cheap_argon2 import replace_slots
from tests.edge import turn_clock

from .refreshing import (
    PASSWORD,
    PROBLEM,
    TYPE,
    authz_of,
    catalog,
    log_in,
    people,
    refresh,
    status,
)

NEW = "a quite different password"

Start = Callable[..., Flask]


@pytest.fixture
def app(start: Start) -> Flask:
    made = start()
    made.register_blueprint(password_blueprint())
    return made


def put(app: Flask, token: str | None, **options: Any) -> TestResponse:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return app.test_client().put("/me/password", headers=headers, **options)


def change(app: Flask, token: str | None, old: str = PASSWORD, new: str = NEW) -> TestResponse:
    return put(app, token, json={"old_password": old, "new_password": new})


def can_log_in(app: Flask, password: str, username: str = "ada") -> int:
    body = {"username": username, "password": password}
    return app.test_client().post("/token", json=body).status_code


def problem_of(answer: TestResponse) -> str:
    assert answer.mimetype == PROBLEM
    kind: str = answer.get_json()["type"]
    return kind.removeprefix(TYPE)


def test_the_old_password_gives_way_to_the_new_one_and_all_other_log_ins_end(app: Flask) -> None:
    """SECURITY 2.37."""
    here, elsewhere, of_another = log_in(app), log_in(app), log_in(app, "bob")
    answer = change(app, here["access_token"])
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    tokens = answer.get_json()
    assert sorted(tokens) == ["access_token", "expires_in", "refresh_token", "token_type"]
    for pair in (here, elsewhere):
        assert status(app, pair["access_token"]) == 401
        assert refresh(app, pair["refresh_token"]).status_code == 401
    assert status(app, tokens["access_token"]) == 200
    assert refresh(app, tokens["refresh_token"]).status_code == 200
    assert status(app, of_another["access_token"]) == 200
    assert [can_log_in(app, PASSWORD), can_log_in(app, NEW)] == [401, 200]


def test_a_wrong_old_password_changes_and_ends_nothing(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    here = log_in(app)
    with caplog.at_level(logging.WARNING, "jwt_authz"):
        answer = change(app, here["access_token"], old="wrong")
    assert (answer.status_code, problem_of(answer)) == (403, "wrong-password")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json()["instance"] in caplog.text
    assert status(app, here["access_token"]) == 200
    assert [can_log_in(app, PASSWORD), can_log_in(app, NEW)] == [200, 401]


@pytest.mark.parametrize(
    ("new", "detail"),
    [
        ("short", "The password is too short: use at least 8 characters."),
        ("", "The password is too short: use at least 8 characters."),
        ("password1", "The password is too common, so attackers try it first."),
        ("x" * 4097, "The password cannot be hashed: use at most 4096 bytes of UTF-8"),
    ],
    ids=["short", "empty", "common", "long"],
)
def test_a_new_password_that_cannot_be_set_is_a_422_that_says_why_and_ends_nothing(
    app: Flask, new: str, detail: str
) -> None:
    """SECURITY 2.40."""
    here = log_in(app)
    answer = change(app, here["access_token"], new=new)
    assert (answer.status_code, problem_of(answer)) == (422, "password-refused")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json()["detail"].startswith(detail)
    assert status(app, here["access_token"]) == 200
    assert can_log_in(app, PASSWORD) == 200


def test_every_character_of_a_long_password_counts(app: Flask) -> None:
    """SECURITY 2.40."""
    long = "x" * 4096
    assert change(app, log_in(app)["access_token"], new=long).status_code == 200
    assert [can_log_in(app, long[:-1]), can_log_in(app, long)] == [401, 200]


def test_without_a_token_nobody_is_asked_for_a_password(app: Flask) -> None:
    for token in (None, "x.y.z"):
        assert change(app, token).status_code == 401
    assert can_log_in(app, PASSWORD) == 200


def test_a_refresh_token_is_refused_as_an_access_token(app: Flask) -> None:
    assert change(app, log_in(app)["refresh_token"]).status_code == 401


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"json": {"old_password": PASSWORD}}, (400, "invalid-request")),
        ({"json": {"old_password": "", "new_password": NEW}}, (400, "invalid-request")),
        ({"json": {"old_password": PASSWORD, "new_password": 8}}, (400, "invalid-request")),
        (
            {"json": {"old_password": PASSWORD, "new_password": NEW, "username": "bob"}},
            (400, "invalid-request"),
        ),
        ({"json": []}, (400, "invalid-request")),
        ({"data": b"{", "content_type": "application/json"}, (400, "invalid-request")),
        ({"data": {"old_password": PASSWORD}}, (415, "unsupported-media-type")),
        ({"json": {"old_password": "x" * 20_000}}, (413, "content-too-large")),
    ],
)
def test_a_body_that_is_not_as_expected_changes_nothing(
    app: Flask, options: dict[str, Any], wanted: tuple[int, str]
) -> None:
    here = log_in(app)
    answer = put(app, here["access_token"], **options)
    assert (answer.status_code, problem_of(answer)) == wanted
    assert status(app, here["access_token"]) == 200


def test_who_is_not_among_the_accounts_has_no_password_here(app: Flask) -> None:
    with app.app_context():
        token = authz_of(app).issue("billing", roles=["clerk"])
    answer = change(app, token)
    assert (answer.status_code, problem_of(answer)) == (403, "no-password")


def test_another_issuers_subject_of_the_same_name_changes_nothing(app: Flask) -> None:
    """SECURITY 1.40."""
    who = Identity("ada", issuer="https://idp.example")
    authz_of(app).identity_loader(lambda: who)
    answer = change(app, None)
    assert (answer.status_code, problem_of(answer)) == (403, "no-password")
    assert can_log_in(app, PASSWORD) == 200


def test_a_user_without_a_password_cannot_give_themselves_one(app: Flask) -> None:
    authz_of(app).accounts.add("sso", roles=["clerk"], subject="sso")  # type: ignore[union-attr]
    with app.app_context():
        token = authz_of(app).issue("sso", roles=["clerk"])
    assert problem_of(change(app, token)) == "wrong-password"


def test_guesses_at_the_old_password_are_counted_with_those_at_the_log_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Flask("limited")
    app.config.update(JWT_SECRET_KEY="p" * 40, AUTHZ_STORE_URL="memory:")
    app.config["AUTHZ_LOGIN_RATE"] = "3 per minute"
    Authz(app, roles=catalog(), accounts=people())
    app.register_blueprint(token_blueprint())
    app.register_blueprint(password_blueprint())
    with app.app_context():
        token = authz_of(app).issue("ada", roles=["manager"])
    assert [change(app, token, old=f"guess {n}").status_code for n in range(3)] == [403] * 3
    answer = change(app, token)
    assert (answer.status_code, problem_of(answer)) == (429, "too-many-attempts")
    assert int(answer.headers["Retry-After"]) > 0
    assert can_log_in(app, PASSWORD) == 429
    turn_clock(monkeypatch, 61)
    assert can_log_in(app, PASSWORD) == 200


def test_the_audit_records_that_users_changed_their_own_password(app: Flask) -> None:
    changes: list[dict[str, Any]] = []

    def receive(app: Flask, **what: Any) -> None:
        changes.append(what)

    with changed.connected_to(receive, app):
        change(app, log_in(app)["access_token"], old="wrong")
        change(app, log_in(app)["access_token"])
    assert changes == [
        {"by": "themselves", "action": "users password", "name": "ada", "subject": "ada"}
    ]


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_store_that_does_not_take_it_is_a_503_and_nobody_is_let_in_by_less(
    app: Flask, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    """Before the change nothing has changed, and after it all that was issued before is dead."""
    here, calls = log_in(app), []
    revoke = RevocationView.revoke

    def fail(self: RevocationView, *given: Any) -> Any:
        calls.append(given)
        if len(calls) == fails_at:
            raise StoreUnavailable("no answer")
        return revoke(self, *given)

    monkeypatch.setattr(RevocationView, "revoke", fail)
    answer = change(app, here["access_token"])
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    good = PASSWORD if fails_at == 1 else NEW
    assert can_log_in(app, good) == 200
    assert status(app, here["access_token"]) == (200 if fails_at == 1 else 401)


# --- a password changed during a log-in ----------------------------------------------------------


@pytest.fixture
def during_a_log_in(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Logs in by a password that its owner changes while it is being looked at; the status."""
    replace_slots(monkeypatch, Slots(4, 4))
    token = log_in(app)["access_token"]

    def race() -> int:
        verify = PasswordHasher.verify

        def interrupted(self: PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
            found = verify(self, hash, password)
            monkeypatch.setattr(PasswordHasher, "verify", verify)
            assert change(app, token).status_code == 200
            return found

        monkeypatch.setattr(PasswordHasher, "verify", interrupted)
        return can_log_in(app, PASSWORD)

    return race


def test_a_log_in_by_a_password_that_is_changed_meanwhile_gets_nothing(
    during_a_log_in: Callable[[], int],
) -> None:
    assert during_a_log_in() == 401


def test_accounts_that_do_not_look_twice_are_held_back_by_the_revocation(
    during_a_log_in: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jwt_authz.accounts.memory.is_still_good", lambda *given: True)
    assert during_a_log_in() == 503


def test_without_either_the_old_password_would_let_them_in(
    during_a_log_in: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    monkeypatch.setattr("jwt_authz.accounts.memory.is_still_good", lambda *given: True)
    monkeypatch.setattr(Logins, "_refuse_ended_since", lambda *given: None)
    assert during_a_log_in() == 200


# --- where it cannot work ------------------------------------------------------------------------


def test_accounts_whose_passwords_cannot_be_changed_are_reported() -> None:
    class Ours:
        def authenticate(self, username: str, password: str) -> None: ...

        def find(self, subject: str) -> None: ...

    for accounts, store, message in (
        (Ours(), "memory:", "Ours is not a jwt_authz.accounts.ManagedAccounts"),
        (MemoryAccounts(), None, "set AUTHZ_STORE_URL"),
        (None, "memory:", "a log-in needs accounts"),
    ):
        app = Flask("cannot")
        app.config.update(JWT_SECRET_KEY="p" * 40, AUTHZ_STORE_URL=store, AUTHZ_LOGIN_RATE="")
        authz = Authz(app, roles=Roles(Role("clerk")), accounts=accounts)
        app.register_blueprint(token_blueprint("/log-in"))
        app.register_blueprint(password_blueprint("/password"))
        with app.app_context(), pytest.raises(MisuseError, match=message):
            authz.check()
