"""Statements: what they may be about, and their form in a store."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_authz.errors import MisuseError, StoreUnavailable
from jwt_authz.revocation.statements import Statement, target_of

GOOD = ["subject", "zoe", "https://idp.example", 1_795_000_000.123456, 1_795_003_600.0]

times = st.floats(0, 8_999_999_999, allow_nan=False)
texts = st.text(min_size=1, max_size=40)
issuers = st.none() | texts
statements = st.one_of(
    st.builds(Statement, st.sampled_from(["jti", "subject"]), texts, issuers, times, times),
    st.builds(Statement, st.sampled_from(["role", "tenant"]), texts, st.none(), times, times),
    st.builds(
        Statement, st.sampled_from(["everything", "catalogue"]), st.none(), st.none(), times, times
    ),
)


@given(statements)
def test_a_statement_is_the_same_after_it_was_stored(statement: Statement) -> None:
    assert Statement.from_json(statement.to_json()) == statement
    assert Statement.from_json(statement.to_json().encode()) == statement


def test_a_statement_is_frozen() -> None:
    statement = Statement("jti", "abc", None, 1.0, 2.0)

    with pytest.raises(FrozenInstanceError):
        statement.value = "abd"  # type: ignore[misc]


def changed(position: int, value: Any) -> list[Any]:
    return [*GOOD[:position], value, *GOOD[position + 1 :]]


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\xff\xfe[",
        pickle.dumps(GOOD),
        "null",
        "true",
        '"subject"',
        "{}",
        "[",
        "[" * 100_000,
        json.dumps(GOOD[:4]),
        json.dumps([*GOOD, 1]),
        *(json.dumps(changed(0, kind)) for kind in ["", "Subject", "family", None, 1, ["jti"]]),
        *(json.dumps(changed(1, value)) for value in ["", None, 1, True, ["zoe"], {"a": 1}]),
        *(json.dumps(changed(2, issuer)) for issuer in ["", 1, False, ["x"]]),
        *(json.dumps(changed(3, at)) for at in ["1", None, True, -1, [1], 1e300, 10**400]),
        *(json.dumps(changed(4, until)) for until in ["1", None, False, float("nan")]),
        json.dumps(changed(3, float("inf"))),
        json.dumps(changed(0, "role")),
        json.dumps(changed(0, "everything")),
        json.dumps(changed(0, "catalogue")),
    ],
)
def test_what_cannot_be_read_is_not_known_and_says_nothing_of_itself(stored: str | bytes) -> None:
    """SECURITY 1.39."""
    with pytest.raises(StoreUnavailable, match="cannot be read") as refused:
        Statement.from_json(stored)

    assert "zoe" not in str(refused.value)


@pytest.mark.parametrize(
    ("given_", "made"),
    [
        ({"jti": "a"}, ("jti", "a", None)),
        ({"subject": "ann"}, ("subject", "ann", None)),
        ({"subject": "ann", "issuer": "https://i"}, ("subject", "ann", "https://i")),
        ({"role": "editor"}, ("role", "editor", None)),
        ({"tenant": "acme"}, ("tenant", "acme", None)),
        ({"everything": True}, ("everything", None, None)),
    ],
)
def test_a_revocation_is_of_the_one_thing_given(
    given_: dict[str, Any], made: tuple[str, str | None, str | None]
) -> None:
    assert target_of(**given_) == made


@pytest.mark.parametrize(
    "given_",
    [
        {},
        {"everything": False},
        {"everything": "yes"},
        {"jti": "a", "subject": "ann"},
        {"role": "editor", "everything": True},
        {"issuer": "https://i"},
    ],
)
def test_a_revocation_of_nothing_or_of_several_things_is_a_misuse(given_: dict[str, Any]) -> None:
    with pytest.raises(MisuseError, match="write one of jti=, subject=, role=, tenant="):
        target_of(**given_)


@pytest.mark.parametrize(
    "given_",
    [
        {"jti": ""},
        {"subject": 17},
        {"role": ["editor"]},
        {"role": "editor", "issuer": "https://i"},
        {"subject": "ann", "issuer": ""},
        {"everything": True, "issuer": "https://i"},
    ],
)
def test_a_revocation_of_what_is_not_a_text_is_a_misuse(given_: dict[str, Any]) -> None:
    with pytest.raises(MisuseError, match=r"Write str\(\.\.\.\)"):
        target_of(**given_)
