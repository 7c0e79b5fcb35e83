"""A store that is no longer the primary lets no revoked token in past the bound.

A process that stays connected to one, or was started with its address, would not see what is
revoked on the new primary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView, Target
from jwt_authz.revocation.stores import redis_scripts as scripts
from jwt_authz.revocation.stores.redis import RedisStore
from jwt_authz.revocation.stores.sqlalchemy import SQLAlchemyStore
from tests.patience import PATIENCE, eventually

from .conftest import Clock
from .servers import PrivateMariaDB, PrivatePostgres, PrivateRedis

BOUND = 5.0
TIMES: dict[str, float] = {"lifetime": 100, "idle": 100}


@pytest.fixture
def two_redis(tmp_path: Path) -> Iterator[tuple[PrivateRedis, PrivateRedis]]:
    """A primary and its replica, which has all that the primary has."""
    servers = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        servers.append(PrivateRedis(tmp_path / name))
        servers[-1].start("--repl-diskless-sync-delay", "0")
    old, new = servers
    with new.client() as client:
        client.replicaof("127.0.0.1", old.port)
        eventually(lambda: client.info("replication")["master_link_status"] == "up")
    yield old, new
    for server in servers:
        server.kill()


@pytest.fixture
def store_at() -> Iterator[Callable[[str], RedisStore]]:
    """Opens stores, and closes them at the end."""
    opened = []

    def open_at(url: str) -> RedisStore:
        opened.append(RedisStore.from_url(url, timeout=PATIENCE))
        return opened[-1]

    yield open_at
    for store in opened:
        store.close()


def is_let_in(view: RevocationView, subject: str) -> bool:
    """What a guarded request is answered."""
    try:
        view.check_age()
    except StoreUnavailable:
        return False
    return not view.is_revoked(jti="a", subject=subject, issued_at=time.time() - 1)


def let_in_after_the_bound(view: RevocationView, subject: str, clock: Clock) -> int:
    """How many requests are let in once the bound has passed, each after a look into the store."""
    clock.step(BOUND + 1)
    count = 0
    for _ in range(5):
        with suppress(StoreUnavailable):
            view.refresh()
        count += is_let_in(view, subject)
    return count


def fail_over(old: PrivateRedis, new: PrivateRedis) -> None:
    """Make the replica the primary, and have the old primary follow nobody that answers."""
    with new.client() as client:
        client.replicaof("NO", "ONE")
    with old.client() as client:
        client.replicaof("127.0.0.1", 1)
        eventually(lambda: client.info("replication")["role"] == "slave")


def assert_bound_holds_after_a_failover(
    two_redis: tuple[PrivateRedis, PrivateRedis],
    view_of: Callable[..., RevocationView],
    store_at: Callable[[str], RedisStore],
    clock: Clock,
) -> None:
    old, new = two_redis
    store_at(old.url).prepare()
    stays = view_of(store_at(old.url), max_age=BOUND)
    assert is_let_in(stays, "ann")
    eventually(lambda: new.client().exists("{authz}:mark") == 1)
    fail_over(old, new)
    view_of(store_at(new.url)).revoke(Target("subject", "ann"))

    count = let_in_after_the_bound(stays, "ann", clock)
    assert count == 0, f"{count} requests with a revoked token were let in"


def test_a_process_that_stays_connected_to_a_demoted_redis_lets_no_revoked_token_in(
    two_redis: tuple[PrivateRedis, PrivateRedis],
    view_of: Callable[..., RevocationView],
    store_at: Callable[[str], RedisStore],
    age_clock: Clock,
) -> None:
    assert_bound_holds_after_a_failover(two_redis, view_of, store_at, age_clock)


@pytest.mark.slow
def test_without_the_write_of_each_look_a_demoted_redis_would_let_a_revoked_token_in(
    two_redis: tuple[PrivateRedis, PrivateRedis],
    view_of: Callable[..., RevocationView],
    store_at: Callable[[str], RedisStore],
    age_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control."""
    unguarded = scripts.READ.replace("return refused() or", "return")
    assert unguarded != scripts.READ
    monkeypatch.setattr(scripts, "READ", unguarded)

    with pytest.raises(AssertionError, match="requests with a revoked token were let in"):
        assert_bound_holds_after_a_failover(two_redis, view_of, store_at, age_clock)


def test_a_process_that_starts_at_a_replica_without_its_primary_lets_nobody_in(
    two_redis: tuple[PrivateRedis, PrivateRedis],
    view_of: Callable[..., RevocationView],
    store_at: Callable[[str], RedisStore],
) -> None:
    old, new = two_redis
    store_at(old.url).prepare()
    eventually(lambda: new.client().exists("{authz}:mark") == 1)
    old.kill()

    assert not is_let_in(view_of(store_at(new.url), first_load=0.3), "ann")


@pytest.mark.slow
def test_no_call_is_answered_by_what_a_demoted_redis_still_has(
    two_redis: tuple[PrivateRedis, PrivateRedis], store_at: Callable[[str], RedisStore]
) -> None:
    """A family that the new primary has is unknown there, and would end the log-in."""
    old, new = two_redis
    at_old, at_new = store_at(old.url), store_at(new.url)
    at_old.prepare()
    eventually(lambda: new.client().exists("{authz}:mark") == 1)
    fail_over(old, new)
    begun = at_new.start("ann", **TIMES)
    assert begun.family is not None

    calls: list[Callable[[], Any]] = [
        lambda: at_old.families("ann"),
        lambda: at_old.rotate(begun.family.id, begun.jti, grace=0, idle=100),
        lambda: at_old.end(begun.family.id),
        lambda: at_old.end_all("ann"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            call()


@pytest.mark.slow
def test_a_redis_that_is_promoted_is_used_without_a_restart(
    two_redis: tuple[PrivateRedis, PrivateRedis],
    view_of: Callable[..., RevocationView],
    store_at: Callable[[str], RedisStore],
) -> None:
    old, new = two_redis
    store_at(old.url).prepare()
    eventually(lambda: new.client().exists("{authz}:mark") == 1)
    waits = view_of(store_at(new.url), first_load=0.1)
    assert not is_let_in(waits, "ann")
    with new.client() as client:
        client.replicaof("NO", "ONE")

    eventually(lambda: is_let_in(waits, "ann"))


@pytest.mark.slow
def test_a_primary_that_lost_the_replicas_it_needs_lets_no_revoked_token_in(
    two_redis: tuple[PrivateRedis, PrivateRedis],
    view_of: Callable[..., RevocationView],
    store_at: Callable[[str], RedisStore],
    age_clock: Clock,
) -> None:
    """On the wrong side of a partition, where another one was made primary."""
    old, new = two_redis
    store_at(old.url).prepare()
    with old.client() as client:
        client.config_set("min-replicas-max-lag", 1)
        client.config_set("min-replicas-to-write", 1)
        eventually(lambda: client.info("replication")["min_slaves_good_slaves"] == 1)
    stays = view_of(store_at(old.url), max_age=BOUND)
    assert is_let_in(stays, "ann")
    new.stop()

    eventually(lambda: not can_look(stays))
    assert let_in_after_the_bound(stays, "ann", age_clock) == 0
    new.go_on()


def can_look(view: RevocationView) -> bool:
    try:
        view.refresh()
    except StoreUnavailable:
        return False
    return True


# Databases


@pytest.fixture
def private_postgres() -> Iterator[PrivatePostgres]:
    server = PrivatePostgres()
    server.start()
    yield server
    server.close()


@pytest.fixture
def private_mariadb() -> Iterator[PrivateMariaDB]:
    server = PrivateMariaDB()
    server.start()
    yield server
    server.close()


@pytest.fixture(params=["postgres", "mariadb"])
def private_database(request: pytest.FixtureRequest) -> PrivatePostgres | PrivateMariaDB:
    found: PrivatePostgres | PrivateMariaDB = request.getfixturevalue(f"private_{request.param}")
    return found


def test_a_database_that_has_become_a_standby_lets_nobody_in(
    private_database: PrivatePostgres | PrivateMariaDB,
    view_of: Callable[..., RevocationView],
    age_clock: Clock,
) -> None:
    store = SQLAlchemyStore.from_url(private_database.url, timeout=PATIENCE)
    store.prepare()
    begun = store.start("ann", **TIMES)
    assert begun.family is not None
    view = view_of(store, max_age=BOUND)
    assert is_let_in(view, "ann")
    private_database.demote()

    assert let_in_after_the_bound(view, "ann", age_clock) == 0
    with pytest.raises(StoreUnavailable, match="AUTHZ_STORE_URL must name the primary"):
        view.refresh()
    calls: list[Callable[[], Any]] = [
        lambda: store.families("ann"),
        lambda: store.rotate(begun.family.id, begun.jti or "", grace=0, idle=100),
        lambda: store.revoke(("subject", "ann", None), time.time() + 60),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            call()
    store.close()
