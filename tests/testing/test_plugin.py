"""The pytest plugin: its fixtures in a user's own tests, and that it loads nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.other_plugins import ALONE

CONFTEST = """
import pytest
from flask import Flask
from jwt_authz import Authz, Role, Roles, current_identity, requires

@pytest.fixture
def app():
    app = Flask("shop")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=Roles(Role("clerk", "orders:read")))
    app.get("/")(requires("orders:read")(lambda: current_identity.subject))
    return app
"""

TESTS = """
def test_a_client(authz_client, app):
    assert authz_client(roles=["clerk"], subject="ann").get("/").text == "ann"
    assert authz_client(permissions=[]).get("/").status_code == 403
    assert app.test_client().get("/").status_code == 401

def test_a_block(acting_as, app):
    with acting_as(roles=["clerk"], subject="bob"):
        assert app.test_client().get("/").text == "bob"
    assert app.test_client().get("/").status_code == 401
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest in a folder of its own, where warnings are errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ALONE},
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_fixtures_serve_the_applications_own_app_fixture(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_shop.py").write_text(TESTS)
    ended = run(tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


def test_without_an_app_fixture_pytest_says_that_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(TESTS)
    ended = run(tmp_path)
    assert ended.returncode == 1
    assert "fixture 'app' not found" in ended.stdout


def test_a_run_that_uses_no_fixture_of_it_imports_neither_it_nor_flask(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_other():\n"
        "    assert 'pytest_jwt_authz' in sys.modules\n"
        "    heavy = {'jwt_authz', 'flask', 'jwt', 'flask_jwt_extended', 'marshmallow'}\n"
        "    assert not heavy & sys.modules.keys()\n"
    )
    ended = run(tmp_path)
    assert ended.returncode == 0, ended.stdout


def test_pytest_lists_its_fixtures_with_what_they_are_for(tmp_path: Path) -> None:
    said = run(tmp_path, "--fixtures").stdout
    assert "Return a function that makes clients" in said
    assert "Return a function for blocks that act as a caller" in said
