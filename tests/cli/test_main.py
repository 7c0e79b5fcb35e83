"""The commands `flask authz ...`."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.views import MethodView

from jwt_authz import (
    Authz,
    MisuseError,
    Role,
    Roles,
    allowed,
    exempt,
    guard,
    has_permission,
    has_role,
    requires,
)
from jwt_authz.cli.main import authz
from jwt_authz.tokens import KeySet
from tests.edge import bare_app, get, guarded_app, token_for

ROOT = Path(__file__).parents[2]


def check(app: Flask) -> Result:
    return app.test_cli_runner().invoke(authz, ["check"])


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_check_exits_0_where_every_view_has_a_guard_or_is_exempt() -> None:
    app = guarded_app(authz={"roles": Roles(Role("editor", "article:edit"))})
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "in"))
    app.add_url_rule("/open", "open", exempt(lambda: "in"))
    result = check(app)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "every view has a guard, or is exempt\n"


@pytest.mark.parametrize("default", ["allow", "deny"])
def test_check_exits_1_for_a_bare_view_whatever_the_default(default: str) -> None:
    """SECURITY 2.56."""
    app = guarded_app(authz={"default": default})
    app.add_url_rule("/bare", "bare", lambda: "in", methods=["GET", "POST"])
    result = check(app)
    assert result.exit_code == 1
    reported = lines(result.stderr)
    heading, *found = reported
    assert heading.startswith("AZ00") and heading.endswith(" (2 findings)")
    for method, line in zip(("GET", "POST"), found, strict=True):
        assert line.startswith(f"error: {method} /bare (bare) has no guard: write @requires(...)")
    assert "every view" not in result.stdout


def test_check_finds_the_one_method_that_lacks_a_guard() -> None:
    """SECURITY 1.30, 2.56."""

    class Half(MethodView):
        @requires()
        def get(self) -> str:
            return "in"

        def delete(self) -> str:
            return "in"

    app = guarded_app()
    app.add_url_rule("/half", view_func=Half.as_view("half"))
    result = check(app)
    assert result.exit_code == 1
    assert lines(result.stderr)[0].startswith("error: DELETE /half (half) has no guard")
    assert len(lines(result.stderr)) == 1


def test_check_exits_1_for_misuse_and_tells_all_of_it_each_once() -> None:
    app = guarded_app(JWT_SECRET_KEY="short", JWT_ACCESS_TOKEN_EXPIRES=False)
    app.add_url_rule("/", "view", requires(has_role("king"))(lambda: "in"))
    app.add_url_rule("/bare", "bare", lambda: "in")
    result = check(app)
    assert result.exit_code == 1
    reported = lines(result.stderr)
    assert len(reported) == len(set(reported)) == 4
    for part in ("secret for HS256", "never expire", "no role is named 'king'", "has no guard"):
        assert sum(part in line for line in reported) == 1
    assert all(line.startswith("error: ") for line in reported)


def test_check_exits_1_for_a_guard_above_its_route_decorator() -> None:
    app = guarded_app()

    @requires()
    @app.route("/vain")
    def vain() -> str:
        return "open"

    result = check(app)
    assert result.exit_code == 1
    assert "its guard stands above the route decorator" in result.stderr


def test_check_tells_warnings_and_exits_0() -> None:
    app = guarded_app()
    guarded = requires({"GET": "article:read"})
    app.add_url_rule("/", "view", guarded(lambda: "in"), methods=["GET", "PUT"])
    result = check(app)
    assert result.exit_code == 0
    assert lines(result.stdout)[0].startswith("warning: PUT / (view) is always refused")


class Guarded(MethodView):
    @requires("article:edit")
    def get(self) -> str:
        return "in"

    @requires("article:delete")
    def delete(self) -> str:
        return "in"


class Lost(Guarded):
    def delete(self) -> str:
        return "in, and nobody asked"


def test_check_exits_1_for_a_method_that_escapes_the_guard_of_its_parent() -> None:
    app = guarded_app()
    guard(app, "article:read")
    app.add_url_rule("/", view_func=Lost.as_view("view"))
    result = check(app)
    assert result.exit_code == 1
    assert lines(result.stderr) == [
        "error: DELETE / (view) lost a guard: Lost.delete overrides Guarded.delete without one, "
        "so write @requires(...) for Lost.delete, or @exempt if anyone may call it [AZ007]"
    ]


def test_check_warns_of_a_permission_that_neither_a_guard_nor_a_view_asks_for() -> None:
    roles = Roles(
        Role("clerk", "order:read", "order:list", "order:close", "order:print", "stock:*"),
        Role("lead", "report:read", "report:*", "*:print"),
    )
    app = guarded_app(authz={"roles": roles})
    app.add_url_rule("/", "guarded", requires(~has_role("lead") | "order:read")(lambda: "in"))
    app.add_url_rule("/any", "any", requires("stock:count")(_asks_inside))
    result = check(app)
    assert result.exit_code == 0
    reported = [
        line for line in lines(result.stdout) if line.startswith("warning: nothing asks for")
    ]
    assert reported == [
        f"warning: nothing asks for {permission!r}, which a role grants: guard a view by it, or "
        "remove it from the role [AZ105]"
        for permission in ("*:print", "order:print", "report:*", "report:read")
    ]


may_close = has_permission("order:close") & has_role("clerk")


def _asks_inside() -> str:
    allowed(may_close)
    return ",".join(name for name in ("a", "b") if allowed("order:list", on=name))


def test_check_says_so_where_the_application_has_no_authz() -> None:
    result = check(bare_app())
    assert result.exit_code == 1
    said = f"{result.output} {result.exception}"
    assert "has no Authz: write Authz(app, roles=...)" in said


def test_check_leaves_static_files_and_automatic_methods_alone(tmp_path: Path) -> None:
    app = Flask("cli", static_folder=str(tmp_path))
    app.config.update(bare_app().config)
    Authz(app)
    app.add_url_rule("/", "view", requires()(lambda: "in"))
    assert check(app).exit_code == 0


def test_the_command_stands_where_flask_looks_for_commands() -> None:
    points: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, name = points["entry-points"]["flask.commands"]["authz"].partition(":")
    assert getattr(import_module(module), name) is authz
    assert authz.commands.keys() >= {"check", "keys"}


APPLICATION = """
from flask import Flask
from jwt_authz import Authz, requires
from jwt_authz.cli import authz
from jwt_authz.tokens import KeySet

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = 64 * "x"
Authz(app)
app.cli.add_command(authz)

@app.route("/guarded")
@requires()
def guarded():
    return "in"
{more}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "code"), [("", 0), ('app.add_url_rule("/bare", "bare", lambda: "in")', 1)]
)
def test_flask_authz_check_works_from_the_shell(more: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION.format(more=more))
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "shop", "authz", "check"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("GET /bare (bare) has no guard" in done.stderr) == bool(code)


# --- keys ----------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def keys(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(authz, ["keys", *arguments])


def done(app: Flask, *arguments: str) -> list[str]:
    """What a command of the keys prints, which must not fail."""
    result = keys(app, *arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return lines(result.stdout)


def test_new_makes_the_file_with_a_first_key_and_then_adds_keys_that_verify(file: Path) -> None:
    app = guarded_app(AUTHZ_KEYS_FILE=str(file))
    assert len(done(app, "new")) == 1
    first = KeySet.read(file)
    assert (len(first.kids), first.signing.name) == (1, "ES256")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    done(app, "new")
    done(app, "new", "--algorithm", "EdDSA")
    more = KeySet.read(file)
    assert more.active == first.active
    assert [more.verifying[kid].name for kid in more.kids] == ["ES256", "ES256", "EdDSA"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "ES384", "EdDSA"])
def test_a_first_key_is_made_for_the_algorithm_that_is_asked_for(
    file: Path, algorithm: str
) -> None:
    app = guarded_app(AUTHZ_KEYS_FILE=str(file))
    done(app, "new", "--algorithm", algorithm)
    assert KeySet.read(file).signing.name == algorithm


def test_list_shows_ids_algorithms_and_uses_and_no_key(file: Path) -> None:
    held = KeySet.new("HS256").with_new_key("ES256").with_new_key("EdDSA").rotated()
    held.write(file)
    app = guarded_app(AUTHZ_KEYS_FILE=str(file))
    result = keys(app, "list")
    one, two, three = held.kids
    assert lines(result.stdout) == [
        f"{one}  HS256  verifying",
        f"{two}  ES256  verifying",
        f"{three}  EdDSA  active",
    ]
    for text in re.findall(r'"(?:k|d|x|y)": "([^"]+)"', file.read_text()):
        assert text not in result.output


def test_rotate_lets_the_newest_key_sign_and_makes_one_where_it_signs_already(file: Path) -> None:
    app = guarded_app(AUTHZ_KEYS_FILE=str(file))
    done(app, "new")
    done(app, "new")
    old, new = KeySet.read(file).kids
    (said,) = done(app, "rotate")
    assert said == f"{new} signs; {old} verifies until it is retired"
    assert (KeySet.read(file).active, KeySet.read(file).kids) == (new, (old, new))
    done(app, "rotate")
    third = KeySet.read(file).active
    assert KeySet.read(file).kids == (old, new, third)
    done(app, "rotate", old)
    assert (KeySet.read(file).active, KeySet.read(file).kids) == (old, (old, new, third))


def test_retire_takes_a_key_out_but_never_the_one_that_signs(file: Path) -> None:
    KeySet.new("ES256").with_new_key().rotated().write(file)
    app = guarded_app(AUTHZ_KEYS_FILE=str(file))
    old, active = KeySet.read(file).kids
    result = keys(app, "retire", active)
    assert result.exit_code == 1
    assert "is the active key: rotate to another key first" in result.stderr
    assert KeySet.read(file).kids == (old, active)
    assert done(app, "retire", old, "--yes") == [f"{old} is removed"]
    assert KeySet.read(file).kids == (active,)


def test_what_a_running_application_signs_follows_the_commands(file: Path) -> None:
    app = guarded_app(AUTHZ_KEYS_FILE=str(file))
    app.add_url_rule("/", "view", requires("article:read")(lambda: "in"))
    done(app, "new")
    first = token_for(app, "alice", "viewer")
    done(app, "rotate")
    parts = app.extensions["jwt_authz.state"]
    parts._key_file.current(0.0, look=True)  # in place of a second
    second = token_for(app, "alice", "viewer")
    assert [get(app.test_client(), "/", token).status_code for token in (first, second)] == [
        200,
        200,
    ]
    done(app, "retire", KeySet.read(file).kids[0], "--yes")
    parts._key_file.current(0.0, look=True)
    assert [get(app.test_client(), "/", token).status_code for token in (first, second)] == [
        401,
        200,
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list"], "create one with flask authz keys new"),
        (["rotate"], "create one with flask authz keys new"),
        (["retire", "x"], "create one with flask authz keys new"),
        (["new", "--algorithm", "none"], "Unsupported algorithm"),
        (["new", "--algorithm", "ES257"], "Unsupported algorithm"),
    ],
)
def test_what_cannot_be_done_is_reported_and_changes_nothing(
    file: Path, arguments: list[str], message: str
) -> None:
    result = keys(guarded_app(AUTHZ_KEYS_FILE=str(file)), *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not file.exists()


def test_a_file_that_holds_something_else_is_not_written_over(file: Path) -> None:
    app = guarded_app(AUTHZ_KEYS_FILE=str(file))
    file.write_text("not ours")
    for arguments in (["new"], ["rotate"], ["list"], ["retire", "x"]):
        assert keys(app, *arguments).exit_code == 1
        assert file.read_text() == "not ours"
    KeySet.new("ES256").write(file)
    kept = file.read_bytes()
    for arguments in (["rotate", "x"], ["retire", "x"], ["new", "--algorithm", "x"]):
        assert keys(app, *arguments).exit_code == 1
        assert file.read_bytes() == kept


def test_an_application_without_the_setting_is_reported(file: Path) -> None:
    result = keys(guarded_app(), "new")
    assert result.exit_code == 1
    assert "set AUTHZ_KEYS_FILE, or use --file" in result.stderr


def test_a_file_can_be_named_and_then_the_application_is_not_made(file: Path) -> None:
    def create_app() -> Flask:
        raise MisuseError("no keys yet")

    from click.testing import CliRunner
    from flask.cli import ScriptInfo

    for arguments in (["new"], ["new"], ["rotate"], ["list"]):
        result = CliRunner().invoke(
            authz,
            ["keys", *arguments, "--file", str(file)],
            obj=ScriptInfo(create_app=create_app),
        )
        assert result.exit_code == 0, result.output
    held = KeySet.read(file)
    assert held.active == held.kids[1]


@pytest.mark.slow
def test_keys_can_be_made_from_the_shell_before_there_is_an_application(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION.format(more=""))
    command = [sys.executable, "-m", "flask", "--app", "shop", "authz", "keys", "new"]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "FLASK_AUTHZ_KEYS_FILE": str(tmp_path / "keys.json"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1  # this application does not read its environment
    assert "set AUTHZ_KEYS_FILE" in result.stderr
    named = subprocess.run(
        [*command, "--file", "keys.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert named.returncode == 0, named.stderr
    assert KeySet.read(tmp_path / "keys.json").active in named.stdout
