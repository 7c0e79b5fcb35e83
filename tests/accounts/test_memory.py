"""The store in memory: from several threads, and that it keeps no password."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from time import sleep
from typing import Any

import pytest

from jwt_authz._concurrency.slots import Slots
from jwt_authz.accounts import User
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.errors import MisuseError
from tests.cheap_argon2 import replace_slots

PASSWORD = "correct horse battery staple"
THREADS = 16

pytestmark = pytest.mark.usefixtures("cheap_argon2")


def together(work: Callable[[int], object]) -> list[object]:
    """What 16 threads got that began at the same moment; a MisuseError counts as an answer."""
    barrier = Barrier(THREADS)

    def one(number: int) -> object:
        barrier.wait()
        try:
            return work(number)
        except MisuseError as refused:
            return refused

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


class Slow(dict[str, Any]):
    """A dict that lets another thread run between the look and what follows it."""

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        sleep(0.001)
        return found

    def get(self, key: str, default: Any = None) -> Any:
        found = super().get(key, default)
        sleep(0.001)
        return found


@pytest.fixture
def slow() -> MemoryAccounts:
    """A store in which a race that can happen does happen."""
    accounts = MemoryAccounts()
    accounts._kept, accounts._subjects = Slow(), Slow()
    return accounts


def add_ann(accounts: MemoryAccounts, _: int) -> User:
    return accounts.add("ann")


def remove(accounts: MemoryAccounts, subject: str, _: int) -> None:
    accounts.remove(subject)


def disable_or_set_roles(accounts: MemoryAccounts, subject: str, number: int) -> User:
    if number % 2:
        return accounts.disable(subject)
    return accounts.set_roles(subject, ["editor"])


@pytest.mark.slow
def test_of_several_threads_that_add_one_name_one_succeeds(slow: MemoryAccounts) -> None:
    answers = together(partial(add_ann, slow))

    assert sum(isinstance(answer, User) for answer in answers) == 1
    assert sum(isinstance(answer, MisuseError) for answer in answers) == THREADS - 1


def test_of_several_threads_that_remove_one_user_one_succeeds(slow: MemoryAccounts) -> None:
    subject = slow.add("ann").subject

    answers = together(partial(remove, slow, subject))

    assert answers.count(None) == 1
    assert slow.add("ann").subject != subject


def test_a_user_disabled_while_roles_are_set_stays_disabled(slow: MemoryAccounts) -> None:
    subject = slow.add("ann").subject

    together(partial(disable_or_set_roles, slow, subject))

    user = slow.find(subject)
    assert user is not None
    assert (user.disabled, user.roles) == (True, ("editor",))


def test_users_changed_from_several_threads_are_all_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace_slots(monkeypatch, Slots(2, waiting=64, longest_wait=60))
    accounts = MemoryAccounts()

    def live(number: int) -> User | None:
        subject = accounts.add(f"user{number}", PASSWORD).subject
        accounts.set_roles(subject, [f"role{number}"])
        return accounts.authenticate(f"user{number}", PASSWORD)

    for number, user in enumerate(together(live)):
        assert isinstance(user, User)
        assert (user.username, user.roles) == (f"user{number}", (f"role{number}",))


def test_two_stores_share_nothing() -> None:
    one, other = MemoryAccounts(), MemoryAccounts()

    ann = one.add("ann", PASSWORD)

    assert other.find(ann.subject) is None
    assert other.authenticate("ann", PASSWORD) is None


def test_the_password_itself_is_not_kept() -> None:
    accounts = MemoryAccounts()
    accounts.add("ann", PASSWORD)

    (kept,) = vars(accounts)["_kept"].values()
    assert kept.password_hash.startswith("$argon2id$")
    assert PASSWORD not in repr(vars(accounts))
