"""What tests of several folders need.

Servers and a browser among it: absent ones skip a test, and fail it if CI=true.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import redis
import sqlalchemy
from argon2 import PasswordHasher
from playwright.sync_api import Browser, sync_playwright

from jwt_authz.overrides import InUse
from tests.cheap_argon2 import make_argon2_cheap
from tests.managed import Process

IN_CI = os.environ.get("CI") == "true"
POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
REDIS = "redis://127.0.0.1:6379/15"


@pytest.fixture
def cheap_argon2(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """Passwords are hashed at a price that tests can pay, by this."""
    return make_argon2_cheap(monkeypatch)


@pytest.fixture
def nothing_is_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process in which no override or addition has been pushed so far."""
    monkeypatch.setattr(InUse, "anything", False)
    monkeypatch.setattr(InUse, "pushed_at", set())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts applications on one database and one store, and closes them at the end."""
    made: list[Process] = []

    def start(**config: Any) -> Process:
        made.append(Process(tmp_path, **config))
        return made[-1]

    yield start
    for process in made:
        process.close()


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The URL of a PostgreSQL database that answers."""
    url = os.environ.get("TEST_POSTGRES_URL", POSTGRES)
    engine = sqlalchemy.create_engine(url, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except sqlalchemy.exc.OperationalError as error:
        absent("PostgreSQL", "TEST_POSTGRES_URL", error)
    finally:
        engine.dispose()
    return url


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The URL of a Redis database that answers, free for the tests to write to."""
    url = os.environ.get("TEST_REDIS_URL", REDIS)
    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except redis.RedisError as error:
        absent("Redis", "TEST_REDIS_URL", error)
    return url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window: the machine's own chromium.

    For a module alone, since its event loop keeps others of this thread from running.
    """
    found = os.environ.get("TEST_CHROMIUM", shutil.which("chromium"))
    if found is None:
        not_here("there is no chromium: install it, or say in TEST_CHROMIUM where it is")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


def absent(server: str, setting: str, error: Exception) -> NoReturn:
    not_here(f"{server} does not answer ({type(error).__name__}); {setting} says where it is")


def not_here(reason: str) -> NoReturn:
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI everything is there that a test can need: one that is skipped is one not run."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = terminal.stats.get("skipped", []) if terminal else []
    if IN_CI and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        terminal.write_line("")
        terminal.write_line(f"{len(skipped)} skipped: in CI a skip is a failure", red=True)
