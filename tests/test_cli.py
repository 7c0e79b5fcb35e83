"""The commands `flask authz ...`."""

from __future__ import annotations

import os
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

from jwt_authz import Authz, exempt, has_role, requires
from jwt_authz.cli import authz
from tests.edge import bare_app, guarded_app

ROOT = Path(__file__).parent.parent


def check(app: Flask) -> Result:
    return app.test_cli_runner().invoke(authz, ["check"])


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_check_exits_0_where_every_view_has_a_guard_or_is_exempt() -> None:
    app = guarded_app()
    app.add_url_rule("/", "view", requires("article:edit")(lambda: "in"))
    app.add_url_rule("/open", "open", exempt(lambda: "in"))
    result = check(app)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "every view has a guard, or is exempt\n"


@pytest.mark.parametrize("default", ["allow", "deny"])
def test_check_exits_1_for_a_bare_view_whatever_the_default(default: str) -> None:
    app = guarded_app(authz={"default": default})
    app.add_url_rule("/bare", "bare", lambda: "in", methods=["GET", "POST"])
    result = check(app)
    assert result.exit_code == 1
    told = lines(result.stderr)
    assert len(told) == 2
    for method, line in zip(("GET", "POST"), told, strict=True):
        assert line.startswith(f"error: {method} /bare (bare) has no guard: write @requires(...)")
    assert "every view" not in result.stdout


def test_check_finds_the_one_method_that_lacks_a_guard() -> None:
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
    told = lines(result.stderr)
    assert len(told) == len(set(told)) == 4
    for part in ("secret for HS256", "never expire", "no role is named 'king'", "has no guard"):
        assert sum(part in line for line in told) == 1
    assert all(line.startswith("error: ") for line in told)


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
    assert "check" in authz.commands


APPLICATION = """
from flask import Flask
from jwt_authz import Authz, requires
from jwt_authz.cli import authz

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
