"""What an administrator does to others never exceeds what they hold themselves.

SECURITY 2.34.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from jwt_authz.admin import api

from .application import PASSWORD, STORED, USERS, ask, close, make_app, tokens
from .browsing import log_in, send

ROLES = "/admin/api/roles"
Ask = Callable[..., Any]

ON_A_USER = [
    ("PUT", "roles", {"roles": []}),
    ("PUT", "roles", {"roles": ["lesser"]}),
    ("PUT", "disabled", {"disabled": True}),
    ("PUT", "disabled", {"disabled": False}),
    ("DELETE", "sessions", None),
]
ON_A_PAGE = [
    ("roles", {}),
    ("roles", {"roles": ["lesser"]}),
    ("disabled", {"disabled": "true"}),
    ("disabled", {"disabled": "false"}),
    ("sessions", {}),
]
SUPERIORS = {
    "by a permission": ("ledger", ["lesser", "ledger"], ["pay:run"], None),
    "by a wildcard": ("ledger", ["lesser", "ledger"], ["articles:*"], None),
    "by a level": ("chief", ["lesser", "chief"], [], 9),
    "by a name that code asks for": ("auditor", ["lesser", "auditor"], [], None),
    "by an included role": ("chief", ["head"], ["pay:run"], None),
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """An application whose administrators are ann, who holds all roles, and cy, who holds few."""
    made = make_app(f"sqlite:///{tmp_path / 'users.sqlite'}", STORED, administrator="users:manage")
    add_roles(made, lesser=["users:manage", "articles:read"])
    accounts_of(made).set_roles("ann", ["admin", "auditor", "lesser"])
    accounts_of(made).set_roles("cy", ["lesser"])
    yield made
    close(made)


def accounts_of(app: Flask) -> Any:
    return app.extensions["jwt_authz"].accounts


def add_roles(app: Flask, level: int | None = None, includes: Any = (), **roles: Any) -> None:
    with app.app_context():
        authz = app.extensions["jwt_authz"]
        for name, permissions in roles.items():
            if name not in authz.roles_given.load():
                authz.roles_given.add(name, *permissions, level=level, includes=includes)
        authz.reload_roles()


def as_user(app: Flask, who: str = "cy") -> Ask:
    token = tokens(app, who)["access_token"]
    return lambda method, path, **keywords: ask(app, token, method, path, **keywords)


def problem(answer: Any, status: int) -> str:
    """The name of the problem that is answered."""
    assert answer.status_code == status, answer.text
    return str(answer.json["type"]).removeprefix("urn:jwt-authz:problem:")


def add_superior(app: Flask, kind: str) -> dict[str, Any]:
    """Add a user who holds more than cy, and return their tokens."""
    name, roles, permissions, level = SUPERIORS[kind]
    add_roles(app, level, **{name: permissions})
    add_roles(app, includes=[name, "lesser"], head=[])
    accounts_of(app).add("max", PASSWORD, roles=roles, subject="max")
    return tokens(app, "max")


@pytest.mark.slow
@pytest.mark.parametrize("kind", SUPERIORS)
@pytest.mark.parametrize(("method", "path", "body"), ON_A_USER)
def test_nobody_acts_on_a_user_who_holds_more(
    app: Flask, kind: str, method: str, path: str, body: Any
) -> None:
    given = add_superior(app, kind)
    before = accounts_of(app).find("max")
    answer = as_user(app)(method, f"{USERS}/max/{path}", json=body)
    assert problem(answer, 403) in ("holds-more", "role-not-held")
    assert accounts_of(app).find("max") == before
    assert ask(app, given["access_token"], "GET", "/me").status_code == 200
    assert as_user(app, "ann")("GET", "/admin/api/changes").json["total"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(("path", "form"), ON_A_PAGE)
def test_nobody_acts_on_a_user_who_holds_more_by_the_page(
    app: Flask, path: str, form: dict[str, Any]
) -> None:
    given = add_superior(app, "by a permission")
    client = app.test_client()
    log_in(client, "cy")
    answer = send(client, f"user/max/{path}", **form)
    assert answer.status_code == 403
    assert "which you do not hold" in answer.text or "that you do not hold" in answer.text
    assert ask(app, given["access_token"], "GET", "/me").status_code == 200


def test_a_user_who_comes_to_hold_more_in_the_course_of_a_request_is_left_alone(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The administrator sends the body late, say."""
    read = api.read_json

    def read_late(schema: Any) -> Any:
        accounts_of(app).set_roles("bob", ["lesser", "auditor"])
        return read(schema)

    accounts_of(app).set_roles("bob", ["lesser"])
    as_cy = as_user(app)
    monkeypatch.setattr(api, "read_json", read_late)
    answer = as_cy("PUT", f"{USERS}/bob/disabled", json={"disabled": True})
    assert problem(answer, 403) == "holds-more"
    assert not accounts_of(app).find("bob").disabled


@pytest.mark.slow
def test_a_disabled_user_who_holds_more_is_not_enabled(app: Flask) -> None:
    add_superior(app, "by a permission")
    accounts_of(app).disable("max")
    answer = as_user(app)("PUT", f"{USERS}/max/disabled", json={"disabled": False})
    assert problem(answer, 403) == "holds-more"
    assert accounts_of(app).find("max").disabled


@pytest.mark.slow
def test_a_user_who_holds_less_is_disabled_and_logged_out(app: Flask) -> None:
    accounts_of(app).set_roles("bob", ["viewer"])  # a role that cy does not hold, but all it grants
    given = tokens(app, "bob")["access_token"]
    assert as_user(app)("DELETE", f"{USERS}/bob/sessions").status_code == 204
    assert ask(app, given, "GET", "/me").status_code == 401
    answer = as_user(app)("PUT", f"{USERS}/bob/disabled", json={"disabled": True})
    assert (answer.status_code, answer.json["disabled"]) == (200, True)


def test_a_role_that_one_cannot_give_back_is_not_taken(app: Flask) -> None:
    accounts_of(app).set_roles("bob", ["viewer"])
    answer = as_user(app)("PUT", f"{USERS}/bob/roles", json={"roles": []})
    assert problem(answer, 403) == "role-not-held"
    assert answer.json["detail"] == "You cannot take a role that you do not hold: viewer."
    assert accounts_of(app).find("bob").roles == ("viewer",)


def test_a_role_that_the_catalog_lacks_grants_nothing_and_can_be_taken(tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'code.sqlite'}")
    accounts_of(app).set_roles("bob", ["removed from the code"])
    answer = as_user(app, "ann")("PUT", f"{USERS}/bob/roles", json={"roles": []})
    assert (answer.status_code, answer.json["roles"]) == (200, [])
    close(app)


@pytest.mark.parametrize(("method", "path", "body"), ON_A_USER[2:])
def test_roles_in_other_tenants_count_for_what_concerns_the_whole_account(
    app: Flask, method: str, path: str, body: Any
) -> None:
    accounts = accounts_of(app)
    accounts.grant_roles("bob", ["admin"], tenant="north")
    accounts.set_roles("bob", [])
    assert problem(as_user(app)(method, f"{USERS}/bob/{path}", json=body), 403) == "holds-more"
    assert as_user(app, "ann")(method, f"{USERS}/bob/{path}", json=body).status_code < 300


def test_the_administrator_of_a_tenant_does_not_lock_a_user_out_of_another(app: Flask) -> None:
    accounts = accounts_of(app)
    accounts.add("north", PASSWORD, roles=["admin"], tenant="n", subject="north")
    accounts.add("nils", PASSWORD, roles=["viewer"], tenant="n", subject="nils")
    accounts.grant_roles("nils", ["viewer"], tenant="s")
    as_north = as_user(app, "north")
    for method, path, body in ON_A_USER[2:]:
        answer = as_north(method, f"{USERS}/nils/{path}", json=body)
        assert problem(answer, 403) == "holds-more"
    assert as_north("PUT", f"{USERS}/nils/roles", json={"roles": ["editor"]}).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PUT", {"permissions": []}),
        ("PUT", {"permissions": ["users:manage"], "level": 9}),
        ("PUT", {"permissions": ["users:manage", "pay:run"], "level": 1}),
        ("PUT", {"permissions": ["users:manage", "pay:run"], "level": 9, "includes": ["lesser"]}),
        ("DELETE", None),
    ],
)
def test_nobody_changes_a_role_that_grants_more(app: Flask, method: str, body: Any) -> None:
    add_roles(app, 9, owner=["users:manage", "pay:run"])
    before = app.extensions["jwt_authz"].roles_given.load()
    answer = as_user(app)(method, f"{ROLES}/owner", json=body)
    assert problem(answer, 403) in ("permission-not-held", "level-not-held")
    assert app.extensions["jwt_authz"].roles_given.load() == before


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("permissions", [[], ["articles:read"]])
def test_nobody_changes_a_role_that_they_could_not_give(
    app: Flask, method: str, permissions: list[str]
) -> None:
    add_roles(app, manager=permissions)
    answer = as_user(app)(method, f"{ROLES}/manager", json={"permissions": ["articles:read"]})
    assert problem(answer, 403) == "role-not-held"
    assert answer.json["detail"] == "You cannot change a role that you do not hold: manager."


def test_a_role_is_not_taken_out_of_one_that_grants_more(app: Flask) -> None:
    add_roles(app, includes=["lesser"], owner=["pay:run"])
    answer = as_user(app)("DELETE", f"{ROLES}/lesser")
    assert problem(answer, 403) == "permission-not-held"


@pytest.mark.parametrize(
    ("path", "body"), [("roles", {"roles": []}), ("disabled", {"disabled": True})]
)
def test_a_lesser_administrator_is_not_the_last_one_left(app: Flask, path: str, body: Any) -> None:
    answer = as_user(app, "ann")("PUT", f"{USERS}/ann/{path}", json=body)
    assert problem(answer, 409) == "last-administrator"
    accounts_of(app).set_roles("bob", ["admin", "auditor", "lesser"])
    assert as_user(app, "ann")("PUT", f"{USERS}/ann/{path}", json=body).status_code == 200


def test_nobody_ends_the_administration_of_those_above_by_a_role_that_both_hold(
    app: Flask,
) -> None:
    """The role is cy's own to change, and makes administrators of those who hold more."""
    add_roles(app, base=["users:manage"])
    add_roles(app, includes=["base"], owner=["pay:run"])
    accounts_of(app).set_roles("ann", ["owner"])
    accounts_of(app).set_roles("cy", ["base", "lesser"])
    answer = as_user(app)("PUT", f"{ROLES}/base", json={"permissions": []})
    assert problem(answer, 409) == "last-administrator"
    assert as_user(app, "ann")("GET", USERS).status_code == 200
