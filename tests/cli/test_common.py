"""What all commands have in common: help with examples, errors, completion, width and color."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result
from flask import Flask
from flask.cli import ScriptInfo

from jwt_authz import MisuseError, Role, Roles, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.cli.main import authz
from tests.edge import guarded_app

ROOT = Path(__file__).parents[2]


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


COMMANDS = {" ".join(path): command for path, command in commands(authz)}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_has_examples_that_it_accepts(name: str) -> None:
    command = COMMANDS[name]
    shown = guarded_app().test_cli_runner().invoke(authz, [*name.split(), "--help"])
    lines = [line.strip() for line in shown.output.splitlines()]
    examples = [line for line in lines if line.startswith("flask authz ")]
    assert examples
    assert all(one.startswith(f"flask authz {name}") for one in examples)
    for one in examples:
        arguments = one.split(" > ")[0].split()[len(name.split()) + 2 :]
        with command.make_context(name, arguments):
            pass


@pytest.mark.parametrize("name", sorted({one.partition(" ")[0] for one in COMMANDS} - {"keys"}))
def test_without_an_authz_each_command_says_so_in_one_line(name: str) -> None:
    path, command = next((p, c) for p, c in commands(authz) if p[0] == name)
    app = Flask("bare")
    words = ["x" for one in command.params if isinstance(one, click.Argument) and one.required]
    words = ["--needs", "a:b"] if name == "explain" else words
    words = ["--everything"] if name == "revoke" else words
    words = ["--subject", "x"] if name == "sessions" else words
    result = app.test_cli_runner().invoke(authz, [*path, *words])
    assert result.exit_code in (1, 2)
    assert result.output == (
        "Error: the application 'bare' has no Authz: write Authz(app, roles=...)\n"
    )


def test_an_application_that_misuses_the_library_is_one_line() -> None:
    def create() -> Flask:
        raise MisuseError("Invalid AUTHZ_ENCODING: expected 'roles', ...")

    result = click.testing.CliRunner().invoke(authz, ["routes"], obj=ScriptInfo(create_app=create))
    assert result.exit_code == 1
    assert result.output == "Error: Invalid AUTHZ_ENCODING: expected 'roles', ...\n"


@pytest.mark.parametrize("name", ["routes", "matrix", "who", "can"])
def test_forms_that_exclude_each_other_are_refused(name: str) -> None:
    forms = ("--json", "--markdown", "--csv", "--html")
    flags = [one.opts[0] for one in COMMANDS[name].params if one.opts[0] in forms]
    words = [one for one in ("GET", "/orders") if name == "who"] or ["clerk"] * (name == "can")
    for other in flags[1:]:
        result = shop().test_cli_runner().invoke(authz, [name, *words, flags[0], other])
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{flags[0]} and {other} cannot be combined" in result.stderr


# --- completion ----------------------------------------------------------------------------------


def shop() -> Flask:
    accounts = MemoryAccounts()
    for name in ("ann", "annabel", "bob"):
        accounts.add(name)
    roles = Roles(Role("clerk", "orders:read"), Role("cleaner"), Role("manager", includes="clerk"))
    made = guarded_app(authz={"roles": roles, "accounts": accounts}, name="shop")
    made.add_url_rule("/orders", "orders", requires("orders:read")(lambda: "in"))
    return made


@pytest.mark.parametrize(
    ("name", "parameter", "typed", "completed"),
    [
        ("can", "role", "cl", ["cleaner", "clerk"]),
        ("matrix", "roles", "m", ["manager"]),
        ("explain", "roles", "x", []),
        ("users disable", "username", "ann", ["ann", "annabel"]),
        ("users grant", "roles", "m", ["manager"]),
        ("roles take", "name", "cle", ["cleaner", "clerk"]),
        ("sessions end", "username", "b", ["bob"]),
    ],
)
def test_names_of_roles_and_users_are_completed(
    name: str, parameter: str, typed: str, completed: list[str]
) -> None:
    command = COMMANDS[name]
    context = click.Context(command, obj=ScriptInfo(create_app=shop))
    (asked,) = [one for one in command.params if one.name == parameter]
    found = asked.shell_complete(context, typed)
    assert sorted(item.value for item in found) == completed


def test_an_application_that_cannot_be_loaded_completes_nothing() -> None:
    def create() -> Flask:
        raise RuntimeError("no database")

    context = click.Context(COMMANDS["can"], obj=ScriptInfo(create_app=create))
    assert COMMANDS["can"].params[-1].shell_complete(context, "") == []


# --- width and color -----------------------------------------------------------------------------


def wide_shop() -> Flask:
    app = guarded_app(authz={"roles": Roles(*(Role(f"role-{n:03}", "a:b") for n in range(200)))})
    rule = "/a/rule/that/is/so/long/that/it/fills/the/width/of/a/terminal/by/itself/and/more"
    app.add_url_rule(rule, "long", requires("a:b")(lambda: "in"))
    app.add_url_rule("/short", "short", requires("a:b")(lambda: "in"), methods=["POST"])
    return app


def printed(app: Flask, *arguments: str, columns: str | None = "80", **env: str) -> Result:
    environment: Any = {"COLUMNS": columns, **env}
    return app.test_cli_runner().invoke(authz, arguments, env=environment, color=True)


@pytest.mark.parametrize("name", ["matrix", "routes", "can role-001"])
@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_a_table_fits_the_terminal_unless_it_is_asked_to_be_wide(name: str, columns: str) -> None:
    app = wide_shop()
    lines = printed(app, *name.split(), columns=columns, NO_COLOR="1").stdout.splitlines()
    assert max(map(len, lines)) <= int(columns)
    wide = printed(app, *name.split(), "--wide", columns=columns, NO_COLOR="1").stdout.splitlines()
    assert max(map(len, wide)) > 80
    assert wide == printed(app, *name.split(), columns=None, NO_COLOR="1").stdout.splitlines()


def test_the_blocks_of_a_matrix_have_each_role_once_and_each_route_in_each() -> None:
    app = wide_shop()
    result = printed(app, "matrix", "--method", "POST", NO_COLOR="1")
    blocks = [block.splitlines() for block in result.stdout.split("\n\n")]
    assert len(blocks) > 2
    headers = [block[0].split()[2:] for block in blocks]
    assert [name for header in headers for name in header if name.startswith("role-")] == [
        f"role-{number:03}" for number in range(200)
    ]
    assert all(block[1].startswith("POST    /short") for block in blocks)
    assert result.stderr == ""


def test_what_is_cut_is_marked_and_said() -> None:
    result = printed(wide_shop(), "routes", NO_COLOR="1")
    assert "…" in result.stdout
    assert result.stderr == "some cells are shortened: add --wide to see all of them\n"


def test_answers_are_colored_unless_no_color_is_set() -> None:
    app = shop()
    colored = printed(app, "matrix").stdout
    assert "\x1b[32myes\x1b[0m" in colored
    assert "\x1b[31mno\x1b[0m" in colored
    plain = printed(app, "matrix", NO_COLOR="1").stdout
    assert "\x1b" not in plain
    assert click.unstyle(colored) == plain


def test_findings_are_colored_unless_no_color_is_set() -> None:
    app = shop()
    app.add_url_rule("/bare", "bare", lambda: "in")
    assert "\x1b[31merror:\x1b[0m" in printed(app, "check").stderr
    assert "\x1b" not in printed(app, "check", NO_COLOR="1").output


@pytest.mark.slow
@pytest.mark.parametrize("is_terminal", [True, False])
def test_only_a_terminal_gets_colors_and_a_table_that_fits(
    tmp_path: Path, is_terminal: bool
) -> None:
    (tmp_path / "shop.py").write_text(
        "from tests.cli.test_common import wide_shop\n\napp = wide_shop()\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    for name in ("NO_COLOR", "COLUMNS"):
        environment.pop(name, None)
    reader, terminal = pty.openpty() if is_terminal else os.pipe()
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "shop", "authz", "can", "role-007"],
        stdout=terminal,
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    os.close(terminal)
    text = os.read(reader, 100_000).decode()
    os.close(reader)
    assert done.returncode == 0
    assert ("\x1b[32m" in text) is is_terminal
    assert (max(map(len, click.unstyle(text).splitlines())) <= 80) is is_terminal
