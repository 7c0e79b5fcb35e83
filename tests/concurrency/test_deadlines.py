"""Calls of accounts and role sources that do not end: who waits, for how long, and for what.

SECURITY F16.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, current_app, g, has_request_context, request
from flask.testing import FlaskClient
from flask_jwt_extended import get_jwt
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import StaticPool
from werkzeug.test import TestResponse

from jwt_authz import Authz, Role, Roles, requires
from jwt_authz._concurrency import bounded, breaker, deadlines
from jwt_authz._concurrency.bounded import BoundedCall
from jwt_authz._concurrency.deadlines import MOST_ABANDONED, Deadline
from jwt_authz._concurrency.slots import Slots
from jwt_authz.accounts import User, models
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.accounts.sqlalchemy import SQLAlchemyAccounts
from jwt_authz.application import KEY
from jwt_authz.cli.main import authz as commands
from jwt_authz.endpoints import (
    password_blueprint,
    permissions_blueprint,
    refresh_blueprint,
    token_blueprint,
)
from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import live_roles
from tests.admin.application import PASSWORD as ADMIN_PASSWORD
from tests.admin.application import STORED, make_app
from tests.admin.browsing import log_in as log_in_to_page
from tests.cheap_argon2 import replace_slots
from tests.concurrency.test_slots import full
from tests.edge import PROBLEM, TYPE, bare_app, bearer
from tests.patience import PATIENCE, eventually
from tests.revocation.conftest import Clock
from tests.revocation.proxy import Proxy

PASSWORD = "correct horse battery"
SHORT = 0.2
"""Seconds of a deadline that is to pass."""
UNAVAILABLE = f"{TYPE}authorization-unavailable"


class Silent(MemoryAccounts):
    """Accounts that answer no more once they are silenced, as a users' database that hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.is_silent, self.asked, self.ends = False, 0, threading.Event()
        self.add("ada", PASSWORD, roles=["clerk"], subject="u1")

    def fall_silent(self, app: Flask) -> None:
        """Answer no more; the application gives up soon from now on, and waited until now."""
        app.extensions[KEY].deadline.seconds = SHORT
        self.is_silent = True

    def answer_again(self, app: Flask) -> None:
        app.extensions[KEY].deadline.seconds = PATIENCE
        self.is_silent = False
        self.ends.set()

    def _hang(self) -> None:
        self.asked += 1
        if self.is_silent:
            assert self.ends.wait(PATIENCE)

    def authenticate(self, username: str, password: str) -> User | None:
        self._hang()
        return super().authenticate(username, password)

    def find(self, subject: str) -> User | None:
        self._hang()
        return super().find(subject)

    def named(self, username: str) -> User | None:
        self._hang()
        return super().named(username)


@pytest.fixture
def time_of_calls(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of deadlines, which a test steps; a deadline that passes takes SHORT to notice."""
    clock = Clock()
    monkeypatch.setattr(bounded, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def accounts() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.ends.set()
    eventually(lambda: "jwt_authz-call" not in [thread.name for thread in threading.enumerate()])


def shop(accounts: Any, **config: Any) -> Flask:
    """An application with all that asks accounts, and views that ask nobody."""
    config = {"AUTHZ_STORE_URL": "memory:", **config}
    app = bare_app(AUTHZ_LOGIN_RATE="", **config)
    roles = config.pop("roles", Roles(Role("clerk", "orders:read"), Role("admin", "users:manage")))
    Authz(app, roles=roles, accounts=accounts)
    for blueprint in (token_blueprint(), refresh_blueprint(), permissions_blueprint()):
        app.register_blueprint(blueprint)
    if isinstance(accounts, MemoryAccounts):
        app.register_blueprint(password_blueprint())
    app.add_url_rule("/open", "open", lambda: "open")
    app.add_url_rule("/orders", "orders", requires("orders:read")(lambda: "orders"))
    return app


def log_in(client: FlaskClient, username: str = "ada") -> TestResponse:
    return client.post("/token", json={"username": username, "password": PASSWORD})


def log_in_as(client: FlaskClient, username: str) -> dict[str, Any]:
    """The answer to a log-in of a user of the administered application."""
    body = {"username": username, "password": ADMIN_PASSWORD}
    answer: dict[str, Any] = client.post("/token", json=body).get_json()
    return answer


def is_over(attempt: BoundedCall[Any]) -> bool:
    """Whether the thread of a call that was given up comes to its end."""
    eventually(lambda: attempt.is_done)
    return True


def assert_unavailable(answer: TestResponse) -> None:
    assert (answer.status_code, answer.mimetype) == (503, PROBLEM)
    assert answer.get_json()["type"] == UNAVAILABLE
    assert int(answer.headers["Retry-After"]) > 0


# --- accounts that are silent --------------------------------------------------------------------


@pytest.mark.slow
def test_each_endpoint_that_asks_silent_accounts_answers_503(accounts: Silent) -> None:
    app = shop(accounts)
    client = app.test_client()
    tokens = log_in(client).get_json()
    accounts.fall_silent(app)

    assert_unavailable(log_in(client))
    assert_unavailable(
        client.post("/token/refresh", json={"refresh_token": tokens["refresh_token"]})
    )
    body = {"old_password": PASSWORD, "new_password": "another good password"}
    headers = bearer(tokens["access_token"])
    assert_unavailable(client.put("/me/password", json=body, headers=headers))
    assert client.get("/me/permissions", headers=headers).status_code == 200

    accounts.answer_again(app)
    again = client.post("/token/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert again.status_code in (200, 503)  # the next call may still be held back


def test_views_that_ask_nobody_are_answered_while_accounts_are_silent(accounts: Silent) -> None:
    app = shop(accounts)
    headers = bearer(log_in(app.test_client()).get_json()["access_token"])
    accounts.fall_silent(app)

    with ThreadPoolExecutor(4) as worker:  # as many threads as a worker has
        log_ins = [worker.submit(log_in, app.test_client()) for _ in range(40)]
        views: list[Future[TestResponse]] = [
            worker.submit(app.test_client().get, path, headers=headers)
            for path in ("/open", "/orders", "/me/permissions")
        ]
        assert [view.result(PATIENCE).status_code for view in views] == [200, 200, 200]
        assert {each.result(PATIENCE).status_code for each in log_ins} == {503}
    assert not accounts.ends.is_set()


@pytest.mark.slow
def test_without_the_deadline_no_view_would_be_answered(
    accounts: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test before."""
    monkeypatch.setattr(Deadline, "run", lambda deadline, call: call())
    app = shop(accounts)
    accounts.fall_silent(app)
    with ThreadPoolExecutor(4) as worker:
        log_ins = [worker.submit(log_in, app.test_client()) for _ in range(8)]
        view = worker.submit(app.test_client().get, "/open")
        with pytest.raises(TimeoutError):
            view.result(10 * SHORT)
        assert not any(each.done() for each in log_ins)
        accounts.ends.set()


@pytest.mark.slow
def test_silent_accounts_are_asked_by_few_of_many_callers(
    accounts: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(breaker, "time", SimpleNamespace(monotonic=lambda: now))
    app = shop(accounts)
    client = app.test_client()
    accounts.fall_silent(app)
    for _ in range(10):
        assert_unavailable(log_in(client))
    assert accounts.asked == breaker.FAILURES
    now += breaker.PAUSE
    for _ in range(10):
        assert_unavailable(log_in(client))
    assert accounts.asked == breaker.FAILURES + 1


@pytest.mark.slow
def test_accounts_that_answer_again_are_asked_again(accounts: Silent) -> None:
    app = shop(accounts)
    client = app.test_client()
    accounts.fall_silent(app)
    for _ in range(4):
        assert_unavailable(log_in(client))
    accounts.answer_again(app)
    eventually(lambda: log_in(client).status_code == 200)
    assert log_in(client).status_code == 200


def test_accounts_that_are_down_and_say_so_are_asked_by_everyone() -> None:
    class Down(MemoryAccounts):
        def authenticate(self, username: str, password: str) -> User | None:
            raise StoreUnavailable("down")

    down = Down()
    client = shop(down).test_client()
    for _ in range(10):
        assert_unavailable(log_in(client))
    assert client.application.extensions[KEY].deadline.run(lambda: "asked") == "asked"


def test_a_command_says_in_one_line_that_accounts_are_silent(accounts: Silent) -> None:
    accounts.is_silent = True
    for arguments in (["disable", "ada"], ["reset-password", "ada", "--random"]):
        ran = (
            shop(accounts, AUTHZ_ACCOUNTS_TIMEOUT=SHORT)
            .test_cli_runner()
            .invoke(commands, ["users", *arguments])
        )
        assert ran.exit_code == 1
        error = ran.output.splitlines()[-1]
        assert error == (
            "Error: the accounts did not answer within 0.2 seconds: check that the users' database "
            "is running and reachable"
        )


# --- passwords being hashed ----------------------------------------------------------------------


def test_the_wait_for_a_turn_to_hash_is_not_the_silence_of_a_database(
    accounts: Silent, time_of_calls: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Slots(1, 2, longest_wait=PATIENCE)
    replace_slots(monkeypatch, slots)
    client = shop(accounts, AUTHZ_ACCOUNTS_TIMEOUT=SHORT).test_client()
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(log_in(client).status_code))
    with full(slots):
        waiting.start()
        eventually(lambda: slots.queued == 1)
        time_of_calls.step(4 * SHORT)
        time.sleep(2 * SHORT)  # in which a deadline that has passed would be noticed
    waiting.join()
    assert answers == [200]


def test_callers_turned_away_from_hashing_hold_nobody_else_back(
    accounts: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "SLOW", 0.0)
    slots = Slots(1, 1, longest_wait=0.05)
    replace_slots(monkeypatch, slots)
    client = shop(accounts).test_client()
    with full(slots):
        for _ in range(4):
            assert_unavailable(log_in(client))
    assert log_in(client).status_code == 200


# --- threads that are left behind ----------------------------------------------------------------


def test_silent_calls_leave_few_threads_behind_however_many_come() -> None:
    ends, before = threading.Event(), threading.active_count()
    deadline = Deadline("the accounts", "look", lambda: 0.001)
    for _ in range(100):  # a row that is locked, and others that are read in between
        with suppress(StoreUnavailable):
            deadline.run(lambda: "answered")
        with pytest.raises(StoreUnavailable):
            deadline.run(lambda: ends.wait(PATIENCE))
    assert threading.active_count() - before <= MOST_ABANDONED + 2
    ends.set()


# --- what an application's own accounts may use --------------------------------------------------


class Own:
    """Accounts of an application: what `ask` returns is who the user is."""

    def __init__(self, ask: Callable[[str], User | None]) -> None:
        self._ask = ask

    def authenticate(self, username: str, password: str) -> User | None:
        return self._ask(username)

    def find(self, subject: str) -> User | None:
        return self._ask(subject)


def test_accounts_see_the_application_the_request_and_its_token() -> None:
    seen: list[Any] = []

    class Looking(Silent):
        def find(self, subject: str) -> User | None:
            if request.path == "/me/password":
                seen.append((current_app.name, has_request_context(), get_jwt()["sub"]))
            return super().find(subject)

    client = shop(Looking()).test_client()
    headers = bearer(log_in(client).get_json()["access_token"])
    body = {"old_password": PASSWORD, "new_password": "another good password"}
    assert client.put("/me/password", json=body, headers=headers).status_code == 200
    assert set(seen) == {("edge", True, "u1")}


def test_a_connection_on_g_is_opened_and_closed_by_one_thread(tmp_path: Path) -> None:
    """As in Flask's tutorial; SQLite's connections belong to their thread."""
    path = tmp_path / "users.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (name TEXT)")
        connection.execute("INSERT INTO users VALUES ('u1')")
        connection.commit()

    def connected() -> sqlite3.Connection:
        if "db" not in g:
            g.db = sqlite3.connect(path)
        return g.db  # type: ignore[no-any-return]

    def ask(name: str) -> User | None:
        row = connected().execute("SELECT name FROM users").fetchone()
        return User(row[0], row[0], ("clerk",))

    app = shop(Own(ask))
    closed: list[Any] = []

    @app.before_request
    def connect() -> None:
        connected()

    @app.teardown_appcontext
    def close(error: BaseException | None) -> None:
        db = g.pop("db", None)
        if db is not None:
            db.close()
            closed.append(db)

    assert log_in(app.test_client(), "u1").status_code == 200
    assert len(closed) > 1


@pytest.fixture
def postgres(new_schema: Callable[[], str]) -> Proxy:
    return Proxy(new_schema())


def test_a_session_of_flask_sqlalchemy_that_hangs_holds_up_no_request(postgres: Proxy) -> None:
    db = SQLAlchemy()

    def ask(name: str) -> User | None:
        db.session.execute(text("SELECT 1"))
        return User(name, name, ("clerk",))

    app = shop(Own(ask), SQLALCHEMY_DATABASE_URI=postgres.url)
    db.init_app(app)
    client = app.test_client()
    assert log_in(client).status_code == 200
    app.extensions[KEY].deadline.seconds = SHORT
    postgres.silence()
    assert_unavailable(log_in(client))  # and the request's own end waits for nothing
    assert client.get("/open").status_code == 200
    postgres.cut()
    with app.app_context():
        db.engine.dispose()


def test_a_database_in_the_memory_of_one_thread_is_asked_by_that_thread() -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    models.metadata.create_all(engine)
    stored = SQLAlchemyAccounts(sessionmaker(engine), models.User)
    with sessionmaker(engine).begin() as session:
        clerk = models.Role()
        clerk.name = "clerk"
        session.add(clerk)
    stored.add("ada", PASSWORD, roles=["clerk"])
    assert log_in(shop(stored).test_client()).status_code == 200
    engine.dispose()


# --- databases that are silent -------------------------------------------------------------------


@pytest.fixture
def administered(postgres: Proxy) -> Iterator[Flask]:
    app = make_app(postgres.url, STORED)
    yield app
    postgres.cut()
    app.extensions["jwt_authz"].accounts._transactions._sessions.kw["bind"].dispose()
    view = app.extensions[KEY]._revocations
    if view is not None:
        view.stop()


def test_the_administration_of_a_silent_database_answers_503(
    administered: Flask, postgres: Proxy
) -> None:
    client = administered.test_client()
    headers = bearer(log_in_as(client, "ann")["access_token"])
    assert client.get("/admin/api/users", headers=headers).status_code == 200
    administered.extensions[KEY].deadline.seconds = SHORT
    postgres.silence()

    answer = client.get("/admin/api/users", headers=headers)
    assert_unavailable(answer)
    page = log_in_to_page(client)
    assert page.status_code == 503
    assert int(page.headers["Retry-After"]) > 0


def test_a_connection_that_is_given_up_is_cut_off_and_its_thread_ends(
    administered: Flask, postgres: Proxy
) -> None:
    client = administered.test_client()
    assert "access_token" in log_in_as(client, "ann")
    deadline = administered.extensions[KEY].deadline
    deadline.seconds = SHORT
    postgres.silence()
    assert log_in_as(client, "ann")["type"] == UNAVAILABLE
    # None is kept if its thread ended before the next look at those left behind.
    assert all(map(is_over, deadline._abandoned))


def test_a_change_that_was_given_up_is_not_made_later(tmp_path: Path, time_of_calls: Clock) -> None:
    """On SQLite, which has no connection to cut off: the commit itself is refused."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    administered = make_app(url, STORED, AUTHZ_ACCOUNTS_TIMEOUT=SHORT)
    accounts = administered.extensions["jwt_authz"].accounts
    user = accounts.named("bob")
    begun, ends = threading.Event(), threading.Event()

    def change(turn: Any) -> None:
        row = turn.session.scalars(select(models.User).where(models.User.username == "bob")).one()
        row.disabled = True
        turn.session.flush()
        begun.set()
        time_of_calls.step(2 * SHORT)
        assert ends.wait(PATIENCE)

    deadline = administered.extensions[KEY].deadline
    with administered.app_context(), pytest.raises(StoreUnavailable):
        deadline.run(lambda: accounts.in_turn(change))
    assert begun.is_set()
    (attempt,) = deadline._abandoned
    ends.set()
    assert is_over(attempt)
    assert not accounts.find(user.subject).disabled
    accounts._transactions._sessions.kw["bind"].dispose()


# --- sources of roles that are silent ------------------------------------------------------------


class SilentSource:
    """A source of roles that answers no more once it is silenced."""

    def __init__(self) -> None:
        self.is_silent, self.ends, self.asked = False, threading.Event(), 0

    def load(self) -> Roles:
        self.asked += 1
        if self.is_silent:
            assert self.ends.wait(PATIENCE)
        return Roles(Role("clerk", "orders:read"))


def sourced(source: SilentSource, store: str, **config: Any) -> Flask:
    app = bare_app(AUTHZ_STORE_URL=store, AUTHZ_REVOCATION_MAX_AGE=1, **config)
    authz = Authz(app, roles=source)
    app.add_url_rule("/open", "open", lambda: "open")
    app.add_url_rule("/orders", "orders", requires("orders:read")(lambda: "orders"))
    with app.app_context():
        authz.prepare_store()
    return app


def token_of(app: Flask) -> str:
    with app.app_context():
        token: str = app.extensions["jwt_authz"].issue("ada", permissions=["orders:read"])
    return token


@pytest.mark.slow
def test_a_source_that_is_silent_from_the_start_holds_no_worker(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    headers = bearer(token_of(sourced(SilentSource(), store)))
    source = SilentSource()
    source.is_silent = True
    app = sourced(source, store, AUTHZ_ACCOUNTS_TIMEOUT=SHORT)

    with ThreadPoolExecutor(4) as worker:
        guarded = [
            worker.submit(app.test_client().get, "/orders", headers=headers) for _ in range(40)
        ]
        unguarded = worker.submit(app.test_client().get, "/open")
        for each in guarded:
            assert_unavailable(each.result(PATIENCE))
        assert unguarded.result(PATIENCE).status_code == 200
    assert source.asked <= 6
    source.ends.set()
    app.extensions[KEY]._revocations.stop()


@pytest.mark.slow
def test_a_source_that_falls_silent_at_a_change_is_503_and_then_answers_again(
    tmp_path: Path,
) -> None:
    source = SilentSource()
    app = sourced(source, f"sqlite:///{tmp_path / 'store.db'}")
    client, headers = app.test_client(), bearer(token_of(app))

    def answers(wanted: int) -> bool:
        return client.get("/orders", headers=headers).status_code == wanted

    eventually(lambda: answers(200))
    app.extensions[KEY]._live._deadline.seconds = SHORT
    source.is_silent = True
    with app.app_context():
        view = app.extensions[KEY].needed_revocations()
        view.announce_catalogue()

    eventually(lambda: answers(503))
    assert client.get("/open").status_code == 200
    app.extensions[KEY]._live._deadline.seconds = PATIENCE
    source.is_silent = False
    source.ends.set()
    eventually(lambda: answers(200))
    view.stop()


class View:
    """What a LiveCatalog asks of the revocations; a test tells it the news."""

    def __init__(self) -> None:
        self.mark: tuple[object, ...] = (1,)
        self.tell: Any = None

    def check_age(self) -> None: ...

    def mark_of_catalogue(self) -> tuple[object, ...]:
        return self.mark

    def call_after_look(self, heed: Any) -> bool:
        self.tell = heed
        return True


def test_only_the_thread_that_follows_the_store_asks_a_source_that_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_roles, "SLOW", SHORT / 2)
    source, view = SilentSource(), View()
    live = live_roles.LiveCatalog(source, view, 0.0, PATIENCE)  # type: ignore[arg-type]
    assert "clerk" in live.current().roles
    live._deadline.seconds = SHORT
    source.is_silent, view.mark = True, (2,)
    view.tell((0.0, 0.0))
    asked = source.asked
    for _ in range(20):
        with pytest.raises(StoreUnavailable, match="its source does not answer"):
            live.current()
    assert source.asked == asked

    live._deadline.seconds = PATIENCE
    source.is_silent = False
    source.ends.set()
    view.tell((0.0, 0.0))
    assert live.current().mark == (2,)


def test_nobody_waits_for_anothers_load_while_the_source_is_failing() -> None:
    source = SilentSource()
    live = live_roles.LiveCatalog(source, View(), 0.0, 60.0)  # type: ignore[arg-type]
    live._failures = 1  # as after a load that failed
    source.is_silent = True
    loading = threading.Thread(target=live.current)
    loading.start()
    eventually(lambda: source.asked > 0)
    with pytest.raises(StoreUnavailable, match="is still being loaded"):
        live.current()
    assert loading.is_alive()
    source.ends.set()
    loading.join()


# --- greenlets -----------------------------------------------------------------------------------

GREENLETS = """
from gevent import monkey; monkey.patch_all()
import gevent
from tests.concurrency.test_deadlines import Own, log_in, shop
client = shop(Own(lambda name: gevent.sleep(60)), AUTHZ_ACCOUNTS_TIMEOUT=0.2).test_client()
print(log_in(client).status_code, client.get("/open").status_code)
"""


@pytest.mark.slow
def test_the_deadline_holds_for_greenlets() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GREENLETS],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout.split() == ["503", "200"], ran.stderr
