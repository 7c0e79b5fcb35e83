"""The store behind PgBouncer in transaction mode, where clients share connections of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView, Target
from jwt_authz.revocation.stores.sqlalchemy import SQLAlchemyStore
from tests.patience import PATIENCE, eventually

from .conftest import Shared, prepared_place
from .servers import PgBouncer

TIMES: dict[str, float] = {"lifetime": 900, "idle": 900}
TIMEOUT = 0.2
"""Seconds for a server that is not going to answer."""


@pytest.fixture
def server(postgres_url: str) -> Iterator[Engine]:
    """PostgreSQL itself."""
    engine = create_engine(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def place(pgbouncer: PgBouncer, server: Engine) -> Iterator[Shared]:
    yield from prepared_place("postgres", pgbouncer.url, server)


def rotate(store: Any, begun: Any, jti: str | None) -> Any:
    return store.rotate(begun.family.id, jti, grace=10, idle=900)


def test_more_clients_than_connections_log_in_and_refresh(place: Shared) -> None:
    """Often enough for psycopg to prepare a statement, which another connection has not."""

    def work(store: Any) -> list[str]:
        begun = store.start("ann", **TIMES)
        jti, outcomes = begun.jti, []
        for _ in range(12):
            rotation = rotate(store, begun, jti)
            jti = rotation.jti
            outcomes.append(rotation.outcome)
        assert store.end(begun.family.id)
        return outcomes

    stores = [place.open() for _ in range(3 * PgBouncer.POOL_SIZE)]
    with ThreadPoolExecutor(len(stores)) as pool:
        assert list(pool.map(work, stores)) == [12 * ["rotated"]] * len(stores)


def test_of_many_callers_at_once_one_rotates_the_token(place: Shared) -> None:
    store = place.open()
    for _ in range(5):
        begun = store.start("ann", **TIMES)
        with ThreadPoolExecutor(8) as pool:
            rotated = pool.map(lambda _, one=begun: rotate(store, one, one.jti).outcome, range(8))
        assert sorted(rotated) == 7 * ["repeated"] + ["rotated"]


def test_a_revocation_reaches_another_process(
    place: Shared, view_of: Callable[..., RevocationView]
) -> None:
    here, there = view_of(place.open()), view_of(place.open())
    there.check_age()
    here.revoke(Target("subject", "ann"))

    token = {"jti": "a", "subject": "ann", "issued_at": time.time() - 1}
    eventually(lambda: there.is_revoked(**token))
    assert there.is_revoked(**token)


def test_no_setting_stays_behind_for_the_other_clients_of_the_pooler(
    place: Shared, pgbouncer: PgBouncer
) -> None:
    stores = [place.open() for _ in range(2 * PgBouncer.POOL_SIZE)]
    for store in stores:
        store.revoke(("subject", "ann", None), time.time() + 60)
        store.read(0, None)
    engine = create_engine(pgbouncer.url)
    connections = [engine.connect() for _ in range(PgBouncer.POOL_SIZE)]
    names = ("statement_timeout", "idle_in_transaction_session_timeout")
    shown = {one.exec_driver_sql(f"SHOW {name}").scalar() for one in connections for name in names}
    for connection in connections:
        connection.close()
    engine.dispose()

    assert shown == {"0"}


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.families("ann"),
        lambda store: store.revoke(("subject", "ann", None), time.time() + 60),
    ],
    ids=["a read", "a change"],
)
def test_the_server_does_not_go_on_waiting_for_a_caller_who_has_given_up(
    pgbouncer: PgBouncer, place: Shared, server: Engine, call: Callable[[Any], Any]
) -> None:
    store = SQLAlchemyStore.from_url(pgbouncer.url, timeout=TIMEOUT)
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with server.connect() as connection, server.connect() as other:
        connection.exec_driver_sql("LOCK TABLE authz_marks")
        with pytest.raises(StoreUnavailable):
            call(store)
        eventually(lambda: other.execute(waiting).scalar() == 0)
    store.close()


def test_a_process_that_stops_in_a_transaction_does_not_hold_up_the_others_for_long(
    pgbouncer: PgBouncer, place: Shared
) -> None:
    stopped = SQLAlchemyStore.from_url(pgbouncer.url, timeout=TIMEOUT)
    others = place.open()
    database, hold = stopped._database, []

    def stop(connection: Any) -> None:
        stopped._lock(connection, 1)
        others.revoke(("subject", "ann", None), time.time() + 60)
        hold.append(len(others.read(0, None).entries))

    database._timeout = PATIENCE
    with pytest.raises(StoreUnavailable):
        database.run(stop)
    stopped.close()

    assert hold == [1]


def test_a_pooler_that_is_killed_is_an_unavailable_store_until_it_is_back(
    postgres_url: str, place: Shared
) -> None:
    pooler = PgBouncer(postgres_url)
    pooler.start()
    store = SQLAlchemyStore.from_url(pooler.url, timeout=PATIENCE)
    begun = store.start("ann", **TIMES)
    pooler.kill()
    with pytest.raises(StoreUnavailable) as failed:
        rotate(store, begun, begun.jti)
    assert failed.value.__context__ is None
    pooler.start()

    assert rotate(store, begun, begun.jti).outcome == "rotated"
    store.close()
    pooler.close()
