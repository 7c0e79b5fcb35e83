"""How soon a revocation reaches another process, also if messages are lost or a thread ends."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

from jwt_authz.revocation import RevocationView, target_of
from tests.patience import PATIENCE

from .conftest import Shared
from .servers import PrivateRedis
from .workers import Worker

INTERVAL = 0.1
USUAL_INTERVAL = 0.5
BOUND = 5.0
KINDS: list[Callable[[str], tuple[dict[str, Any], dict[str, Any]]]] = [
    lambda name: ({"jti": name}, {"jti": name}),
    lambda name: ({"subject": name}, {"subject": name}),
    lambda name: ({"role": name}, {"roles": [name]}),
    lambda name: ({"tenant": name}, {"tenant": name}),
    lambda name: (
        {"subject": name, "issuer": "https://idp"},
        {"subject": name, "issuer": "https://idp", "is_own": False},
    ),
]


@pytest.fixture
def pair(
    workers: Callable[..., Worker], view_of: Callable[..., RevocationView]
) -> Callable[..., tuple[RevocationView, Worker]]:
    """Make a view here and one in another process, on one prepared store."""

    def make(place: Shared, interval: float = INTERVAL) -> tuple[RevocationView, Worker]:
        store = place.open()
        store.prepare()
        here, there = view_of(store), workers(place)
        here.check_age()
        there("view", interval)
        return here, there

    return make


def delays(
    here: RevocationView,
    there: Worker,
    count: int,
    pause: float = INTERVAL,
    spoil: Callable[[], object] = lambda: None,
) -> list[float]:
    """Return the seconds from each of `count` revocations here until the other process refuses.

    Raise an error if the other process still allows one of them after `PATIENCE`.
    """
    found, chance = [], random.Random(count)
    for number in range(count):
        time.sleep(pause * chance.random())  # or each would come right after a look
        given, claims = KINDS[number % len(KINDS)](f"n{number}-{time.monotonic_ns()}")
        spoil()
        there.ask("seen_at", claims)
        time.sleep(0.002)  # so that the other process is asking by then
        here.revoke(target_of(**given))
        done = time.monotonic()
        found.append(max(0.0, there.answer() - done))
    return found


def print_delays(what: str, seconds: list[float]) -> tuple[float, float, float]:
    p50 = statistics.median(seconds)
    p99 = sorted(seconds)[min(len(seconds) - 1, round(0.99 * len(seconds)))]
    worst = max(seconds)
    print(
        f"{what}: {len(seconds)} revocations seen by another process after "
        f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, worst {worst * 1e3:.1f} ms"
    )
    return p50, p99, worst


def test_a_revocation_in_redis_reaches_another_process_by_a_message(
    redis_place: Shared, pair: Callable[..., tuple[RevocationView, Worker]]
) -> None:
    """SECURITY 2.31, F8: by messages, since the other process looks too late by itself."""
    here, there = pair(redis_place, interval=PATIENCE)
    seconds = delays(here, there, 50, pause=0.01)
    print_delays("Redis", seconds)
    assert len(seconds) == 50

    there("stop_by_news")


@pytest.mark.parametrize("place", ["sqlite", "postgres", "mariadb"], indirect=True)
def test_a_revocation_in_sql_reaches_another_process(
    place: Shared, pair: Callable[..., tuple[RevocationView, Worker]]
) -> None:
    """SECURITY 2.31, F8."""
    seconds = delays(*pair(place), 4)
    print_delays(place.kind, seconds)
    assert len(seconds) == 4


def cut_pubsub(server: PrivateRedis) -> None:
    """Forbid subscriptions and messages, and close the subscriptions that there are."""
    with server.client() as client:
        client.acl_setuser("default", enabled=True, nopass=True, reset_channels=True)
        client.client_kill_filter(_type="pubsub")


def test_with_pubsub_forbidden_a_revocation_reaches_another_process(
    private_redis: PrivateRedis, pair: Callable[..., tuple[RevocationView, Worker]]
) -> None:
    """SECURITY 2.31, F8."""
    here, there = pair(Shared("redis", private_redis.url, "cut"))
    cut_pubsub(private_redis)
    seconds = delays(here, there, 4)
    print_delays("Redis without pub/sub", seconds)
    assert len(seconds) == 4


def test_with_each_subscription_closed_a_revocation_reaches_another_process(
    private_redis: PrivateRedis, pair: Callable[..., tuple[RevocationView, Worker]]
) -> None:
    here, there = pair(Shared("redis", private_redis.url, "closed"))
    with private_redis.client() as client:
        seconds = delays(here, there, 4, spoil=lambda: client.client_kill_filter(_type="pubsub"))
    print_delays("Redis, subscriptions closed before each", seconds)
    assert len(seconds) == 4


def test_with_the_thread_killed_a_revocation_reaches_another_process(
    redis_place: Shared, pair: Callable[..., tuple[RevocationView, Worker]]
) -> None:
    """SECURITY 2.31, F8."""
    here, there = pair(redis_place)
    seconds = delays(here, there, 3, spoil=lambda: there("kill_thread"))
    print_delays("Redis, thread killed before each", seconds)
    assert len(seconds) == 3


@pytest.mark.long
@pytest.mark.parametrize("place", ["redis", "postgres", "mariadb"], indirect=True)
def test_1000_revocations_of_each_kind_reach_another_process(
    place: Shared, pair: Callable[..., tuple[RevocationView, Worker]]
) -> None:
    """SECURITY 2.31, F8."""
    kind = place.kind
    count = 1_000 * len(KINDS) if kind == "redis" else 200 * len(KINDS)
    pause = 0.01 if kind == "redis" else USUAL_INTERVAL
    p50, p99, worst = print_delays(kind, delays(*pair(place, USUAL_INTERVAL), count, pause))

    assert p50 <= (0.05 if kind == "redis" else USUAL_INTERVAL)
    assert p99 <= 1
    assert worst <= BOUND


@pytest.mark.long
def test_200_revocations_reach_another_process_with_pubsub_forbidden_and_with_threads_killed(
    private_redis: PrivateRedis, pair: Callable[..., tuple[RevocationView, Worker]]
) -> None:
    here, there = pair(Shared("redis", private_redis.url, "long"), USUAL_INTERVAL)
    killed = delays(here, there, 200, USUAL_INTERVAL, lambda: there("kill_thread"))
    cut_pubsub(private_redis)
    cut = delays(here, there, 200, USUAL_INTERVAL)

    assert print_delays("Redis, thread killed before each", killed)[2] <= BOUND
    assert print_delays("Redis without pub/sub", cut)[2] <= BOUND
