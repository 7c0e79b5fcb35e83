"""Failed log-ins in memory: moving windows and marks, bounded."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator

import pytest

from jwt_authz.endpoints.attempts_in_memory import AttemptsInMemory
from tests.edge import turn_clock


@pytest.fixture
def storage() -> AttemptsInMemory:
    return AttemptsInMemory()


def test_a_window_takes_so_many_entries_and_moves_on(
    storage: AttemptsInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in range(3):
        turn_clock(monkeypatch, second)
        assert storage.acquire_entry("a", 3, 60)
    assert not storage.acquire_entry("a", 3, 60)
    assert storage.get_moving_window("a", 3, 60)[1] == 3
    turn_clock(monkeypatch, 59)
    assert not storage.acquire_entry("a", 3, 60)
    turn_clock(monkeypatch, 60.5)
    assert storage.acquire_entry("a", 3, 60)  # the first is over, the others are not
    assert not storage.acquire_entry("a", 3, 60)
    turn_clock(monkeypatch, 200)
    assert storage.get_moving_window("a", 3, 60)[1] == 0
    assert storage.acquire_entry("a", 3, 60, 3)
    assert not storage.acquire_entry("b", 3, 60, 4)


def test_a_clock_that_is_set_back_closes_nothing_for_long(
    storage: AttemptsInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert storage.acquire_entry("a", 1, 60)
    turn_clock(monkeypatch, -7_200)
    assert storage.acquire_entry("a", 1, 60)
    assert not storage.acquire_entry("a", 1, 60)


def test_a_mark_counts_up_and_goes_after_its_time(
    storage: AttemptsInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert storage.get("a") == 0
    assert [storage.incr("a", 60) for _ in range(2)] == [1, 2]
    assert storage.get_expiry("a") > storage.get_expiry("b")
    turn_clock(monkeypatch, 59)
    assert storage.get("a") == 2
    turn_clock(monkeypatch, 61)
    assert storage.get("a") == 0
    assert storage.incr("a", 60) == 1


def test_what_is_cleared_is_gone(storage: AttemptsInMemory) -> None:
    storage.incr("a", 60)
    storage.acquire_entry("a", 1, 60)
    storage.acquire_entry("b", 1, 60)
    storage.clear("a")
    assert (storage.get("a"), storage.get_moving_window("a", 1, 60)[1]) == (0, 0)
    assert storage.check()
    assert storage.reset() == 1
    assert storage.acquire_entry("b", 1, 60)


def test_the_keys_are_bounded_and_those_in_use_stay() -> None:
    storage = AttemptsInMemory(most_windows=100, most_marks=50)
    storage.incr("kept", 60)
    for number in range(1_000):
        storage.acquire_entry("kept", 10_000, 60)
        storage.acquire_entry(f"flood {number}", 10, 60)
        storage.incr("kept", 60)
        storage.incr(f"flood {number}", 60)
    assert storage.get_moving_window("kept", 10_000, 60)[1] == 1_000
    assert storage.get("kept") == 1_001
    assert storage.reset() == 150


def test_marks_are_not_pushed_out_by_windows() -> None:
    storage = AttemptsInMemory(most_windows=10, most_marks=10)
    storage.incr("owner", 60)
    for number in range(1_000):
        storage.acquire_entry(f"guess {number}", 10, 60)
    assert storage.get("owner") == 1


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_names_that_are_tried_once_do_not_fill_the_memory(storage: AttemptsInMemory) -> None:
    def try_names(start: int) -> int:
        for number in range(start, start + 20_000):
            storage.acquire_entry(f"LIMITS/both/{number:040}", 10, 60)
        return tracemalloc.get_traced_memory()[0]

    full = max(try_names(0), try_names(20_000))
    assert try_names(40_000) < 1.3 * full
    assert full < 16 * 2**20


def test_threads_never_get_more_than_the_window_has(storage: AttemptsInMemory) -> None:
    got: list[bool] = []
    start = threading.Barrier(8)

    def hit() -> None:
        start.wait()
        for _ in range(500):
            got.append(storage.acquire_entry("a", 100, 600))

    threads = [threading.Thread(target=hit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got.count(True) == 100
