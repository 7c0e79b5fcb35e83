"""The pages of the roles: shown, previewed, saved, and refused beside the role that it is about."""

from __future__ import annotations

import re
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jwt_authz.admin.api import FRESH
from jwt_authz.application import AppState
from jwt_authz.authentication import verified
from jwt_authz.errors import StoreUnavailable

from .application import PASSWORD, ask, tokens
from .browsing import HERE, log_in, logged_in, seen_on, send, token_of


@pytest.fixture
def client(stored: Flask) -> FlaskClient:
    """A browser in which ann is logged in."""
    return logged_in(stored)


def test_the_roles_are_listed_with_what_each_grants(client: FlaskClient) -> None:
    text = client.get("/admin/roles").text
    for shown in ("auditor", "articles:write", "New role", 'aria-current="page">Roles'):
        assert shown in text
    assert "users:manage" in client.get("/admin/role/admin").text


@pytest.mark.slow
def test_a_preview_tells_what_would_open_and_close_and_saves_nothing(
    stored: Flask, client: FlaskClient
) -> None:
    old = tokens(stored, "bob")["access_token"]
    answer = send(client, "role-preview/editor", permissions=["articles:read"])
    assert answer.status_code == 200
    rows = [line for line in answer.text.splitlines() if "/write" in line]
    assert "admin, editor" in rows[0]
    assert "tag yes" in rows[0] and "tag no" in rows[0]
    assert 'value="articles:read" checked' in answer.text
    assert ask(stored, old, "GET", "/write").status_code == 200
    nothing = send(client, "role-preview/editor", permissions=["articles:write"], includes="viewer")
    assert "What would change: nothing" in nothing.text


def test_a_role_is_saved_by_the_form_and_in_force_at_once(
    stored: Flask, client: FlaskClient
) -> None:
    old = tokens(stored, "bob")["access_token"]
    answer = send(client, "role/editor", permissions=["articles:read"], more=" articles:read ")
    assert (answer.status_code, answer.location) == (303, "/admin/role/editor?done=changed")
    assert "in force" in client.get(answer.location).text
    assert ask(stored, old, "GET", "/write").status_code == 403
    assert "change role" in client.get("/admin/trail?role=editor").text


@pytest.mark.slow
def test_a_role_is_created_and_removed_by_forms(client: FlaskClient) -> None:
    form = {"more": "articles:write articles:read", "level": "0", "included_by": ["admin"]}
    answer = send(client, "new-role", name="acme/writer", **form)
    assert (answer.status_code, answer.location) == (303, "/admin/role/acme/writer?done=created")
    assert "The role is created" in client.get(answer.location).text
    assert send(client, "user/cy/roles", roles=["acme/writer"]).status_code == 303
    asked = client.get("/admin/role-removal/acme/writer").text
    assert "1 user has this role" in asked
    assert "removed from admin, which includes it" in asked
    assert "/write" in asked
    gone = send(client, "role-removal/acme/writer")
    assert "also from all users" in client.get(gone.location).text
    assert client.get("/admin/role/acme/writer").status_code == 404


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"more": "payroll:read"}, 403),
        ({"more": "payroll"}, 400),
        ({"level": "many"}, 400),
        ({"level": 5_000 * "9"}, 400),
        ({"includes": "auditor"}, 403),
        ({"includes": "editor"}, 409),
    ],
)
def test_a_refusal_is_shown_next_to_the_role_and_the_input_is_kept(
    client: FlaskClient, form: dict[str, str], status: int
) -> None:
    answer = send(client, "role/viewer", permissions=["articles:read"], **form)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    created = send(client, "new-role", name="new", **form)
    assert created.status_code == status if status != 409 else 303
    assert 'role="alert"' in created.text or status == 409


def test_the_caller_stays_the_same_when_the_roles_are_reloaded(
    stored: Flask, client: FlaskClient
) -> None:
    other = tokens(stored, "bob")["access_token"]
    data = {"csrf_token": token_of(client), "permissions": "articles:read", "includes": "editor"}
    data["seen"] = str(seen_on(client, "role/viewer"))
    headers = {**HERE, "Authorization": f"Bearer {other}"}
    answer = client.post("/admin/role/viewer", data=data, headers=headers)
    assert answer.status_code == 409
    assert "Signed in as <b>ann</b>" in answer.text


def test_the_input_is_kept_and_the_invalid_permission_named(
    client: FlaskClient,
) -> None:
    form = {"permissions": ["articles:write"], "more": "articles:read oops", "level": "7"}
    for path in ("role/viewer", "role-preview/viewer", "new-role"):
        text = send(client, path, **form).text
        assert "oops is not a permission. Write resource:action." in text
        for kept in ('value="articles:read oops"', 'value="7"', 'value="articles:write" checked'):
            assert kept in text


def test_a_preview_says_that_the_role_cannot_be_saved_so(client: FlaskClient) -> None:
    text = send(client, "role-preview/viewer", more="payroll:read").text
    assert "This cannot be saved: The role viewer grants the permission payroll:read" in text
    assert "What would change" in text


def test_a_role_that_was_changed_in_the_meantime_is_not_overwritten(
    client: FlaskClient,
) -> None:
    form = {"permissions": ["articles:write"], "level": "", "seen": seen_on(client, "role/viewer")}
    assert send(client, "role/viewer", **form).status_code == 303
    late = send(client, "role/viewer", **{**form, "permissions": "articles:read"})
    assert late.status_code == 412
    assert "This was changed after you loaded it" in late.text


@pytest.mark.slow
def test_a_role_with_many_permissions_can_be_saved(stored: Flask, client: FlaskClient) -> None:
    many = [f"articles:write-number-{number}" for number in range(500)]
    with stored.app_context():
        stored.extensions["jwt_authz"].roles_given.grant("admin", "articles:*")
        stored.extensions["jwt_authz"].reload_roles()
    assert send(client, "role/viewer", permissions=many).status_code == 303
    assert many[-1] in client.get("/admin/role/viewer").text


def test_the_role_that_is_made_is_put_into_ones_own_unless_that_is_unticked(
    client: FlaskClient,
) -> None:
    text = client.get("/admin/new-role").text
    ticked = re.findall(r'name="included_by" value="(\w+)" checked', text)
    assert ticked == ["admin"]


@pytest.mark.slow
def test_the_page_of_a_role_tells_who_lost_the_one_that_had_its_name(
    stored: Flask, client: FlaskClient
) -> None:
    stored.extensions["jwt_authz"].accounts.set_roles("cy", ["viewer"])
    assert send(client, "role-removal/viewer").status_code == 303
    with stored.app_context():
        stored.extensions["jwt_authz"].roles_given.add("viewer")
        stored.extensions["jwt_authz"].reload_roles()
    assert '<a href="/admin/user/cy">cy</a>' in client.get("/admin/role/viewer").text


def test_a_name_that_no_url_can_end_in_is_shown_without_a_link(
    stored: Flask, client: FlaskClient
) -> None:
    with stored.app_context():
        stored.extensions["jwt_authz"].roles_given.add("/auditor")
        stored.extensions["jwt_authz"].reload_roles()
    text = client.get("/admin/roles").text
    assert '<th scope="row">/auditor</th>' in text
    assert text.count('href="/admin/role/auditor"') == 1


def test_a_store_that_does_not_answer_is_reported_on_a_page(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(state: AppState) -> None:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(AppState, "reload_roles", fail)
    answer = send(client, "role/viewer", permissions=["articles:read"])
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "does not answer" in answer.text


def test_roles_in_code_are_shown_without_a_button_that_changes_them(app: Flask) -> None:
    client = app.test_client()
    log_in(client)
    for path in ("roles", "role/editor", "new-role"):
        text = client.get(f"/admin/{path}").text
        assert "Change them where they are stored" in text
        buttons = re.findall(r"<button[^>]*>([^<]*)", text.split("<main")[1])
        assert set(buttons) <= {"Search"}
    assert send(client, "role/editor", permissions=["articles:read"]).status_code == 409


def test_a_caller_with_a_tenant_sees_that_all_tenants_share_the_roles(stored: Flask) -> None:
    accounts = stored.extensions["jwt_authz"].accounts
    accounts.add("north", PASSWORD, roles=["admin"], tenant="n", subject="north")
    client = stored.test_client()
    log_in(client, "north")
    assert "All tenants share the roles" in client.get("/admin/roles").text
    assert send(client, "role/editor", permissions=["articles:read"]).status_code == 403


def test_a_change_asks_for_the_password_again_and_leads_back_to_the_role(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time() + FRESH.total_seconds() + 1
    monkeypatch.setattr(verified, "time", lambda: later)
    answer = send(client, "role/editor", permissions=["articles:read"])
    assert answer.location == "/admin/log-in?next=/admin/role/editor&confirm=1"
    assert send(client, "role-removal/auditor").location.startswith("/admin/log-in?")
    assert send(client, "new-role", name="new").location.startswith("/admin/log-in?")


def test_a_name_is_shown_as_text_and_never_as_markup(stored: Flask, client: FlaskClient) -> None:
    name = '<script>alert(1)</script>"'
    with stored.app_context():
        stored.extensions["jwt_authz"].roles_given.add(name, "articles:read", includes="auditor")
        stored.extensions["jwt_authz"].reload_roles()
    for path in ("roles", "role/auditor", "new-role", "new", "access", "user/bob", ""):
        assert "<script>alert" not in client.get(f"/admin/{path}").text
