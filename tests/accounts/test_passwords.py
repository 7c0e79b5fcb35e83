"""Hashing and verifying: what differs, what is refused, and that the work is the same."""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import HashingError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from jwt_authz.accounts import password_rules, passwords
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.accounts.passwords import (
    hash_password,
    needs_rehash,
    upgraded_hash,
    verify_password,
)
from jwt_authz.errors import MisuseError, StoreUnavailable
from tests.cheap_argon2 import FULL_PRICE

PASSWORD = "correct horse battery staple"
NFC = unicodedata.normalize("NFC", "café crème")
NFD = unicodedata.normalize("NFD", "café crème")


@pytest.fixture(scope="module", autouse=True)
def full_price() -> Iterator[None]:
    """What is hashed here costs what it costs in use."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in FULL_PRICE.items():
            patch.setattr(passwords, name, value)
        yield


@pytest.fixture(scope="module")
def hashed(full_price: None) -> str:
    return hash_password(PASSWORD)


def test_a_hash_is_argon2id_with_the_parameters_of_owasp_for_one_lane(hashed: str) -> None:
    """SECURITY 2.47."""
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    parameters = extract_parameters(hashed)
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)


def test_a_hash_is_good_for_its_password_alone(hashed: str) -> None:
    assert verify_password(hashed, PASSWORD) is True
    assert verify_password(hashed, PASSWORD + " ") is False


def test_two_hashes_of_one_password_differ(hashed: str) -> None:
    assert hash_password(PASSWORD) != hashed


def test_the_dummy_hash_costs_what_a_real_one_costs(hashed: str) -> None:
    assert extract_parameters(passwords._DUMMY) == extract_parameters(hashed)


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("x" * 8, id="8 characters"),
        pytest.param("x" * 64, id="64 bytes"),
        pytest.param("x" * 4096, id="4,096 bytes"),
        pytest.param("é" * 2048, id="4,096 bytes of 2,048 characters"),
        pytest.param("pass\0word", id="NUL inside"),
        pytest.param("\0" * 8, id="NUL alone"),
        pytest.param("  spaces around  ", id="spaces around"),
        pytest.param(NFC, id="NFC"),
        pytest.param(NFD, id="NFD"),
    ],
)
@pytest.mark.usefixtures("cheap_argon2")
def test_every_character_of_a_password_counts(password: str) -> None:
    """SECURITY 2.40."""
    hashed = hash_password(password)

    assert verify_password(hashed, password)
    assert not verify_password(hashed, password[:-1])
    assert not verify_password(hashed, password[:-1] + "y")
    assert not verify_password(hashed, password.strip() + "\n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(NFC, NFD, id="NFC and NFD"),
        pytest.param("x" * 72 + "one", "x" * 72 + "other", id="equal first 72 bytes"),
        pytest.param("password\0one", "password\0other", id="equal up to a NUL"),
        pytest.param("Passwords alike", "passwords alike", id="case"),
    ],
)
@pytest.mark.usefixtures("cheap_argon2")
def test_two_passwords_that_look_alike_differ(one: str, other: str) -> None:
    """SECURITY 1.22, 2.40."""
    assert not verify_password(hash_password(one), other)
    assert not verify_password(hash_password(other), one)


@pytest.mark.parametrize(
    ("password", "advice"),
    [
        pytest.param("hunter2", "use at least 8 characters", id="7 characters"),
        pytest.param("ééé", "use at least 8 characters", id="few characters of many bytes"),
        pytest.param("x" * 4097, "at most 4096 bytes", id="4,097 bytes"),
        pytest.param("€" * 1366, "at most 4096 bytes", id="4,098 bytes of 1,366 characters"),
        pytest.param("password\ud800", "without lone surrogates", id="lone surrogate"),
        pytest.param("iloveyou", "is too common", id="common"),
        pytest.param("12345678", "is too common", id="common digits"),
        pytest.param("ILoveYou", "is too common", id="common, in another case"),
        pytest.param(" iloveyou ", "is too common", id="common, between blanks"),
        pytest.param("\uff49loveyou", "is too common", id="common, with a wide letter"),
    ],
)
def test_a_password_that_cannot_be_kept_is_a_misuse_that_does_not_quote_it(
    password: str, advice: str
) -> None:
    """SECURITY 2.40."""
    with pytest.raises(MisuseError, match=advice) as refused:
        hash_password(password)

    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("x" * 4097, id="4,097 bytes"),
        pytest.param("€" * 1366, id="4,098 bytes of 1,366 characters"),
        pytest.param("x" * 1_000_000, id="a million bytes"),
        pytest.param("password\ud800", id="lone surrogate"),
    ],
)
def test_a_password_that_nobody_can_have_is_refused_without_hashing(
    password: str, hashed: str, verified: list[str | bytes]
) -> None:
    """SECURITY 1.34, F12."""
    assert verify_password(hashed, password) is False
    assert verify_password(None, password) is False
    assert verified == []


@pytest.mark.parametrize(
    "unreadable",
    [
        None,
        "",
        "nonsense",
        "ünreadable",
        "$2b$12$KIXQ4S3q4d8m2mY1Zk1v0uJ3yJ0J9m1xJ4l2z0cJq3v6v8a9b0c1d",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$",
        "$argon2id$v=19$m=65536,t=3,p=4$!$!",
    ],
)
def test_without_a_readable_hash_the_work_is_that_of_a_real_one(
    unreadable: str | None, verified: list[str | bytes]
) -> None:
    """SECURITY 1.32, 1.33."""
    assert verify_password(unreadable, PASSWORD) is False
    assert verified[-1] == passwords._DUMMY


def test_with_a_readable_hash_argon2_runs_once(hashed: str, verified: list[str | bytes]) -> None:
    assert not verify_password(hashed, "another password")
    assert verified == [hashed]


@pytest.mark.slow
@pytest.mark.parametrize(
    "outdated",
    [
        pytest.param(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1), id="cheaper"),
        pytest.param(PasswordHasher(memory_cost=1024, type=Type.I), id="Argon2i"),
        pytest.param(PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY), id="the former default"),
    ],
)
def test_an_outdated_hash_is_replaced_by_one_of_the_same_password(outdated: PasswordHasher) -> None:
    old = outdated.hash(PASSWORD)
    assert needs_rehash(old)

    new = upgraded_hash(old, PASSWORD)

    assert new is not None
    assert not needs_rehash(new)
    assert verify_password(new, PASSWORD)


FORMER = PasswordHasher(time_cost=3, memory_cost=16, parallelism=1).hash(PASSWORD)
CHEAPER = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)


@pytest.mark.parametrize("seen_by", [PASSWORD, "another password"], ids=["its owner", "a guesser"])
@pytest.mark.usefixtures("cheap_argon2")
def test_once_a_former_hash_was_seen_all_failures_take_the_same_work(
    verified: list[str | bytes], seen_by: str
) -> None:
    """SECURITY 1.33, 2.43."""
    hashed = hash_password(PASSWORD)
    verify_password(FORMER, seen_by)
    work = []
    for hash in (None, "nonsense", "", hashed, FORMER):
        verified.clear()
        assert not verify_password(hash, "a wrong password")
        readable = [one for one in verified if one != "nonsense"]
        work.append(sorted(str(extract_parameters(str(one))) for one in readable))
    assert len(work[0]) == 2
    assert work == [work[0]] * 5
    assert verify_password(hashed, PASSWORD)
    assert verify_password(FORMER, PASSWORD)


@pytest.mark.usefixtures("cheap_argon2")
def test_of_several_former_parameters_the_costliest_are_those_of_a_failure(
    verified: list[str | bytes],
) -> None:
    for hash in (CHEAPER, FORMER, CHEAPER):
        verify_password(hash, PASSWORD)
    verified.clear()
    verify_password(None, PASSWORD)
    assert extract_parameters(str(verified[0])) == extract_parameters(FORMER)


def test_a_hash_that_is_up_to_date_is_kept(hashed: str) -> None:
    assert not needs_rehash(hashed)
    assert upgraded_hash(hashed, PASSWORD) is None


def test_an_unreadable_hash_needs_replacing() -> None:
    assert needs_rehash("nonsense")


@pytest.mark.usefixtures("cheap_argon2")
def test_a_password_from_before_the_length_rule_can_be_upgraded() -> None:
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("short")

    new = upgraded_hash(old, "short")

    assert new is not None
    assert verify_password(new, "short")


def test_lack_of_memory_says_nothing_about_a_password(
    hashed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> bool:
        raise VerificationError("Memory allocation error")

    monkeypatch.setattr(PasswordHasher, "verify", no_memory)

    for hash in (hashed, None):
        with pytest.raises(StoreUnavailable, match="19 MiB for each simultaneous log-in"):
            verify_password(hash, PASSWORD)


def test_lack_of_memory_keeps_a_password_from_being_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> str:
        raise HashingError("Memory allocation error")

    monkeypatch.setattr(PasswordHasher, "hash", no_memory)

    with pytest.raises(StoreUnavailable, match="19 MiB for each simultaneous log-in"):
        hash_password(PASSWORD)


@pytest.mark.parametrize("module", ["passwords", "memory", "sqlalchemy"])
def test_a_missing_argon2_names_the_extra(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "argon2", None)
    for name in ("passwords", "memory", "sqlalchemy", "sqlalchemy.accounts"):
        monkeypatch.delitem(sys.modules, f"jwt_authz.accounts.{name}")

    with pytest.raises(ImportError, match=r"pip install 'jwt_authz\[accounts\]'"):
        importlib.import_module(f"jwt_authz.accounts.{module}")


@pytest.mark.slow
def test_the_family_itself_needs_no_extra() -> None:
    code = (
        "import sys; sys.modules.update(argon2=None, sqlalchemy=None);"
        "from jwt_authz.accounts import Accounts, User; print(User('1', 'ann').username)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert run.stdout == "ann\n", run.stderr


@pytest.mark.long
def test_failed_log_ins_take_equally_long_for_all_users() -> None:
    """100 rounds in turn, with the real cost of Argon2; the medians are within 5 %.

    Counted is the processor's time, which other work on the machine disturbs the least. Print
    the medians with `pytest -m long -s`.

    SECURITY 1.33, 2.43.
    """
    accounts = MemoryAccounts()
    accounts.add("ann", PASSWORD)
    accounts.add("passwordless")
    accounts.disable(accounts.add("disabled", PASSWORD).subject)
    took: dict[str, list[float]] = {
        name: [] for name in ("ann", "passwordless", "disabled", "nobody")
    }
    for _ in range(100):
        for name, times in took.items():
            start = time.process_time()
            assert accounts.authenticate(name, "another password") is None
            times.append(time.process_time() - start)
    medians = {name: statistics.median(times) for name, times in took.items()}
    print(medians)
    assert max(medians.values()) <= 1.05 * min(medians.values())


def test_the_list_of_common_passwords_is_longer_than_the_three_thousand_of_asvs_6_2_4() -> None:
    """SECURITY 2.40."""
    assert len(password_rules._COMMON) >= 3_000
    assert all(len(password) >= 8 for password in password_rules._COMMON)


@pytest.mark.parametrize("password", ["x" * 64, "aaaaaaaaab", "my password", "zzzzzzzzzz 1"])
def test_there_are_no_rules_on_what_a_password_is_made_of(password: str) -> None:
    """SECURITY 2.40."""
    password_rules.check_new_password(password)  # it raises PasswordRefused for others
    assert password_rules.as_secret(password) == password.encode()


@pytest.mark.usefixtures("cheap_argon2")
def test_a_common_password_from_before_the_rule_still_logs_in() -> None:
    hashed = passwords._hasher.hash("password")
    assert verify_password(hashed, "password")
    older = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("password")
    assert upgraded_hash(older, "password") is not None


def test_a_missing_list_of_common_passwords_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "zxcvbn.frequency_lists", None)
    monkeypatch.delitem(sys.modules, "jwt_authz.accounts.password_rules")
    with pytest.raises(ImportError, match=r"pip install 'jwt_authz\[accounts\]'"):
        importlib.import_module("jwt_authz.accounts.password_rules")
