"""The user, and what every store of accounts answers: in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from jwt_authz.accounts import Accounts, User
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.accounts.sqlalchemy import SQLAlchemyAccounts
from jwt_authz.errors import MisuseError

Store = MemoryAccounts | SQLAlchemyAccounts
PASSWORD = "correct horse battery staple"
WRONG = "incorrect horse battery"


def test_a_user_is_frozen_and_hashable() -> None:
    user = User(subject="1", username="ann", roles=("editor",))

    with pytest.raises(FrozenInstanceError):
        user.disabled = True  # type: ignore[misc]
    assert len({user, User("1", "ann", ("editor",))}) == 1
    assert not hasattr(user, "__dict__")


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"subject": 1}, r"User.subject must be a non-empty string.*write str\(...\)"),
        ({"subject": ""}, r"User.subject must be a non-empty string"),
        ({"username": None}, r"User.username must be a non-empty string"),
        ({"tenant": 7}, r"User.tenant must be None or a non-empty string"),
        ({"tenant": ""}, r"User.tenant must be None or a non-empty string"),
        ({"roles": "editor"}, r"write roles=\('editor',\)"),
        ({"roles": ["editor"]}, r"write roles=\('editor',\)"),
        ({"roles": (1,)}, r"write roles=\('editor',\)"),
    ],
)
def test_a_user_of_wrong_types_is_a_misuse(fields: dict[str, Any], advice: str) -> None:
    with pytest.raises(MisuseError, match=advice):
        User(**{"subject": "1", "username": "ann", **fields})


def test_every_store_is_an_accounts(accounts: Store) -> None:
    assert isinstance(accounts, Accounts)


@pytest.mark.parametrize("name", ["admin", "root", "user", "test", "guest", ""])
def test_a_new_store_knows_nobody(accounts: Store, name: str) -> None:
    """SECURITY 2.42."""
    for password in ("admin", "password", "changeme", "", name, PASSWORD):
        assert accounts.authenticate(name, password) is None
    for subject in (name, "1", "0"):
        assert accounts.find(subject) is None


def test_the_right_password_gives_the_user_with_their_roles(accounts: Store) -> None:
    added = accounts.add("ann", PASSWORD, roles=["editor", "author", "editor"], tenant="acme")

    user = accounts.authenticate("ann", PASSWORD)

    assert user == added == accounts.find(added.subject)
    assert (user.username, user.roles, user.tenant) == ("ann", ("author", "editor"), "acme")
    assert user.disabled is False


def test_a_subject_is_random_and_never_the_name(accounts: Store) -> None:
    subjects = {accounts.add(f"user{number}").subject for number in range(20)}

    assert len(subjects) == 20
    for subject in subjects:
        assert len(subject) == 32
        assert set(subject) <= set(string.hexdigits)


def test_a_subject_may_be_given(accounts: Store) -> None:
    accounts.add("ann", subject="auth0|17")

    found = accounts.find("auth0|17")

    assert found is not None
    assert found.username == "ann"


@pytest.mark.parametrize("who", ["nobody", "disabled", "passwordless", "ann"])
def test_every_failed_log_in_is_answered_alike_and_verifies_once(
    accounts: Store, verified: list[str | bytes], who: str
) -> None:
    """SECURITY 1.32, 1.33, 2.43."""
    accounts.add("ann", PASSWORD)
    accounts.add("passwordless")
    accounts.disable(accounts.add("disabled", PASSWORD).subject)

    assert accounts.authenticate(who, WRONG) is None
    assert len(verified) == 1
    if who != "ann":
        assert accounts.authenticate(who, PASSWORD) is None
        assert len(verified) == 2


def test_an_impossible_password_is_answered_alike_for_known_and_unknown(
    accounts: Store, verified: list[str | bytes]
) -> None:
    accounts.add("ann", PASSWORD)

    for username in ("ann", "nobody"):
        for password in ("x" * 4097, "password\ud800", "x" * 1_000_000):
            assert accounts.authenticate(username, password) is None
    assert verified == []


@pytest.mark.parametrize(
    "username",
    [
        pytest.param("", id="empty"),
        pytest.param("ann\0", id="NUL"),
        pytest.param("ann\ud800", id="lone surrogate"),
        pytest.param("a" * 52, id="52 characters"),
        pytest.param("a" * 256, id="256 characters"),
        pytest.param("a" * 4096, id="4,096 characters"),
        pytest.param("a" * 1_000_000, id="a million characters"),
        pytest.param("ann' OR '1'='1", id="SQL"),
        pytest.param("ann%", id="pattern"),
        pytest.param("ANN", id="case"),
        pytest.param("ann ", id="blank"),
    ],
)
def test_a_hostile_name_is_an_unknown_user(
    accounts: Store, verified: list[str | bytes], username: str
) -> None:
    """SECURITY 1.22."""
    accounts.add("ann", PASSWORD)

    assert accounts.authenticate(username, PASSWORD) is None
    assert len(verified) == 1


@pytest.mark.parametrize("subject", ["", "ann", "\0", "\ud800", "a" * 4096])
def test_a_hostile_subject_is_nobodys(accounts: Store, subject: str) -> None:
    accounts.add("ann", PASSWORD)

    assert accounts.find(subject) is None
    for change in (accounts.disable, accounts.remove):
        with pytest.raises(MisuseError, match=r"pass User\.subject, not the username"):
            change(subject)
    with pytest.raises(MisuseError, match=r"pass User\.subject, not the username"):
        accounts.set_roles(subject, ["admin"])


def test_a_disabled_user_is_found_and_cannot_log_in(accounts: Store) -> None:
    """SECURITY 1.32, 2.36."""
    subject = accounts.add("ann", PASSWORD, roles=["editor"]).subject

    disabled = accounts.disable(subject)

    assert disabled.disabled is True
    assert accounts.find(subject) == disabled
    assert accounts.authenticate("ann", PASSWORD) is None


def test_roles_are_replaced_at_once(accounts: Store) -> None:
    subject = accounts.add("ann", PASSWORD, roles=["admin", "editor"]).subject

    changed = accounts.set_roles(subject, ["viewer", "editor"])

    assert changed.roles == ("editor", "viewer")
    assert accounts.find(subject) == accounts.authenticate("ann", PASSWORD) == changed
    assert accounts.set_roles(subject, []).roles == ()


def test_the_roles_of_one_user_are_not_those_of_another(accounts: Store) -> None:
    ann = accounts.add("ann", roles=["admin"])
    bob = accounts.add("bob", roles=["admin"])

    accounts.set_roles(ann.subject, [])

    assert accounts.find(bob.subject) == bob


def test_a_user_removed_and_created_again_is_another_subject(accounts: Store) -> None:
    """SECURITY 2.36."""
    first = accounts.add("ann", PASSWORD, roles=["admin"])
    accounts.remove(first.subject)
    assert accounts.find(first.subject) is None
    assert accounts.authenticate("ann", PASSWORD) is None

    second = accounts.add("ann", PASSWORD)

    assert second.subject != first.subject
    assert accounts.find(first.subject) is None
    assert accounts.authenticate("ann", PASSWORD) == second
    assert second.roles == ()


def test_a_taken_name_or_subject_is_a_misuse_and_changes_nothing(accounts: Store) -> None:
    ann = accounts.add("ann", PASSWORD, roles=["editor"])

    with pytest.raises(MisuseError, match="username is taken: choose another one"):
        accounts.add("ann", "another password", roles=["admin"])
    with pytest.raises(MisuseError, match="subject is taken: omit subject="):
        accounts.add("bob", "another password", subject=ann.subject)

    assert accounts.authenticate("ann", PASSWORD) == ann
    assert accounts.authenticate("bob", "another password") is None


@pytest.mark.parametrize("text", ["", "a\0b", "a\ud800", "a" * 256])
@pytest.mark.parametrize("field", ["username", "subject", "tenant", "roles"])
def test_a_text_that_a_store_cannot_hold_is_a_misuse(
    accounts: Store, field: str, text: str
) -> None:
    fields: dict[str, Any] = {"username": "ann", field: [text] if field == "roles" else text}

    with pytest.raises(MisuseError, match=r"write (a string of 1 to 255|str\(\.\.\.\))"):
        accounts.add(**fields)

    assert accounts.authenticate("ann", PASSWORD) is None


def test_roles_given_as_one_string_are_a_misuse(accounts: Store) -> None:
    ann = accounts.add("ann")

    with pytest.raises(MisuseError, match=r"write roles=\('editor',\)"):
        accounts.set_roles(ann.subject, "admin")
    with pytest.raises(MisuseError, match=r"write roles=\('editor',\)"):
        accounts.add("bob", roles="admin")


def test_a_refused_password_adds_nobody(accounts: Store) -> None:
    with pytest.raises(MisuseError, match="too short"):
        accounts.add("ann", "hunter2")

    assert accounts.add("ann", PASSWORD).username == "ann"


@pytest.mark.parametrize("change", ["disable", "remove"])
def test_a_user_stopped_while_the_password_is_checked_does_not_get_in(
    accounts: Store, while_verifying: Callable[[Callable[[], object]], None], change: str
) -> None:
    subject = accounts.add("ann", PASSWORD).subject
    assert accounts.authenticate("ann", PASSWORD) is not None

    while_verifying(lambda: getattr(accounts, change)(subject))

    assert accounts.authenticate("ann", PASSWORD) is None


def test_roles_taken_while_the_password_is_checked_are_gone(
    accounts: Store, while_verifying: Callable[[Callable[[], object]], None]
) -> None:
    subject = accounts.add("ann", PASSWORD, roles=["admin"]).subject
    while_verifying(lambda: accounts.set_roles(subject, ["viewer"]))

    user = accounts.authenticate("ann", PASSWORD)

    assert user is not None
    assert user.roles == ("viewer",)
