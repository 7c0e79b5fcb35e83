"""Accounts that are changed while they are used: in memory, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from jwt_authz._concurrency.slots import Slots
from jwt_authz.accounts import ManagedAccounts
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.accounts.sqlalchemy import SQLAlchemyAccounts
from jwt_authz.errors import MisuseError
from tests.cheap_argon2 import replace_slots

PASSWORD = "correct horse battery staple"
OTHER = "another good password"

Accounts = MemoryAccounts | SQLAlchemyAccounts


@pytest.fixture(autouse=True)
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password may be hashed while another one is looked at, also on a machine of one core."""
    replace_slots(monkeypatch, Slots(4, 4))


def test_both_kinds_can_be_managed(accounts: Accounts) -> None:
    assert isinstance(accounts, ManagedAccounts)
    assert accounts.is_shared is not isinstance(accounts, MemoryAccounts)


def test_new_accounts_have_no_user(accounts: Accounts) -> None:
    """SECURITY 2.42."""
    assert accounts.users() == []


def test_users_are_listed_by_name_and_found_by_it(accounts: Accounts) -> None:
    made = [accounts.add(name, roles=["clerk"]) for name in ("eve", "ann", "bob")]
    accounts.disable(made[1].subject)
    assert [user.username for user in accounts.users()] == ["ann", "bob", "eve"]
    found = accounts.named("ann")
    assert found is not None
    assert (found.subject, found.roles, found.disabled) == (made[1].subject, ("clerk",), True)
    for nobody in ("Ann", "", "x" * 300, "nul\0"):
        assert accounts.named(nobody) is None


def test_roles_are_given_and_taken_one_by_one_and_repeating_it_changes_nothing(
    accounts: Accounts,
) -> None:
    ann = accounts.add("ann", roles=["clerk"])
    for _ in range(2):
        assert accounts.grant_roles(ann.subject, ["editor", "clerk"]).roles == ("clerk", "editor")
    for _ in range(2):
        assert accounts.take_roles(ann.subject, ["clerk", "king"]).roles == ("editor",)
    assert accounts.find(ann.subject) == accounts.named("ann")


def test_a_password_that_is_set_takes_the_place_of_the_old_one(accounts: Accounts) -> None:
    ann = accounts.add("ann", PASSWORD)
    assert accounts.set_password(ann.subject, OTHER) == ann
    assert accounts.authenticate("ann", PASSWORD) is None
    assert accounts.authenticate("ann", OTHER) == ann


def test_a_password_that_cannot_be_set_leaves_the_old_one(accounts: Accounts) -> None:
    ann = accounts.add("ann", PASSWORD)
    with pytest.raises(MisuseError, match="too short"):
        accounts.set_password(ann.subject, "short")
    assert accounts.authenticate("ann", PASSWORD) == ann


def test_who_is_enabled_again_logs_in_as_before(accounts: Accounts) -> None:
    ann = accounts.add("ann", PASSWORD)
    accounts.disable(ann.subject)
    assert accounts.authenticate("ann", PASSWORD) is None
    assert accounts.enable(ann.subject) == ann
    assert accounts.authenticate("ann", PASSWORD) == ann


@pytest.mark.parametrize(
    "change",
    [
        lambda accounts: accounts.grant_roles("nobody", ["clerk"]),
        lambda accounts: accounts.take_roles("nobody", ["clerk"]),
        lambda accounts: accounts.set_password("nobody", PASSWORD),
        lambda accounts: accounts.enable("nobody"),
    ],
    ids=["grant", "take", "password", "enable"],
)
def test_a_change_of_nobody_is_a_misuse(
    accounts: Accounts, change: Callable[[Accounts], object]
) -> None:
    with pytest.raises(MisuseError, match="no user has this subject"):
        change(accounts)


def test_roles_that_several_admins_give_at_one_moment_are_all_there(accounts: Accounts) -> None:
    names = [f"role{number}" for number in range(6)]
    for name in names:  # the rows of roles are there, so that none waits for another's
        accounts.add(f"first {name}", roles=[name])
    ann = accounts.add("ann")
    barrier = Barrier(len(names))

    def give(name: str) -> None:
        barrier.wait()
        accounts.grant_roles(ann.subject, [name])

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(give, names))
    found = accounts.find(ann.subject)
    assert found is not None
    assert found.roles == tuple(names)


def test_a_password_changed_while_the_old_one_is_looked_at_lets_nobody_in(
    accounts: Accounts, while_verifying: Callable[[Callable[[], object]], None]
) -> None:
    ann = accounts.add("ann", PASSWORD)
    while_verifying(lambda: accounts.set_password(ann.subject, OTHER))
    assert accounts.authenticate("ann", PASSWORD) is None


def test_without_the_second_look_the_old_password_would_let_them_in(
    accounts: Accounts,
    while_verifying: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control."""
    module = type(accounts).__module__
    monkeypatch.setattr(f"{module}.is_still_good", lambda *given: True)
    ann = accounts.add("ann", PASSWORD)
    while_verifying(lambda: accounts.set_password(ann.subject, OTHER))
    assert accounts.authenticate("ann", PASSWORD) == ann


def test_a_hash_that_another_log_in_replaced_meanwhile_keeps_nobody_out(
    accounts: Accounts, while_verifying: Callable[[Callable[[], object]], None]
) -> None:
    ann = accounts.add("ann", PASSWORD)
    while_verifying(lambda: accounts.set_password(ann.subject, PASSWORD))
    assert accounts.authenticate("ann", PASSWORD) == ann
