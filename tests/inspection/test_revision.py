"""The matrix of an application at a git revision."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOP = """
from flask import Flask
from jwt_authz import Authz, Role, Roles, has_role, requires
from jwt_authz.cli import authz

def create_app():
    app = Flask(__name__)
    app.config["JWT_SECRET_KEY"] = 64 * "x"
    Authz(app, roles=Roles(Role("clerk", "order:read"), Role("manager", "order:*")))
    app.cli.add_command(authz)
    app.add_url_rule("/orders", "orders", requires({asked})(lambda: "in"))
    return app
"""
MANAGER, CLERK = SHOP.format(asked="has_role('manager')"), SHOP.format(asked="'order:read'")
GIVEN = "given   GET     /orders  orders    clerk  no      yes"


class Repository:
    """A repository with an application in `shop.py`, first for managers and then for clerks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit("shop.py", MANAGER)
        self.git("tag", "first")
        self.commit("shop.py", CLERK)

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
        command = ["git", *who, *arguments]
        return subprocess.run(
            command, cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout

    def commit(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", "a step")

    def diff(
        self, revision: str, app: str | None = "shop", folder: str = ".", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        named = [] if app is None else ["--app", app]
        return subprocess.run(
            [sys.executable, "-m", "flask", *named, "authz", "matrix", f"--diff={revision}"],
            cwd=self.folder / folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


pytestmark = [
    pytest.mark.skipif(not shutil.which("git"), reason="git is not installed"),
    pytest.mark.slow,
]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_what_changed_since_a_revision_is_listed_and_nothing_is_left_behind(
    repository: Repository,
) -> None:
    hook = repository.folder / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    index = repository.folder / ".git" / "index"
    before = index.read_bytes()
    done = repository.diff("first", GIT_INDEX_FILE=str(index), GIT_DIR=".git")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[1:] == [GIVEN]
    assert index.read_bytes() == before
    assert repository.git("worktree", "list").count("\n") == 1
    assert repository.git("status", "--porcelain", "--", "*.py") == ""
    assert not list(repository.folder.rglob("ran"))


def test_what_is_not_committed_yet_is_compared_with_the_last_commit(repository: Repository) -> None:
    assert repository.diff("HEAD").stdout == "no access was given or taken\n"
    (repository.folder / "shop.py").write_text(MANAGER)
    done = repository.diff("HEAD")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("taken")


@pytest.mark.parametrize("app", ["{folder}/shop.py", "{folder}/shop.py:create_app", "./shop.py"])
def test_an_application_is_found_however_it_is_named(app: str, repository: Repository) -> None:
    done = repository.diff("first", app.format(folder=repository.folder))
    assert (done.returncode, done.stdout.splitlines()[1:]) == (1, [GIVEN]), done.stderr


def test_an_application_in_a_folder_and_with_a_source_path_is_that_of_the_revision(
    repository: Repository,
) -> None:
    repository.commit("api/app.py", "from things.shop import create_app\nprint('loaded')\n")
    repository.commit("src/things/shop.py", MANAGER)
    repository.git("tag", "-f", "first")
    repository.commit("src/things/shop.py", CLERK)
    path = os.pathsep.join((str(ROOT), str(repository.folder / "src")))
    done = repository.diff("first", app=None, folder="api", PYTHONPATH=path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[2:] == [GIVEN]


def test_code_of_the_working_tree_is_not_taken_for_that_of_the_revision(
    repository: Repository,
) -> None:
    source = str(repository.folder / "src")
    start = f"import sys\nsys.path.insert(0, {source!r})\nfrom things import create_app\n"
    repository.commit("src/things.py", MANAGER)
    repository.commit("wsgi.py", start)
    repository.git("tag", "-f", "first")
    repository.commit("src/things.py", CLERK)
    done = repository.diff("first", app=None)
    assert done.returncode == 2
    assert "things.py is loaded from the working tree" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("revision", ["nowhere", "--help", "first:shop.py", "@{u}", ""])
def test_an_unknown_revision_exits_2(revision: str, repository: Repository) -> None:
    done = repository.diff(revision)
    assert done.returncode == 2
    assert f"{revision} is neither a file nor a git revision" in done.stderr


def test_an_application_that_a_revision_cannot_load_exits_2_and_says_why(
    repository: Repository,
) -> None:
    repository.commit("shop.py", "raise RuntimeError('no settings here')\n")
    repository.git("tag", "broken")
    repository.commit("shop.py", CLERK)
    done = repository.diff("broken")
    assert done.returncode == 2
    assert "the application at broken cannot be loaded: " in done.stderr
    assert "no settings here" in done.stderr
    assert repository.git("worktree", "list").count("\n") == 1


def test_a_folder_that_a_revision_lacks_exits_2(repository: Repository) -> None:
    repository.commit("api/app.py", CLERK)
    done = repository.diff("first", app="app", folder="api")
    assert done.returncode == 2
    assert "first has no folder api/" in done.stderr


def test_a_folder_without_git_exits_2(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(CLERK)
    repository = object.__new__(Repository)
    repository.folder = tmp_path
    done = repository.diff("main", GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert done.returncode == 2
    assert "not a git repository" in done.stderr
