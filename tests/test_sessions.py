"""Who is logged in, kept in Flask's session: begun, timed out, ended, and never somebody else's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask, request, session
from flask.testing import FlaskClient

from jwt_authz import Authz, Identity, MisuseError, Role, Roles, current_identity, requires
from jwt_authz import sessions as sessions_module
from jwt_authz.sessions import SessionLogin

ROLES = Roles(Role("user", "profile:read", level=1), Role("admin", "users:*", level=2))


def make(log_in: SessionLogin) -> Flask:
    app = Flask("sessions")
    app.config.update(SECRET_KEY="s" * 40)
    authz = Authz(app, roles=ROLES)

    @authz.identity_loader
    def from_session() -> Identity | None:
        user = log_in.current()
        if user is None:
            return None
        return Identity(user["subject"], roles=user["roles"], catalogue=ROLES)

    @app.post("/log-in")
    def begin() -> str:
        log_in.begin({"subject": request.form["who"], "roles": [request.form["role"]]})
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
    assert client.post("/log-out").get_json()["ended"] == {"subject": "ada", "roles": ["user"]}
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
