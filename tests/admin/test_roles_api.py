"""The admin API's roles: what an administrator may change of them, and what not even they may.

SECURITY 2.28, 2.33, 2.34.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, current_app

from jwt_authz import Identity, Requirement, attr, has_level, has_role, has_scope, requires
from jwt_authz.admin import api
from jwt_authz.admin.api import FRESH
from jwt_authz.application import AppState
from jwt_authz.audit import changed
from jwt_authz.authentication import verified
from jwt_authz.conditions import subject
from jwt_authz.errors import StoreUnavailable
from jwt_authz.policy.decision import NO, YES

from .application import PASSWORD, PROBLEM, STORED, USERS, ask, close, make_app, tokens

ROLES = "/admin/api/roles"
CHANGES = "/admin/api/changes"
Ask = Callable[..., Any]
EDITOR = {"name": "editor", "permissions": ["articles:write"], "includes": ["viewer"]}
CHANGED = [
    ("POST", ROLES, {"name": "new", "permissions": []}),
    ("PUT", f"{ROLES}/viewer", {"permissions": []}),
    ("DELETE", f"{ROLES}/viewer", None),
]
LOOKED = [
    ("GET", ROLES, None),
    ("GET", f"{ROLES}/viewer", None),
    ("GET", "/admin/api/access", None),
    ("POST", f"{ROLES}/viewer/preview", {"permissions": []}),
    ("POST", f"{USERS}/bob/roles/preview", {"roles": []}),
]
WRITER: dict[str, Any] = {"permissions": ["articles:write"], "includes": ["viewer"]}
NEW_WRITER = {"name": "writer", **WRITER, "included_by": ["admin"]}


@pytest.fixture
def as_ann(stored: Flask) -> Ask:
    """Asks as the administrator, who holds all roles but auditor."""
    return logged_in(stored)


def logged_in(app: Flask) -> Ask:
    """Asks as the administrator, by a new token."""
    token = tokens(app, "ann")["access_token"]
    return lambda method, path, **keywords: ask(app, token, method, path, **keywords)


def problem(answer: Any, status: int) -> str:
    """The name of the problem that is answered."""
    assert (answer.status_code, answer.mimetype) == (status, PROBLEM), answer.text
    return str(answer.json["type"]).removeprefix("urn:jwt-authz:problem:")


def names(as_ann: Ask) -> list[str]:
    return [role["name"] for role in as_ann("GET", ROLES).json["roles"]]


def accounts_of(app: Flask) -> Any:
    return app.extensions["jwt_authz"].accounts


def guard_vault(app: Flask, requirement: Any, **more: Any) -> None:
    """Have the route `/vault` ask for this."""
    app.view_functions["vault"] = requires(requirement, **more)(lambda: "gold")


def test_the_roles_are_listed_with_what_each_grants(as_ann: Ask) -> None:
    answer = as_ann("GET", ROLES)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["editable"] is True
    assert {**EDITOR, "level": None} in answer.json["roles"]
    assert names(as_ann) == ["admin", "auditor", "editor", "viewer"]
    assert as_ann("GET", f"{ROLES}/editor").json == {**EDITOR, "level": None}


def test_what_is_taken_from_a_role_is_refused_at_the_next_request_of_an_old_token(
    stored: Flask, as_ann: Ask
) -> None:
    old = tokens(stored, "bob")["access_token"]
    assert ask(stored, old, "GET", "/write").status_code == 200
    answer = as_ann("PUT", f"{ROLES}/editor", json={**WRITER, "permissions": []})
    assert (answer.status_code, answer.json["permissions"]) == (200, [])
    assert problem(ask(stored, old, "GET", "/write"), 403) == "not-allowed"


def test_what_is_given_to_a_role_is_allowed_at_the_next_request_of_an_old_token(
    stored: Flask, as_ann: Ask
) -> None:
    accounts_of(stored).set_roles("cy", ["viewer"])
    old = tokens(stored, "cy")["access_token"]
    assert ask(stored, old, "GET", "/write").status_code == 403
    body = {"permissions": ["articles:read", "articles:write"]}
    assert as_ann("PUT", f"{ROLES}/viewer", json=body).status_code == 200
    assert ask(stored, old, "GET", "/write").status_code == 200


@pytest.mark.slow
def test_a_role_is_created_given_to_a_user_and_removed(stored: Flask, as_ann: Ask) -> None:
    body = {"name": "acme/writer", **WRITER, "level": -1, "included_by": ["admin"]}
    answer = as_ann("POST", ROLES, json=body)
    assert (answer.status_code, answer.json["level"]) == (201, -1)
    assert "acme/writer" in as_ann("GET", f"{ROLES}/admin").json["includes"]
    given = as_ann("PUT", f"{USERS}/cy/roles", json={"roles": ["acme/writer"]})
    assert given.status_code == 200, given.text
    token = tokens(stored, "cy")["access_token"]
    assert ask(stored, token, "GET", "/write").status_code == 200
    assert as_ann("DELETE", f"{ROLES}/acme/writer").status_code == 204
    assert as_ann("GET", f"{ROLES}/admin").json["includes"] == ["editor"]
    assert ask(stored, token, "GET", "/write").status_code == 401
    assert as_ann("GET", f"{USERS}/cy").json["roles"] == []


def add_again(app: Flask, name: str, *permissions: str) -> None:
    """Give the name of a removed role to a new one, as the command line does."""
    with app.app_context():
        app.extensions["jwt_authz"].roles_given.add(name, *permissions)
        app.extensions["jwt_authz"].reload_roles()


@pytest.mark.slow
def test_a_token_with_the_name_of_a_removed_role_does_not_come_back_with_it(
    stored: Flask, as_ann: Ask
) -> None:
    as_ann("POST", ROLES, json=NEW_WRITER)
    accounts_of(stored).set_roles("cy", ["writer"])
    old = tokens(stored, "cy")["access_token"]
    assert as_ann("DELETE", f"{ROLES}/writer").status_code == 204
    add_again(stored, "writer", "articles:write")
    assert ask(stored, old, "GET", "/write").status_code == 401


def test_nothing_changes_where_the_store_does_not_answer(
    stored: Flask, as_ann: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(state: AppState) -> None:
        raise StoreUnavailable("no answer")

    before = as_ann("GET", ROLES).json
    monkeypatch.setattr(AppState, "reload_roles", fail)
    for method, path, body in CHANGED:
        assert as_ann(method, path, json=body).status_code == 503
    monkeypatch.undo()
    assert logged_in(stored)("GET", ROLES).json == before


def test_a_change_that_other_processes_missed_can_be_repeated(
    as_ann: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []
    reload = AppState.reload_roles

    def fail_once(state: AppState) -> None:
        reported.append("notified")
        if len(reported) == 2:
            raise StoreUnavailable("no answer")
        reload(state)

    monkeypatch.setattr(AppState, "reload_roles", fail_once)
    body = {**WRITER, "permissions": []}
    assert as_ann("PUT", f"{ROLES}/editor", json=body).status_code == 503
    assert as_ann("PUT", f"{ROLES}/editor", json=body).status_code == 200
    assert len(reported) == 4
    assert as_ann("GET", f"{ROLES}/editor").json["permissions"] == []


def test_a_preview_shows_what_a_change_would_open_and_close(stored: Flask, as_ann: Ask) -> None:
    write = {"method": "GET", "rule": "/write", "before": "yes", "after": "no", "opens": False}
    given = as_ann("POST", f"{USERS}/bob/roles/preview", json={"roles": ["viewer"]})
    assert given.json == {"effects": [{**write, "roles": []}]}
    given = as_ann("POST", f"{ROLES}/editor/preview", json={**WRITER, "permissions": []})
    assert given.json == {"effects": [{**write, "roles": ["admin", "editor"]}]}
    given = as_ann("POST", f"{ROLES}/viewer/preview", json={"permissions": ["articles:write"]})
    assert given.json["effects"] == [
        {**write, "before": "no", "after": "yes", "opens": True, "roles": ["viewer"]}
    ]
    assert as_ann("GET", CHANGES).json["total"] == 0
    unknown = as_ann("POST", f"{USERS}/bob/roles/preview", json={"roles": ["nothing"]})
    assert problem(unknown, 400) == "unknown-role"


def test_who_can_do_what_is_shown_route_by_route(as_ann: Ask) -> None:
    answer = as_ann("GET", "/admin/api/access").json
    (row,) = [route for route in answer["routes"] if route["rule"] == "/write"]
    assert answer["roles"] == ["admin", "auditor", "editor", "viewer"]
    assert row["access"] == {"admin": "yes", "auditor": "no", "editor": "yes", "viewer": "no"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("viewer", {"permissions": ["payroll:read"]}, "permission-not-held"),
        ("viewer", {"permissions": ["*:*"]}, "permission-not-held"),
        ("viewer", {"permissions": ["articles:*"]}, "permission-not-held"),
        ("viewer", {"permissions": [], "includes": ["auditor"]}, "role-not-held"),
        ("viewer", {"permissions": [], "level": 1}, "level-not-held"),
        ("admin", {"permissions": ["users:manage", "payroll:read"]}, "permission-not-held"),
        ("admin", {"permissions": ["users:manage"], "includes": ["auditor"]}, "role-not-held"),
    ],
)
def test_nobody_gives_a_role_what_they_do_not_hold_themselves(
    as_ann: Ask, path: str, body: dict[str, Any], expected: str
) -> None:
    before = as_ann("GET", ROLES).json
    assert problem(as_ann("PUT", f"{ROLES}/{path}", json=body), 403) == expected
    assert as_ann("GET", ROLES).json == before
    assert as_ann("GET", CHANGES).json["total"] == 0


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"permissions": ["payroll:read"]}, "permission-not-held"),
        ({"includes": ["auditor"]}, "role-not-held"),
        ({"included_by": ["auditor"]}, "role-not-held"),
        ({"level": 1}, "level-not-held"),
    ],
)
def test_nobody_creates_a_role_with_what_they_do_not_hold_themselves(
    as_ann: Ask, more: dict[str, Any], expected: str
) -> None:
    body = {"name": "new", "permissions": [], **more}
    assert problem(as_ann("POST", ROLES, json=body), 403) == expected
    assert "new" not in names(as_ann)


@pytest.mark.parametrize("asked", [has_role("owner"), has_level("owner")])
def test_nobody_makes_the_role_that_a_route_asks_for_by_name_and_holds_it(
    stored: Flask, as_ann: Ask, asked: Any
) -> None:
    guard_vault(stored, asked)
    body = {"name": "owner", "permissions": [], "level": 0, "included_by": ["admin"]}
    assert problem(as_ann("POST", ROLES, json=body), 403) == "self-promotion"
    assert as_ann("GET", "/vault").status_code == 403


OWNED = attr("owner") == subject
OPEN = attr("state") == "open"


class Document:
    owner, state = "someone", "open"


@pytest.mark.parametrize(
    "asked",
    [
        OWNED | (has_role("owner") & OPEN),
        (has_role("owner") & OPEN) | OWNED,
        OWNED | (has_level("owner") & OPEN),
        OWNED | (~has_role("editor") & OPEN),
    ],
)
def test_nobody_opens_to_themselves_what_depends_on_more_than_roles(
    stored: Flask, as_ann: Ask, asked: Any
) -> None:
    guard_vault(stored, asked, on=Document)
    body = {"name": "owner", "permissions": [], "level": 0, "included_by": ["admin"]}
    apart = {"permissions": ["users:manage", "articles:write"], "includes": ["viewer"]}
    answers = [as_ann("POST", ROLES, json=body), as_ann("PUT", f"{ROLES}/admin", json=apart)]
    assert 403 in [answer.status_code for answer in answers]
    assert as_ann("GET", "/vault").status_code == 403


def test_nobody_comes_to_meet_a_rule_by_making_the_role_that_it_names(
    stored: Flask, as_ann: Ask
) -> None:
    stored.extensions["jwt_authz"].rule("documents:read", Document, has_role("owner"))
    body = {"name": "owner", "permissions": [], "included_by": ["admin"]}
    assert problem(as_ann("POST", ROLES, json=body), 403) == "self-promotion"


def test_nobody_makes_everybody_an_administrator_by_a_number(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'levels.sqlite'}"
    app = make_app(url, STORED, administrator=has_level("admin"))
    with app.app_context():
        app.extensions["jwt_authz"].roles_given.set_level("admin", 3)
        app.extensions["jwt_authz"].reload_roles()
    token = tokens(app, "ann")["access_token"]
    body = {"permissions": ["users:manage"], "includes": ["editor"], "level": 0}
    answer = ask(app, token, "PUT", f"{ROLES}/admin", json=body)
    assert problem(answer, 403) == "self-promotion"
    assert ask(app, tokens(app, "cy")["access_token"], "GET", USERS).status_code == 403
    close(app)


def test_the_last_administrator_stays_where_another_way_depends_on_more_than_roles(
    tmp_path: Any,
) -> None:
    url = f"sqlite:///{tmp_path / 'ways.sqlite'}"
    app = make_app(url, STORED, administrator=has_role("admin") | has_scope("administration"))
    token = tokens(app, "ann")["access_token"]
    answer = ask(app, token, "PUT", f"{USERS}/ann/roles", json={"roles": []})
    assert problem(answer, 409) == "last-administrator"
    assert problem(ask(app, token, "DELETE", f"{ROLES}/admin"), 409) == "last-administrator"
    close(app)


@pytest.mark.slow
def test_what_another_process_has_changed_a_moment_ago_counts_already(tmp_path: Any) -> None:
    """It is in the database, and the news of it is not here yet."""
    url = f"sqlite:///{tmp_path / 'news.sqlite'}"
    app = make_app(url, STORED, administrator="users:manage")
    there = app.extensions["jwt_authz"].roles_given
    there.add("second", "users:manage")
    accounts_of(app).set_roles("cy", ["second"])
    token = tokens(app, "ann")["access_token"]
    there.take("editor", "articles:write")
    given = ask(app, token, "PUT", f"{ROLES}/viewer", json={"permissions": ["articles:write"]})
    assert problem(given, 403) == "permission-not-held"
    there.take("admin", "users:manage")
    for path, taken in (("roles", {"roles": []}), ("disabled", {"disabled": True})):
        answer = ask(app, token, "PUT", f"{USERS}/cy/{path}", json=taken)
        assert problem(answer, 403) == "not-allowed"
    assert accounts_of(app).find("cy").roles == ("second",)
    there.add("third")
    accounts_of(app).set_roles("ann", ["second"])
    token = tokens(app, "ann")["access_token"]
    body = {"name": "third", "permissions": []}
    assert problem(ask(app, token, "POST", ROLES, json=body), 409) == "change-refused"
    there.remove("auditor")
    answer = ask(app, token, "PUT", f"{ROLES}/auditor", json={"permissions": []})
    assert problem(answer, 409) == "change-refused"
    assert "auditor" not in there.load()
    close(app)


def test_a_removal_without_a_store_leaves_no_token_that_becomes_valid_again(
    stored: Flask, as_ann: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise StoreUnavailable("no answer")

    as_ann("POST", ROLES, json=NEW_WRITER)
    accounts_of(stored).set_roles("cy", ["writer"])
    old = tokens(stored, "cy")["access_token"]
    monkeypatch.setattr("jwt_authz.logins.changes.revoke", fail)
    assert as_ann("DELETE", f"{ROLES}/writer").status_code == 503
    monkeypatch.undo()
    again = logged_in(stored)
    assert again("PUT", f"{ROLES}/viewer", json={"permissions": []}).status_code == 200
    add_again(stored, "writer", "articles:write")
    assert ask(stored, old, "GET", "/write").status_code == 401


@pytest.mark.slow
def test_a_removal_that_was_made_and_answered_503_is_finished_by_repeating_it(
    stored: Flask, as_ann: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_ann("POST", ROLES, json=NEW_WRITER)
    accounts_of(stored).set_roles("cy", ["writer"])
    late: list[str] = []

    def log_in_and_fail(*_: Any) -> None:
        late.append(stored.extensions["jwt_authz"].issue("cy", roles=["writer"]))
        raise StoreUnavailable("no answer")

    monkeypatch.setattr("jwt_authz.logins.changes.revoke", log_in_and_fail)
    assert as_ann("DELETE", f"{ROLES}/writer").status_code == 503
    monkeypatch.undo()
    assert problem(logged_in(stored)("DELETE", f"{ROLES}/writer"), 404) == "role-unknown"
    add_again(stored, "writer", "articles:write")
    assert ask(stored, late[0], "GET", "/write").status_code == 401


@pytest.mark.slow
def test_a_caller_who_loses_their_role_in_the_course_of_a_request_changes_nothing(
    stored: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends the body of a request late, say."""
    accounts_of(stored).set_roles("cy", ["admin"])
    token, read = tokens(stored, "cy")["access_token"], api.read_json
    for change in (
        lambda: accounts_of(stored).set_roles("cy", ["editor"]),
        lambda: (accounts_of(stored).set_roles("cy", ["admin"]), accounts_of(stored).disable("cy")),
    ):

        def read_late(schema: Any, change: Any = change) -> Any:
            body = read(schema)
            change()
            return body

        monkeypatch.setattr(api, "read_json", read_late)
        for method, path, body in (
            ("PUT", f"{USERS}/bob/roles", {"roles": ["admin"]}),
            ("POST", USERS, {"username": "dee", "password": PASSWORD, "roles": ["admin"]}),
            ("PUT", f"{ROLES}/viewer", {"permissions": []}),
            ("POST", ROLES, {"name": "new", "permissions": []}),
        ):
            answer = ask(stored, token, method, path, json=body)
            assert problem(answer, 403) == "not-allowed", path
    assert accounts_of(stored).find("bob").roles == ("editor",)


@pytest.mark.parametrize(
    ("loaded", "refused"),
    [
        ({"tenant": "north", "roles": ["admin"]}, {403, 404}),
        ({"roles": ["admin"], "permissions": []}, {403}),
    ],
)
def test_an_administrator_is_who_the_identity_loader_says(
    stored: Flask, loaded: dict[str, Any], refused: set[int]
) -> None:
    stored.extensions["jwt_authz"].identity_loader(
        lambda subject, claims: Identity(subject, catalogue=current_catalog(), **loaded)
    )
    token = tokens(stored, "ann")["access_token"]
    viewer = {"permissions": ["articles:read", "users:manage"]}
    answers = [ask(stored, token, "PUT", f"{ROLES}/viewer", json=viewer)]
    if "tenant" in loaded:
        answers.append(ask(stored, token, "PUT", f"{USERS}/bob/roles", json={"roles": []}))
        assert ask(stored, token, "GET", USERS).json["total"] == 0
    assert {answer.status_code for answer in answers} == refused
    assert accounts_of(stored).find("bob").roles == ("editor",)


def current_catalog() -> Any:
    return current_app.extensions["jwt_authz"].roles


class IsBoss(Requirement):
    """A requirement of an application's own, which tells what roles settle."""

    sentence = "is the boss"

    def fulfill(self, identity: Any) -> bool:
        return bool(identity.has_role("boss"))

    def analyse(self, identity: Any) -> Any:
        return YES if identity.has_role("boss") else NO


def test_nobody_comes_to_meet_a_requirement_of_ones_own_that_can_be_analysed(
    stored: Flask, as_ann: Ask
) -> None:
    guard_vault(stored, IsBoss())
    body = {"name": "boss", "permissions": [], "included_by": ["admin"]}
    assert problem(as_ann("POST", ROLES, json=body), 403) == "self-promotion"


def test_nobody_opens_a_route_to_themselves_by_dropping_a_role(stored: Flask) -> None:
    guard_vault(stored, has_role("admin") & ~has_role("auditor"))
    accounts_of(stored).set_roles("ann", ["admin", "auditor"])
    token = tokens(stored, "ann")["access_token"]
    answer = ask(stored, token, "PUT", f"{USERS}/ann/roles", json={"roles": ["admin"]})
    assert problem(answer, 403) == "self-promotion"
    assert ask(stored, token, "GET", "/vault").status_code == 403


def test_a_removal_that_is_refused_ends_no_token(stored: Flask, as_ann: Ask) -> None:
    accounts_of(stored).set_roles("cy", ["auditor"])
    old = tokens(stored, "cy")["access_token"]
    assert problem(as_ann("DELETE", f"{ROLES}/auditor"), 403) == "role-not-held"
    assert ask(stored, old, "GET", "/me").status_code == 200


def test_who_loses_a_role_that_is_removed_stands_in_the_trail(stored: Flask) -> None:
    accounts_of(stored).set_roles("ann", ["admin", "auditor"])
    accounts_of(stored).set_roles("cy", ["auditor", "viewer"])
    accounts_of(stored).grant_roles("bob", ["auditor"], tenant="north")
    assert logged_in(stored)("DELETE", f"{ROLES}/auditor").status_code == 204
    as_ann = logged_in(stored)
    (elsewhere,) = as_ann("GET", f"{CHANGES}?subject=bob").json["changes"]
    assert (elsewhere["tenant"], elsewhere["before"]) == ("north", {"roles": ["auditor"]})
    assert accounts_of(stored).find_in("bob", "north") is None
    (reported,) = as_ann("GET", f"{CHANGES}?subject=cy").json["changes"]
    assert as_ann("GET", f"{CHANGES}?role=auditor").json["total"] == 4
    assert (reported["action"], reported["actor_issuer"]) == ("change roles", None)
    assert reported["before"] == {"roles": ["auditor", "viewer"]}
    assert reported["after"] == {"roles": ["viewer"]}


@pytest.mark.slow
def test_a_change_of_a_role_that_is_another_one_than_was_seen_is_refused(as_ann: Ask) -> None:
    seen = as_ann("GET", f"{ROLES}/viewer").headers["ETag"]
    body = {"permissions": ["articles:read", "articles:write"]}
    changed_to = as_ann("PUT", f"{ROLES}/viewer", json=body, headers={"If-Match": seen})
    assert changed_to.status_code == 200
    for tag in (seen, '"x"', f'{seen}, "x"', "", ","):
        late = as_ann("PUT", f"{ROLES}/viewer", json=WRITER, headers={"If-Match": tag})
        assert problem(late, 412) == "changed-meanwhile"
        gone = as_ann("DELETE", f"{ROLES}/auditor", headers={"If-Match": tag})
        assert problem(gone, 412) == "changed-meanwhile"
    again = as_ann("PUT", f"{ROLES}/viewer", json=body, headers={"If-Match": seen})
    assert again.status_code == 200  # it is so already: an answer that was lost, say
    for tag in (changed_to.headers["ETag"], f'"x", {changed_to.headers["ETag"]}', "*"):
        again = as_ann("PUT", f"{ROLES}/viewer", json=body, headers={"If-Match": tag})
        assert again.status_code == 200


def test_nobody_lowers_a_level_that_is_above_their_own(stored: Flask, as_ann: Ask) -> None:
    guard_vault(stored, has_level("auditor"))
    with stored.app_context():
        stored.extensions["jwt_authz"].roles_given.set_level("auditor", 5)
        stored.extensions["jwt_authz"].reload_roles()
    body = {"permissions": [], "level": 0}
    assert problem(as_ann("PUT", f"{ROLES}/auditor", json=body), 403) == "level-not-held"
    assert as_ann("GET", "/vault").status_code == 403


def test_nobody_opens_a_route_to_themselves_by_taking_something_away(
    stored: Flask, as_ann: Ask
) -> None:
    guard_vault(stored, ~has_role("editor"))
    body = {"permissions": ["users:manage", "articles:write"], "includes": ["viewer"]}
    assert problem(as_ann("PUT", f"{ROLES}/admin", json=body), 403) == "self-promotion"


@pytest.mark.slow
@pytest.mark.parametrize("taken", ["the permission", "the role"])
def test_the_last_administrator_is_not_lost_by_a_change_of_a_role(
    tmp_path: Any, taken: str
) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'last.sqlite'}", STORED, administrator="users:manage")
    token = tokens(app, "ann")["access_token"]
    change = {"json": {"permissions": []}} if taken == "the permission" else {}
    method = "PUT" if change else "DELETE"
    answer = ask(app, token, method, f"{ROLES}/admin", **change)
    assert problem(answer, 409) == "last-administrator"
    assert ask(app, token, "GET", USERS).status_code == 200
    with app.app_context():
        app.extensions["jwt_authz"].roles_given.add("lesser", "users:manage")
        app.extensions["jwt_authz"].roles_given.add("second", "users:manage", includes="editor")
        app.extensions["jwt_authz"].reload_roles()
    accounts_of(app).set_roles("cy", ["lesser"])
    answer = ask(app, token, method, f"{ROLES}/admin", **change)
    assert problem(answer, 409) == "last-administrator"
    accounts_of(app).set_roles("cy", ["second"])
    assert ask(app, token, method, f"{ROLES}/admin", **change).status_code in (200, 204)
    assert ask(app, token, "GET", USERS).status_code in (401, 403)
    close(app)


def test_a_disabled_administrator_or_one_of_a_tenant_is_not_one_who_is_left(
    stored: Flask, as_ann: Ask
) -> None:
    accounts = accounts_of(stored)
    accounts.add("north", PASSWORD, roles=["admin"], tenant="n")
    accounts.set_roles("cy", ["admin"])
    accounts.disable("cy")
    assert problem(as_ann("DELETE", f"{ROLES}/admin"), 409) == "last-administrator"


def test_a_caller_of_a_tenant_sees_the_roles_and_changes_none(stored: Flask) -> None:
    accounts_of(stored).add("north", PASSWORD, roles=["admin"], tenant="n", subject="north")
    token = tokens(stored, "north")["access_token"]
    assert ask(stored, token, "GET", ROLES).json["editable"] is False
    for method, path, body in CHANGED:
        assert problem(ask(stored, token, method, path, json=body), 403) == "of-a-tenant"


def test_roles_in_code_are_listed_and_not_changed(app: Flask) -> None:
    token = tokens(app, "ann")["access_token"]
    listed = ask(app, token, "GET", ROLES).json
    assert listed["editable"] is False
    assert [role["name"] for role in listed["roles"]] == ["viewer", "editor", "admin", "auditor"]
    for method, path, body in CHANGED:
        assert problem(ask(app, token, method, path, json=body), 409) == "roles-elsewhere"


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "body"), [*CHANGED, *LOOKED])
def test_nobody_else_is_let_in(stored: Flask, method: str, path: str, body: Any) -> None:
    token = tokens(stored, "bob")["access_token"]
    assert problem(ask(stored, token, method, path, json=body), 403) == "not-allowed"
    assert stored.test_client().open(path, method=method, json=body).status_code == 401


@pytest.mark.parametrize(("method", "path", "body"), CHANGED)
def test_a_change_needs_a_fresh_log_in(
    as_ann: Ask, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    later = time.time() + FRESH.total_seconds() + 1
    monkeypatch.setattr(verified, "time", lambda: later)
    assert as_ann("GET", ROLES).status_code == 200
    assert problem(as_ann(method, path, json=body), 401) == "token-not-fresh"
    monkeypatch.undo()
    assert as_ann(method, path, json=body).status_code in (200, 201, 204)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"permissions": "articles:read"},
        {"permissions": ["articles"]},
        {"permissions": ["a:b:c"]},
        {"permissions": [], "name": "editor"},
        {"permissions": [], "level": "1"},
        {"permissions": [], "level": 2**31},
        {"permissions": [], "includes": ["no such role"]},
        {"permissions": [], "includes": ["a\0b"]},
        {"permissions": [], "included_by": ["admin"]},
    ],
)
def test_a_body_with_anything_else_changes_nothing(as_ann: Ask, body: dict[str, Any]) -> None:
    before = as_ann("GET", ROLES).json
    assert as_ann("PUT", f"{ROLES}/viewer", json=body).status_code == 400
    assert as_ann("GET", ROLES).json == before


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "../x", "a//b", "/a", "a/", 256 * "x"])
def test_a_role_has_a_name_that_can_be_stored_and_stand_in_a_url(as_ann: Ask, name: str) -> None:
    body = {"name": name, "permissions": []}
    assert problem(as_ann("POST", ROLES, json=body), 400) == "invalid-request"


def test_roles_that_would_include_each_other_are_refused(as_ann: Ask) -> None:
    body = {"permissions": [], "includes": ["editor"]}
    answer = as_ann("PUT", f"{ROLES}/viewer", json=body)
    assert problem(answer, 409) == "change-refused"
    assert "include each other" in answer.json["detail"]


def test_a_role_that_is_not_there_is_not_found_and_one_that_is_there_is_not_created(
    as_ann: Ask,
) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = as_ann(method, f"{ROLES}/nothing", json={"permissions": []})
        assert problem(answer, 404) == "role-unknown"
    answer = as_ann("POST", ROLES, json={"name": "viewer", "permissions": []})
    assert problem(answer, 409) == "role-exists"


def test_each_change_is_recorded_with_who_what_before_and_after(stored: Flask, as_ann: Ask) -> None:
    reported: list[tuple[str, ...]] = []

    def receive(sender: Flask, **what: Any) -> None:
        reported.append((what["by"], what["action"], what["name"], what["subject"]))

    body: dict[str, Any] = {"permissions": ["articles:read"], "includes": [], "level": None}
    nothing = {"permissions": [], "includes": [], "level": None}
    with changed.connected_to(receive, stored):
        as_ann("POST", ROLES, json={"name": "reader", **body, "included_by": ["admin"]})
        as_ann("PUT", f"{ROLES}/reader", json=nothing)
        as_ann("PUT", f"{ROLES}/reader", json=nothing)
        as_ann("DELETE", f"{ROLES}/reader")
    entries = as_ann("GET", f"{CHANGES}?role=reader").json
    assert entries["total"] == 3
    admin = {"permissions": ["users:manage"], "includes": ["editor"], "level": None}
    assert [
        (one["actor"], one["action"], one["role"], one["subject"], one["before"], one["after"])
        for one in as_ann("GET", CHANGES).json["changes"]
    ] == [
        ("ann", "change role", "admin", None, {**admin, "includes": ["editor", "reader"]}, admin),
        ("ann", "remove role", "reader", None, nothing, None),
        ("ann", "change role", "reader", None, body, nothing),
        ("ann", "change role", "admin", None, admin, {**admin, "includes": ["editor", "reader"]}),
        ("ann", "create role", "reader", None, None, body),
    ]
    assert reported == [
        ("ann", "create role", "reader", None),
        ("ann", "change role", "reader", None),
        ("ann", "remove role", "reader", None),
    ]


def test_what_a_receiver_raises_keeps_no_permission_alive(stored: Flask, as_ann: Ask) -> None:
    def fail(sender: Flask, **what: Any) -> None:
        raise RuntimeError("the receiver's own")

    old = tokens(stored, "bob")["access_token"]
    with changed.connected_to(fail, stored):
        answer = as_ann("PUT", f"{ROLES}/editor", json={"permissions": []})
        assert answer.status_code == 500
    assert ask(stored, old, "GET", "/write").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", USERS, {"username": "dan", "roles": ["nope"]}, (400, "unknown-role")),
        ("PUT", f"{USERS}/bob/roles", {"roles": ["nope"]}, (409, "change-refused")),
        ("POST", f"{USERS}/bob/roles/preview", {"roles": ["nope"]}, (400, "unknown-role")),
        ("PUT", f"{ROLES}/editor", {**WRITER, "includes": ["nope"]}, (400, "unknown-role")),
        ("GET", f"{USERS}?page=x", None, (400, "invalid-request")),
    ],
)
def test_an_unknown_role_is_refused_as_the_docs_say(
    as_ann: Ask, method: str, path: str, body: Any, expected: tuple[int, str]
) -> None:
    options = {} if body is None else {"json": body}
    status, name = expected
    assert problem(as_ann(method, path, **options), status) == name
