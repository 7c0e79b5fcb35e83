"""Optimistic locking: no change is made over another one that its maker has not seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from jwt_authz.admin import accounts as admin_accounts
from tests.kinds import NEW_DATABASES
from tests.patience import PATIENCE

from .application import STORED, USERS, ask, close, make_app, tokens
from .browsing import HERE, logged_in, seen_on, send, token_of

ROLES = "/admin/api/roles"
BOB = f"{USERS}/bob"
Ask = Callable[..., Any]


@pytest.fixture(params=["sqlite", *NEW_DATABASES])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """An application with its roles in the database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'users.sqlite'}"
    else:
        url = request.getfixturevalue(NEW_DATABASES[request.param])()
    made = make_app(url, STORED)
    yield made
    close(made)


@pytest.fixture
def as_ann(app: Flask) -> Ask:
    """Asks as the administrator."""
    token = tokens(app, "ann")["access_token"]
    return lambda method, path, **keywords: ask(app, token, method, path, **keywords)


def tag(as_ann: Ask, path: str = BOB) -> str:
    answer = as_ann("GET", path)
    assert answer.status_code == 200
    return str(answer.headers["ETag"])


def put(as_ann: Ask, version: str, *roles: str) -> int:
    """The status of a change of bob's roles that is based on a version."""
    headers, body = {"If-Match": version}, {"roles": list(roles)}
    return int(as_ann("PUT", f"{BOB}/roles", headers=headers, json=body).status_code)


def roles_of(app: Flask, who: str = "bob") -> tuple[str, ...]:
    found: tuple[str, ...] = app.extensions["jwt_authz"].accounts.find(who).roles
    return found


def test_a_stale_change_does_not_bring_back_a_role_that_was_taken_away(
    app: Flask, as_ann: Ask
) -> None:
    seen = tag(as_ann)
    assert put(as_ann, seen) == 200
    assert put(as_ann, seen, "editor", "viewer") == 412
    assert roles_of(app) == ()
    assert put(as_ann, tag(as_ann), "viewer") == 200


@pytest.mark.slow
def test_a_change_that_is_sent_twice_does_not_bring_back_what_was_taken_in_between(
    app: Flask, as_ann: Ask
) -> None:
    seen = tag(as_ann)
    assert put(as_ann, seen, "editor", "viewer") == 200
    assert put(as_ann, tag(as_ann), "editor") == 200  # as it was at first
    assert tag(as_ann) != seen
    assert put(as_ann, seen, "editor", "viewer") == 412
    assert roles_of(app) == ("editor",)


def test_a_permission_does_not_come_back_by_a_change_that_is_sent_twice(as_ann: Ask) -> None:
    path = f"{ROLES}/viewer"
    seen = tag(as_ann, path)
    both, one = ({"permissions": ["articles:read", "articles:write"][:count]} for count in (2, 1))
    for version, body in ((seen, both), ("*", one)):
        headers = {"If-Match": version}
        assert as_ann("PUT", path, headers=headers, json=body).status_code == 200
    late = as_ann("PUT", path, headers={"If-Match": seen}, json=both)
    assert (late.status_code, late.json["status"]) == (412, 412)
    assert as_ann("GET", path).json["permissions"] == ["articles:read"]


def test_a_change_at_the_command_line_makes_an_older_version_stale(app: Flask, as_ann: Ask) -> None:
    seen = tag(as_ann)
    app.extensions["jwt_authz"].accounts.take_roles("bob", ["editor"])
    assert put(as_ann, seen, "editor", "viewer") == 412
    assert roles_of(app) == ()


def test_the_answer_to_a_change_has_the_version_for_the_next_one(as_ann: Ask) -> None:
    path, roles = f"{BOB}/roles", {"roles": ["viewer"]}
    given = as_ann("PUT", path, json=roles).headers["ETag"]
    assert given == tag(as_ann)
    headers = {"If-Match": given}
    answer = as_ann("PUT", f"{BOB}/disabled", headers=headers, json={"disabled": True})
    assert (answer.status_code, answer.headers["ETag"]) == (200, tag(as_ann))
    role = as_ann("PUT", f"{ROLES}/viewer", json={"permissions": []})
    assert role.headers["ETag"] == tag(as_ann, f"{ROLES}/viewer")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "disabled", {"disabled": True}),
        ("DELETE", "sessions", None),
    ],
)
def test_what_concerns_the_whole_account_regards_a_version_and_needs_none(
    app: Flask, as_ann: Ask, method: str, path: str, body: Any
) -> None:
    seen = tag(as_ann)
    assert put(as_ann, seen, "viewer") == 200
    token = tokens(app, "bob")["access_token"]
    late = as_ann(method, f"{BOB}/{path}", headers={"If-Match": seen}, json=body)
    assert late.status_code == 412
    assert ask(app, token, "GET", "/me").status_code == 200
    headers = {"Authorization": f"Bearer {tokens(app, 'ann')['access_token']}"}
    client = app.test_client()
    answer = client.open(f"{BOB}/{path}", method=method, headers=headers, json=body)
    assert answer.status_code < 300
    assert ask(app, token, "GET", "/me").status_code == 401


@pytest.mark.slow
def test_the_end_of_the_sessions_leaves_the_version_of_a_user(as_ann: Ask) -> None:
    seen = tag(as_ann)
    assert as_ann("DELETE", f"{BOB}/sessions", headers={"If-Match": seen}).status_code == 204
    assert put(as_ann, seen, "viewer") == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [(f"{BOB}/roles", {"roles": []}), (f"{ROLES}/viewer", {"permissions": []})],
)
def test_what_replaces_a_whole_list_needs_a_version(app: Flask, path: str, body: Any) -> None:
    headers = {"Authorization": f"Bearer {tokens(app, 'ann')['access_token']}"}
    client = app.test_client()
    answer = client.put(path, headers=headers, json=body)
    assert (answer.status_code, answer.mimetype) == (428, "application/problem+json")
    assert answer.json["type"] == "urn:jwt-authz:problem:precondition-required"
    assert "If-Match" in answer.json["detail"]
    assert client.put(path, headers={**headers, "If-Match": "*"}, json=body).status_code == 200


@pytest.mark.parametrize("version", ['"x"', "", ",", 'W/"{}"'])
def test_a_version_that_is_not_the_one_of_now_is_refused(as_ann: Ask, version: str) -> None:
    assert put(as_ann, version.format(tag(as_ann).strip('"')), "viewer") == 412


@pytest.mark.slow
def test_a_change_that_is_made_already_is_not_refused(app: Flask, as_ann: Ask) -> None:
    """By the same request, whose answer was lost."""
    seen = tag(as_ann)
    assert [put(as_ann, seen, "viewer"), put(as_ann, seen, "viewer")] == [200, 200]


@pytest.mark.slow
def test_of_two_changes_at_the_same_moment_one_is_stale(
    app: Flask, as_ann: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sorted(changed_at_once(app, as_ann, monkeypatch)) == [200, 412]


def test_without_the_order_of_changes_both_would_be_made(
    app: Flask, as_ann: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    if app.extensions["engine"].dialect.name == "sqlite":
        return  # which has one writer at a time anyway
    monkeypatch.setattr(admin_accounts, "wait_for_others", lambda session, roles: None)
    locked = admin_accounts.AdminAccounts._of
    monkeypatch.setattr(
        admin_accounts.AdminAccounts, "_locked",
        lambda self, session, subject: session.scalars(locked(self, subject)).one_or_none(),
    )  # fmt: skip
    assert sorted(changed_at_once(app, as_ann, monkeypatch, PATIENCE)) == [200, 200]


def changed_at_once(
    app: Flask, as_ann: Ask, monkeypatch: pytest.MonkeyPatch, within: float = 0.3
) -> list[int]:
    """What is answered to two changes, each of which would wait for the other to be judged."""
    meeting, judge = threading.Barrier(2), admin_accounts.refuse_stale

    def judged(*arguments: Any) -> None:
        judge(*arguments)
        with suppress(threading.BrokenBarrierError):
            meeting.wait(within)

    monkeypatch.setattr(admin_accounts, "refuse_stale", judged)
    app.extensions["jwt_authz"].accounts.set_roles("bob", [])
    seen, statuses = tag(as_ann), list[int]()
    threads = [
        threading.Thread(target=lambda name=name: statuses.append(put(as_ann, seen, name)))
        for name in ("viewer", "admin")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


@pytest.mark.slow
def test_the_second_of_two_tabs_does_not_bring_back_a_role(app: Flask) -> None:
    client = logged_in(app)
    first = second = seen_on(client, "user/bob")
    assert send(client, "user/bob/roles", roles=["viewer"], seen=first).status_code == 303
    late = send(client, "user/bob/roles", roles=["editor", "viewer"], seen=second)
    assert late.status_code == 412
    assert "This was changed after you loaded it" in late.text
    assert roles_of(app) == ("viewer",)
    for path, form in (("disabled", {"disabled": "true"}), ("sessions", {})):
        assert send(client, f"user/bob/{path}", **form, seen=second).status_code == 412
    again = send(client, "user/bob/roles", roles=["editor"], seen=seen_on(client, "user/bob"))
    assert again.status_code == 303


@pytest.mark.slow
def test_a_preview_keeps_the_version_that_its_form_was_made_for(app: Flask) -> None:
    client = logged_in(app)
    seen = seen_on(client, "user/bob")
    app.extensions["jwt_authz"].accounts.set_roles("bob", [])
    for path, version in (("user/bob/preview", seen), ("role-preview/viewer", "a" * 32)):
        assert f'name="seen" value="{version}"' in send(client, path, seen=version).text


@pytest.mark.slow
def test_each_form_that_changes_something_carries_a_version(app: Flask) -> None:
    client = logged_in(app)
    for path, count in (("user/bob", 3), ("role/viewer", 1), ("role-removal/viewer", 1)):
        assert client.get(f"/admin/{path}").text.count('name="seen" value="') == count


@pytest.mark.slow
@pytest.mark.parametrize("path", ["user/bob/roles", "role/viewer"])
def test_a_form_without_a_version_replaces_nothing(app: Flask, path: str) -> None:
    client = logged_in(app)
    data = {"csrf_token": token_of(client)}
    assert client.post(f"/admin/{path}", data=data, headers=HERE).status_code == 428
    assert roles_of(app) == ("editor",)


@pytest.mark.slow
def test_a_stale_removal_of_a_role_is_refused(app: Flask, as_ann: Ask) -> None:
    client = logged_in(app)
    old = seen_on(client, "role-removal/viewer")
    body = {"permissions": ["articles:read", "articles:write"]}
    assert as_ann("PUT", f"{ROLES}/viewer", json=body).status_code == 200
    assert send(client, "role-removal/viewer", seen=old).status_code == 412
    late = as_ann("DELETE", f"{ROLES}/viewer", headers={"If-Match": f'"{old}"'})
    assert late.status_code == 412
