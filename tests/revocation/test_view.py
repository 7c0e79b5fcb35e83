"""The view: which tokens are dead, which log-ins work, and what a request costs; in every store."""

from __future__ import annotations

import math
import timeit
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_authz.errors import MisuseError
from jwt_authz.revocation import MemoryStore, RevocationView, Statement, Target, target_of
from jwt_authz.revocation import keeper as keeper_module
from jwt_authz.revocation.statements import SLACK

from .conftest import LONGEST, Clock, Shared, set_clocks

IDP = "https://idp.example"


@pytest.fixture
def view(store: Any, view_of: Callable[..., RevocationView]) -> RevocationView:
    """A view on a store of each kind."""
    return view_of(store)


def is_dead(view: RevocationView, **claims: Any) -> bool:
    return view.is_revoked(**{"jti": "a", "subject": "ann", "issued_at": 0.0, **claims})


# Who is concerned


def test_nothing_is_revoked_at_first(view: RevocationView) -> None:
    assert not is_dead(view, tenant="acme", roles=["editor"])
    assert view.newest("ann", tenant="acme", roles=["editor"]) is None


@pytest.mark.parametrize(
    ("given_", "concerned", "not_concerned"),
    [
        ({"jti": "a"}, {}, {"jti": "b"}),
        ({"jti": "a"}, {"issued_at": 1e12}, {"is_own": False, "issuer": IDP}),
        ({"jti": "a", "issuer": IDP}, {"is_own": False, "issuer": IDP}, {}),
        ({"subject": "ann"}, {}, {"subject": "bob"}),
        ({"subject": "ann"}, {"issuer": "ours"}, {"is_own": False, "issuer": IDP}),
        ({"subject": "ann", "issuer": IDP}, {"is_own": False, "issuer": IDP}, {"issuer": IDP}),
        (
            {"subject": "ann", "issuer": IDP},
            {"is_own": False, "issuer": IDP},
            {"is_own": False, "issuer": IDP + "/"},
        ),
        ({"role": "editor"}, {"roles": ["x", "editor"]}, {"roles": ["editors", "Editor"]}),
        ({"role": "editor"}, {"roles": ["editor"], "is_own": False, "issuer": IDP}, {}),
        ({"tenant": "acme"}, {"tenant": "acme"}, {"tenant": "acme2"}),
        ({"tenant": "acme"}, {"tenant": "acme", "is_own": False, "issuer": IDP}, {}),
        ({"everything": True}, {"is_own": False, "issuer": IDP}, {"issued_at": 1e12}),
    ],
)
def test_a_revocation_ends_the_tokens_that_it_concerns_and_no_others(
    view: RevocationView,
    given_: dict[str, Any],
    concerned: dict[str, Any],
    not_concerned: dict[str, Any],
) -> None:
    """SECURITY 2.35."""
    view.revoke(target_of(**given_))

    assert is_dead(view, **concerned)
    assert not is_dead(view, **not_concerned)


def test_a_claim_that_is_not_asked_about_is_not_looked_at(view: RevocationView) -> None:
    view.revoke(Target("subject", "ann"))
    view.revoke(Target("tenant", "acme"))

    assert not is_dead(view, subject=None)
    assert is_dead(view, subject=None, tenant="acme")


def test_a_revocation_says_what_it_is_about_and_until_when(
    view: RevocationView, clock: Clock
) -> None:
    of_subject = view.revoke(Target("subject", "ann", IDP))
    of_token = view.revoke(Target("jti", "a"), expires_at=clock.now + 60)

    assert isinstance(of_subject, Statement)
    assert of_subject.target == ("subject", "ann", IDP)
    assert of_subject.revoked_at == pytest.approx(clock.now, abs=0.01)
    assert of_subject.forget_at == pytest.approx(clock.now + LONGEST + SLACK, abs=1)
    assert of_token.forget_at == pytest.approx(clock.now + 60 + SLACK, abs=0.01)


def test_a_revocation_of_nothing_is_a_misuse(view: RevocationView) -> None:
    for target in (
        Target("subject"),
        Target("subject", ""),
        Target("ann"),
        Target("role", "a", IDP),
    ):
        with pytest.raises(MisuseError, match="Invalid revocation of a"):
            view.revoke(target)


# Before and after


def test_an_own_token_of_the_same_second_is_dead_when_it_came_before(view: RevocationView) -> None:
    said = view.revoke(Target("subject", "ann")).revoked_at

    assert is_dead(view, issued_at=said - 1)
    assert is_dead(view, issued_at=said - 1e-6)
    assert is_dead(view, issued_at=said)
    assert not is_dead(view, issued_at=said + 1e-6)


def test_an_own_token_with_whole_seconds_is_dead_until_the_second_after(
    view: RevocationView,
) -> None:
    said = view.revoke(Target("subject", "ann")).revoked_at

    assert is_dead(view, issued_at=math.floor(said))
    assert not is_dead(view, issued_at=math.floor(said) + 1)


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.99])
def test_a_foreign_token_is_dead_unless_issued_in_a_later_second(
    store: Any, view_of: Callable[..., RevocationView], clock: Clock, fraction: float
) -> None:
    second = clock.now + 1
    clock.now = second + fraction
    view = view_of(store)
    view.revoke(Target("subject", "ann", IDP))

    foreign = {"is_own": False, "issuer": IDP}
    assert is_dead(view, issued_at=second - 1, **foreign)
    assert is_dead(view, issued_at=second, **foreign)
    assert is_dead(view, issued_at=second + 0.9999, **foreign)
    assert not is_dead(view, issued_at=second + 1, **foreign)


@pytest.mark.parametrize("issued_at", [None, math.nan, -math.inf])
@pytest.mark.parametrize("is_own", [True, False])
def test_a_token_that_does_not_say_when_it_was_issued_is_dead(
    view: RevocationView, issued_at: float | None, is_own: bool
) -> None:
    view.revoke(Target("everything"))

    assert is_dead(view, issued_at=issued_at, is_own=is_own, issuer=IDP)


def test_a_log_in_right_after_a_revocation_works_each_time(view: RevocationView) -> None:
    """SECURITY F8."""
    for _ in range(100):
        before = view.next_iat("ann")
        view.revoke(Target("subject", "ann"))
        after = view.next_iat("ann")

        assert is_dead(view, issued_at=before)
        assert not is_dead(view, issued_at=after)


def test_a_log_in_comes_after_all_that_concerns_it(view: RevocationView, clock: Clock) -> None:
    view.revoke(Target("subject", "ann"))
    view.revoke(Target("tenant", "acme"))
    newest = view.revoke(Target("role", "editor")).revoked_at

    whose = {"tenant": "acme", "roles": ["editor"]}
    assert view.newest("ann", **whose) == newest  # type: ignore[arg-type]
    assert view.next_iat("ann", **whose) > newest  # type: ignore[arg-type]
    assert not is_dead(view, issued_at=view.next_iat("ann", **whose), **whose)  # type: ignore[arg-type]


def test_the_next_log_in_of_another_is_not_moved(view: RevocationView, clock: Clock) -> None:
    view.revoke(Target("subject", "ann"))

    assert view.next_iat("bob") == pytest.approx(clock.now, abs=0.5)


def test_two_revocations_are_never_said_at_the_same_moment(view: RevocationView) -> None:
    said = [view.revoke(Target("subject", "ann")).revoked_at for _ in range(50)]

    assert said == sorted(set(said))


def test_a_revocation_is_not_said_before_a_token_that_this_process_issued(
    view: RevocationView, clock: Clock
) -> None:
    view.refresh()
    issued = view.next_iat("ann")
    clock.step(-3_600)
    view.revoke(Target("subject", "ann"))

    assert is_dead(view, issued_at=issued)
    assert not is_dead(view, issued_at=view.next_iat("ann"))


def test_a_revocation_is_not_said_before_a_log_in_that_any_process_served(
    store: Any, view_of: Callable[..., RevocationView], clock: Clock
) -> None:
    issued = clock.now
    store.start("ann", lifetime=900, idle=900)
    clock.step(-3_600)
    said = view_of(store).revoke(Target("subject", "ann")).revoked_at

    assert said >= issued


def test_what_was_revoked_stays_revoked_when_clocks_step(
    view: RevocationView, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY F13."""
    issued = view.next_iat("ann")
    view.revoke(Target("subject", "ann"))
    view.revoke(Target("jti", "x"), expires_at=issued + LONGEST)
    for step in (3_600, -3_600, -3_600, 3_600):
        clock.step(step)
        if view._keeper is not None:
            view._keeper._forgot_at = -math.inf  # it is time to forget
            set_clocks(monkeypatch, keeper_module, wall=clock)
            view.refresh()
        else:
            view.store.known.forget(clock.now)  # type: ignore[union-attr]

        assert is_dead(view, issued_at=issued)
        assert is_dead(view, jti="x", issued_at=1e12)


# What it costs


def test_a_store_in_memory_never_ages(view_of: Callable[..., RevocationView]) -> None:
    view = view_of(MemoryStore())
    view.check_age(0)

    assert view.age() == 0
    view.stop()
    view.check_age(0)


def test_a_look_that_comes_too_late_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="above 0 and below max_age"):
        RevocationView(MemoryStore(), longest=900, max_age=1, interval=1)


def test_what_a_question_costs_is_reported(
    redis_place: Shared, view_of: Callable[..., RevocationView]
) -> None:
    store = redis_place.open()
    store.prepare()
    view = view_of(store)
    view.check_age()
    names = {
        "view": view,
        "roles": frozenset({"editor", "viewer"}),
        "ask": "view.is_revoked(jti='a', subject='ann', issued_at=1.5, tenant='acme', roles=roles)",
    }

    def cost(statement: str) -> float:
        return min(timeit.repeat(statement, globals=names, number=20_000, repeat=3)) / 20_000 * 1e6

    empty = cost(names["ask"])  # type: ignore[arg-type]
    age = cost("view.check_age()")
    for number in range(200):
        view.revoke(Target("jti", f"id{number}"))
    view.revoke(Target("subject", "bob"))
    view.revoke(Target("role", "admin"))
    view.revoke(Target("tenant", "other"))
    some = cost(names["ask"])  # type: ignore[arg-type]
    print(f"is_revoked: {empty:.2f} us, with revocations of others {some:.2f} us; age {age:.2f} us")

    assert not is_dead(view, tenant="acme", roles=["editor"])


# Against a model in a few lines

targets = st.one_of(
    st.builds(lambda v, i: {"jti": v, "issuer": i}, st.sampled_from("ab"), st.sampled_from("xy")),
    st.builds(lambda v: {"jti": v}, st.sampled_from("ab")),
    st.builds(lambda v: {"subject": v}, st.sampled_from("ab")),
    st.builds(lambda v: {"subject": v, "issuer": "x"}, st.sampled_from("ab")),
    st.builds(lambda v: {"role": v}, st.sampled_from("ab")),
    st.builds(lambda v: {"tenant": v}, st.sampled_from("ab")),
    st.just({"everything": True}),
)
tokens = st.fixed_dictionaries(
    {
        "jti": st.sampled_from(["a", "b", None]),
        "subject": st.sampled_from(["a", "b"]),
        "issuer": st.sampled_from([None, "x", "y"]),
        "tenant": st.sampled_from([None, "a", "b"]),
        "roles": st.sets(st.sampled_from("ab")),
        "issued_at": st.integers(0, 40).map(lambda quarter: quarter / 4),
    }
)


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 8), targets)), tokens)
def test_the_view_answers_as_the_rules_read(
    said: list[tuple[int, dict[str, Any]]], token: dict[str, Any]
) -> None:
    clock = Clock()
    began = clock.now
    view = RevocationView(MemoryStore(clock), longest=900)
    statements = []
    for seconds, given_ in said:
        clock.step(seconds / 4)
        statements.append(view.revoke(target_of(**given_)))
    is_own = token["issuer"] is None
    issued_at = began + token["issued_at"]

    def concerns(one: Statement) -> bool:
        if one.kind in ("jti", "subject"):
            return (token[one.kind], token["issuer"]) == (one.value, one.issuer)
        if one.kind == "role":
            return one.value in token["roles"]
        return one.kind == "everything" or token["tenant"] == one.value

    def ends(one: Statement) -> bool:
        if one.kind == "jti":
            return True
        if is_own:
            return issued_at <= one.revoked_at
        return math.floor(issued_at) <= math.floor(one.revoked_at)

    expected = any(concerns(one) and ends(one) for one in statements)
    assert view.is_revoked(**{**token, "issued_at": issued_at}, is_own=is_own) == expected


def test_a_revoked_family_ends_its_own_access_tokens_alone(view: RevocationView) -> None:
    token = {"jti": "a", "subject": "ann", "issued_at": view.next_iat("ann")}
    view.revoke(Target("family", "mine"))
    assert view.knows_family("mine")
    assert not view.knows_family("yours")
    assert view.is_revoked(**token, family="mine")
    assert not view.is_revoked(**token, family="yours")
    assert not view.is_revoked(**token)


@pytest.mark.parametrize("named", [{"tenant": "acme"}, {"everything": True}])
def test_a_familys_later_token_is_dead_where_its_log_in_was_before(
    view: RevocationView, named: dict[str, Any]
) -> None:
    began = view.next_iat("ann")
    view.revoke(target_of(**named))
    later = {"jti": "a", "subject": "ann", "issued_at": view.next_iat("ann"), "tenant": "acme"}
    assert view.is_revoked(**later, family="mine", logged_in_at=began)
    again = view.next_iat("ann", tenant="acme")
    assert not view.is_revoked(**{**later, "issued_at": again}, family="mine", logged_in_at=again)
    # Of a token that is of no family its own time counts alone.
    assert not view.is_revoked(**{**later, "issued_at": again}, logged_in_at=began)


def test_the_former_name_of_revoke_works_with_a_warning() -> None:
    view = RevocationView(MemoryStore(), longest=100.0)
    with pytest.warns(DeprecationWarning, match=r"RevocationView\.write is now revoke"):
        view.write(Target("subject", "ann"))
    assert view.is_revoked(jti=None, subject="ann", issued_at=0.0)
