"""Refresh families: the rules, which are the same in every store."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jwt_authz.errors import MisuseError, StoreUnavailable
from jwt_authz.revocation import Family, MemoryStore, Rotation
from jwt_authz.revocation.families import KEPT, FamilyOwner, digest_of, owner_of, successor_of

from .conftest import Clock, Shared

DAY = 86_400.0
LIFETIME, IDLE, GRACE = 30 * DAY, 7 * DAY, 10.0


def start(store: Any, subject: str = "ann", **about: Any) -> Rotation:
    rotation: Rotation = store.start(subject, **{"lifetime": LIFETIME, "idle": IDLE, **about})
    return rotation


def rotate(
    store: Any, family: Family | None, jti: str | None, grace: float = GRACE, idle: float = IDLE
) -> Rotation:
    assert family is not None
    assert jti is not None
    rotation: Rotation = store.rotate(family.id, jti, grace=grace, idle=idle)
    return rotation


def then(store: Any, rotation: Rotation, **options: float) -> Rotation:
    """What comes of using the token that the rotation gave."""
    return rotate(store, rotation.family, rotation.jti, **options)


# Starting


def test_a_new_family_is_its_subjects_and_has_both_ends(store: Any, clock: Clock) -> None:
    begun = start(store, issuer="https://idp", tenant="acme", client="web")

    assert begun.outcome == "started"
    assert begun.family == Family(
        id=begun.family.id,  # type: ignore[union-attr]
        subject="ann",
        issuer="https://idp",
        tenant="acme",
        client="web",
        created_at=clock.now,
        used_at=clock.now,
        ends_at=clock.now + LIFETIME,
        expires_at=clock.now + IDLE,
    )
    assert store.families("ann", "https://idp") == (begun.family,)


def test_every_family_and_every_token_has_an_id_of_its_own(store: Any) -> None:
    begun = [start(store) for _ in range(50)]

    assert len({rotation.jti for rotation in begun}) == 50
    assert len({rotation.family.id for rotation in begun if rotation.family}) == 50


def test_the_idle_end_is_at_most_the_absolute_end(store: Any, clock: Clock) -> None:
    begun = start(store, lifetime=100, idle=500)

    assert begun.family is not None
    assert begun.family.expires_at == begun.family.ends_at == clock.now + 100


@pytest.mark.parametrize("subject", ["", None, 17, ["ann"]])
def test_a_family_of_nobody_is_a_misuse(store: Any, subject: Any) -> None:
    with pytest.raises(MisuseError, match="subject of a token family must be"):
        start(store, subject)


def test_any_text_is_a_subject(store: Any) -> None:
    for subject in ["a:b", "x" * 5_000, "nul\0", "\ud800", "名", "' OR 1=1 --", "{}"]:
        begun = start(store, subject, client=subject)

        assert store.families(subject) == (begun.family,)
        assert store.end_all(subject) == 1


# Rotating


def test_using_a_token_makes_its_successor(store: Any, clock: Clock) -> None:
    begun = start(store, tenant="acme", client="web")
    clock.step(60)
    second = then(store, begun)

    assert second.outcome == "rotated"
    assert second.jti not in (None, begun.jti)
    assert begun.family is not None
    assert second.family == replace(begun.family, used_at=clock.now, expires_at=clock.now + IDLE)
    assert then(store, second).outcome == "rotated"


def test_a_repeat_within_the_grace_is_answered_with_the_same_successor(
    store: Any, clock: Clock
) -> None:
    begun = start(store)
    first = then(store, begun)
    clock.step(GRACE - 1)
    again = then(store, begun)

    assert again == replace(first, outcome="repeated")
    assert then(store, first).outcome == "rotated"


def test_a_repeat_does_not_move_the_end(store: Any, clock: Clock) -> None:
    begun = start(store)
    first = then(store, begun)
    for _ in range(3):
        clock.step(3)
        assert then(store, begun).family == first.family

    clock.step(GRACE)
    assert then(store, begun).outcome == "reused"


@pytest.mark.parametrize("late", [GRACE, GRACE + 0.001, DAY])
def test_a_token_used_again_after_the_grace_ends_the_family_at_once(
    store: Any, clock: Clock, late: float
) -> None:
    """SECURITY 2.21."""
    begun = start(store)
    second = then(store, begun)
    clock.step(late)

    reused = then(store, begun)
    assert (reused.outcome, reused.jti) == ("reused", None)
    assert reused.family is not None and reused.family.subject == "ann"
    assert then(store, second).outcome == "ended"
    assert then(store, begun).outcome == "ended"
    assert store.families("ann") == ()


def test_without_a_grace_the_first_repeat_ends_the_family(store: Any) -> None:
    begun = start(store)
    second = then(store, begun, grace=0)

    assert second.outcome == "rotated"
    assert then(store, begun, grace=0).outcome == "reused"
    assert then(store, second, grace=0).outcome == "ended"


def test_an_older_token_ends_the_family_also_within_the_grace(store: Any) -> None:
    """SECURITY 2.21."""
    begun = start(store)
    second = then(store, begun)
    third = then(store, second)

    assert then(store, begun).outcome == "reused"
    assert then(store, third).outcome == "ended"


def test_an_id_that_was_never_given_out_ends_the_family(store: Any) -> None:
    begun = start(store)

    assert rotate(store, begun.family, "made-up").outcome == "reused"
    assert then(store, begun).outcome == "ended"


def test_a_clock_that_steps_back_does_not_stretch_the_grace(store: Any, clock: Clock) -> None:
    begun = start(store)
    then(store, begun)
    clock.step(-3_600)

    assert then(store, begun).outcome == "reused"


@pytest.mark.parametrize("id", ["", "x", "A" * 22, "A" * 21 + "\0", "\ud800" * 22, "é" * 22])
def test_a_family_that_is_not_there_is_unknown(store: Any, id: str) -> None:
    assert store.rotate(id, "jti", grace=GRACE, idle=IDLE) == Rotation("unknown")
    assert store.end(id) is False


def test_a_token_of_one_family_is_not_a_token_of_another(store: Any) -> None:
    one, other = start(store), start(store)

    assert rotate(store, one.family, other.jti).outcome == "reused"
    assert then(store, other).outcome == "rotated"


# Ending


def test_a_family_not_used_until_its_idle_end_has_expired(store: Any, clock: Clock) -> None:
    """SECURITY 2.23."""
    begun = start(store)
    clock.step(IDLE - 1)
    second = then(store, begun)
    assert second.outcome == "rotated"
    clock.step(IDLE)

    expired = then(store, second)
    assert (expired.outcome, expired.jti) == ("expired", None)
    assert store.families("ann") == ()


def test_a_family_in_use_ends_at_its_absolute_end(store: Any, clock: Clock) -> None:
    """SECURITY 2.23."""
    begun = rotation = start(store)
    assert begun.family is not None
    while clock.now + DAY < begun.family.ends_at:
        clock.step(DAY)
        rotation = then(store, rotation)
        assert rotation.outcome == "rotated"
        assert rotation.family is not None
        assert rotation.family.expires_at <= begun.family.ends_at
    clock.step(DAY)

    assert then(store, rotation).outcome == "expired"


def test_an_ended_family_is_not_rotated_and_ends_once(store: Any) -> None:
    begun = start(store)
    assert begun.family is not None

    assert store.end(begun.family.id) is True
    assert store.end(begun.family.id) is False
    assert then(store, begun) == Rotation("ended", begun.family)


def test_ending_all_families_of_a_subject_leaves_the_others(store: Any) -> None:
    """SECURITY 2.35."""
    mine = [start(store) for _ in range(3)]
    others = [start(store, "bob"), start(store, issuer="https://idp"), start(store, "ann2")]
    assert mine[0].family is not None
    store.end(mine[0].family.id)

    assert store.end_all("ann") == 2
    assert store.end_all("ann") == 0
    assert {then(store, rotation).outcome for rotation in mine} == {"ended"}
    assert {then(store, rotation).outcome for rotation in others} == {"rotated"}


def test_a_subjects_living_families_are_listed_the_last_used_first(
    store: Any, clock: Clock
) -> None:
    """SECURITY 2.39."""
    first, second, third = (start(store, client=name) for name in ("a", "b", "c"))
    start(store, "bob")
    clock.step(5)
    then(store, second)
    clock.step(5)
    then(store, first)
    assert third.family is not None
    store.end(third.family.id)

    assert [family.client for family in store.families("ann")] == ["a", "b"]


def test_a_family_past_its_time_is_forgotten(store: Any, clock: Clock) -> None:
    begun = start(store, lifetime=100, idle=100)
    clock.step(101)
    assert then(store, begun).outcome == "expired"

    clock.step(KEPT)
    start(store)  # at which occasion a store may sweep
    if hasattr(store, "sweep"):
        assert store.sweep(clock.now) == 1

    # Redis counts its own time, and keeps the family for as long as requested.
    assert then(store, begun).outcome in ("unknown", "expired")


# What is kept


def test_no_id_of_a_token_is_kept_only_digests(redis_place: Shared, server_place: Shared) -> None:
    for place in (redis_place, server_place):
        store = place.open()
        store.prepare()
        begun = start(store)
        second = then(store, begun)
        assert begun.jti is not None
        assert second.jti is not None

        kept = everything_kept(place)
        assert digest_of(begun.jti) in kept
        assert digest_of(second.jti) in kept
        assert begun.jti not in kept
        assert second.jti not in kept


def everything_kept(place: Shared) -> str:
    import redis
    import sqlalchemy

    if place.kind == "redis":
        with redis.Redis.from_url(place.url, decode_responses=True) as client:
            keys = list(client.scan_iter(match=f"{{authz:{place.prefix}}}:family:*"))
            return repr([client.hgetall(key) for key in keys])
    engine = sqlalchemy.create_engine(place.url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM authz_families").all()
    engine.dispose()
    return repr(rows)


def test_a_successors_id_follows_from_the_token_presented_and_from_the_seed() -> None:
    assert successor_of("a", "s") == successor_of("a", "s")
    assert len({successor_of(*pair) for pair in [("a", "s"), ("b", "s"), ("a", "t")]}) == 3
    assert len(successor_of("a", "s")) == 22


@given(st.tuples(st.text(), st.none() | st.text()), st.tuples(st.text(), st.none() | st.text()))
def test_two_subjects_never_share_an_owner(
    one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    assert (owner_of(*one) == owner_of(*other)) == (one == other)


@pytest.mark.parametrize(
    "stored",
    ["", "[]", "{}", '{"ann": 1}', '["ann"]', "[1,2,3,4]", '["",null,null,null]', "[" * 100_000],
)
def test_what_a_family_is_about_is_read_as_it_was_written_or_not_at_all(stored: str) -> None:
    about = FamilyOwner("ann", "https://idp", None, "web")
    assert FamilyOwner.from_json(about.to_json()) == about

    with pytest.raises(ValueError, match="not the output of to_json"):
        FamilyOwner.from_json(stored)


def test_a_poisoned_family_is_refused(redis_place: Shared) -> None:
    """SECURITY 1.39."""
    import redis

    store = redis_place.open()
    store.prepare()
    begun = start(store)
    assert begun.family is not None
    key = f"{{authz:{redis_place.prefix}}}:family:{begun.family.id}"
    with redis.Redis.from_url(redis_place.url) as client:
        for field, poison in [("about", "cos\nsystem\n"), ("expires", "never"), ("about", "[1]")]:
            good = client.hget(key, field)
            client.hset(key, field, poison)
            with pytest.raises(StoreUnavailable):
                then(store, begun)
            client.hset(key, field, good)
        client.delete(key)
        client.set(key, "x")
    with pytest.raises(StoreUnavailable):
        then(store, begun)


def test_a_poisoned_family_in_a_database_is_refused(server_place: Shared) -> None:
    import sqlalchemy

    store = server_place.open()
    begun = start(store)
    engine = sqlalchemy.create_engine(server_place.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE authz_families SET about = '{}'")
    engine.dispose()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        then(store, begun)


# All stores alike

steps = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(0, 1)),
        st.tuples(st.just("rotate"), st.integers(0, 9), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 9.0, 11.0, 300.0, 3_000.0])),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("end_all"), st.integers(0, 1)),
    ),
    max_size=30,
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["redis", "sqlite", "mariadb"])
@given(steps)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_store_answers_as_the_one_in_memory(
    request: pytest.FixtureRequest, kind: str, taken: list[tuple[Any, ...]]
) -> None:
    clock = Clock()
    place: Shared = request.getfixturevalue(f"{kind}_place")
    store = place.open(clock)
    store.prepare()
    in_memory = MemoryStore(clock)
    in_memory._sweep = lambda now: None  # type: ignore[method-assign]  # others sweep at other times
    expected = outcomes(in_memory, clock, taken)

    assert outcomes(store, clock, taken) == expected
    store.close()


def outcomes(store: Any, clock: Clock, taken: list[tuple[Any, ...]]) -> list[Any]:
    """What comes of the steps; families and tokens by the order in which they came."""
    families: list[tuple[str, list[str | None]]] = []
    results: list[Any] = []
    users = [f"{name}-{token_hex(4)}" for name in ("ann", "bob")]
    began = clock.now
    for step, *arguments in taken:
        if step == "start":
            begun = store.start(users[arguments[0]], lifetime=7_200, idle=3_000)
            families.append((begun.family.id, [begun.jti]))
        elif step == "wait":
            clock.step(arguments[0])
        elif step == "end_all":
            results.append(store.end_all(users[arguments[0]]))
        elif families and step == "end":
            results.append(store.end(families[arguments[0] % len(families)][0]))
        elif families:
            id, jtis = families[arguments[0] % len(families)]
            presented = jtis[-1 - arguments[1] % len(jtis)]
            rotation = store.rotate(id, presented, grace=10.0, idle=3_000)
            if rotation.outcome == "rotated":
                jtis.append(rotation.jti)
            which = jtis.index(rotation.jti) if rotation.jti else None
            expires = rotation.family.expires_at - began if rotation.family else None
            results.append((rotation.outcome, which, expires))
        results.append([len(store.families(user)) for user in users])
    clock.now = began
    return results
