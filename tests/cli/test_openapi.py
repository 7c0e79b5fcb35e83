"""`flask authz openapi`: a document made, annotated, and held against the application."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from jwt_authz import exempt, requires
from jwt_authz.cli.main import authz
from tests.openapi.shop import make_shop


def run(app: Flask, *arguments: str) -> Result:
    script = ScriptInfo(create_app=lambda: app)
    return CliRunner().invoke(authz, ["openapi", *arguments], obj=script)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The document of the shop."""
    made = tmp_path / "api.json"
    made.write_text(run(make_shop()).stdout)
    return made


def test_a_document_that_was_made_here_is_up_to_date(file: Path) -> None:
    ended = run(make_shop(), "--check", str(file))
    assert ended.exit_code == 0
    assert ended.stdout == f"{file} matches the routes and their guards\n"
    assert json.loads(file.read_text())["paths"]["/orders"]["get"]["x-authz"]


def test_a_guard_that_changed_is_drift(file: Path) -> None:
    app = make_shop()
    exempt("list_orders", app)
    app.view_functions["anybody"] = requires("orders:refund")(lambda: "in")
    ended = run(app, "--check", str(file))
    assert ended.exit_code == 1
    assert '-        "x-authz": "is identified"' in ended.stderr
    assert '+        "x-authz": "has the permission orders:refund"' in ended.stderr


def test_a_route_that_is_new_or_gone_is_drift(file: Path) -> None:
    held = json.loads(file.read_text())
    held["paths"]["/gone"] = {"get": {"responses": {"200": {"description": "Well"}}}}
    del held["paths"]["/any"]
    file.write_text(json.dumps(held))
    ended = run(make_shop(), "--check", str(file))
    assert ended.exit_code == 1
    assert f"GET /gone in {file} does not match exactly one route" in ended.stderr
    assert f"GET /any is a route that is missing in {file}" in ended.stderr


def test_a_document_of_others_is_annotated_and_held_to_the_guards(tmp_path: Path) -> None:
    app = make_shop()
    file = tmp_path / "own.json"
    paths: dict[str, Any] = json.loads(run(app).stdout)["paths"]
    for item in paths.values():
        for operation in item.values():
            for name in ("x-authz", "security"):
                del operation[name]
            operation["summary"] = "My own words"
    own = {"openapi": "3.1.0", "info": {"title": "own", "version": "1"}, "paths": paths}
    file.write_text(json.dumps(own))
    assert run(app, "--check", str(file)).exit_code == 1
    file.write_text(run(app, "--annotate", str(file)).stdout)
    assert run(app, "--check", str(file)).exit_code == 0
    assert json.loads(file.read_text())["paths"]["/any"]["get"]["summary"] == "My own words"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", "is not JSON: give an OpenAPI document as JSON"),
        ("{}", "The document is not a finished OpenAPI 3 document"),
        ("[1]", "The document is not a finished OpenAPI 3 document"),
    ],
)
@pytest.mark.parametrize("option", ["--check", "--annotate"])
def test_a_file_that_is_not_a_document_is_reported(
    tmp_path: Path, text: str, message: str, option: str
) -> None:
    file = tmp_path / "api.json"
    file.write_text(text)
    ended = run(make_shop(), option, str(file))
    assert ended.exit_code == 1 and message in ended.stderr


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    ended = run(make_shop(), "--check", str(tmp_path / "none.json"))
    assert ended.exit_code == 1 and "No such file" in ended.stderr


def test_two_options_at_once_are_a_misuse(file: Path) -> None:
    ended = run(make_shop(), "--check", str(file), "--annotate", str(file))
    assert ended.exit_code == 2 and "cannot be combined" in ended.stderr


def test_an_application_without_an_authz_is_reported() -> None:
    ended = run(Flask("bare"))
    assert ended.exit_code == 1 and "has no Authz" in ended.stderr


def test_without_apispec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jwt_authz.openapi.generator", raising=False)
    monkeypatch.setitem(sys.modules, "apispec", None)
    ended = run(make_shop())
    assert ended.exit_code == 1 and "pip install 'jwt_authz[openapi]'" in ended.stderr
