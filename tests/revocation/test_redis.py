"""The store in Redis: what it takes there, and what it answers when the server is bad, or gone."""

from __future__ import annotations

import importlib
import secrets
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest
import redis

from jwt_authz._concurrency import breaker as breaker_module
from jwt_authz._concurrency.breaker import FAILURES, PAUSE, Breaker
from jwt_authz.errors import MisuseError, StoreUnavailable
from jwt_authz.revocation import RevocationView, Statement, Target
from jwt_authz.revocation.stores.redis import RedisStore
from tests.patience import PATIENCE, eventually

from .conftest import Clock, Shared, between_two_looks
from .proxy import Proxy
from .servers import PrivateRedis

BOUND = 5.0
TIMEOUT = 0.1
"""Seconds for a server that is not going to answer."""


@pytest.fixture
def store(redis_place: Shared) -> RedisStore:
    made: RedisStore = redis_place.open()
    made.prepare()
    return made


@pytest.fixture
def private(private_redis: PrivateRedis) -> Iterator[RedisStore]:
    """A store on a server that the test may spoil."""
    made = patient(private_redis.url)
    made.prepare()
    yield made
    made.close()


def patient(url: str) -> RedisStore:
    """A store that waits for a busy machine, and tries again at once after failures."""
    made = RedisStore.from_url(url, timeout=PATIENCE)
    made._server._breaker._pause = 0.0
    return made


def give_up_soon(store: RedisStore) -> None:
    """Have calls of the store fail soon, for a server that is not going to answer."""
    store._server._timeout = TIMEOUT


@pytest.fixture
def view(
    private: RedisStore, view_of: Callable[..., RevocationView], age_clock: Clock
) -> RevocationView:
    """A view that has seen the revocation of ann, and gets older as the test says."""
    return seen_by(view_of(private, max_age=BOUND))


def seen_by(view: RevocationView) -> RevocationView:
    view.check_age()
    view.revoke(Target("subject", "ann"))
    return view


def ask(view: RevocationView, subject: str) -> str:
    """What a guarded request would be answered."""
    try:
        view.check_age()
    except StoreUnavailable:
        return "503"
    return "401" if view.is_revoked(jti="a", subject=subject, issued_at=1.0) else "200"


def is_failing(view: RevocationView) -> bool:
    """Whether the last look into the store failed."""
    assert view._keeper is not None
    return view._keeper._is_failing


def assert_serves_until_the_bound(view: RevocationView, clock: Clock) -> None:
    """What was known is answered until it is too old, and then nothing; never a 200 for ann."""
    eventually(lambda: is_failing(view))
    assert (ask(view, "ann"), ask(view, "bob")) == ("401", "200")
    clock.step(BOUND)
    assert (ask(view, "ann"), ask(view, "bob")) == ("401", "200")
    clock.step(0.1)
    assert (ask(view, "ann"), ask(view, "bob")) == ("503", "503")


def assert_unavailable(call: Callable[[], object]) -> None:
    with pytest.raises(StoreUnavailable) as failed:
        call()
    # Nor do the errors behind it, which a log would print along.
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None


def each_call(store: RedisStore) -> list[Callable[[], object]]:
    until = time.time() + 60
    return [
        lambda: store.revoke(("subject", "zoe", None), until),  # type: ignore[arg-type]
        lambda: store.start("zoe", lifetime=10, idle=10),
        lambda: store.rotate("A" * 22, "jti", grace=1, idle=10),
        lambda: store.end("A" * 22),
        lambda: store.end_all("zoe"),
        lambda: store.families("zoe"),
        lambda: store.read(0, None),
        lambda: store.establish(None, "new"),
        store.prepare,
    ]


# What it takes


@pytest.mark.parametrize("make", [lambda: secrets.token_urlsafe(16), lambda: str(uuid.uuid4())])
def test_a_revoked_id_takes_at_most_100_bytes(
    private_redis: PrivateRedis, make: Callable[[], str]
) -> None:
    """SECURITY F10: the least of several rounds, since the server takes memory for other things."""
    count, until = 5_000, time.time() + 4_500
    store = patient(private_redis.url)
    store.prepare()
    store.add([Statement("jti", "x", None, 1.0, until)] * 500)  # after which buffers are there
    rounds = []
    with private_redis.client() as client:
        for _ in range(4):
            before = client.info("memory")["used_memory"]
            for _ in range(count // 500):
                store.add([Statement("jti", make(), None, time.time(), until) for _ in range(500)])
            rounds.append((client.info("memory")["used_memory"] - before) / count)
    store.close()
    print(f"a revoked id of {len(make())} characters takes {min(rounds):.0f} bytes in Redis")

    assert 30 < min(rounds) <= 100


def test_everything_that_is_kept_has_an_end(redis_place: Shared, store: RedisStore) -> None:
    store.revoke(("jti", "short", None), time.time() + 60)  # type: ignore[arg-type]
    store.revoke(("subject", "ann", None), time.time() + 5_000)  # type: ignore[arg-type]
    begun = store.start("ann", lifetime=500, idle=100)
    assert begun.family is not None
    assert begun.jti is not None
    store.rotate(begun.family.id, begun.jti, grace=10, idle=100)
    with redis.Redis.from_url(redis_place.url, decode_responses=True) as client:
        ends = {
            key.partition("}:")[2].split(":")[0]: client.ttl(key)
            for key in client.scan_iter(match=f"{{authz:{redis_place.prefix}}}:*")
        }
        logs = [client.ttl(f"{{authz:{redis_place.prefix}}}:log:{shelf}") for shelf in (0, 3)]

    assert set(ends) == {"mark", "log", "family", "owner"}
    assert 60 <= logs[0] <= 901
    assert 5_000 <= logs[1] <= 7_201
    assert ends["family"] == pytest.approx(100 + 3_600, abs=3)
    assert ends["owner"] == pytest.approx(100 + 3_600, abs=3)
    assert ends["mark"] > 300 * 86_400


def test_a_log_keeps_a_statement_until_its_end_and_at_most_twice_as_long(
    redis_place: Shared,
) -> None:
    clock = time.time() + 10
    store = redis_place.open(lambda: clock)
    store.prepare()
    store.revoke(("jti", "first", None), clock + 1_000)  # type: ignore[arg-type]
    for step in (900, 99):
        clock += step
        store.revoke(("jti", "later", None), clock + 1_000)  # type: ignore[arg-type]
        values = [entry.statement.value for entry in store.read(0, None).entries]
        assert "first" in values
    clock += 900
    for _ in range(250):  # whole nodes of a stream are let go at once
        store.revoke(("jti", "later", None), clock + 1_000)  # type: ignore[arg-type]
    clock += 1_801
    store.revoke(("jti", "last", None), clock + 1_000)  # type: ignore[arg-type]

    assert len(store.read(0, None).entries) < 150


def test_two_applications_in_one_database_know_nothing_of_each_other(
    redis_place: Shared, store: RedisStore, view_of: Callable[..., RevocationView]
) -> None:
    other = RedisStore.from_url(redis_place.url, redis_place.prefix + "b")
    other.prepare()
    begun = other.start("ann", lifetime=10, idle=10)
    mine, theirs = view_of(store), view_of(other)
    theirs.revoke(Target("everything"))
    mine.refresh()

    assert ask(mine, "ann") == "200"
    assert ask(theirs, "ann") == "401"
    assert begun.family is not None
    assert store.rotate(begun.family.id, "x", grace=1, idle=1).outcome == "unknown"
    other.close()


def test_a_view_goes_on_when_the_connections_of_its_store_are_closed(
    redis_place: Shared,
    store: RedisStore,
    view_of: Callable[..., RevocationView],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """redis-py raises an AttributeError where a connection is closed while another thread reads."""
    readings = 0

    def read(*_: object, **__: object) -> None:
        nonlocal readings
        readings += 1
        store.close()
        raise AttributeError("'NoneType' object has no attribute 'readline'")

    view = view_of(store)
    view.check_age()
    followed_by = view._keeper._thread
    with monkeypatch.context() as patched:
        patched.setattr(redis.client.PubSub, "get_message", read)
        eventually(lambda: readings > 2)
    view_of(redis_place.open()).revoke(Target("subject", "ann"))

    eventually(lambda: ask(view, "ann") == "401")
    assert view._keeper._thread is followed_by


def test_a_client_that_decodes_answers_does_as_well(
    redis_place: Shared, view_of: Callable[..., RevocationView]
) -> None:
    with redis.Redis.from_url(redis_place.url, decode_responses=True) as client:
        store = RedisStore(client, redis_place.prefix)
        store.prepare()
        view = view_of(store)
        view.revoke(Target("subject", "ann"))
        begun = store.start("ann", lifetime=10, idle=10)
        assert begun.family is not None
        assert begun.jti is not None
        rotation = store.rotate(begun.family.id, begun.jti, grace=1, idle=1)
        late = view_of(RedisStore(client, redis_place.prefix))

        assert rotation.outcome == "rotated"
        assert store.families("ann") == (rotation.family,)
        assert ask(late, "ann") == "401"
        view.stop()
        late.stop()


def test_a_server_that_forgot_the_scripts_is_sent_them_again(
    private_redis: PrivateRedis, private: RedisStore
) -> None:
    begun = private.start("ann", lifetime=10, idle=10)
    assert begun.family is not None
    assert begun.jti is not None
    with private_redis.client() as client:
        client.script_flush()

    assert private.rotate(begun.family.id, begun.jti, grace=1, idle=1).outcome == "rotated"
    for call in each_call(private):
        call()


# A server that says no


class Liar:
    """A server that gives the same answer to everything."""

    def __init__(self, answer: str) -> None:
        self._answer = answer.encode() + b"\r\n"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            while client.recv(65_536):
                client.sendall(self._answer)


@pytest.mark.parametrize(
    "answer",
    [
        "-LOADING Redis is loading the dataset in memory",
        "-NOAUTH Authentication required.",
        "-NOPERM this user has no permissions",
        "-MASTERDOWN Link with MASTER is down",
        "-CLUSTERDOWN The cluster is down",
        "-MISCONF Redis is configured to save RDB snapshots, but it cannot",
        "-BUSY Redis is busy running a script",
        "-ERR max number of clients reached",
        "-ERR unknown command",
        "HTTP/1.1 400 Bad Request",
        "*-7",
        "$99999999999",
    ],
)
def test_any_other_answer_than_the_scripts_own_is_an_unavailable_store(answer: str) -> None:
    """SECURITY 1.27."""
    liar = Liar(answer)
    store = RedisStore.from_url(liar.url, timeout=TIMEOUT)
    store._server._breaker = Breaker(pause=PATIENCE)  # as long as the test
    for call in each_call(store):
        assert_unavailable(call)
    store.close()
    liar.close()


def test_a_server_that_became_a_replica_is_an_unavailable_store_until_it_is_none(
    private_redis: PrivateRedis, private: RedisStore, view: RevocationView, age_clock: Clock
) -> None:
    """What it still has may be out of date."""
    with private_redis.client() as client:
        client.replicaof("127.0.0.1", 1)
        client.config_set("replica-serve-stale-data", "yes")
        assert_unavailable(lambda: view.revoke(Target("subject", "bob")))
        assert_unavailable(lambda: private.start("ann", lifetime=10, idle=10))
        assert_serves_until_the_bound(view, age_clock)

        client.replicaof("NO", "ONE")
    view.revoke(Target("subject", "bob"))
    eventually(lambda: ask(view, "bob") == "401")
    assert ask(view, "bob") == "401"


def test_a_full_server_is_an_unavailable_store_and_its_log_is_read(
    private_redis: PrivateRedis, private: RedisStore, view: RevocationView, age_clock: Clock
) -> None:
    """SECURITY 1.27, F4."""
    with private_redis.client() as client:
        client.config_set("maxmemory", "1")
        for call in (
            lambda: view.revoke(Target("subject", "bob")),
            lambda: private.start("ann", lifetime=10, idle=10),
        ):
            assert_unavailable(call)
        age_clock.step(2 * BOUND)
        eventually(lambda: ask(view, "ann") == "401")

        client.config_set("maxmemory", "0")
    view.revoke(Target("subject", "bob"))


# A server that is killed, stopped, slow


def test_with_redis_killed_what_was_known_serves_until_the_bound_and_then_503(
    private_redis: PrivateRedis, view: RevocationView, age_clock: Clock
) -> None:
    """SECURITY 2.50, F2."""
    private_redis.kill()

    assert_serves_until_the_bound(view, age_clock)
    assert_unavailable(lambda: view.revoke(Target("subject", "bob")))


@pytest.mark.parametrize("fault", ["refuse", "silence"])
def test_with_redis_out_of_reach_what_was_known_serves_until_the_bound_and_then_503(
    private_redis: PrivateRedis,
    private: RedisStore,
    proxy: Callable[[str], Proxy],
    view_of: Callable[..., RevocationView],
    age_clock: Clock,
    fault: str,
) -> None:
    between = proxy(private_redis.url)
    store = patient(between.url)
    view = seen_by(view_of(store, max_age=BOUND))
    with between_two_looks(view):
        give_up_soon(store)
        getattr(between, fault)()
    assert_serves_until_the_bound(view, age_clock)
    for call in each_call(store):
        assert_unavailable(call)

    store._server._timeout = PATIENCE
    between.restore()
    eventually(lambda: ask(view, "bob") == "200")
    assert ask(view, "ann") == "401"
    eventually(lambda: answers_again(lambda: view.revoke(Target("subject", "bob"))))
    view.stop()
    store.close()


def answers_again(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoreUnavailable:
        return False
    return True


def test_a_redis_that_is_20_ms_late_does(
    private_redis: PrivateRedis,
    private: RedisStore,
    proxy: Callable[[str], Proxy],
    view_of: Callable[..., RevocationView],
    age_clock: Clock,
) -> None:
    """SECURITY F3."""
    between = proxy(private_redis.url)
    store = patient(between.url)
    view = seen_by(view_of(store, max_age=BOUND))
    between.slow(0.01)  # each way
    view.revoke(Target("subject", "bob"))
    age_clock.step(2 * BOUND)
    eventually(lambda: ask(view, "ann") == "401")

    assert store.start("ann", lifetime=10, idle=10).outcome == "started"
    view.stop()
    store.close()


def test_a_redis_that_is_later_than_the_timeout_is_as_good_as_gone(
    private_redis: PrivateRedis,
    private: RedisStore,
    proxy: Callable[[str], Proxy],
    view_of: Callable[..., RevocationView],
    age_clock: Clock,
) -> None:
    """SECURITY F3."""
    between = proxy(private_redis.url)
    store = patient(between.url)
    view = seen_by(view_of(store, max_age=BOUND))
    with between_two_looks(view):
        give_up_soon(store)
        between.slow(2 * TIMEOUT)
    assert_unavailable(lambda: store.start("ann", lifetime=10, idle=10))

    assert_serves_until_the_bound(view, age_clock)
    view.stop()
    store.close()


def test_with_redis_stopped_few_calls_wait_and_the_others_fail_at_once(
    private_redis: PrivateRedis, private: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY F3."""
    clock = Clock()
    monkeypatch.setattr(breaker_module, "time", SimpleNamespace(monotonic=clock))
    private._server._breaker = Breaker()
    private.families("ann")
    private_redis.stop()
    give_up_soon(private)
    said = [why_unavailable(lambda: private.families("ann")) for _ in range(100)]

    did_wait = ["did not answer as expected" in each for each in said]
    assert did_wait == [True] * FAILURES + [False] * (100 - FAILURES)
    private_redis.go_on()
    private._server._timeout = PATIENCE
    clock.step(PAUSE)
    assert private.families("ann") == ()


def why_unavailable(call: Callable[[], object]) -> str:
    with pytest.raises(StoreUnavailable) as failed:
        call()
    return str(failed.value)


def test_a_rotation_that_was_reported_to_have_failed_does_not_happen_when_redis_goes_on(
    private_redis: PrivateRedis, private: RedisStore
) -> None:
    begun = private.start("ann", lifetime=100, idle=100)
    assert begun.family is not None
    assert begun.jti is not None
    private_redis.stop()
    give_up_soon(private)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            private.rotate(begun.family.id, begun.jti, grace=10, idle=100)
    private._server._timeout = PATIENCE
    private_redis.go_on()
    eventually(lambda: answers_again(lambda: private.families("ann")))

    rotation = private.rotate(begun.family.id, begun.jti, grace=10, idle=100)
    assert rotation.outcome == "rotated", "by this call, and not by one of those before"


def test_a_redis_whose_clock_is_set_answers_all_the_same(
    private: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    private.families("ann")
    private.start("ann", lifetime=100, idle=100)
    store_time, asked, came = private._server.clock._answer or (0, 0, 0)
    private._server.clock.answered(store_time - 3_600, asked, came)  # it was an hour behind

    assert private.start("ann", lifetime=100, idle=100).outcome == "started"


# A server that comes back


@pytest.mark.parametrize("is_too_old", [False, True])
def test_a_redis_that_comes_back_empty_is_written_back_without_a_restart(
    private_redis: PrivateRedis,
    view: RevocationView,
    view_of: Callable[..., RevocationView],
    age_clock: Clock,
    is_too_old: bool,
) -> None:
    view.revoke(Target("jti", "x"))
    private_redis.kill()
    eventually(lambda: is_failing(view))
    age_clock.step(2 * BOUND if is_too_old else 0)
    assert ask(view, "ann") == ("503" if is_too_old else "401")
    private_redis.start()
    answers = set[str]()
    eventually(lambda: answers.add(ask(view, "ann")) or not is_failing(view))  # type: ignore[func-returns-value]
    eventually(lambda: ask(view, "bob") == "200")

    assert "200" not in answers
    late = view_of(patient(private_redis.url))
    assert ask(late, "ann") == "401"
    assert ask(late, "bob") == "200"
    assert late.is_revoked(jti="x", subject="bob", issued_at=1e12)
    late.stop()
    late.store.close()


def test_a_flushed_redis_is_written_back_and_nothing_revoked_is_let_in(
    private_redis: PrivateRedis, view: RevocationView
) -> None:
    """SECURITY F4."""
    answers = []
    with private_redis.client() as client:

        def is_written_back() -> bool:
            answers.append(ask(view, "ann"))
            return client.exists("{authz}:log:3") == 1

        for _ in range(3):
            client.flushall()
            eventually(is_written_back)

    assert set(answers) == {"401"}


def test_a_redis_started_from_an_old_dump_is_brought_up_to_date(
    private_redis: PrivateRedis,
    private: RedisStore,
    view: RevocationView,
    view_of: Callable[..., RevocationView],
) -> None:
    """SECURITY 1.24, F4."""
    begun = private.start("ann", lifetime=100, idle=100)
    dump = private_redis.dump()
    view.revoke(Target("subject", "bob"))
    assert begun.family is not None
    assert begun.jti is not None
    private.rotate(begun.family.id, begun.jti, grace=10, idle=100)
    view.refresh()
    private_redis.restore(dump)
    eventually(lambda: answers_again(view.refresh))

    late = view_of(patient(private_redis.url))
    assert {subject: ask(late, subject) for subject in ("ann", "bob", "cid")} == {
        "ann": "401",
        "bob": "401",
        "cid": "200",
    }
    assert private.rotate(begun.family.id, begun.jti, grace=10, idle=100).outcome == "ended"
    late.stop()
    late.store.close()


def test_a_redis_that_lost_everything_with_all_processes_lets_nobody_in_from_before(
    private_redis: PrivateRedis, view: RevocationView, view_of: Callable[..., RevocationView]
) -> None:
    """SECURITY F4."""
    issued = view.next_iat("cid")
    view.stop()
    private_redis.kill()
    private_redis.start()

    fresh = view_of(patient(private_redis.url))
    fresh.check_age()
    assert fresh.is_revoked(jti="a", subject="cid", issued_at=issued)
    assert not fresh.is_revoked(jti="a", subject="cid", issued_at=fresh.next_iat("cid"))
    fresh.stop()
    fresh.store.close()


# The extra


def test_a_missing_redis_py_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    for name in ("redis", "redis_server"):
        monkeypatch.delitem(sys.modules, f"jwt_authz.revocation.stores.{name}")
    for name in [name for name in sys.modules if name.startswith("redis.")]:
        monkeypatch.setitem(sys.modules, name, None)

    for name in ("redis", "redis_server"):
        with pytest.raises(ImportError, match=r"pip install 'jwt_authz\[redis\]'"):
            importlib.import_module(f"jwt_authz.revocation.stores.{name}")


@pytest.mark.parametrize("url", ["redis://host:port/0", "redis://host/0?socket_timeout=soon"])
def test_an_invalid_url_is_a_misuse(url: str) -> None:
    with pytest.raises(MisuseError, match="write redis://host:6379/0") as refused:
        RedisStore.from_url(url)

    assert url not in str(refused.value)
