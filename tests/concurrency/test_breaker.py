"""A store that does not answer: which calls try it, and which fail at once."""

from __future__ import annotations

import pytest

from jwt_authz._concurrency import breaker as breaker_module
from jwt_authz._concurrency.breaker import FAILURES, Breaker
from jwt_authz.errors import StoreUnavailable
from tests.revocation.conftest import Clock, set_clocks


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Breaker:
    set_clocks(monkeypatch, breaker_module, monotonic=clock)
    return Breaker(pause=1.0)


def is_open(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except StoreUnavailable:
        return True
    return False


def test_it_lets_all_through_at_first(breaker: Breaker) -> None:
    assert not any(is_open(breaker) for _ in range(10))


def test_a_single_failure_stops_nobody(breaker: Breaker) -> None:
    for _ in range(FAILURES - 1):
        breaker.failed()

    assert not is_open(breaker)


def test_after_several_failures_the_next_calls_fail_at_once(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        breaker.failed()

    assert all(is_open(breaker) for _ in range(10))


def test_after_a_pause_one_call_tries_and_the_others_do_not(breaker: Breaker, clock: Clock) -> None:
    for _ in range(FAILURES):
        breaker.failed()
    clock.step(1.1)

    assert [is_open(breaker) for _ in range(4)] == [False, True, True, True]


def test_a_success_lets_all_through_again(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        breaker.failed()
    breaker.succeeded()

    assert not any(is_open(breaker) for _ in range(10))


def test_successes_in_between_interrupt_a_row_of_failures(breaker: Breaker) -> None:
    for _ in range(10):
        breaker.failed()
        breaker.succeeded()

    assert not is_open(breaker)
