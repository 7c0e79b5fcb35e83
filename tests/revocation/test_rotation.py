"""Rotation under stress: many callers at once, and processes that die in the middle."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from jwt_authz.revocation import MemoryStore
from jwt_authz.revocation.stores import memory as memory_module

from .conftest import Shared
from .workers import IDLE, Worker, break_atomicity

CALLERS = 64
PROCESSES = 2
ROUNDS = 30
CONTROL_ROUNDS = 50

Answers = list[tuple[str, Any]]


def start(store: Any) -> tuple[str, str]:
    begun = store.start("ann", lifetime=IDLE, idle=IDLE)
    return begun.family.id, begun.jti


def check_round(answers: Answers, grace: float) -> None:
    """What 64 callers with one token may receive: one successor, and no other."""
    assert len(answers) == CALLERS
    outcomes = [outcome for outcome, _ in answers]
    assert outcomes.count("rotated") == 1, outcomes
    if grace:
        assert outcomes.count("repeated") == CALLERS - 1, outcomes
        assert len({jti for _, jti in answers}) == 1
    else:
        assert outcomes.count("reused") == 1, outcomes
        assert outcomes.count("ended") == CALLERS - 2, outcomes


def race(
    store: Any, together: Callable[[str, str, float], Answers], rounds: int
) -> tuple[int, float]:
    """Play the rounds, half of them without a grace; successors made, and the seconds it took."""
    began, made = time.monotonic(), 0
    for number in range(rounds):
        grace = 10.0 if number % 2 == 0 else 0.0
        family, jti = start(store)
        answers = together(family, jti, grace)
        check_round(answers, grace)
        successor = next(jti for outcome, jti in answers if outcome == "rotated")
        after = store.rotate(family, successor, grace=grace, idle=IDLE).outcome
        assert after == ("rotated" if grace else "ended")
        made += len({jti for _, jti in answers if jti is not None})
    return made, time.monotonic() - began


def over(processes: list[Worker]) -> Callable[[str, str, float], Answers]:
    """Use a token in all threads of all the processes."""

    def together(family: str, jti: str, grace: float) -> Answers:
        for process in processes:
            process.ask("rotate_together", family, jti, grace)
        return [answer for process in processes for answer in process.answer()]

    return together


@pytest.fixture
def racers(prepared: Shared, workers: Callable[..., Worker]) -> list[Worker]:
    """Two processes, whose threads are connected."""
    made = [workers(prepared, threads=CALLERS // PROCESSES) for _ in range(PROCESSES)]
    for worker in made:
        worker("warm_up")
    return made


@pytest.fixture
def threads() -> Iterator[Callable[[Any], Callable[[str, str, float], Answers]]]:
    """Makes what uses a token in 64 threads of this process."""
    pool = ThreadPoolExecutor(CALLERS)
    barrier = Barrier(CALLERS)

    def of(store: Any) -> Callable[[str, str, float], Answers]:
        def one(family: str, jti: str, grace: float) -> tuple[str, Any]:
            barrier.wait()
            rotation = store.rotate(family, jti, grace=grace, idle=IDLE)
            return rotation.outcome, rotation.jti

        def together(family: str, jti: str, grace: float) -> Answers:
            calls = [pool.submit(one, family, jti, grace) for _ in range(CALLERS)]
            return [call.result() for call in calls]

        return together

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that threads meet in the middle of things
    yield of
    sys.setswitchinterval(interval)
    pool.shutdown()


def test_of_64_callers_with_one_token_one_makes_the_successor(
    prepared: Shared, racers: list[Worker]
) -> None:
    """SECURITY 1.23, 1.26, 2.52, F5."""
    successors, seconds = race(prepared.open(), over(racers), ROUNDS)
    assert successors == ROUNDS
    print(f"{prepared.kind}: {successors} rounds of 64 callers over 2 processes, {seconds:.1f} s")


def test_of_64_threads_with_one_token_one_makes_the_successor(
    threads: Callable[[Any], Callable[[str, str, float], Answers]],
) -> None:
    """SECURITY 1.23, 1.26, 2.52, F5."""
    store = MemoryStore()
    successors, seconds = race(store, threads(store), ROUNDS)
    assert successors == ROUNDS
    print(f"memory: {successors} rounds of 64 threads, {seconds:.1f} s")


@pytest.mark.long
def test_of_64_callers_with_one_token_one_makes_the_successor_1000_times(
    prepared: Shared, racers: list[Worker]
) -> None:
    """SECURITY F5."""
    successors, seconds = race(prepared.open(), over(racers), 1_000)
    assert successors == 1_000
    print(f"{prepared.kind}: {successors} rounds of 64 callers over 2 processes, {seconds:.0f} s")


@pytest.mark.long
def test_of_64_threads_with_one_token_one_makes_the_successor_1000_times(
    threads: Callable[[Any], Callable[[str, str, float], Answers]],
) -> None:
    """SECURITY F5."""
    store = MemoryStore()
    successors, seconds = race(store, threads(store), 1_000)
    assert successors == 1_000
    print(f"memory: {successors} rounds of 64 threads, {seconds:.0f} s")


# The negative control: without the atomic step the same test fails


def rounds_until_it_fails(
    store: Any, together: Callable[[str, str, float], Answers], rounds: int
) -> int:
    for number in range(1, rounds):
        family, jti = start(store)
        try:
            check_round(together(family, jti, 10.0), 10.0)
        except AssertionError:
            return number
    return rounds


def test_the_race_sees_a_store_without_its_atomic_step(
    prepared: Shared, workers: Callable[..., Worker]
) -> None:
    broken = [
        workers(prepared, threads=CALLERS // PROCESSES, is_broken=True) for _ in range(PROCESSES)
    ]
    number = rounds_until_it_fails(prepared.open(), over(broken), CONTROL_ROUNDS)
    assert number < CONTROL_ROUNDS, "the race did not see that the atomic step was missing"
    print(f"{prepared.kind}: without its atomic step the race fails in round {number}")


def test_the_race_sees_a_store_in_memory_without_its_lock(
    threads: Callable[[Any], Callable[[str, str, float], Answers]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge = memory_module.judge

    def slow_judge(*arguments: Any) -> Any:
        outcome = judge(*arguments)
        time.sleep(0.0001)  # what a store with a wire has between looking and writing
        return outcome

    monkeypatch.setattr(memory_module, "judge", slow_judge)
    store = MemoryStore()
    race(store, threads(store), 4)  # as slow as that, and with its lock
    break_atomicity(store)
    number = rounds_until_it_fails(store, threads(store), CONTROL_ROUNDS)
    assert number < CONTROL_ROUNDS, "the race did not see that the atomic step was missing"
    print(f"memory: without its lock the race fails in round {number}")


# A process that is killed in the middle


def kill_in_the_middle(store: Any, nursery: Worker, runs: int, seed: int) -> dict[str, int]:
    """Kill a process that is rotating, and see that the client's retry goes on with one token."""
    chance = random.Random(seed)
    counted = {"answered": 0, "repeated": 0, "rotated": 0}
    for _ in range(runs):
        family, jti = start(store)
        successor = nursery("rotate_and_die", family, jti, 0.02 * chance.random() ** 3)
        retry = store.rotate(family, jti, grace=10.0, idle=IDLE)  # fails if a lock is left behind
        assert retry.outcome in ("rotated", "repeated")
        if successor is not None:
            assert retry.outcome == "repeated"
            assert retry.jti == successor, "two living successors"
            counted["answered"] += 1
        counted[retry.outcome] += 1
        assert store.rotate(family, retry.jti, grace=10.0, idle=IDLE).outcome == "rotated"
        assert store.rotate(family, jti, grace=10.0, idle=IDLE).outcome == "reused"
        assert store.families("ann") == ()
    return counted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_rotation_that_was_killed_leaves_one_living_successor(
    prepared: Shared, workers: Callable[..., Worker]
) -> None:
    """SECURITY F6."""
    counted = kill_in_the_middle(prepared.open(), workers(prepared, forks=True), 15, seed=1)
    assert counted["rotated"] + counted["repeated"] == 15
    print(f"{prepared.kind}: killed 15 rotations: {counted}")


@pytest.mark.long
def test_500_rotations_that_were_killed_leave_one_living_successor_each(
    prepared: Shared, workers: Callable[..., Worker]
) -> None:
    """SECURITY F6."""
    counted = kill_in_the_middle(prepared.open(), workers(prepared, forks=True), 500, seed=2)
    print(f"{prepared.kind}: killed 500 rotations: {counted}")
    assert counted["rotated"] and counted["repeated"], "it was killed before and after"
