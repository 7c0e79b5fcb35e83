"""The store in a database: its tables, and what it answers when the server is bad, or gone."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, text
from sqlalchemy.exc import OperationalError

from jwt_authz.errors import MisuseError, StoreUnavailable
from jwt_authz.revocation import RevocationView, Target
from jwt_authz.revocation.families import KEPT
from jwt_authz.revocation.stores.sqlalchemy import SQLAlchemyStore, metadata
from jwt_authz.revocation.stores.tables import statements
from tests.patience import PATIENCE, eventually

from .conftest import Clock, Shared, between_two_looks
from .proxy import Proxy

pytestmark = pytest.mark.versions

BOUND = 5.0
HOUR = 3_600.0
TIMEOUT = 0.2
"""Seconds for a server that is not going to answer."""


@pytest.fixture
def store(server_place: Shared) -> SQLAlchemyStore:
    made: SQLAlchemyStore = server_place.open()
    return made


@pytest.fixture
def engine(server_place: Shared) -> Iterator[Engine]:
    """A way of the test's own into the same database."""
    made = create_engine(server_place.url)
    yield made
    made.dispose()


@pytest.fixture
def between(server_place: Shared, proxy: Callable[[str], Proxy]) -> Proxy:
    return proxy(server_place.url)


@pytest.fixture
def distant(between: Proxy) -> Iterator[SQLAlchemyStore]:
    """The store on the far side of a proxy, which tries again at once after failures."""
    made = SQLAlchemyStore.from_url(between.url, timeout=PATIENCE)
    made._database._breaker._pause = 0.0
    yield made
    between.cut()
    made.close()


def give_up_soon(store: SQLAlchemyStore) -> None:
    """Have calls of the store fail soon, for a server that is not going to answer."""
    store._database._timeout = TIMEOUT


@pytest.fixture
def view(
    distant: SQLAlchemyStore, view_of: Callable[..., RevocationView], age_clock: Clock
) -> RevocationView:
    """A view over the proxy that has seen ann revoked, and gets older as the test says."""
    made = view_of(distant, max_age=BOUND)
    made.check_age()
    made.revoke(Target("subject", "ann"))
    return made


def start(store: SQLAlchemyStore, subject: str = "ann") -> tuple[str, str]:
    begun = store.start(subject, lifetime=900, idle=900)
    assert begun.family is not None
    assert begun.jti is not None
    return begun.family.id, begun.jti


def outcome(store: SQLAlchemyStore, family: str, jti: str) -> str:
    return store.rotate(family, jti, grace=10, idle=900).outcome


def each_call(store: SQLAlchemyStore) -> list[Callable[[], object]]:
    until = time.time() + 60
    return [
        lambda: store.revoke(("subject", "zoe", None), until),  # type: ignore[arg-type]
        lambda: store.start("zoe", lifetime=10, idle=10),
        lambda: store.rotate("A" * 22, "jti", grace=1, idle=10),
        lambda: store.end("A" * 22),
        lambda: store.end_all("zoe"),
        lambda: store.families("zoe"),
        lambda: store.read(0, None),
        lambda: store.establish(None, "new"),
        store.prepare,
    ]


def assert_unavailable(call: Callable[[], object]) -> None:
    with pytest.raises(StoreUnavailable) as failed:
        call()
    # Nor do the errors behind it, which a log would print along.
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None
    assert not any(word in str(failed.value) for word in ("SELECT", "UPDATE", "127.0.0.1", "zoe"))


def answers(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoreUnavailable:
        return False
    return True


def ask(view: RevocationView, subject: str) -> str:
    """What a guarded request would be answered."""
    try:
        view.check_age()
    except StoreUnavailable:
        return "503"
    return "401" if view.is_revoked(jti="a", subject=subject, issued_at=1.0) else "200"


def assert_serves_until_the_bound(view: RevocationView, clock: Clock) -> None:
    """What was known is answered until it is too old, and then nothing; never a 200 for ann."""
    keeper = view._keeper
    assert keeper is not None
    eventually(lambda: keeper._is_failing)
    assert (ask(view, "ann"), ask(view, "bob")) == ("401", "200")
    clock.step(BOUND)
    assert (ask(view, "ann"), ask(view, "bob")) == ("401", "200")
    clock.step(0.1)
    assert (ask(view, "ann"), ask(view, "bob")) == ("503", "503")


# The tables


def test_the_tables_have_a_prefix_and_a_metadata_of_their_own(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'own.db'}")
    metadata.create_all(engine)

    assert set(inspect(engine).get_table_names()) == {
        "authz_applications",
        "authz_marks",
        "authz_statements",
        "authz_families",
    }
    engine.dispose()


def test_an_engine_of_the_applications_own_does_as_well(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'own.db'}")
    store = SQLAlchemyStore(engine)
    store.prepare()
    family, jti = start(store)

    assert outcome(store, family, jti) == "rotated"
    engine.dispose()


def test_tables_that_are_missing_are_an_unavailable_store_that_says_so(tmp_path: Path) -> None:
    store = SQLAlchemyStore.from_url(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(StoreUnavailable, match="flask authz init"):
        store.families("ann")
    store.close()


def test_several_processes_may_prepare_one_database_at_once(
    engine: Engine, server_place: Shared
) -> None:
    metadata.drop_all(engine)
    stores = [server_place.open() for _ in range(6)]
    preparing = [threading.Thread(target=answers, args=(store.prepare,)) for store in stores]
    for one in preparing:
        one.start()
    for one in preparing:
        one.join()
    stores[0].prepare()

    assert {store.read(0, None).generation for store in stores} != {None}
    assert len({store.read(0, None).generation for store in stores}) == 1


def test_what_is_past_its_time_is_deleted_and_nothing_else(
    server_place: Shared, engine: Engine, clock: Clock
) -> None:
    store = server_place.open(clock)
    for number in range(2_500):
        if number % 500 == 0:
            family, _ = start(store)
    with engine.begin() as connection:
        row = {"forget_at": clock.now - 1, "body": "[]", "namespace": ""}
        rows = [{**row, "position": number} for number in range(1, 2_501)]
        connection.execute(insert(statements), rows)
        connection.execute(
            text("UPDATE authz_families SET expires_at = :past WHERE id <> :id"),
            {"past": clock.now - KEPT - 1, "id": family},
        )
    store.revoke(("subject", "ann", None), clock.now + 60)

    assert store.sweep(clock.now) == 2_500 + 4
    assert store.sweep(clock.now) == 0
    assert len(store.read(0, None).entries) == 1
    assert [one.id for one in store.families("ann")] == [family]


def test_reading_the_log_sweeps_now_and_then(server_place: Shared, clock: Clock) -> None:
    store = server_place.open(clock)
    store.revoke(("jti", "x", None), clock.now + 60)
    clock.step(61)
    assert len(store.read(0, None).entries) == 1
    store._swept_at = float("-inf")
    store.read(0, None)

    assert store.read(0, None).entries == []


def test_the_time_zone_of_a_connection_does_not_matter(mariadb_place: Shared) -> None:
    store = mariadb_place.open()
    family, jti = start(store)
    elsewhere = SQLAlchemyStore.from_url(
        f"{mariadb_place.url}?init_command=SET time_zone = '-12:00'", timeout=PATIENCE
    )

    assert outcome(elsewhere, family, jti) == "rotated"
    (rotated,) = store.families("ann")
    assert 0 <= rotated.used_at - rotated.created_at < HOUR
    elsewhere.close()


# Transactions that meet, or fail


def test_statements_become_visible_in_the_order_of_their_positions(
    server_place: Shared, engine: Engine
) -> None:
    reader = server_place.open()
    stores = [server_place.open() for _ in range(8)]
    until, is_done = time.time() + 60, threading.Event()

    def write(store: Any) -> None:
        for number in range(10):
            store.revoke(("jti", f"{id(store)}-{number}", None), until)

    writing = [threading.Thread(target=write, args=(store,)) for store in stores]
    position, read = 0, []

    def follow() -> None:
        nonlocal position
        page = reader.read(position, None)
        read.extend(entry.position for entry in page.entries)
        position = page.position

    for one in writing:
        one.start()
    while any(one.is_alive() for one in writing):
        follow()
    is_done.set()
    follow()

    assert len(read) == 80, "one that came too late would have been passed over"
    assert read == sorted(read)


class Serialization(Exception):
    """What psycopg raises where two transactions cannot both have been the first."""

    sqlstate = "40001"


DEADLOCK = pymysql.err.OperationalError(1213, "Deadlock found when trying to get lock")
CHANGED = pymysql.err.OperationalError(1020, "Record has changed since last read in table")


@pytest.mark.parametrize("failures", [1, 3])
@pytest.mark.parametrize("cause", [Serialization(), DEADLOCK, CHANGED], ids=repr)
def test_a_conflict_is_tried_again(postgres_place: Shared, failures: int, cause: Exception) -> None:
    """SECURITY F7."""
    store = postgres_place.open()
    family, jti = start(store)
    left = [failures]

    def fail(_c: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE authz_families") and left[0]:
            left[0] -= 1
            raise OperationalError(statement, {}, cause)

    event.listen(store._database.engine, "before_cursor_execute", fail)
    assert outcome(store, family, jti) == "rotated"
    assert left == [0]


def test_a_refresh_that_failed_has_counted_nothing_and_may_be_repeated(
    store: SQLAlchemyStore,
) -> None:
    """SECURITY 1.25."""
    family, jti = start(store)

    def fail(_: Connection) -> None:
        raise OperationalError("COMMIT", {}, Serialization())

    event.listen(store._database.engine, "commit", fail)
    for _ in range(3):
        assert_unavailable(lambda: outcome(store, family, jti))
    event.remove(store._database.engine, "commit", fail)
    store._database._breaker.succeeded()  # in place of its pause

    assert outcome(store, family, jti) == "rotated"


def test_a_row_that_someone_holds_is_an_unavailable_store_and_nothing_happens_afterwards(
    store: SQLAlchemyStore, engine: Engine
) -> None:
    family, jti = start(store)
    with engine.begin() as connection:
        connection.execute(text("SELECT * FROM authz_families FOR UPDATE"))
        give_up_soon(store)
        assert_unavailable(lambda: outcome(store, family, jti))
    store._database._timeout = PATIENCE
    no_call_goes_on()

    assert outcome(store, family, jti) == "rotated", "by this call, and not by the one before"


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_it_does_not_matter_how_the_database_isolates_transactions(
    server_place: Shared, level: str
) -> None:
    engine = create_engine(server_place.url, isolation_level=level, pool_size=8)
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    for _ in range(5):
        family, jti = start(store)
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(outcome, store, family, jti) for _ in range(8)]
        outcomes = [call.result() for call in calls]
        assert sorted(outcomes) == ["repeated"] * 7 + ["rotated"]
    store.revoke(("jti", "x", None), time.time() + 60)  # type: ignore[arg-type]
    engine.dispose()


# A server that is gone, stopped, slow


@pytest.mark.slow
def test_a_process_that_stops_in_a_transaction_does_not_hold_up_the_others_for_long(
    server_place: Shared,
) -> None:
    stopped = SQLAlchemyStore.from_url(server_place.url, timeout=TIMEOUT)
    others = server_place.open()
    with stopped._database.engine.connect() as connection:
        stopped._lock(connection, 1)
        others.revoke(("subject", "ann", None), time.time() + 60)
        connection.invalidate()
    stopped.close()

    assert len(others.read(0, None).entries) == 1


def test_with_the_server_out_of_reach_calls_fail_and_open_again_without_a_restart(
    between: Proxy, distant: SQLAlchemyStore, view: RevocationView, age_clock: Clock
) -> None:
    """SECURITY 2.50, F7."""
    between.refuse()
    assert_serves_until_the_bound(view, age_clock)
    for call in each_call(distant):
        assert_unavailable(call)

    between.restore()
    eventually(lambda: ask(view, "bob") == "200")
    eventually(lambda: answers(lambda: distant.families("ann")))
    assert ask(view, "ann") == "401"


def test_with_the_server_silent_calls_fail_in_time_and_no_connection_is_leaked(
    between: Proxy, distant: SQLAlchemyStore, view: RevocationView, age_clock: Clock
) -> None:
    """SECURITY F7."""
    family, jti = start(distant)
    with between_two_looks(view):
        give_up_soon(distant)
        between.silence()
    assert_serves_until_the_bound(view, age_clock)
    for call in each_call(distant):
        assert_unavailable(call)

    distant._database._timeout = PATIENCE
    between.restore()
    eventually(lambda: answers(lambda: distant.families("ann")))
    eventually(lambda: ask(view, "bob") == "200")
    assert outcome(distant, family, jti) == "rotated"
    no_call_goes_on()
    eventually(lambda: distant._database.engine.pool.checkedout() <= 1)  # type: ignore[attr-defined]


def no_call_goes_on() -> None:
    """Wait until the threads that are running calls by now have ended."""
    calls = [one for one in threading.enumerate() if one.name == "jwt_authz-call"]
    eventually(lambda: not any(one.is_alive() for one in calls))


def test_a_rotation_that_was_reported_to_have_failed_does_not_happen_when_the_server_goes_on(
    between: Proxy, distant: SQLAlchemyStore
) -> None:
    family, jti = start(distant)
    give_up_soon(distant)
    between.silence()
    assert_unavailable(lambda: outcome(distant, family, jti))
    distant._database._timeout = PATIENCE
    between.restore()  # which passes on what was sent in between
    no_call_goes_on()

    assert outcome(distant, family, jti) == "rotated"


def test_the_view_of_a_slow_server_stays_current(
    between: Proxy, distant: SQLAlchemyStore, view: RevocationView, age_clock: Clock
) -> None:
    between.slow(0.005)
    view.revoke(Target("subject", "bob"))
    age_clock.step(2 * BOUND)

    eventually(lambda: ask(view, "ann") == "401")
    assert ask(view, "bob") == "401"


def connection_id(connection: Connection) -> int:
    """Return the server's number of a connection."""
    driver: Any = connection.connection.dbapi_connection
    number: int = (
        driver.thread_id() if connection.dialect.name == "mysql" else driver.info.backend_pid
    )
    return number


def end_connection(engine: Engine, id: int) -> None:
    """Have the server end a connection."""
    with engine.begin() as connection:
        if engine.dialect.name == "mysql":
            connection.exec_driver_sql(f"KILL CONNECTION {id}")
        else:
            connection.execute(text("SELECT pg_terminate_backend(:id, 2000)"), {"id": id})


def test_connections_that_the_server_ends_are_replaced(
    store: SQLAlchemyStore, engine: Engine
) -> None:
    family, jti = start(store)
    own = store._database.engine
    with own.connect() as connection:
        id = connection_id(connection)
    assert own.pool.checkedin() == 1  # type: ignore[attr-defined]
    end_connection(engine, id)

    assert outcome(store, family, jti) == "rotated"


def test_a_transaction_that_the_server_ends_has_counted_nothing(
    store: SQLAlchemyStore, engine: Engine
) -> None:
    """SECURITY 1.25, F7."""
    family, jti = start(store)

    def end(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE authz_families"):
            end_connection(engine, connection_id(connection))

    event.listen(store._database.engine, "after_cursor_execute", end)
    assert_unavailable(lambda: outcome(store, family, jti))
    event.remove(store._database.engine, "after_cursor_execute", end)

    assert outcome(store, family, jti) == "rotated"


def test_an_exhausted_pool_is_an_unavailable_store(server_place: Shared) -> None:
    """SECURITY F7."""
    engine = create_engine(server_place.url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    store = SQLAlchemyStore(engine, timeout=PATIENCE)
    with engine.connect():
        assert_unavailable(lambda: store.families("ann"))
    assert store.families("ann") == ()
    engine.dispose()


def test_a_database_that_another_writes_to_for_long_is_an_unavailable_store(
    sqlite_place: Shared,
) -> None:
    store = sqlite_place.open()
    store.prepare()
    family, jti = start(store)
    engine = create_engine(sqlite_place.url)
    hurried = SQLAlchemyStore.from_url(sqlite_place.url, timeout=TIMEOUT)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        assert_unavailable(lambda: outcome(hurried, family, jti))
        connection.exec_driver_sql("ROLLBACK")
    engine.dispose()
    hurried.close()

    assert outcome(store, family, jti) == "rotated"


# The URL and the extra


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"]
)
def test_sqlite_in_memory_is_a_misuse(url: str) -> None:
    with pytest.raises(MisuseError, match="write memory:"):
        SQLAlchemyStore.from_url(url)


@pytest.mark.parametrize("url", ["postgres://u:secret@h/x", "nosuch://u:secret@h", "sqlite:x"])
def test_a_url_that_sqlalchemy_does_not_know_is_a_misuse_without_its_password(url: str) -> None:
    with pytest.raises(MisuseError, match=r"write postgresql\+psycopg://") as refused:
        SQLAlchemyStore.from_url(url)

    assert "secret" not in str(refused.value)


def test_a_missing_driver_is_reported_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(MisuseError, match="install what has pymysql") as refused:
        SQLAlchemyStore.from_url("mysql+pymysql://u:secret@h/x")

    assert "secret" not in str(refused.value)


def test_a_missing_sqlalchemy_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    names = ("dialects", "database", "tables", "sql_families", "sqlalchemy")
    for name in names:
        monkeypatch.delitem(sys.modules, f"jwt_authz.revocation.stores.{name}")

    for name in names:
        with pytest.raises(ImportError, match=r"pip install 'jwt_authz\[sqlalchemy\]'"):
            importlib.import_module(f"jwt_authz.revocation.stores.{name}")
