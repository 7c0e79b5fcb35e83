"""Following a shared log: what others revoke is known, and a store that forgot is repaired."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
import sqlalchemy

from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView, Target
from jwt_authz.revocation.log import MarkMissing
from jwt_authz.revocation.stores import redis as redis_module
from jwt_authz.revocation.stores import sqlalchemy as sqlalchemy_module
from tests.patience import eventually

from .conftest import Shared, copy_of, empty, put_back

SETTLE = 0.2


@pytest.fixture
def process(place: Shared, view_of: Callable[..., RevocationView]) -> Callable[[], RevocationView]:
    """Makes a view with a store of its own, as another process has; it looks on request."""
    return lambda: view_of(place.open(), interval=SETTLE / 2)


@pytest.fixture
def two(prepared: Shared, process: Callable[[], RevocationView]) -> list[RevocationView]:
    """Two processes on one prepared store."""
    return look(process(), process())


def look(*views: RevocationView) -> list[RevocationView]:
    for view in views:
        view.refresh()
    return list(views)


def begin(view: RevocationView) -> RevocationView:
    """Look as often as a new process has to before it knows where it is."""

    def knows() -> bool:
        try:
            view.refresh()
        except MarkMissing:
            return False
        return True

    eventually(knows)
    return view


def is_dead(view: RevocationView, subject: str, issued_at: float = 1.0, jti: str = "-") -> bool:
    return view.is_revoked(jti=jti, subject=subject, issued_at=issued_at)


def generation(view: RevocationView) -> str | None:
    assert view._keeper is not None
    return view._keeper._follower._generation


# What others revoke


def test_what_one_process_revokes_the_other_knows_after_its_next_look(
    two: list[RevocationView],
) -> None:
    one, other = two
    one.revoke(Target("subject", "ann"))
    one.revoke(Target("jti", "x"))
    one.revoke(Target("role", "editor"))
    one.revoke(Target("tenant", "acme"))
    assert is_dead(one, "ann")
    assert not is_dead(other, "ann")

    look(other)

    assert is_dead(other, "ann")
    assert is_dead(other, "bob", jti="x")
    assert other.newest("bob", roles=["editor"])
    assert other.newest("bob", tenant="acme")
    assert other.newest("bob") is None


def test_a_process_that_comes_later_knows_all(
    two: list[RevocationView], process: Callable[[], RevocationView]
) -> None:
    for number in range(5):
        two[number % 2].revoke(Target("subject", f"s{number}"))

    late = begin(process())

    assert all(is_dead(late, f"s{number}") for number in range(5))
    assert late.newest("s0") == two[0].newest("s0")


def test_a_log_of_many_pages_is_read_to_its_end(
    two: list[RevocationView],
    process: Callable[[], RevocationView],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_module, "PAGE", 7)
    monkeypatch.setattr(sqlalchemy_module, "PAGE", 7)
    now = time.time()
    for number in range(40):
        # Of lives from minutes to months, so that they stand on several shelves.
        two[0].revoke(Target("jti", f"id{number}"), expires_at=now + 60 * 4 ** (number % 9))

    late = begin(process())
    look(two[1])

    for view in (late, two[1]):
        assert all(is_dead(view, "ann", jti=f"id{number}") for number in range(40))
        assert look(view)[0]._keeper.refresh() is False  # type: ignore[union-attr]


def test_a_statement_that_was_lost_before_it_was_read_back_is_written_again(
    two: list[RevocationView], prepared: Shared
) -> None:
    one, other = two
    before = copy_of(prepared)
    one.revoke(Target("subject", "ann"))
    put_back(prepared, before)  # as a replica does that became the primary too soon

    look(one, one, other)

    assert is_dead(one, "ann")
    assert is_dead(other, "ann")


def test_a_statement_that_was_read_before_its_writer_knew_of_it_is_written_once(
    two: list[RevocationView], prepared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = two
    revoke = one.store.revoke

    def interrupted(*arguments: Any) -> Any:
        entry = revoke(*arguments)
        one.refresh()  # as the thread does at any moment
        return entry

    monkeypatch.setattr(one.store, "revoke", interrupted)
    one.revoke(Target("subject", "ann"))
    look(one, one, one)

    assert entries_in(prepared) == 1


# A store that is new


def test_a_prepared_store_is_new_and_nothing_is_revoked(two: list[RevocationView]) -> None:
    assert not is_dead(two[0], "ann")
    assert generation(two[0]) == generation(two[1]) is not None


def test_preparing_a_store_twice_changes_nothing(
    two: list[RevocationView], prepared: Shared
) -> None:
    before = generation(two[0])
    two[0].revoke(Target("subject", "ann"))
    prepared.open().prepare()
    look(*two)

    assert generation(two[0]) == before
    assert is_dead(two[1], "ann")


def test_on_a_store_without_a_mark_a_new_process_revokes_all_that_came_before(
    place: Shared, process: Callable[[], RevocationView], caplog: pytest.LogCaptureFixture
) -> None:
    place.open().prepare()
    empty(place)
    issued = time.time() - 5
    fresh = process()
    with pytest.raises(MarkMissing, match="flask authz init"):
        fresh.refresh()
    began = time.monotonic()
    begin(fresh)

    assert time.monotonic() - began > SETTLE / 2
    assert is_dead(fresh, "ann", issued)
    assert not is_dead(fresh, "ann", fresh.next_iat("ann"))
    assert "run `flask authz init` before the first use" in caplog.text
    other = begin(process())
    assert is_dead(other, "ann", issued)
    assert generation(other) == generation(fresh)


def test_without_a_mark_nothing_is_revoked_and_no_family_started(prepared: Shared) -> None:
    store = prepared.open()
    empty(prepared)

    with pytest.raises(MarkMissing):
        store.revoke(("subject", "ann", None), time.time() + 60)
    with pytest.raises(MarkMissing):
        store.start("ann", lifetime=100, idle=100)
    with pytest.raises(MarkMissing):
        store.rotate("A" * 22, "jti", grace=10, idle=100)


# A store that forgot everything


def test_an_emptied_store_is_written_back_by_those_who_know(
    two: list[RevocationView], prepared: Shared, process: Callable[[], RevocationView]
) -> None:
    one, other = two
    one.revoke(Target("subject", "ann"))
    one.revoke(Target("jti", "x"))
    said = one.newest("ann")
    look(other)
    other.revoke(Target("role", "editor"))  # which one has not read yet
    before = generation(one)
    empty(prepared)

    look(one, other, one)
    late = begin(process())

    for view in (one, other, late):
        assert is_dead(view, "ann")
        assert is_dead(view, "bob", jti="x")
        assert view.newest("bob", roles=["editor"]) is not None
        assert not is_dead(view, "bob"), "what was not revoked is not, now"
        assert view.newest("ann") == said, "said when it was, not when it was written back"
        assert generation(view) == generation(one) != before


def test_a_new_process_waits_for_others_to_repair_the_store(
    two: list[RevocationView], prepared: Shared, process: Callable[[], RevocationView]
) -> None:
    two[0].revoke(Target("subject", "ann"))
    empty(prepared)
    fresh = process()
    with pytest.raises(MarkMissing):
        fresh.refresh()

    look(two[0], fresh)

    assert is_dead(fresh, "ann")
    assert not is_dead(fresh, "bob")


def test_a_revocation_meets_an_emptied_store_and_repairs_it(
    two: list[RevocationView], prepared: Shared, process: Callable[[], RevocationView]
) -> None:
    two[0].revoke(Target("subject", "ann"))
    empty(prepared)
    two[0].revoke(Target("subject", "bob"))

    late = begin(process())
    assert is_dead(late, "ann")
    assert is_dead(late, "bob")
    assert not is_dead(late, "cid")


def test_a_repaired_store_is_left_alone(two: list[RevocationView], prepared: Shared) -> None:
    for number in range(20):
        two[0].revoke(Target("jti", f"id{number}"))
    look(*two)
    empty(prepared)
    look(*two, *two)
    generations, kept = [generation(view) for view in two], entries_in(prepared)

    look(*two, *two, *two)

    assert [generation(view) for view in two] == generations
    assert len(set(generations)) == 1
    assert entries_in(prepared) == kept == 20


def entries_in(place: Shared) -> int:
    if place.kind == "redis":
        with redis.Redis.from_url(place.url) as client:
            keys = client.scan_iter(match=f"{{authz:{place.prefix}}}:log:*")
            return sum(client.xlen(key) for key in keys)
    return sum(table == "authz_statements" for table, _ in copy_of(place))


def test_a_store_that_is_emptied_again_while_it_is_repaired_is_repaired_in_the_end(
    two: list[RevocationView], prepared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    one.revoke(Target("subject", "ann"))
    look(other)
    assert one._keeper is not None
    log: Any = one._keeper._follower._log
    establish = log.establish

    def late(*arguments: Any) -> str:
        empty(prepared)
        return str(establish(*arguments))

    empty(prepared)
    monkeypatch.setattr(log, "establish", late)
    look(one)
    monkeypatch.undo()
    look(one, other, one, other)

    assert is_dead(one, "ann")
    assert not is_dead(one, "bob")
    late_view = RevocationView(prepared.open(), longest=900, interval=SETTLE / 2)
    assert is_dead(begin(late_view), "ann")


def test_a_store_that_loses_what_is_written_back_before_it_is_read_is_repaired_again(
    two: list[RevocationView],
    prepared: Shared,
    process: Callable[[], RevocationView],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, _ = two
    one.revoke(Target("subject", "ann"))
    assert one._keeper is not None
    log: Any = one._keeper._follower._log
    add = log.add

    def lost(*arguments: Any) -> Any:
        positions = add(*arguments)
        empty(prepared)
        return positions

    empty(prepared)
    monkeypatch.setattr(log, "add", lost)
    with pytest.raises(StoreUnavailable, match="while they were written back"):
        look(one)
    monkeypatch.undo()
    look(one)

    late = begin(process())
    assert is_dead(late, "ann")
    assert not is_dead(late, "bob")


# A store that forgot a part


def test_an_old_copy_put_back_is_seen_and_brought_up_to_date(
    two: list[RevocationView], prepared: Shared, process: Callable[[], RevocationView]
) -> None:
    one, other = two
    one.revoke(Target("subject", "ann"))
    old = copy_of(prepared)
    one.revoke(Target("subject", "bob"))
    look(*two)
    before = generation(one)
    put_back(prepared, old)

    look(one)
    late = begin(process())

    assert is_dead(late, "ann")
    assert is_dead(late, "bob")
    assert not is_dead(late, "cid")
    look(other)
    assert generation(one) == generation(other) == generation(late) != before


def test_an_old_copy_is_seen_also_when_others_wrote_to_it_since(
    two: list[RevocationView], prepared: Shared, process: Callable[[], RevocationView]
) -> None:
    one, _ = two
    old = copy_of(prepared)
    one.revoke(Target("subject", "ann"))
    one.refresh()
    put_back(prepared, old)
    stranger = begin(process())  # knows only the old copy
    for number in range(3):
        stranger.revoke(Target("subject", f"s{number}"))

    look(one, stranger)

    assert is_dead(stranger, "ann")
    assert all(is_dead(one, f"s{number}") for number in range(3))


def test_an_old_copy_is_seen_by_the_newest_statement_that_is_still_of_use(
    two: list[RevocationView], prepared: Shared, process: Callable[[], RevocationView]
) -> None:
    one, _ = two
    old = copy_of(prepared)
    one.revoke(Target("subject", "ann"))
    # What comes later is forgotten sooner: no one can ask for it then.
    one.store.revoke(("jti", "past", None), time.time() - 10)  # type: ignore[arg-type]
    one.refresh()
    put_back(prepared, old)
    stranger = begin(process())
    stranger.revoke(Target("subject", "bob"))

    look(one, stranger)

    assert is_dead(stranger, "ann")


def test_no_rotated_token_of_an_old_copy_is_good_again(
    two: list[RevocationView], prepared: Shared
) -> None:
    """SECURITY 1.24, F4."""
    view = two[0]
    store = view.store
    first = store.start("ann", lifetime=1_000, idle=1_000)
    assert first.family is not None
    assert first.jti is not None
    view.refresh()
    old = copy_of(prepared)
    second = store.rotate(first.family.id, first.jti, grace=10, idle=1_000)
    assert second.jti is not None
    put_back(prepared, old)

    look(view)

    for jti in (first.jti, second.jti):
        assert store.rotate(first.family.id, jti, grace=10, idle=1_000).outcome == "ended"
    assert store.families("ann") == ()
    assert store.start("ann", lifetime=1_000, idle=1_000).outcome == "started"


def test_a_log_that_was_thrown_out_of_a_full_redis_is_seen(
    redis_place: Shared, view_of: Callable[..., RevocationView]
) -> None:
    redis_place.open().prepare()
    one, other = look(view_of(redis_place.open()), view_of(redis_place.open()))
    one.revoke(Target("subject", "ann"), expires_at=time.time() + 100_000)
    one.revoke(Target("jti", "short"), expires_at=time.time() + 60)
    look(one, other)
    thrown_out(redis_place, "log:3")  # that of the one id

    look(one, other)
    late = begin(view_of(redis_place.open()))
    assert is_dead(late, "bob", jti="short")
    assert is_dead(late, "ann")
    assert not is_dead(late, "bob")


def test_a_new_process_that_sees_that_a_part_is_missing_revokes_everything(
    redis_place: Shared, view_of: Callable[..., RevocationView]
) -> None:
    redis_place.open().prepare()
    (one,) = look(view_of(redis_place.open()))
    one.revoke(Target("jti", "short"), expires_at=time.time() + 60)
    thrown_out(redis_place, "log:3")
    with pytest.raises(MarkMissing):
        view_of(redis_place.open()).refresh()  # one that knows may repair it yet

    late = begin(view_of(redis_place.open()))

    assert is_dead(late, "bob", time.time() - 1)
    assert not is_dead(late, "bob", late.next_iat("bob"))
    again = begin(view_of(redis_place.open()))
    assert is_dead(again, "bob", time.time() - 5)


def thrown_out(place: Shared, key: str) -> None:
    with redis.Redis.from_url(place.url) as client:
        assert client.delete(f"{{authz:{place.prefix}}}:{key}") == 1


# A store that cannot be read


@pytest.mark.parametrize(
    "poison", ["cos\nsystem\n(S'true'\ntR.", '["nothing"]', '["family","x",null,1,9e9]']
)
def test_an_entry_that_cannot_be_read_is_not_a_pass(
    two: list[RevocationView],
    prepared: Shared,
    process: Callable[[], RevocationView],
    poison: str,
) -> None:
    """SECURITY 1.39."""
    one, other = two
    position = one.store.revoke(("subject", "ann", None), time.time() + 60).position  # type: ignore[arg-type]
    good = poisoned(prepared, position, poison)
    age = other.age()

    with pytest.raises(StoreUnavailable, match="cannot be read"):
        other.refresh()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        process().refresh()
    assert other.age() > age
    time.sleep(0.05)
    with pytest.raises(StoreUnavailable, match="too long ago"):
        other.check_age(0.05)

    poisoned(prepared, position, good)
    other.refresh()
    assert is_dead(other, "ann")


def poisoned(place: Shared, position: int, text: str) -> str:
    """Put the text in the place of an entry; what was there before."""
    if place.kind == "redis":
        with redis.Redis.from_url(place.url, decode_responses=True) as client:
            key = f"{{authz:{place.prefix}}}:log:0"  # that of the shortest lives
            ((_, fields),) = client.xrange(key, position, position)
            client.delete(key)
            client.xadd(key, {"s": text}, id=f"{position}-0")
            return str(fields["s"])
    engine = sqlalchemy.create_engine(place.url)
    with engine.begin() as connection:
        where = {"at": position, "text": text}
        found = connection.execute(
            sqlalchemy.text("SELECT body FROM authz_statements WHERE position = :at"), where
        ).scalar_one()
        connection.execute(
            sqlalchemy.text("UPDATE authz_statements SET body = :text WHERE position = :at"), where
        )
    engine.dispose()
    return str(found)


# An operator's word


def test_a_store_that_is_not_trusted_ends_all_tokens_and_all_families(
    two: list[RevocationView],
) -> None:
    one, other = two
    issued = one.next_iat("ann")
    begun = other.store.start("ann", lifetime=1_000, idle=1_000)
    assert begun.family is not None
    assert begun.jti is not None

    one.distrust_store()
    look(one, other)

    assert is_dead(one, "ann", issued)
    assert is_dead(other, "ann", issued)
    assert not is_dead(other, "ann", other.next_iat("ann"))
    rotation = other.store.rotate(begun.family.id, begun.jti, grace=10, idle=1_000)
    assert rotation.outcome == "ended"


def test_a_repaired_store_is_reported_in_the_log(
    two: list[RevocationView], prepared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    two[0].revoke(Target("subject", "a-secret-subject"))
    empty(prepared)
    with caplog.at_level(logging.INFO, "jwt_authz.revocation"):
        look(*two)

    assert "had lost data: it has been written back" in caplog.text
    assert "a-secret-subject" not in caplog.text
