"""What tests of several folders need.

Servers and a browser among it: absent ones skip a test, and fail it if CI=true.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
import redis
import sqlalchemy
from argon2 import PasswordHasher
from flask import Flask
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy.schema import CreateSchema

from jwt_authz.guards.overrides import InUse
from jwt_authz.revocation import RevocationView
from tests import kinds
from tests.cheap_argon2 import make_argon2_cheap
from tests.managed import Process
from tests.patience import PATIENCE
from tests.revocation.servers import PgBouncer

IN_CI = os.environ.get("CI") == "true"
POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
MARIADB = "mysql+pymysql://root@127.0.0.1:3306"
REDIS = "redis://127.0.0.1:6379"
OURS = range(4, 16)  # of Redis' databases; the first ones are left to whatever else is there


@pytest.fixture(scope="session", autouse=True)
def nobody_waits_for_the_disk() -> Iterator[None]:
    """SQLite need not know that its pages are on the disk: no test outlives the machine."""

    def hurry(connection: Any, record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", hurry)
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", hurry)


@pytest.fixture(scope="session", autouse=True)
def nobody_pays_for_argon2() -> Iterator[None]:
    """Passwords are hashed at a price that tests can pay, unless a module asks for the full one."""
    with pytest.MonkeyPatch.context() as patch:
        make_argon2_cheap(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def nobody_gives_up_on_a_busy_machine() -> Iterator[None]:
    """Applications wait for stores, databases and issuers as long as tests do by default.

    They look for revocations often, so that tests need not wait for that.
    """
    settings = ("AUTHZ_STORE_TIMEOUT", "AUTHZ_ACCOUNTS_TIMEOUT", "AUTHZ_REVOCATION_MAX_AGE")
    config = {**Flask.default_config, **dict.fromkeys(settings, PATIENCE)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "default_config", config)
        defaults = RevocationView.__init__.__kwdefaults__
        patch.setitem(defaults, "first_load", PATIENCE)
        patch.setitem(defaults, "interval", 0.05)
        patch.setattr("jwt_authz.issuers.remote_keys.PATIENCE", PATIENCE)
        patch.setattr("jwt_authz.endpoints.rate_limit.TIMEOUT", PATIENCE)
        yield


@pytest.fixture(scope="session", autouse=True)
def commands_print_to_no_terminal() -> Iterator[None]:
    """Tables are as wide as they are: pytest-xdist sets COLUMNS, to which they would be fitted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture
def nobody_waits_for_a_first_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is not there, or silent from the start, is waited for a moment only."""
    monkeypatch.setitem(RevocationView.__init__.__kwdefaults__, "first_load", 0.1)


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
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL database that this run has made for itself, and drops at its end.

    On the server of TEST_POSTGRES_URL, whose role has to be one that may make databases.
    """
    url = sqlalchemy.make_url(os.environ.get("TEST_POSTGRES_URL", POSTGRES))
    name = f"test_{token_hex(8)}"
    server = sqlalchemy.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=sqlalchemy.NullPool,
        connect_args={"connect_timeout": 20},
    )
    try:
        with server.connect() as connection:
            # Of template0, since nobody can be connected to that, which would be in the way.
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0")
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    except sqlalchemy.exc.OperationalError as error:
        absent("PostgreSQL", "TEST_POSTGRES_URL", error)
    yield url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def new_mariadb() -> Iterator[Callable[[], str]]:
    """Creates databases in MariaDB or MySQL, and drops them at the end of the run.

    On the server of TEST_MARIADB_URL. The default collation of each database ignores case.
    """
    url = sqlalchemy.make_url(os.environ.get("TEST_MARIADB_URL", MARIADB))
    server = sqlalchemy.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=sqlalchemy.NullPool,
        connect_args={"connect_timeout": 20},
    )
    names: list[str] = []

    def create() -> str:
        name = f"test_{token_hex(8)}"
        try:
            with server.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        except sqlalchemy.exc.OperationalError as error:
            absent("MariaDB", "TEST_MARIADB_URL", error)
        names.append(name)
        return url.set(database=name).render_as_string(hide_password=False)

    yield create
    for name in names:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}")


@pytest.fixture(scope="session")
def mariadb_url(new_mariadb: Callable[[], str]) -> str:
    """The URL of a MariaDB or MySQL database of this run."""
    return new_mariadb()


@pytest.fixture(scope="session")
def new_schema(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Makes URLs of PostgreSQL, each with an empty schema of its own in this run's database."""
    engine = sqlalchemy.create_engine(postgres_url)

    def make() -> str:
        name = f"schema_{token_hex(8)}"
        with engine.begin() as connection:
            connection.execute(CreateSchema(name))
        return f"{postgres_url}?options=-csearch_path%3D{name}"

    yield make
    engine.dispose()


@pytest.fixture(scope="session")
def pgbouncer(postgres_url: str) -> Iterator[PgBouncer]:
    """A PgBouncer in front of this run's database of PostgreSQL, without any schema."""
    pooler = PgBouncer(postgres_url)
    pooler.start()
    yield pooler
    pooler.close()


@pytest.fixture(scope="session")
def redis_database() -> Iterator[str]:
    """The URL of a Redis database that this run has for itself: the first that nobody is using.

    On the server of TEST_REDIS_URL; the database that this names is not looked at.
    """
    server = urlsplit(os.environ.get("TEST_REDIS_URL", REDIS))
    timeouts = {"socket_timeout": 20, "socket_connect_timeout": 20}
    for number in OURS:
        url = server._replace(path=f"/{number}", query="").geturl()
        try:
            # One connection, made at once, which stays until the run ends, however it does.
            client = redis.Redis.from_url(url, single_connection_client=True, **timeouts)
            is_ours = is_alone(client, number)
        except redis.RedisError as error:
            absent("Redis", "TEST_REDIS_URL", error)
        with client:
            if is_ours:
                yield url
                client.flushdb()
                return
    not_here(f"Redis' databases {OURS.start} to {OURS.stop - 1} are all in use")


def is_alone(client: redis.Redis, number: int) -> bool:
    """Whether nobody else is connected to the client's database; of two at once neither is alone.

    Channels are common to all databases, but a message there only makes others look into theirs.
    """
    return [int(each["db"]) for each in client.client_list()].count(number) == 1


@pytest.fixture
def redis_url(redis_database: str) -> str:
    """The URL of a Redis database in which there is nothing, for the test to write to."""
    with redis.Redis.from_url(redis_database) as client:
        client.flushdb()
    return redis_database


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


def pytest_collection() -> None:
    kinds.collect_without_garbage_collection()


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    kinds.mark_slow_tests(items)
    kinds.put_slow_files_first(items)


def pytest_collection_finish() -> None:
    kinds.keep_what_is_collected()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI everything is there that a test can need: one that is skipped is one not run."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = terminal.stats.get("skipped", []) if terminal else []
    if IN_CI and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        terminal.write_line("")
        terminal.write_line(f"{len(skipped)} skipped: in CI a skip is a failure", red=True)
