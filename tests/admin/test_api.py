"""The admin API: what an administrator may list and change, and what not even they may.

SECURITY 1.35, 1.41, 2.28, 2.29, 2.33, 2.34, 2.36, 2.37.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from jwt_authz import MisuseError, has_role
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.admin import admin_api_blueprint
from jwt_authz.admin.api import FRESH
from jwt_authz.audit import changed
from jwt_authz.authentication import verified
from jwt_authz.extension import Authz
from tests import foreign

from .application import PASSWORD, PROBLEM, USERS, ask, catalog, tokens

CHANGES = "/admin/api/changes"
Ask = Callable[..., Any]


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [user["username"] for user in answer.json["users"]]


def problem(answer: Any, status: int) -> str:
    """The name of the problem that is answered."""
    assert (answer.status_code, answer.mimetype) == (status, PROBLEM), answer.text
    return str(answer.json["type"]).removeprefix("urn:jwt-authz:problem:")


def test_the_users_are_listed_without_any_other_column(as_ann: Ask) -> None:
    answer = as_ann("GET", USERS)
    assert answer.json == {
        "users": [
            {"subject": "ann", "username": "ann", "roles": ["admin"], "disabled": False},
            {"subject": "bob", "username": "bob", "roles": ["editor"], "disabled": False},
            {"subject": "cy", "username": "cy", "roles": [], "disabled": False},
        ],
        "page": 1,
        "page_size": 25,
        "total": 3,
    }
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("app", ["sqlite", "mariadb"], indirect=True)
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=B", ["bob"]),
        ("search=n", ["ann"]),
        ("search=%25", []),
        ("search=_", []),
        ("role=editor", ["bob"]),
        ("disabled=true", []),
        ("disabled=false&sort=-username", ["cy", "bob", "ann"]),
        ("sort=-added&page_size=2", ["cy", "bob"]),
        ("page=2&page_size=2", ["cy"]),
        ("page_size=1000000000", ["ann", "bob", "cy"]),
        ("search=%00b", ["bob"]),
    ],
)
def test_users_are_searched_filtered_sorted_and_paged(
    as_ann: Ask, query: str, found: list[str]
) -> None:
    assert names(as_ann("GET", f"{USERS}?{query}")) == found


def test_no_page_is_larger_than_a_hundred(as_ann: Ask) -> None:
    assert as_ann("GET", f"{USERS}?page_size=1000000000").json["page_size"] == 100


@pytest.mark.parametrize(
    "query",
    [
        "password_hash=x",
        "sort=password_hash",
        "sort=-password_hash",
        "disabled=1",
        "page=0",
        "page=x",
        "page=99999999999999999999",
        "search=a&search=b",
        "search=" + 256 * "x",
    ],
)
def test_what_is_not_on_the_list_of_filters_and_sorts_is_refused(as_ann: Ask, query: str) -> None:
    assert problem(as_ann("GET", f"{USERS}?{query}"), 400) == "invalid-request"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", USERS),
        ("POST", USERS),
        ("GET", f"{USERS}/bob"),
        ("PUT", f"{USERS}/bob/roles"),
        ("PUT", f"{USERS}/bob/disabled"),
        ("GET", f"{USERS}/bob/sessions"),
        ("DELETE", f"{USERS}/bob/sessions"),
        ("GET", CHANGES),
    ],
)
def test_nobody_else_is_let_in(app: Flask, method: str, path: str) -> None:
    answer = ask(app, tokens(app, "bob")["access_token"], method, path, json={})
    assert problem(answer, 403) == "not-allowed"
    assert app.test_client().open(path, method=method).status_code == 401


def test_a_role_that_is_taken_away_is_gone_from_the_next_request_on(
    app: Flask, as_ann: Ask
) -> None:
    old = tokens(app, "bob")
    assert ask(app, old["access_token"], "GET", "/write").status_code == 200
    answer = as_ann("PUT", f"{USERS}/bob/roles", json={"roles": ["viewer"]})
    assert (answer.status_code, answer.json["roles"]) == (200, ["viewer"])
    assert ask(app, old["access_token"], "GET", "/write").status_code == 401
    refreshed = app.test_client().post(
        "/token/refresh", json={"refresh_token": old["refresh_token"]}
    )
    assert ask(app, refreshed.json["access_token"], "GET", "/write").status_code == 403


def test_a_disabled_user_is_logged_out_everywhere_and_may_be_enabled_again(
    app: Flask, as_ann: Ask
) -> None:
    old = tokens(app, "bob")
    assert as_ann("PUT", f"{USERS}/bob/disabled", json={"disabled": True}).json["disabled"] is True
    client = app.test_client()
    assert ask(app, old["access_token"], "GET", "/me").status_code == 401
    refresh = {"refresh_token": old["refresh_token"]}
    assert client.post("/token/refresh", json=refresh).status_code == 401
    credentials = {"username": "bob", "password": PASSWORD}
    assert client.post("/token", json=credentials).status_code == 401
    as_ann("PUT", f"{USERS}/bob/disabled", json={"disabled": False})
    assert client.post("/token", json=credentials).status_code == 200


def test_the_sessions_of_a_user_are_listed_and_ended(app: Flask, as_ann: Ask) -> None:
    old = tokens(app, "bob")
    (session,) = as_ann("GET", f"{USERS}/bob/sessions").json["sessions"]
    assert set(session) == {"id", "client", "created_at", "used_at", "expires_at"}
    assert as_ann("DELETE", f"{USERS}/bob/sessions").status_code == 204
    assert ask(app, old["access_token"], "GET", "/me").status_code == 401
    assert as_ann("GET", f"{USERS}/bob/sessions").json == {"sessions": []}


def test_a_user_is_created_and_may_log_in(app: Flask, as_ann: Ask) -> None:
    body = {"username": "dee", "password": PASSWORD, "roles": ["viewer"]}
    answer = as_ann("POST", USERS, json=body)
    assert (answer.status_code, answer.json["roles"]) == (201, ["viewer"])
    assert "password" not in answer.text
    assert tokens(app, "dee")["token_type"] == "Bearer"


@pytest.mark.parametrize("app", ["sqlite", "mariadb"], indirect=True)
def test_a_taken_name_is_reported_without_any_sql(as_ann: Ask) -> None:
    answer = as_ann("POST", USERS, json={"username": "bob", "password": PASSWORD})
    assert problem(answer, 409) == "change-refused"
    assert answer.json["detail"] == "Not changed: the username is taken: choose another one."


def test_a_constraint_of_the_database_is_reported_without_any_sql_or_row(
    app: Flask, as_ann: Ask
) -> None:
    with app.extensions["engine"].begin() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX one_name ON users (lower(username))")
    answer = as_ann("POST", USERS, json={"username": "BOB", "password": PASSWORD})
    assert problem(answer, 409) == "change-refused"
    for word in ("INSERT", "UNIQUE", "argon2", "one_name", "BOB"):
        assert word not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"username": "dee", "password": PASSWORD, "is_admin": True},
        {"username": "dee", "password": PASSWORD, "subject": "ann"},
        {"username": "dee", "password": PASSWORD, "tenant": "north"},
        {"username": "dee", "password": "short"},
        {"username": "dee", "password": "long " * 1_000},
        {"username": "dee", "password": "\u00e4" * 2_049},
        {"username": "dee", "password": "\ud800 is not a character"},
        {"username": "dee", "password": "Password1"},
        {"username": "d\0e", "password": PASSWORD},
        {"username": ["dee"], "password": PASSWORD},
        {"password": PASSWORD},
        {"username": "dee", "password": PASSWORD, "roles": "admin"},
        {"username": "dee", "password": PASSWORD, "roles": ["unheard-of"]},
    ],
)
def test_a_body_with_anything_else_creates_nobody(as_ann: Ask, body: dict[str, Any]) -> None:
    assert as_ann("POST", USERS, json=body).status_code == 400
    assert as_ann("GET", USERS).json["total"] == 3


def test_a_password_that_cannot_be_set_is_refused_with_the_reason(as_ann: Ask) -> None:
    password = "long " * 1_000
    answer = as_ann("POST", USERS, json={"username": "dee", "password": password})
    assert problem(answer, 400) == "invalid-request"
    assert "at most 4096 bytes" in answer.json["detail"]
    assert password not in answer.text


def test_a_user_who_is_not_there_is_not_found(as_ann: Ask) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "/roles", {"roles": []}),
        ("PUT", "/disabled", {"disabled": True}),
        ("GET", "/sessions", None),
        ("DELETE", "/sessions", None),
    ):
        answer = as_ann(method, f"{USERS}/nobody{path}", json=body)
        assert problem(answer, 404) == "user-unknown"


def test_nobody_gives_themselves_a_role(as_ann: Ask) -> None:
    answer = as_ann("PUT", f"{USERS}/ann/roles", json={"roles": ["admin", "auditor"]})
    assert problem(answer, 403) == "self-promotion"
    assert as_ann("GET", f"{USERS}/ann").json["roles"] == ["admin"]


@pytest.mark.parametrize(
    ("prefix", "refused"),
    [("", "self-promotion"), ("id|", "role-not-held"), (None, "role-not-held")],
)
def test_a_foreign_administrator_is_a_user_of_that_subject_if_the_issuer_says_so(
    app: Flask, prefix: str | None, refused: str
) -> None:
    app.extensions["jwt_authz"].trust(foreign.trusted(roles=["admin"], subject_prefix=prefix))
    claims = {"sub": "ann", "roles": ["admin"], "auth_time": int(time.time())}
    token = foreign.signed(foreign.payload_of(**claims))
    answer = ask(app, token, "PUT", f"{USERS}/ann/roles", json={"roles": ["admin", "auditor"]})
    assert problem(answer, 403) == refused


def test_nobody_gives_others_a_role_that_they_do_not_hold(as_ann: Ask) -> None:
    answer = as_ann("PUT", f"{USERS}/bob/roles", json={"roles": ["auditor"]})
    assert problem(answer, 403) == "role-not-held"
    body = {"username": "dee", "password": PASSWORD, "roles": ["auditor"]}
    assert problem(as_ann("POST", USERS, json=body), 403) == "role-not-held"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("roles", {"roles": ["editor"]}),
        ("roles", {"roles": []}),
        ("disabled", {"disabled": True}),
    ],
)
def test_the_last_administrator_stays_and_any_other_may_go(
    app: Flask, as_ann: Ask, path: str, body: dict[str, Any]
) -> None:
    answer = as_ann("PUT", f"{USERS}/ann/{path}", json=body)
    assert problem(answer, 409) == "last-administrator"
    assert as_ann("GET", f"{USERS}/ann").json["roles"] == ["admin"]
    app.extensions["jwt_authz"].accounts.set_roles("cy", ["admin"])
    assert as_ann("PUT", f"{USERS}/ann/{path}", json=body).status_code == 200
    assert as_ann("GET", USERS).status_code == 401


def test_a_disabled_administrator_does_not_count_as_the_one_who_is_left(
    app: Flask, as_ann: Ask
) -> None:
    accounts = app.extensions["jwt_authz"].accounts
    accounts.set_roles("cy", ["admin"])
    accounts.disable("cy")
    answer = as_ann("PUT", f"{USERS}/ann/disabled", json={"disabled": True})
    assert problem(answer, 409) == "last-administrator"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", USERS, {"username": "dee", "password": PASSWORD}),
        ("PUT", f"{USERS}/bob/roles", {"roles": []}),
        ("PUT", f"{USERS}/bob/disabled", {"disabled": True}),
    ],
)
def test_a_change_needs_a_fresh_log_in(
    app: Flask, as_ann: Ask, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    with app.app_context():
        without = app.extensions["jwt_authz"].issue("ann", roles=["admin"])
    assert ask(app, without, "GET", USERS).status_code == 200
    assert ask(app, without, method, path, json=body).status_code == 401
    later = time.time() + FRESH.total_seconds() + 1
    monkeypatch.setattr(verified, "time", lambda: later)
    assert as_ann("GET", USERS).status_code == 200
    assert problem(as_ann(method, path, json=body), 401) == "token-not-fresh"
    monkeypatch.undo()
    assert as_ann(method, path, json=body).status_code in (200, 201)


@pytest.mark.parametrize("app", ["sqlite", "mariadb"], indirect=True)
def test_each_change_is_recorded_with_who_what_before_and_after(as_ann: Ask) -> None:
    as_ann("PUT", f"{USERS}/bob/roles", json={"roles": ["viewer"]})
    as_ann("PUT", f"{USERS}/bob/roles", json={"roles": ["viewer"]})
    as_ann("PUT", f"{USERS}/bob/disabled", json={"disabled": True})
    as_ann("DELETE", f"{USERS}/bob/sessions")
    as_ann("POST", USERS, json={"username": "dee", "password": PASSWORD})
    answer = as_ann("GET", CHANGES)
    reported = [
        (one["actor"], one["action"], one["username"], one["before"], one["after"])
        for one in answer.json["changes"]
    ]
    assert reported == [
        ("ann", "create user", "dee", None, {"roles": []}),
        ("ann", "end sessions", "bob", {"sessions": 0}, {"sessions": 0}),
        ("ann", "disable user", "bob", {"disabled": False}, {"disabled": True}),
        ("ann", "change roles", "bob", {"roles": ["editor"]}, {"roles": ["viewer"]}),
    ]
    assert as_ann("GET", f"{CHANGES}?subject=bob").json["total"] == 3
    assert PASSWORD not in answer.text
    assert "argon2" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_trail_cannot_be_changed_by_the_api(as_ann: Ask, method: str) -> None:
    assert as_ann(method, CHANGES, json={}).status_code == 405


def test_a_change_is_logged_on_one_line_without_a_secret(
    as_ann: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jwt_authz.admin")
    as_ann("POST", USERS, json={"username": "d\r\nee", "password": PASSWORD})
    (message,) = [one.getMessage() for one in caplog.records if one.name == "jwt_authz.admin"]
    assert "\n" not in message
    assert json.loads(message.removeprefix("changed: "))["username"] == "d\r\nee"
    assert PASSWORD not in message


def test_the_audit_records_each_change_and_none_that_was_refused(
    app: Flask, as_ann: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    reported: list[dict[str, Any]] = []

    def receive(sender: Flask, **what: Any) -> None:
        reported.append(what)

    with changed.connected_to(receive, app), caplog.at_level(logging.INFO, "jwt_authz"):
        assert as_ann("PUT", f"{USERS}/bob/roles", json={"roles": []}).status_code == 200
        assert as_ann("PUT", f"{USERS}/bob/disabled", json={"disabled": True}).status_code == 200
        assert as_ann("PUT", f"{USERS}/bob/disabled", json={"disabled": True}).status_code == 200
        assert as_ann("PUT", f"{USERS}/ann/disabled", json={"disabled": True}).status_code == 409
        assert as_ann("DELETE", f"{USERS}/bob/sessions").status_code == 204
        created = as_ann("POST", USERS, json={"username": "d\nee", "password": PASSWORD})
    subject = created.json["subject"]
    assert reported == [
        {"by": "ann", "action": action, "name": name, "subject": of}
        for action, name, of in [
            ("change roles", "bob", "bob"),
            ("disable user", "bob", "bob"),
            ("end sessions", "bob", "bob"),
            ("create user", "d\nee", subject),
        ]
    ]
    records = [one.getMessage() for one in caplog.records if one.name == "jwt_authz"]
    assert "changed | change roles bob | by ann" in records
    assert not any("\n" in text for text in records)


def test_what_a_receiver_raises_keeps_no_token_alive(app: Flask, as_ann: Ask) -> None:
    def fail(sender: Flask, **what: Any) -> None:
        raise RuntimeError("the receiver's own")

    token = tokens(app, "bob")["access_token"]
    with changed.connected_to(fail, app):
        assert as_ann("PUT", f"{USERS}/bob/roles", json={"roles": []}).status_code == 500
    assert problem(ask(app, token, "GET", USERS), 401) == "token-revoked"


def test_a_caller_of_one_tenant_sees_and_changes_its_users_alone(app: Flask) -> None:
    accounts = app.extensions["jwt_authz"].accounts
    accounts.add("north", PASSWORD, roles=["admin"], tenant="n", subject="north")
    accounts.add("nils", PASSWORD, tenant="n", subject="nils")
    token = tokens(app, "north")["access_token"]
    assert names(ask(app, token, "GET", USERS)) == ["nils", "north"]
    assert problem(ask(app, token, "GET", f"{USERS}/bob"), 404) == "user-unknown"
    roles = {"roles": ["viewer"]}
    assert ask(app, token, "PUT", f"{USERS}/bob/roles", json=roles).status_code == 404
    assert ask(app, token, "PUT", f"{USERS}/nils/roles", json=roles).status_code == 200
    assert ask(app, token, "GET", CHANGES).json["total"] == 1


def test_the_requirements_hold_also_where_guards_are_not_enforced(app: Flask) -> None:
    app.config["AUTHZ_ENFORCE"] = False
    token = tokens(app, "bob")["access_token"]
    answer = ask(app, token, "PUT", f"{USERS}/cy/roles", json={"roles": ["editor"]})
    assert answer.status_code == 403


def test_a_blueprint_without_a_requirement_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="needs a requirement"):
        admin_api_blueprint()


def test_accounts_that_cannot_be_changed_are_a_misuse() -> None:
    app = Flask("other")
    app.config.update(JWT_SECRET_KEY=48 * "k", AUTHZ_STORE_URL="memory:")
    authz = Authz(app, roles=catalog(), accounts=MemoryAccounts())
    app.register_blueprint(admin_api_blueprint(has_role("admin")))
    with app.app_context(), pytest.raises(MisuseError, match="accounts=AdminAccounts"):
        authz.check()
