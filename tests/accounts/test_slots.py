"""Slots: so many at once, so many waiting, the others turned away."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from jwt_authz.accounts import passwords
from jwt_authz.accounts.passwords import hash_password, limit_hashing, verify_password
from jwt_authz.accounts.slots import Slots, usable_cores
from jwt_authz.errors import MisuseError, StoreUnavailable


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


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

    def come(self, number: int) -> None:
        self._doors[number] = threading.Event()
        thread = threading.Thread(target=self._enter, args=(number,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def let_go(self, number: int) -> None:
        self._doors[number].set()

    def end(self) -> None:
        for door in self._doors.values():
            door.set()
        for thread in self._threads:
            thread.join(10)

    def _enter(self, number: int) -> None:
        try:
            with self.slots:
                with self._lock:
                    self.inside.append(number)
                    self.most_inside = max(self.most_inside, len(self.inside))
                self._doors[number].wait(10)
                with self._lock:
                    self.inside.remove(number)
                    self.left.append(number)
        except StoreUnavailable:
            self.refused.append(number)


def test_so_many_are_inside_so_many_wait_and_the_others_are_turned_away_at_once() -> None:
    crowd = Crowd(Slots(2, 3))
    for number in range(5):
        crowd.come(number)
        until(lambda n=number: len(crowd.inside) + crowd.slots._queue == n + 1)
    for number in range(5, 9):
        crowd.come(number)
    until(lambda: len(crowd.refused) == 4)
    assert sorted(crowd.inside) == [0, 1]
    crowd.end()
    assert sorted(crowd.left) == [0, 1, 2, 3, 4]
    assert crowd.most_inside == 2


def test_who_came_first_goes_first_also_before_those_who_come_when_a_place_is_free() -> None:
    crowd = Crowd(Slots(1, 10))
    for number in range(6):
        crowd.come(number)
        until(lambda n=number: len(crowd.inside) + crowd.slots._queue == n + 1)
    for number in range(6):
        until(lambda n=number: crowd.inside == [n])
        crowd.let_go(number)
    crowd.end()
    assert crowd.left == [0, 1, 2, 3, 4, 5]


def test_nobody_waits_for_ever_and_a_place_given_up_is_free_again() -> None:
    slots = Slots(1, 2, longest_wait=0.05)
    with slots:
        start = time.monotonic()
        with pytest.raises(StoreUnavailable, match="could be hashed in time"), slots:
            pass
        assert 0.04 < time.monotonic() - start < 5
    for _ in range(3):
        with slots:
            pass
    assert (slots._free, slots._queue) == (1, 0)


def test_an_error_inside_gives_the_place_back() -> None:
    slots = Slots(1, 0)
    for _ in range(3):
        with pytest.raises(ValueError, match="x"), slots:
            raise ValueError("x")
    with slots, pytest.raises(StoreUnavailable, match="1 passwords are being hashed"), slots:
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_does_not_wait_for_who_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slots = Slots(1, 0)
    monkeypatch.setattr(passwords, "_slots", slots)
    with slots:
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
    monkeypatch.setattr(passwords, "_slots", slots)
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
    with one_at_a_time, pytest.raises(StoreUnavailable, match="try again later"):
        work(hashed)
    work(hashed)


@pytest.mark.usefixtures("cheap_argon2")
def test_a_password_that_nobody_can_have_takes_no_place(one_at_a_time: Slots) -> None:
    with one_at_a_time:
        assert verify_password(None, "x" * 5_000) is False


def test_the_places_are_the_cores_over_the_lanes_of_a_hash() -> None:
    assert usable_cores() >= 1
    assert passwords._slots.at_once == max(1, usable_cores() // 4)
    assert passwords._slots.waiting == 2 * passwords._slots.at_once


def test_an_application_can_set_its_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_slots", passwords._slots)  # put back at the end
    limit_hashing(3, 0)
    assert (passwords._slots.at_once, passwords._slots.waiting) == (3, 0)
    for wrong in ((0, 1), (-1, 0), (1, -1)):
        with pytest.raises(MisuseError, match=r"write limit_hashing\(1, 2\)"):
            limit_hashing(*wrong)
