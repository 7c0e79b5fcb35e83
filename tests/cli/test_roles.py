"""`flask authz roles ...`: what each command changes, says and refuses, here and elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from jwt_authz import Authz, Role, Roles
from jwt_authz.cli.main import authz as commands
from jwt_authz.errors import StoreUnavailable
from jwt_authz.policy.role_sources import RolesFile
from jwt_authz.revocation import RevocationView
from tests.managed import PASSWORD, Process, becomes

pytestmark = pytest.mark.usefixtures("cheap_argon2")


@pytest.fixture
def here(start: Callable[..., Process]) -> Process:
    process = start()
    process.roles.add("clerk", "orders:read", level=1)
    process.roles.add("manager", "orders:write", includes="clerk")
    process.accounts.add("ann", PASSWORD, roles=["clerk"])
    return process


def test_list_shows_all_and_its_json_is_what_a_file_may_hold(here: Process, tmp_path: Path) -> None:
    result = here.run("roles", "list")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["role", "level", "includes", "permissions"],
        ["clerk", "1", "orders:read"],
        ["manager", "clerk", "orders:write"],
    ]
    file = tmp_path / "roles.json"
    file.write_text(here.run("roles", "list", "--json").stdout)
    assert dict(RolesFile(file).load()) == dict(here.roles.load())


@pytest.mark.slow
def test_each_command_says_what_the_role_grants_after_it(here: Process) -> None:
    for arguments, said in [
        (["add", "cook", "stock:read", "--includes", "clerk", "--level", "3"], "cook is added, "),
        (["grant", "cook", "stock:list"], "cook "),
        (["take", "cook", "stock:read"], "cook "),
        (["exclude", "cook", "clerk"], "cook "),
        (["include", "cook", "clerk"], "cook "),
    ]:
        result = here.run("roles", *arguments)
        granted = ", ".join(sorted(here.roles.load().permissions_of(["cook"])))
        assert (result.exit_code, result.stdout) == (0, f"{said}grants {granted}\n")
    assert here.run("roles", "level", "cook", "5").stdout == "cook has the level 5 now\n"
    assert here.run("roles", "level", "cook").stdout == "cook has no level now\n"
    assert here.roles.load()["cook"] == Role("cook", "stock:list", includes="clerk")
    assert here.run("roles", "take", "cook", "stock:list").exit_code == 0
    here.run("roles", "exclude", "cook", "clerk")
    assert here.run("roles", "grant", "cook", "a:b").stdout == "cook grants a:b\n"
    assert here.run("roles", "take", "cook", "a:b").stdout == "cook grants nothing\n"
    removed = here.run("roles", "remove", "cook", "--yes")
    assert removed.stdout == (
        "cook is removed, and access tokens issued until now that have it are ended\n"
    )
    assert "cook" not in here.roles.load()


def test_a_permission_that_is_taken_is_refused_on_tokens_issued_in_another_process(
    here: Process, start: Callable[..., Process]
) -> None:
    there = start()
    tokens = there.log_in()
    assert there.status(tokens) == 200
    assert here.run("roles", "take", "clerk", "orders:read").exit_code == 0
    assert becomes(403, lambda: there.status(tokens))
    assert here.run("roles", "grant", "clerk", "orders:read").exit_code == 0
    assert becomes(200, lambda: there.status(tokens))


def test_rows_that_were_changed_by_hand_count_after_a_reload(
    here: Process, start: Callable[..., Process]
) -> None:
    there = start()
    tokens = there.log_in()
    assert there.status(tokens) == 200
    here.roles.take("clerk", "orders:read")
    result = here.run("roles", "reload")
    assert result.stdout == "all processes reload the roles\n"
    assert becomes(403, lambda: there.status(tokens))


def test_what_is_still_held_in_another_way_is_warned_of(here: Process) -> None:
    here.roles.grant("manager", "orders:*")
    by_wildcard = here.run("roles", "take", "manager", "orders:write")
    assert "but manager still has orders:write, by orders:*" in by_wildcard.stderr
    here.roles.take("manager", "orders:*")
    included = here.run("roles", "take", "manager", "orders:read")
    assert "manager still has orders:read, by a role that it includes" in included.stderr


def test_a_role_of_an_old_name_is_not_that_of_old_tokens(here: Process) -> None:
    tokens = here.log_in()
    assert here.status(tokens) == 200
    here.run("roles", "exclude", "manager", "clerk")
    assert here.run("roles", "remove", "clerk", "--yes").exit_code == 0
    assert here.status(tokens) == 401
    assert here.run("roles", "add", "clerk", "orders:read").exit_code == 0
    assert here.status(tokens) == 401
    assert here.accounts.named("ann").roles == ()  # type: ignore[union-attr]


def test_a_removal_that_ended_no_token_without_the_store_is_finished_by_repeating_it(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[str] = []

    def log_in_and_fail(parts: Any, what: Any) -> None:
        if here.accounts.named("ann").roles:  # type: ignore[union-attr]
            return  # the first time, before the role is gone
        late.append(here.authz.issue("ann", roles=["clerk"]))
        raise StoreUnavailable("no answer")

    here.run("roles", "exclude", "manager", "clerk")
    monkeypatch.setattr("jwt_authz.logins.changes.revoke", log_in_and_fail)
    failed = here.run("roles", "remove", "clerk", "--yes")
    assert (failed.exit_code, "repeat the change" in failed.stderr) == (1, True)
    monkeypatch.undo()
    assert "no role is named 'clerk'" in here.run("roles", "remove", "clerk", "--yes").stderr
    assert here.run("roles", "add", "clerk", "orders:read").exit_code == 0
    assert here.status({"access_token": late[0]}) == 401


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "clerk"], "the role 'clerk' already exists"),
        (["add", "cook", "orders"], "Invalid permission 'orders'"),
        (["add", "cook", "--includes", "nobody"], "no role is named 'nobody'"),
        (["grant", "nobody", "orders:read"], "no role is named 'nobody'"),
        (["take", "clerk", "orders"], "Invalid permission 'orders'"),
        (["include", "clerk", "manager"], "Roles include each other"),
        (["remove", "clerk"], "the role 'manager' includes 'clerk'"),
        (["level", "nobody", "1"], "no role is named 'nobody'"),
    ],
)
def test_a_misuse_exits_1_with_a_message_and_changes_nothing(
    here: Process, arguments: list[str], message: str
) -> None:
    before = dict(here.roles.load())
    result = here.run("roles", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert dict(here.roles.load()) == before


def test_a_store_that_does_not_take_the_news_is_said(
    here: Process, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = start()
    tokens = there.log_in()
    assert there.status(tokens) == 200

    def gone(*given: Any) -> None:
        raise StoreUnavailable("the store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(RevocationView, "revoke", gone)
        result = here.run("roles", "take", "clerk", "orders:read")
    assert result.exit_code == 1
    assert "other processes may not know of it: run `flask authz rol" in result.stderr
    assert here.run("roles", "reload").exit_code == 0
    assert becomes(403, lambda: there.status(tokens))


def app_with(roles: Any, store: str | None = "memory:") -> Flask:
    app = Flask("other")
    app.config.update(JWT_SECRET_KEY="m" * 40, AUTHZ_STORE_URL=store)
    Authz(app, roles=roles)
    return app


def test_roles_that_cannot_be_changed_here_are_listed_and_say_where_to_change_them(
    tmp_path: Path,
) -> None:
    file = tmp_path / "roles.toml"
    file.write_text('[roles.clerk]\npermissions = ["orders:read"]\n')
    for roles, message in [
        (Roles(Role("clerk", "orders:read")), "the roles are in code"),
        (RolesFile(file), "the roles come from RolesFile and cannot be changed here"),
    ]:
        runner = app_with(roles).test_cli_runner()
        listed = runner.invoke(commands, ["roles", "list", "--json"])
        assert json.loads(listed.stdout) == {"roles": {"clerk": {"permissions": ["orders:read"]}}}
        result = runner.invoke(commands, ["roles", "add", "cook"])
        assert result.exit_code == 1
        assert message in result.stderr


def test_without_a_store_nothing_is_changed(start: Callable[..., Process]) -> None:
    process = start(store=None)
    result = process.run("roles", "add", "cook", "stock:read")
    assert result.exit_code == 1
    assert "AUTHZ_STORE_URL" in result.stderr
    assert list(process.roles.load()) == []
