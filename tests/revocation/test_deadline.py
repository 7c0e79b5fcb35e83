"""No store call takes longer than `AUTHZ_STORE_TIMEOUT`, and a lost answer is asked for again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from jwt_authz import Authz
from jwt_authz.accounts import User
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView, Rotation
from jwt_authz.revocation.stores import redis_family_scripts as scripts
from jwt_authz.revocation.stores.redis import RedisStore
from jwt_authz.revocation.stores.sqlalchemy import SQLAlchemyStore

from .conftest import Shared
from .proxy import Proxy
from .servers import PrivateRedis

TIMES: dict[str, float] = {"lifetime": 100, "idle": 100}
LONG = 10.0
"""Seconds for calls that are to succeed on a busy machine, too."""


@pytest.fixture
def between(private_redis: PrivateRedis, proxy: Callable[[str], Proxy]) -> Proxy:
    return proxy(private_redis.url)


@pytest.fixture
def open_at(between: Proxy) -> Iterator[Callable[[float], RedisStore]]:
    """Opens prepared stores behind a network that can be spoilt, which had answers before."""
    opened = []

    def make(timeout: float) -> RedisStore:
        store = RedisStore.from_url(between.url, timeout=timeout)
        opened.append(store)
        store.prepare()
        store.read(0, None)
        begun = store.start("bob", **TIMES)  # so that the server has the scripts
        assert begun.family is not None
        rotate(store, begun.family.id, begun.jti)
        return store

    yield make
    for store in opened:
        store.close()


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
    open_at: Callable[[float], RedisStore], between: Proxy
) -> None:
    assert_rotation_survives_a_lost_answer(open_at(LONG), between)


def test_without_the_seed_of_the_call_its_second_try_would_be_a_reuse(
    open_at: Callable[[float], RedisStore], between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    unguarded = scripts.ROTATE.replace("ARGV[6] == seed", "false")
    assert unguarded != scripts.ROTATE
    monkeypatch.setattr(scripts, "ROTATE", unguarded)

    with pytest.raises(AssertionError, match="reused"):
        assert_rotation_survives_a_lost_answer(open_at(LONG), between)


def test_a_used_token_is_still_a_reuse_in_another_call(
    open_at: Callable[[float], RedisStore], between: Proxy
) -> None:
    store = open_at(LONG)
    begun = store.start("ann", **TIMES)
    assert begun.family is not None
    between.lose(1)
    rotate(store, begun.family.id, begun.jti)

    assert rotate(store, begun.family.id, begun.jti).outcome == "reused"


def test_a_log_in_whose_answer_is_lost_is_one_log_in(
    open_at: Callable[[float], RedisStore], between: Proxy
) -> None:
    store = open_at(LONG)
    between.lose(1)
    begun = store.start("ann", **TIMES)
    assert begun.family is not None

    assert [family.id for family in store.families("ann")] == [begun.family.id]
    assert rotate(store, begun.family.id, begun.jti).outcome == "rotated"


def test_every_call_is_made_again_once_if_its_answer_is_lost(
    open_at: Callable[[float], RedisStore], between: Proxy
) -> None:
    store = open_at(LONG)
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
    open_at: Callable[[float], RedisStore], between: Proxy
) -> None:
    """Each answer comes in time, and all together do not."""
    timeout = 0.4
    store = open_at(timeout)
    store.close()  # so that it connects again
    between.slow(0.09)

    with pytest.raises(StoreUnavailable):
        store.families("ann")


def test_a_rotation_in_a_database_has_one_deadline_for_all_its_transactions(
    postgres_place: Shared, proxy: Callable[[str], Proxy]
) -> None:
    between = proxy(postgres_place.url)
    store = SQLAlchemyStore.from_url(between.url, timeout=1.5)
    begun = store.start("ann", **TIMES)
    assert begun.family is not None
    between.slow(0.15)
    assert store.families("ann")
    with pytest.raises(StoreUnavailable):
        rotate(store, begun.family.id, begun.jti)
    store.close()


# The setting


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


@pytest.mark.parametrize(("timeout", "succeeds"), [(0.1, False), (LONG, True)])
def test_the_setting_says_how_long_a_call_may_take(
    private_redis: PrivateRedis, between: Proxy, timeout: float, succeeds: bool
) -> None:
    app = application(between.url, AUTHZ_STORE_TIMEOUT=timeout)
    with app.app_context():
        app.extensions["jwt_authz"].prepare_store()
    assert log_in(app)
    between.slow(0.1)

    assert log_in(app) == succeeds


def test_by_default_a_redis_that_takes_200_ms_is_waited_for(
    private_redis: PrivateRedis, between: Proxy
) -> None:
    app = application(between.url)
    with app.app_context():
        app.extensions["jwt_authz"].prepare_store()
    assert log_in(app)
    between.slow(0.1)

    assert log_in(app)


def test_a_request_is_answered_from_memory_while_a_look_into_the_store_waits(
    open_at: Callable[[float], RedisStore],
    between: Proxy,
    view_of: Callable[..., RevocationView],
) -> None:
    view = view_of(open_at(LONG), max_age=60, interval=0.05)
    view.check_age()
    age = view.age()
    between.silence()
    while view.age() < age + 0.5:  # longer than the interval: a look is waiting
        view.check_age()
        assert not view.is_revoked(jti="a", subject="ann", issued_at=time.time())
    between.mend()
