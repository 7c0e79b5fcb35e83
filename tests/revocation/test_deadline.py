"""No store call takes longer than `AUTHZ_STORE_TIMEOUT`, and a lost answer is asked for again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, func, select, table, text

from jwt_authz import Authz
from jwt_authz.accounts import User
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView, Rotation
from jwt_authz.revocation.stores import redis_family_scripts as scripts
from jwt_authz.revocation.stores.database import Database, engine_of
from jwt_authz.revocation.stores.redis import RedisStore
from jwt_authz.revocation.stores.sqlalchemy import SQLAlchemyStore
from jwt_authz.settings import Settings
from tests.patience import PATIENCE, eventually

from .conftest import Shared
from .proxy import Proxy
from .servers import PrivateRedis

TIMES: dict[str, float] = {"lifetime": 100, "idle": 100}


@pytest.fixture
def between(private_redis: PrivateRedis, proxy: Callable[[str], Proxy]) -> Proxy:
    return proxy(private_redis.url)


@pytest.fixture
def store(between: Proxy) -> Iterator[RedisStore]:
    """A prepared store behind a network that can be spoilt, which had answers before."""
    store = RedisStore.from_url(between.url, timeout=PATIENCE)
    store.prepare()
    store.read(0, None)
    send_scripts(store)
    yield store
    store.close()


def send_scripts(store: RedisStore) -> None:
    """Have the server know the scripts, so that the next answer lost is one of theirs."""
    begun = store.start("bob", **TIMES)
    assert begun.family is not None
    rotate(store, begun.family.id, begun.jti)


def rotate(store: Any, family: str, presented: str | None) -> Rotation:
    rotated: Rotation = store.rotate(family, presented, grace=0, idle=100)
    return rotated


def assert_rotation_survives_a_lost_answer(store: RedisStore, between: Proxy) -> None:
    begun = store.start("ann", **TIMES)
    assert begun.family is not None
    between.lose(1)
    second = rotate(store, begun.family.id, begun.jti)
    assert between.losses == 0
    assert second.outcome == "rotated"
    assert rotate(store, begun.family.id, second.jti).outcome == "rotated"


def test_a_rotation_whose_answer_is_lost_costs_no_log_in_without_a_grace(
    store: RedisStore, between: Proxy
) -> None:
    assert_rotation_survives_a_lost_answer(store, between)


def test_without_the_seed_of_the_call_its_second_try_would_be_a_reuse(
    store: RedisStore, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    unguarded = scripts.ROTATE.replace("ARGV[6] == seed", "false")
    assert unguarded != scripts.ROTATE
    monkeypatch.setattr(scripts, "ROTATE", unguarded)
    send_scripts(store)

    with pytest.raises(AssertionError, match="reused"):
        assert_rotation_survives_a_lost_answer(store, between)


def test_a_used_token_is_still_a_reuse_in_another_call(store: RedisStore, between: Proxy) -> None:
    begun = store.start("ann", **TIMES)
    assert begun.family is not None
    between.lose(1)
    rotate(store, begun.family.id, begun.jti)

    assert rotate(store, begun.family.id, begun.jti).outcome == "reused"


def test_a_log_in_whose_answer_is_lost_is_one_log_in(store: RedisStore, between: Proxy) -> None:
    between.lose(1)
    begun = store.start("ann", **TIMES)
    assert begun.family is not None

    assert [family.id for family in store.families("ann")] == [begun.family.id]
    assert rotate(store, begun.family.id, begun.jti).outcome == "rotated"


def test_every_call_is_made_again_once_if_its_answer_is_lost(
    store: RedisStore, between: Proxy
) -> None:
    until = time.time() + 60
    calls: list[Callable[[], object]] = [
        lambda: store.revoke(("subject", "zoe", None), until),  # type: ignore[arg-type]
        lambda: store.end("A" * 22),
        lambda: store.end_all("zoe"),
        lambda: store.families("zoe"),
        lambda: store.read(0, None),
        lambda: store.establish("x", "y"),
        store.prepare,
    ]
    for call in calls:
        call()
        between.lose(1)
        call()
        assert between.losses == 0
        between.lose(2)
        with pytest.raises(StoreUnavailable):
            call()


def test_connecting_and_the_second_try_count_against_the_time_of_a_call(
    store: RedisStore, between: Proxy
) -> None:
    """Each answer comes in time, and all together do not."""
    store.close()  # so that it connects again
    store._server._timeout = 0.4
    between.slow(0.09)

    with pytest.raises(StoreUnavailable):
        store.families("ann")


def test_a_rotation_in_a_database_has_one_deadline_for_all_its_transactions(
    server_place: Shared, proxy: Callable[[str], Proxy]
) -> None:
    between = proxy(server_place.url)
    store = SQLAlchemyStore.from_url(between.url, timeout=PATIENCE)
    begun = store.start("ann", **TIMES)
    assert begun.family is not None
    between.slow(0.15)
    assert store.families("ann")
    store._database._timeout = 1.5
    with pytest.raises(StoreUnavailable):
        rotate(store, begun.family.id, begun.jti)
    store.close()


# The setting


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["new_schema", "new_mariadb"])
def test_nothing_is_committed_after_the_caller_got_the_error(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Also if the connection cannot be closed from outside, as with an unknown driver."""
    monkeypatch.setattr("jwt_authz.revocation.stores.database.shut_down", lambda driver: None)
    engine = engine_of(request.getfixturevalue(kind)(), PATIENCE)
    patient = Database(engine, PATIENCE)
    patient.run(lambda connection: connection.execute(text("CREATE TABLE written (n INTEGER)")))
    given_up, is_done = threading.Event(), threading.Event()

    def write(connection: Connection) -> None:
        connection.execute(text("INSERT INTO written VALUES (1)"))
        given_up.wait(PATIENCE)
        is_done.set()

    with pytest.raises(StoreUnavailable):
        Database(engine, 0.2).run(write)
    given_up.set()
    assert is_done.wait(PATIENCE)
    eventually(lambda: engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
    count = select(func.count()).select_from(table("written"))
    assert patient.read(lambda connection: connection.scalar(count)) == 0
    engine.dispose()


def application(url: str, **config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(JWT_SECRET_KEY="secret" * 8, AUTHZ_STORE_URL=url, **config)
    accounts = MemoryAccounts()
    accounts.add("ada", "correct horse battery", subject="5")
    Authz(app, accounts=accounts)
    return app


def log_in(app: Flask) -> bool:
    with app.app_context():
        try:
            app.extensions["jwt_authz"].log_in(User("5", "ada"))
        except StoreUnavailable:
            return False
        return True


@pytest.fixture
def slow_url(private_redis: PrivateRedis, between: Proxy) -> str:
    """The URL of a prepared store that takes 200 ms for an answer."""
    app = application(private_redis.url)
    with app.app_context():
        app.extensions["jwt_authz"].prepare_store()
    assert log_in(app)
    between.slow(0.1)
    return between.url


@pytest.mark.usefixtures("nobody_waits_for_a_first_load")
def test_a_call_that_takes_longer_than_the_setting_says_fails(slow_url: str) -> None:
    assert not log_in(application(slow_url, AUTHZ_STORE_TIMEOUT=0.1))


def test_a_call_may_take_as_long_as_the_setting_says(slow_url: str) -> None:
    assert log_in(application(slow_url, AUTHZ_STORE_TIMEOUT=PATIENCE))


def test_the_default_leaves_room_for_a_redis_that_takes_200_ms() -> None:
    assert Settings().store_timeout >= 5 * 0.2, "connecting takes several answers"


def test_a_request_is_answered_from_memory_while_a_look_into_the_store_waits(
    store: RedisStore,
    between: Proxy,
    view_of: Callable[..., RevocationView],
) -> None:
    view = view_of(store)
    view.check_age()
    age = view.age()
    between.silence()
    while view.age() < age + 0.5:  # longer than the interval: a look is waiting
        view.check_age()
        assert not view.is_revoked(jti="a", subject="ann", issued_at=time.time())
    between.restore()
