"""The example as its clients see it: in this process on SQLite and PostgreSQL, or served."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from examples.api import create_app
from jwt_authz.application import KEY
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse"


@dataclass
class Api:
    """The example in this process, and who has logged in to it."""

    app: Flask
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, who: str, method: str, path: str, **keywords: Any) -> TestResponse:
        """The answer to `viewer`, `editor`, `admin` or `nobody`."""
        headers = keywords.pop("headers", {})
        if who != "nobody":
            headers["Authorization"] = f"Bearer {self.token(who)}"
        return self.app.test_client().open(path, method=method, headers=headers, **keywords)

    def token(self, who: str) -> str:
        if who not in self.tokens:
            answer = self.log_in(who)
            assert answer.status_code == 200, answer.text
            self.tokens[who] = answer.json["access_token"]
        return self.tokens[who]

    def log_in(self, who: str, password: str = PASSWORD) -> TestResponse:
        credentials = {"username": who, "password": password}
        return self.app.test_client().post("/token", json=credentials)

    def write(self, author: str, title: str = "A title") -> int:
        """The id of a new article."""
        answer = self.ask(author, "POST", "/articles", json={"title": title})
        assert answer.status_code == 201, answer.text
        return int(answer.json["id"])

    def close(self) -> None:
        """Give back what the application opened."""
        self.app.extensions["sessions"].kw["bind"].dispose()
        view = self.app.extensions[KEY]._revocations
        view.stop()
        view.store.close()


@contextlib.contextmanager
def environment(**settings: str) -> Iterator[pytest.MonkeyPatch]:
    """The process's environment, with these `FLASK_*` settings and no others."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("FLASK_")]:
            patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(f"FLASK_{name}", value)
        yield patch


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Starts the example in this process, with the settings given; without a URL on SQLite."""
    apps: list[Flask] = []

    def make(new_passwords: bool = False, **settings: str) -> Api:
        with environment(**{"DEMO_PASSWORD": PASSWORD, **settings}) as patch:
            patch.setattr(tempfile, "tempdir", str(tmp_path))
            apps.append(create_app(new_passwords))
        return Api(apps[-1])

    yield make
    for app in apps:
        Api(app).close()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'example.db'}"
    made: str = request.getfixturevalue("new_schema")()
    return made


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The example, shared by all tests, none of which may touch what another relies on."""
    yield from made_on(request, tmp_path_factory)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def own_api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The example, for the tests of one module, which may do with it what they like."""
    yield from made_on(request, tmp_path_factory)


def made_on(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The example on the database that the parameter names, new."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('example') / 'example.db'}"
    else:
        url = request.getfixturevalue("new_schema")()
    with environment(DATABASE_URL=url, DEMO_PASSWORD=PASSWORD):
        app = create_app()
    made = Api(app)
    yield made
    made.close()


@dataclass
class Served:
    """The example as a process of its own: its URL, and the lines that it printed so far."""

    url: str
    lines: list[str]
    process: subprocess.Popen[str]


HEARD = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
"""Signals that programs which the tests start must not ignore, and how the tests handle them."""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Runs `python -m ...` until one of its lines matches, and ends it after the test."""
    with contextlib.ExitStack() as stack:
        # A shell that starts the tests in the background, and nohup, have them ignore a signal.
        for number, handler in HEARD.items():
            stack.callback(signal.signal, number, signal.signal(number, handler))

        def run(*command: str, until: str, **settings: str) -> Served:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    cwd=ROOT,
                    env=environment_of(tmp_path, settings),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            stack.callback(end, process)
            assert process.stdout is not None
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                found = re.search(until, line)
                if found:
                    return Served(found[1], lines, process)
            pytest.fail("it ended before it served:\n" + "\n".join(lines))

        yield run


def end(process: subprocess.Popen[str]) -> None:
    """End a process; one that does not hear the signal is killed."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def environment_of(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    """What a process is started with: no `FLASK_*` but those given, temporary files in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    given = {f"FLASK_{name}": value for name, value in settings.items()}
    return {**kept, **given, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m ...` to its end."""

    def run(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment_of(tmp_path, settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    return run
