"""The name of a removed role is not given to another one by an administrator.

View code, rules and conditions may go on asking for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect

from jwt_authz import authorize, has_role, requires
from jwt_authz.cli.main import authz as commands
from tests.kinds import NEW_DATABASES

from .application import STORED, USERS, ask, close, make_app, tokens
from .browsing import log_in, send

ROLES = "/admin/api/roles"


@pytest.fixture(params=["sqlite", *NEW_DATABASES])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """An application of which one view asks in its code for the role auditor."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'users.sqlite'}"
    else:
        new: Callable[[], str] = request.getfixturevalue(NEW_DATABASES[request.param])
        url = new()
    made = make_app(url, STORED)
    made.view_functions["vault"] = requires()(lambda: str(authorize(has_role("auditor"))))
    made.extensions["jwt_authz"].accounts.set_roles("bob", ["admin", "auditor"])
    yield made
    close(made)


def as_user(app: Flask, who: str) -> Callable[..., Any]:
    token = tokens(app, who)["access_token"]
    return lambda method, path, **keywords: ask(app, token, method, path, **keywords)


def take_over(app: Flask, who: str) -> Any:
    """Make a role of the name auditor, which those who hold admin hold as well."""
    body = {"name": "auditor", "permissions": [], "included_by": ["admin"]}
    return as_user(app, who)("POST", ROLES, json=body)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["ann", "bob"])
def test_a_removed_role_is_not_taken_over(app: Flask, who: str) -> None:
    assert as_user(app, "bob")("GET", "/vault").status_code == 200
    assert as_user(app, "ann")("GET", "/vault").status_code == 403
    assert as_user(app, "bob")("DELETE", f"{ROLES}/auditor").status_code == 204
    answer = take_over(app, who)
    assert answer.status_code == 409
    assert answer.json["type"] == "urn:jwt-authz:problem:role-retired"
    assert "auditor" not in app.extensions["jwt_authz"].roles_given.load()


@pytest.mark.slow
def test_a_role_removed_at_the_command_line_is_not_taken_over(app: Flask) -> None:
    result = app.test_cli_runner().invoke(commands, ["roles", "remove", "auditor", "--yes"])
    assert result.exit_code == 0, result.output
    assert take_over(app, "ann").status_code == 409


@pytest.mark.slow
def test_the_command_line_gives_the_name_back(app: Flask) -> None:
    run = app.test_cli_runner().invoke
    for arguments in (
        ("remove", "auditor", "--yes"),
        ("add", "auditor"),
        ("remove", "auditor", "--yes"),
    ):
        assert run(commands, ["roles", *arguments]).exit_code == 0
    assert take_over(app, "ann").status_code == 409
    assert run(commands, ["roles", "add", "auditor", "articles:read"]).exit_code == 0
    body = {"roles": ["auditor"]}
    answer = as_user(app, "ann")("PUT", f"{USERS}/cy/roles", json=body)
    assert answer.json["type"] == "urn:jwt-authz:problem:role-not-held"


@pytest.mark.slow
def test_a_removed_name_is_refused_on_the_page_and_the_removal_says_so(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "bob")
    asked = client.get("/admin/role-removal/auditor").text
    assert "Its name cannot be given to another role here." in asked
    assert send(client, "role-removal/auditor").status_code == 303
    log_in(client, "ann")
    answer = send(client, "new-role", name="auditor", included_by=["admin"])
    assert answer.status_code == 409
    assert "A role with this name was removed" in answer.text


@pytest.mark.slow
def test_without_the_names_kept_a_removed_role_would_be_taken_over(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    stored = type(app.extensions["jwt_authz"].roles_given)
    monkeypatch.setattr(stored, "is_retired_in", lambda *_: False)
    with app.app_context():
        roles = app.extensions["jwt_authz"].roles_given
        assert inspect(app.extensions["engine"]).has_table("authz_roles_retired")
        roles.remove("auditor")
        app.extensions["jwt_authz"].reload_roles()
    assert take_over(app, "ann").status_code == 201
    assert as_user(app, "ann")("GET", "/vault").status_code == 200
