"""Who is logged in, kept in Flask's session: begun, timed out, ended, and never someone else's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask, request, session
from flask.testing import FlaskClient

from jwt_authz import Authz, Identity, MisuseError, Role, Roles, current_identity, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.cli.main import authz as commands
from jwt_authz.contrib import sessions as sessions_module
from jwt_authz.contrib.sessions import SessionLogin
from jwt_authz.errors import StoreUnavailable

ROLES = Roles(Role("user", "profile:read", level=1), Role("admin", "users:*", level=2))


def make(log_in: SessionLogin, accounts: Any = None, **config: Any) -> Flask:
    app = Flask("sessions")
    app.config.update(SECRET_KEY="s" * 40, **config)
    authz = Authz(app, roles=ROLES, accounts=accounts)

    @authz.identity_loader
    def from_session() -> Identity | None:
        user = log_in.current()
        if user is None:
            return None
        return Identity(user["subject"], roles=user["roles"], catalogue=ROLES)

    @app.post("/log-in")
    def begin() -> str:
        kept = {"subject": request.form["who"], "roles": [request.form["role"]], "tenant": "north"}
        log_in.begin(kept)
        return "in"

    @app.post("/log-out")
    def end() -> dict[str, Any]:
        return {"ended": log_in.end()}

    @app.get("/profile")
    @requires("profile:read")
    def profile() -> str:
        return str(current_identity.subject)

    @app.post("/basket")
    def basket() -> str:
        session["basket"] = ["shoes"]
        return "kept"

    @app.get("/basket")
    def kept_basket() -> dict[str, Any]:
        return {"basket": session.get("basket")}

    return app


@pytest.fixture
def client() -> FlaskClient:
    return make(SessionLogin()).test_client()


def begin(client: FlaskClient, who: str = "ada", role: str = "user") -> None:
    assert client.post("/log-in", data={"who": who, "role": role}).status_code == 200


def test_a_log_in_opens_what_its_roles_allow_and_a_log_out_closes_it(client: FlaskClient) -> None:
    assert client.get("/profile").status_code == 401
    begin(client)
    assert client.get("/profile").text == "ada"
    assert client.post("/log-out").get_json()["ended"] == {
        "subject": "ada",
        "roles": ["user"],
        "tenant": "north",
    }
    assert client.get("/profile").status_code == 401
    assert client.post("/log-out").get_json() == {"ended": None}


def test_a_session_without_the_permission_is_403(client: FlaskClient) -> None:
    begin(client, role="admin")
    assert client.get("/profile").status_code == 403


def test_a_log_in_ends_by_its_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    client = make(SessionLogin(timeout=timedelta(minutes=5))).test_client()
    begin(client)
    now = sessions_module.time.time()
    monkeypatch.setattr(sessions_module.time, "time", lambda: now + 299)
    assert client.get("/profile").status_code == 200
    monkeypatch.setattr(sessions_module.time, "time", lambda: now + 302)
    assert client.get("/profile").status_code == 401
    monkeypatch.undo()
    assert client.get("/profile").status_code == 401  # ended, and not only out of date


def test_a_log_in_without_a_timeout_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    client = make(SessionLogin(timeout=None)).test_client()
    begin(client)
    now = sessions_module.time.time()
    monkeypatch.setattr(sessions_module.time, "time", lambda: now + 10**6)
    assert client.get("/profile").status_code == 200


@pytest.mark.parametrize("stamp", [None, "yesterday", [1]], ids=repr)
def test_a_session_that_does_not_say_when_it_began_is_over(stamp: Any) -> None:
    app = make(SessionLogin())
    with app.test_request_context():
        log_in = SessionLogin()
        log_in.begin({"subject": "ada"})
        session[log_in.time_key] = stamp
        assert log_in.current() is None


def test_a_time_that_is_a_datetime_is_read(client: FlaskClient) -> None:
    with make(SessionLogin()).test_request_context():
        log_in = SessionLogin()
        log_in.begin({"subject": "ada"})
        session[log_in.time_key] = datetime.fromtimestamp(sessions_module.time.time()).astimezone()
        assert log_in.current() == {"subject": "ada"}


def test_what_a_visitor_kept_stays_at_their_log_in_and_is_gone_for_the_next(
    client: FlaskClient,
) -> None:
    client.post("/basket")
    begin(client, "ada")
    assert client.get("/basket").get_json() == {"basket": ["shoes"]}
    begin(client, "ada")
    assert client.get("/basket").get_json() == {"basket": ["shoes"]}
    begin(client, "bob")
    assert client.get("/basket").get_json() == {"basket": None}


def test_a_session_kept_by_the_server_gets_a_new_id() -> None:
    app = make(SessionLogin())
    renewed: list[bool] = []

    class Regenerating(type(app.session_interface)):  # type: ignore[misc]
        def regenerate(self, of: Any) -> None:
            renewed.append(of.modified)

    app.session_interface = Regenerating()
    begin(app.test_client())
    assert renewed == [True]


def test_a_log_in_without_a_subject_is_a_misuse() -> None:
    with make(SessionLogin()).test_request_context(), pytest.raises(MisuseError, match="subject="):
        SessionLogin().begin({"roles": ["admin"]})


def test_two_log_ins_under_names_of_their_own_do_not_meet() -> None:
    with make(SessionLogin()).test_request_context():
        staff = SessionLogin(user_key="staff", time_key="staff_since", subject="email")
        staff.begin({"email": "ada@example.com"})
        assert SessionLogin().current() is None
        assert staff.current() == {"email": "ada@example.com"}


# A session ends as tokens do


def with_ada() -> MemoryAccounts:
    accounts = MemoryAccounts()
    accounts.add("ada", "correct horse battery", roles=["user"], subject="ada", tenant="north")
    accounts.add("bob", "correct horse battery", roles=["user"], subject="bob", tenant="south")
    return accounts


@pytest.mark.parametrize(
    "what",
    [{"subject": "ada"}, {"everything": True}, {"tenant": "north"}, {"role": "user"}],
    ids=str,
)
def test_a_session_ends_with_what_ends_the_users_tokens(what: dict[str, Any]) -> None:
    app = make(SessionLogin(), AUTHZ_STORE_URL="memory:")
    client = app.test_client()
    begin(client)
    copy = app.test_client()
    cookie = client.get_cookie("session")
    assert cookie is not None
    copy.set_cookie("session", cookie.value)
    assert copy.get("/profile").status_code == 200
    with app.app_context():
        app.extensions["jwt_authz"].revoke(**what)
    assert client.get("/profile").status_code == 401
    assert copy.get("/profile").status_code == 401
    begin(client)
    assert client.get("/profile").status_code == 200
    assert copy.get("/profile").status_code == 401


def test_a_session_without_a_limit_and_one_that_does_not_say_when_it_began_end_too() -> None:
    app = make(SessionLogin(timeout=None), AUTHZ_STORE_URL="memory:")
    client = app.test_client()
    begin(client)
    with app.app_context():
        app.extensions["jwt_authz"].revoke(subject="bob")
    assert client.get("/profile").status_code == 200
    with client.session_transaction() as kept:
        kept["authz_log_in"] = float("nan")
    with app.app_context():
        app.extensions["jwt_authz"].revoke(everything=True)
    assert client.get("/profile").status_code == 401


@pytest.mark.parametrize("keeps_roles", [True, False])
def test_changed_roles_end_a_session_that_keeps_roles(keeps_roles: bool) -> None:
    app = make(SessionLogin(), AUTHZ_STORE_URL="memory:")
    with app.test_request_context():
        log_in = SessionLogin()
        kept = {"subject": "ada", "roles": ["user"]} if keeps_roles else {"subject": "ada"}
        log_in.begin(kept)
        assert log_in.current() == kept
        app.extensions["jwt_authz"].revoke(subject="ada", keeps_families=True)
        assert log_in.current() == (None if keeps_roles else kept)


@pytest.mark.parametrize(
    "command",
    [
        ["disable", "ada", "--yes"],
        ["reset-password", "ada", "--random"],
        ["remove", "ada", "--yes"],
    ],
    ids=lambda command: command[0],
)
def test_a_session_ends_by_the_commands_that_end_a_log_in(command: list[str]) -> None:
    app = make(SessionLogin(), with_ada(), AUTHZ_STORE_URL="memory:")
    ada, bob = app.test_client(), app.test_client()
    begin(ada)
    begin(bob, "bob")
    done = app.test_cli_runner().invoke(commands, ["users", *command])
    assert done.exit_code == 0, done.output
    assert ada.get("/profile").status_code == 401
    assert bob.get("/profile").text == "bob"


def test_without_a_store_a_session_ends_when_its_user_is_disabled_or_gone() -> None:
    accounts = with_ada()
    app = make(SessionLogin(), accounts)
    client = app.test_client()
    begin(client)
    assert client.get("/profile").status_code == 200
    accounts.disable("ada")
    assert client.get("/profile").status_code == 401
    accounts.enable("ada")
    assert client.get("/profile").status_code == 401  # ended, and not only held back
    begin(client)
    assert client.get("/profile").status_code == 200
    accounts.remove("ada")
    assert client.get("/profile").status_code == 401


def test_the_accounts_are_asked_once_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts, asked = with_ada(), []
    find = accounts.find
    monkeypatch.setattr(accounts, "find", lambda subject: (asked.append(subject), find(subject))[1])
    app = make(SessionLogin(), accounts)
    client = app.test_client()
    begin(client)
    asked.clear()
    assert client.get("/profile").status_code == 200
    assert asked == ["ada"]


def test_a_session_of_users_who_are_not_in_the_accounts_does_not_ask_them() -> None:
    app = make(SessionLogin(asks_accounts=False), with_ada())
    client = app.test_client()
    begin(client, "eve")
    assert client.get("/profile").status_code == 200


def test_a_subject_that_the_accounts_do_not_know_is_a_misuse() -> None:
    """It is often the name, where the subject is wanted, and the session ended without a word."""
    accounts = MemoryAccounts()
    user = accounts.add("ada", "correct horse battery")
    with make(SessionLogin(), accounts).test_request_context():
        log_in = SessionLogin()
        with pytest.raises(MisuseError, match=r"no user with this subject.*asks_accounts=False"):
            log_in.begin({"subject": "ada"})
        assert log_in.kept() is None
        log_in.begin({"subject": user.subject})
        assert log_in.current() == {"subject": user.subject}


def test_a_user_who_was_added_in_the_same_request_can_begin() -> None:
    accounts = MemoryAccounts()
    with make(SessionLogin(), accounts).test_request_context():
        log_in = SessionLogin()
        with pytest.raises(MisuseError):
            log_in.begin({"subject": "5"})
        accounts.add("ada", "correct horse battery", subject="5")
        log_in.begin({"subject": "5"})
        assert log_in.current() == {"subject": "5"}


@pytest.mark.slow
@pytest.mark.usefixtures("nobody_waits_for_a_first_load")
def test_a_store_that_does_not_answer_opens_nothing() -> None:
    app = make(SessionLogin(), AUTHZ_STORE_URL="redis://127.0.0.1:1/0")
    client = app.test_client()
    assert client.post("/log-in", data={"who": "ada", "role": "user"}).status_code == 503
    with client.session_transaction() as kept:
        kept["authz_user"] = {"subject": "ada", "roles": ["user"]}
        kept["authz_log_in"] = sessions_module.time.time()
    assert client.get("/profile").status_code == 503


def test_accounts_that_do_not_answer_open_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(subject: str) -> None:
        raise StoreUnavailable("down")

    accounts = with_ada()
    app = make(SessionLogin(), accounts)
    client = app.test_client()
    begin(client)
    monkeypatch.setattr(accounts, "find", fail)
    assert client.get("/profile").status_code == 503


def test_a_log_in_during_which_the_password_changed_is_refused() -> None:
    app = make(SessionLogin(), with_ada(), AUTHZ_STORE_URL="memory:")
    authz = app.extensions["jwt_authz"]
    with app.test_request_context():
        since = authz.now()
        SessionLogin().begin({"subject": "ada"}, since=since)
        since = authz.now()
        authz.revoke(subject="ada")
        with pytest.raises(StoreUnavailable):
            SessionLogin().begin({"subject": "ada"}, since=since)
