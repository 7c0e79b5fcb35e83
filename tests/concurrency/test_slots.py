"""Slots: so many at once, so many waiting, known callers first, the others turned away."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from jwt_authz._concurrency.slots import HASHING, NICENESS, Slots, place_reserved_for
from jwt_authz.accounts import passwords
from jwt_authz.accounts.passwords import hash_password, limit_hashing, verify_password
from jwt_authz.errors import HashingBusy, MisuseError
from tests.cheap_argon2 import replace_slots
from tests.patience import PATIENCE, eventually


class Crowd:
    """Threads that enter slots and stay inside until they are let go, one by one."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.inside: list[int] = []
        self.most_inside = 0
        self.left: list[int] = []
        self.refused: list[int] = []
        self._lock = threading.Lock()
        self._doors: dict[int, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def come(self, number: int, caller: str | None = None) -> None:
        self._doors[number] = threading.Event()
        thread = threading.Thread(target=self._enter, args=(number, caller), daemon=True)
        self._threads.append(thread)
        thread.start()

    def let_go(self, number: int) -> None:
        self._doors[number].set()

    def end(self) -> None:
        for door in self._doors.values():
            door.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _stay(self, number: int) -> None:
        with self._lock:
            self.inside.append(number)
            self.most_inside = max(self.most_inside, len(self.inside))
        self._doors[number].wait(PATIENCE)
        with self._lock:
            self.inside.remove(number)
            self.left.append(number)

    def _enter(self, number: int, caller: str | None) -> None:
        try:
            with place_reserved_for(caller):
                self.slots.run(self._stay, number)
        except HashingBusy:
            self.refused.append(number)


def test_so_many_are_inside_so_many_wait_and_the_others_are_turned_away_at_once() -> None:
    crowd = Crowd(Slots(2, 3))
    for number in range(5):
        crowd.come(number)
        eventually(lambda n=number: len(crowd.inside) + crowd.slots.queued == n + 1)
    for number in range(5, 9):
        crowd.come(number)
    eventually(lambda: len(crowd.refused) == 4)
    assert sorted(crowd.inside) == [0, 1]
    crowd.end()
    assert sorted(crowd.left) == [0, 1, 2, 3, 4]
    assert crowd.most_inside == 2


def test_who_came_first_goes_first_also_before_those_who_come_when_a_place_is_free() -> None:
    crowd = Crowd(Slots(1, 10))
    for number in range(6):
        crowd.come(number)
        eventually(lambda n=number: len(crowd.inside) + crowd.slots.queued == n + 1)
    for number in range(6):
        eventually(lambda n=number: crowd.inside == [n])
        crowd.let_go(number)
    crowd.end()
    assert crowd.left == [0, 1, 2, 3, 4, 5]


@contextmanager
def full(slots: Slots) -> Iterator[None]:
    """All places of the slots taken, by work that ends with the block."""
    ends = threading.Event()
    started = [threading.Event() for _ in range(slots.at_once)]

    def work(begun: threading.Event) -> None:
        begun.set()
        ends.wait(PATIENCE)

    threads = [threading.Thread(target=slots.run, args=(work, begun)) for begun in started]
    for thread, begun in zip(threads, started, strict=True):
        thread.start()
        begun.wait(PATIENCE)
    try:
        yield
    finally:
        ends.set()
        for thread in threads:
            thread.join(PATIENCE)


def test_nobody_waits_for_ever_and_a_place_given_up_is_free_again() -> None:
    slots = Slots(1, 2, longest_wait=0.05)
    with full(slots):
        start = time.monotonic()
        with pytest.raises(HashingBusy, match="no slot for hashing became free"):
            slots.run(int)
        assert time.monotonic() - start > 0.04
    assert [slots.run(int) for _ in range(3)] == [0, 0, 0]
    assert slots.queued == 0


def test_an_error_inside_gives_the_place_back() -> None:
    slots = Slots(1, 0)
    for _ in range(3):
        with pytest.raises(ValueError, match="invalid literal"):
            slots.run(int, "x")
    with full(slots), pytest.raises(HashingBusy, match="1 passwords are being hashed"):
        slots.run(int)


def test_an_interrupted_caller_gives_the_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = Slots(1, 1)

    def interrupted(ticket: threading.Event, seconds: float) -> bool:
        raise SystemExit

    with full(slots), monkeypatch.context() as patch:
        patch.setattr(threading.Event, "wait", interrupted)
        with pytest.raises(SystemExit):
            slots.run(int)
        assert slots.queued == 0
    assert slots.run(int) == 0


# Known callers


def test_known_callers_have_a_place_that_others_cannot_take_and_go_first() -> None:
    """SECURITY 2.41."""
    crowd = Crowd(Slots(1, 2, reserved=1))
    for number in range(3):
        crowd.come(number)
        eventually(lambda n=number: len(crowd.inside) + crowd.slots.queued == n + 1)
    crowd.come(3)
    eventually(lambda: crowd.refused == [3])
    crowd.come(4, caller="ada@192.0.2.1")
    eventually(lambda: crowd.slots.queued == 3)
    crowd.let_go(0)
    eventually(lambda: crowd.inside == [4])
    crowd.end()
    assert crowd.left == [0, 4, 1, 2]


def test_without_a_reserved_place_a_known_caller_would_be_turned_away() -> None:
    """The control of the test before."""
    crowd = Crowd(Slots(1, 2, reserved=0))
    for number in range(3):
        crowd.come(number)
        eventually(lambda n=number: len(crowd.inside) + crowd.slots.queued == n + 1)
    crowd.come(4, caller="ada@192.0.2.1")
    eventually(lambda: crowd.refused == [4])
    crowd.end()
    assert 4 not in crowd.left


def test_one_known_caller_takes_one_reserved_place_at_a_time() -> None:
    crowd = Crowd(Slots(1, 0, reserved=2))
    crowd.come(0)
    eventually(lambda: crowd.inside == [0])
    crowd.come(1, caller="eve@203.0.113.66")
    eventually(lambda: crowd.slots.queued == 1)
    crowd.come(2, caller="eve@203.0.113.66")
    eventually(lambda: crowd.refused == [2])
    crowd.come(3, caller="ada@192.0.2.1")
    eventually(lambda: crowd.slots.queued == 2)
    crowd.end()
    assert crowd.left == [0, 1, 3]
    with place_reserved_for("eve@203.0.113.66"):
        assert crowd.slots.run(int) == 0


# Threads


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority on Linux")
def test_the_work_runs_at_a_lower_priority_and_leaves_that_of_the_process_alone() -> None:
    """SECURITY F11."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    slots = Slots(1, 0)
    assert slots.run(os.getpriority, os.PRIO_PROCESS, 0) == max(before, NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_a_sandbox_that_forbids_priorities_keeps_nothing_from_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbidden)
    assert Slots(1, 0).run(int) == 0


@pytest.fixture
def small() -> Iterator[None]:
    HASHING.resize(1, 0, 0)
    yield
    HASHING.resize(1, 1, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_does_not_wait_for_who_is_not_there(small: None) -> None:
    with full(HASHING):
        child = os.fork()
        if child == 0:
            try:
                verify_password(None, "a password")
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# Passwords


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> Slots:
    slots = Slots(1, 0)
    replace_slots(monkeypatch, slots)
    return slots


@pytest.mark.parametrize(
    "work",
    [
        lambda hashed: hash_password("correct horse battery"),
        lambda hashed: verify_password(hashed, "correct horse battery"),
        lambda hashed: verify_password(None, "correct horse battery"),
        lambda hashed: verify_password("unreadable", "correct horse battery"),
        lambda hashed: passwords.upgraded_hash("unreadable", "correct horse battery"),
    ],
    ids=["hash", "verify", "nobody", "unreadable", "upgrade"],
)
@pytest.mark.usefixtures("cheap_argon2")
def test_whatever_runs_argon2_takes_a_place(one_at_a_time: Slots, work: Callable[..., Any]) -> None:
    """SECURITY 2.53, F11."""
    hashed = hash_password("correct horse battery")
    with full(one_at_a_time), pytest.raises(HashingBusy, match="try again later"):
        work(hashed)
    work(hashed)


@pytest.mark.usefixtures("cheap_argon2")
def test_a_password_that_nobody_can_have_takes_no_place(one_at_a_time: Slots) -> None:
    with full(one_at_a_time):
        assert verify_password(None, "x" * 5_000) is False


def test_log_ins_leave_one_of_four_threads_to_other_requests() -> None:
    assert (HASHING.at_once, HASHING.waiting, HASHING.reserved) == (1, 1, 1)


def test_an_application_can_set_its_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = Slots(1, 1, 1)
    replace_slots(monkeypatch, slots)
    limit_hashing(3, 0)
    assert (slots.at_once, slots.waiting, slots.reserved) == (3, 0, 3)
    for wrong in ((0, 1), (-1, 0), (1, -1)):
        with pytest.raises(MisuseError, match=r"write limit_hashing\(1, 2\)"):
            limit_hashing(*wrong)
