"""Servers and a browser that some tests need: absent ones skip a test, and fail it if CI=true."""

import os
import shutil
from collections.abc import Iterator
from typing import NoReturn

import pytest
import redis
import sqlalchemy
from playwright.sync_api import Browser, sync_playwright

IN_CI = os.environ.get("CI") == "true"
POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
REDIS = "redis://127.0.0.1:6379/15"


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
