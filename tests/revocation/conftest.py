"""Stores to test: in memory, in Redis and in each SQL database, each of a test alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from jwt_authz.revocation import MemoryStore, RevocationView
from jwt_authz.revocation import keeper as keeper_module
from tests.patience import PATIENCE

from .proxy import Proxy
from .servers import PrivateRedis
from .workers import Worker, open_shared

KINDS = ["memory", "redis", "sqlite", "postgres", "mariadb"]
SHARED = KINDS[1:]
SERVERS = ["postgres", "mariadb"]
LONGEST = 900.0
Copy = list[tuple[Any, ...]]
TABLES = {"authz_marks": 4, "authz_statements": 4, "authz_families": 15, "authz_applications": 4}


class Clock:
    """A clock that a test sets; it begins shortly after the true time, and stands still."""

    def __init__(self) -> None:
        self.now = float(int(time.time()) + 10)

    def __call__(self) -> float:
        return self.now

    def step(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Shared:
    """A place that several stores, in several processes, can open."""

    kind: str
    url: str
    prefix: str
    opened: list[Any] = field(default_factory=list)
    admin: Engine | None = None

    def open(self, clock: Callable[[], float] | None = None) -> Any:
        """A store of its own on the place, as another process would have it."""
        store = open_shared(self.kind, self.url, self.prefix)
        if clock is not None:
            store._clock = clock
            if self.kind == "redis":
                store._server._test_clock = clock
        self.opened.append(store)
        return store

    def close(self) -> None:
        for store in self.opened:
            store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def age_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which views get older: it stands still until the test steps it."""
    clock = Clock()
    set_clocks(monkeypatch, keeper_module, wall=clock, monotonic=clock)
    return clock


@pytest.fixture(scope="session")
def postgres_schema_url(new_schema: Callable[[], str]) -> str:
    """PostgreSQL, in a schema of these tests."""
    return new_schema()


@pytest.fixture
def redis_place(redis_url: str) -> Iterator[Shared]:
    place = Shared("redis", redis_url, f"test{token_hex(6)}")
    yield place
    place.close()


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Iterator[Shared]:
    place = Shared("sqlite", f"sqlite:///{tmp_path / 'revocations.db'}", "")
    yield place
    place.close()


@pytest.fixture(scope="session")
def postgres_admin(postgres_schema_url: str) -> Iterator[Engine]:
    """What empties the tables between two tests."""
    engine = create_engine(postgres_schema_url)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_place(postgres_schema_url: str, postgres_admin: Engine) -> Iterator[Shared]:
    yield from prepared_place("postgres", postgres_schema_url, postgres_admin)


@pytest.fixture(scope="session")
def mariadb_admin(mariadb_url: str) -> Iterator[Engine]:
    """What empties the tables between two tests."""
    engine = create_engine(mariadb_url)
    yield engine
    engine.dispose()


@pytest.fixture
def mariadb_place(mariadb_url: str, mariadb_admin: Engine) -> Iterator[Shared]:
    yield from prepared_place("mariadb", mariadb_url, mariadb_admin)


def prepared_place(kind: str, url: str, admin: Engine) -> Iterator[Shared]:
    """A place on a server that many tests use, prepared and empty otherwise."""
    place = Shared(kind, url, "", admin=admin)
    empty(place)
    place.open().prepare()
    yield place
    place.close()


@pytest.fixture(params=SERVERS)
def server_place(request: pytest.FixtureRequest) -> Shared:
    """A prepared place in each database that is a server."""
    found: Shared = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture(params=SHARED)
def place(request: pytest.FixtureRequest) -> Shared:
    """A place that processes share, with nothing in it, not even the mark."""
    found: Shared = request.getfixturevalue(f"{request.param}_place")
    empty(found)
    return found


@pytest.fixture
def prepared(place: Shared) -> Shared:
    """A place that processes share, prepared as an operator does."""
    place.open().prepare()
    return place


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, clock: Clock) -> Any:
    """A prepared store of each kind, on the test's clock."""
    if request.param == "memory":
        return MemoryStore(clock)
    place: Shared = request.getfixturevalue(f"{request.param}_place")
    store = place.open(clock)
    store.prepare()
    return store


@pytest.fixture
def view_of() -> Iterator[Callable[..., RevocationView]]:
    """Makes views that are stopped at the end of the test."""
    made: list[RevocationView] = []

    def make(store: Any, **options: Any) -> RevocationView:
        view = RevocationView(store, **{"longest": LONGEST, "max_age": PATIENCE, **options})
        made.append(view)
        return view

    yield make
    for view in made:  # all at once, since each takes a moment
        if view._keeper is not None:
            view._keeper._stop.set()
    for view in made:
        view.stop()


@pytest.fixture
def proxy() -> Iterator[Callable[[str], Proxy]]:
    """Makes TCP proxies in front of a server's URL."""
    made: list[Proxy] = []

    def make(url: str) -> Proxy:
        made.append(Proxy(url))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A Redis server of the test's own, which it may kill."""
    server = PrivateRedis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def processes() -> Iterator[dict[bool, list[Worker]]]:
    """Processes that wait for a test, since starting one takes a while; by whether they fork."""
    idle: dict[bool, list[Worker]] = {False: [], True: []}
    yield idle
    for worker in [*idle[False], *idle[True]]:
        worker.close()


@pytest.fixture
def workers(processes: dict[bool, list[Worker]]) -> Iterator[Callable[..., Worker]]:
    """Sends other processes to a place, where each has a store of its own.

    One that `forks` has never had a thread.
    """
    used: list[tuple[bool, Worker]] = []

    def make(place: Shared, forks: bool = False, **options: Any) -> Worker:
        worker = processes[forks].pop() if processes[forks] else Worker()
        used.append((forks, worker))
        worker("go_to", place.kind, place.url, place.prefix, **options)
        return worker

    yield make
    for forks, worker in used:
        if worker.leave():
            processes[forks].append(worker)
        else:
            worker.close()


@contextmanager
def between_two_looks(view: RevocationView) -> Iterator[None]:
    """No look into the store is under way: each begins after what is changed in the block."""
    assert view._keeper is not None
    with view._keeper._looking:
        yield


def empty(place: Shared) -> None:
    """Take all that a store has, as a flush would."""
    if place.kind == "redis":
        with redis.Redis.from_url(place.url) as client:
            for key in client.scan_iter(match=f"{{authz:{place.prefix}}}:*"):
                client.delete(key)
        return
    engine = place.admin or create_engine(place.url)
    with suppress(DBAPIError), engine.begin() as connection:  # where there are tables
        for table in TABLES:
            connection.exec_driver_sql(f"DELETE FROM {table}")
    if engine is not place.admin:
        engine.dispose()


def set_clocks(
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Give one module other clocks, and leave the rest of the process its own."""
    monkeypatch.setattr(module, "time", SimpleNamespace(time=wall, monotonic=monotonic))


def copy_of(place: Shared) -> Copy:
    """A copy of all that is in the store, as a backup or a replica has it."""
    if place.kind == "redis":
        with redis.Redis.from_url(place.url) as client:
            keys = sorted(client.scan_iter(match=f"{{authz:{place.prefix}}}:*"))
            return [(key, client.pttl(key), client.dump(key)) for key in keys]
    engine = create_engine(place.url)
    with engine.connect() as connection:
        rows = [
            (table, tuple(row))
            for table in TABLES
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")
        ]
    engine.dispose()
    return rows


def put_back(place: Shared, copy: Copy) -> None:
    """Make the store what it was when it was copied."""
    empty(place)
    if place.kind == "redis":
        with redis.Redis.from_url(place.url) as client:
            for key, ttl, dumped in copy:
                client.restore(key, max(0, ttl), dumped)
        return
    engine = create_engine(place.url)
    with engine.begin() as connection:
        mark = "?" if place.kind == "sqlite" else "%s"
        for table, row in copy:
            marks = ", ".join([mark] * TABLES[table])
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", row)
    engine.dispose()
