"""What a process knows: whom it concerns, until when, and in how much memory."""

from __future__ import annotations

import gc
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_authz.revocation.known import KnownRevocations
from jwt_authz.revocation.statements import Statement

UNTIL = 1_000_000.0


def known(*statements: Statement) -> KnownRevocations:
    made = KnownRevocations()
    for statement in statements:
        made.add(statement)
    return made


def test_nothing_is_revoked_where_nothing_was_said() -> None:
    empty = known()

    assert not empty.has_id("a", None)
    assert empty.newest("ann", None, "acme", ["editor"]) == -math.inf
    assert len(empty) == 0


def test_an_id_is_revoked_for_its_own_issuer_alone() -> None:
    both = known(
        Statement("jti", "a", None, 1, UNTIL), Statement("jti", "b", "https://idp", 1, UNTIL)
    )

    assert both.has_id("a", None)
    assert not both.has_id("a", "https://idp")
    assert both.has_id("b", "https://idp")
    assert not both.has_id("b", None)
    assert not both.has_id("b", "https://idp/")


def test_two_issuers_subjects_of_one_name_are_two_subjects() -> None:
    """SECURITY 1.40."""
    one = known(Statement("subject", "ann", "https://a", 5, UNTIL))

    assert one.newest("ann", "https://a", None, ()) == 5
    assert one.newest("ann", "https://b", None, ()) == -math.inf
    assert one.newest("ann", None, None, ()) == -math.inf


def test_the_newest_of_all_that_concern_a_token_counts() -> None:
    several = known(
        Statement("everything", None, None, 1, UNTIL),
        Statement("subject", "ann", None, 2, UNTIL),
        Statement("tenant", "acme", None, 3, UNTIL),
        Statement("role", "editor", None, 4, UNTIL),
        Statement("role", "viewer", None, 5, UNTIL),
    )

    assert several.newest(None, None, None, ()) == 1
    assert several.newest("ann", None, None, ()) == 2
    assert several.newest("ann", None, "acme", ()) == 3
    assert several.newest("ann", None, "acme", ["guest", "editor"]) == 4
    assert several.newest("ann", None, "acme", ["viewer", "editor"]) == 5


def test_an_older_statement_does_not_take_a_newer_one_back() -> None:
    twice = known(
        Statement("subject", "ann", None, 9, UNTIL), Statement("subject", "ann", None, 3, UNTIL)
    )

    assert twice.newest("ann", None, None, ()) == 9


def test_what_is_past_its_time_is_forgotten_and_nothing_else() -> None:
    several = known(
        Statement("jti", "short", None, 1, 600),
        Statement("jti", "long", None, 1, 6_000),
        Statement("jti", "extended", None, 1, 600),
        Statement("jti", "extended", None, 1, 6_000),
        Statement("subject", "short", None, 1, 600),
        Statement("role", "long", None, 1, 6_000),
    )
    several.forget(599)
    assert len(several) == 5

    several.forget(700)

    assert not several.has_id("short", None)
    assert several.has_id("long", None)
    assert several.has_id("extended", None)
    assert several.newest("short", None, None, ["long"]) == 1
    assert several.newest("short", None, None, ()) == -math.inf
    assert len(several) == 3


times = st.integers(0, 2_000).map(float)
statements = st.one_of(
    st.builds(Statement, st.just("jti"), st.sampled_from("abc"), st.none(), times, times),
    st.builds(
        Statement,
        st.just("subject"),
        st.sampled_from("abc"),
        st.sampled_from([None, "x"]),
        times,
        times,
    ),
    st.builds(
        Statement,
        st.sampled_from(["role", "tenant"]),
        st.sampled_from("abc"),
        st.none(),
        times,
        times,
    ),
    st.builds(Statement, st.just("everything"), st.none(), st.none(), times, times),
)


@given(st.lists(statements))
def test_what_is_reported_on_says_the_same(said: list[Statement]) -> None:
    first = known(*said)
    second = known(*first.statements())

    assert all(first.covers(one) for one in said)
    assert all(second.covers(one) for one in first.statements())
    assert len(second) == len(first)
    for value in "abc":
        assert second.has_id(value, None) == first.has_id(value, None)
        for issuer in (None, "x"):
            assert second.newest(value, issuer, value, [value]) == first.newest(
                value, issuer, value, [value]
            )


@pytest.mark.slow
@given(st.lists(statements), statements)
def test_what_was_not_said_is_not_covered(said: list[Statement], other: Statement) -> None:
    others = [one for one in said if one.target != other.target]

    assert not known(*others).covers(other)


SIZE = """
import secrets, sys
from jwt_authz.revocation.known import KnownRevocations
from jwt_authz.revocation.statements import Statement

def resident(which):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(which)) * 1024

known, count = KnownRevocations(), int(sys.argv[1])
before = resident("VmRSS")
for number in range(count):
    known.add(Statement("jti", secrets.token_urlsafe(16), None, 0.0, 1e6 + number % 9_000))
print(resident("VmRSS") - before, resident("VmHWM") - before)
"""


def growth(count: int) -> tuple[int, int]:
    """The bytes by which a process has grown by so many ids, and by which it once had."""
    ran = subprocess.run([sys.executable, "-c", SIZE, str(count)], capture_output=True, check=True)
    now, most = map(int, ran.stdout.split())
    return now, most


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_200_000_revoked_ids_take_at_most_40_mib() -> None:
    """SECURITY F10."""
    now, most = growth(200_000)
    print(f"200,000 revoked ids: {now / 2**20:.0f} MiB, {most / 2**20:.0f} MiB at the most")

    assert most <= 40 * 2**20


@pytest.mark.long
def test_1_000_000_revoked_ids_take_at_most_200_mib() -> None:
    """SECURITY F10."""
    now, most = growth(1_000_000)
    print(f"1,000,000 revoked ids: {now / 2**20:.0f} MiB, {most / 2**20:.0f} MiB at the most")

    assert most <= 200 * 2**20


@pytest.mark.slow
def test_what_is_forgotten_gives_its_memory_back() -> None:
    many = known(*(Statement("jti", f"id{n}", None, 0, 100) for n in range(1_000)))
    many.forget(1_000)
    gc.collect()

    assert len(many) == 0
    assert not many._slots


def test_that_the_catalog_has_changed_ends_nothing_and_is_counted_each_time() -> None:
    said = Statement("catalogue", None, None, 5, UNTIL)
    seen = known(said)

    assert seen.newest("ann", None, "acme", ["editor"]) == -math.inf
    assert seen.newest_of_logins("ann", None, "acme") == -math.inf
    assert seen.catalog_changes == 1
    seen.add(Statement("catalogue", None, None, 5, UNTIL))  # at the same moment, another one
    assert seen.catalog_changes == 2
    assert list(seen.statements()) == [said]  # so that a store that forgets it gets it again
