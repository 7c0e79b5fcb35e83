"""`flask authz token`: a token that the application accepts, in debug mode only."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from jwt_authz import Role, Roles, has_scope, requires
from jwt_authz.audit import changed
from jwt_authz.cli.main import authz
from tests.edge import get, guarded_app


@pytest.fixture
def app() -> Flask:
    made = guarded_app(authz={"roles": Roles(Role("clerk", "orders:read"))})
    made.add_url_rule("/orders", "orders", requires("orders:read")(lambda: "in"))
    made.add_url_rule("/scoped", "scoped", requires(has_scope("shop"))(lambda: "in"))
    made.add_url_rule("/fresh", "fresh", requires(fresh=True)(lambda: "in"))
    return made


def issue(app: Flask, *arguments: str, debug: str = "1") -> Result:
    runner = app.test_cli_runner(env={"FLASK_DEBUG": debug})
    return runner.invoke(authz, ["token", *arguments])


@pytest.mark.parametrize(
    ("arguments", "let_in"),
    [
        ([], []),
        (["--role", "clerk"], ["/orders"]),
        (["--permission", "orders:read"], ["/orders"]),
        (["--scope", "shop"], ["/scoped"]),
        (["--fresh"], ["/fresh"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_the_token_is_accepted_as_one_with_these_rights(
    app: Flask, arguments: list[str], let_in: list[str]
) -> None:
    result = issue(app, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    client, token = app.test_client(), result.stdout.strip()
    paths = ["/orders", "/scoped", "/fresh"]
    assert [path for path in paths if get(client, path, token).status_code == 200] == let_in


def test_outside_debug_mode_it_needs_force(app: Flask) -> None:
    refused = issue(app, "--role", "clerk", debug="0")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "run flask --debug authz token, or --force" in refused.stderr
    forced = issue(app, "--role", "clerk", "--force", debug="0")
    assert get(app.test_client(), "/orders", forced.stdout.strip()).status_code == 200


def test_the_audit_records_who_issued_it_and_not_the_token(app: Flask) -> None:
    seen: list[dict[str, Any]] = []
    with changed.connected_to(lambda app, **what: seen.append(what), app):
        token = issue(app, "--subject", "4711", "--role", "clerk").stdout.strip()
    (what,) = seen
    assert (what["action"], what["subject"]) == ("token", "4711")
    assert what["by"].endswith("at the command line")
    assert token not in str(what)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--role", "clrek"], 1, "clrek"),
        (["--minutes", "0"], 2, "not in the range"),
        (["--minutes", "100000"], 2, "not in the range"),
        (["--permission", "orders"], 1, "Invalid permission 'orders'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_a_misuse_is_a_message(app: Flask, arguments: list[str], code: int, message: str) -> None:
    result = issue(app, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
