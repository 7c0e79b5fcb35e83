"""Keeping fresh: the thread, its death, forks, clocks, and how old the view says that it is."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jwt_authz.errors import StoreUnavailable
from jwt_authz.revocation import RevocationView, Target
from jwt_authz.revocation import clock as clock_module
from jwt_authz.revocation import keeper as keeper_module
from jwt_authz.revocation.keeper import Keeper
from jwt_authz.revocation.statements import SLACK
from tests.patience import PATIENCE, eventually

from .conftest import Clock, Shared, set_clocks
from .proxy import Proxy

ROOT = Path(__file__).parents[2]
BOUND = 5.0


@pytest.fixture
def view(redis_place: Shared, view_of: Callable[..., RevocationView]) -> RevocationView:
    """A view on a shared store; what is kept fresh in which way makes no difference here."""
    store = redis_place.open()
    store.prepare()
    return view_of(store)


@pytest.fixture
def other(
    redis_place: Shared, view: RevocationView, view_of: Callable[..., RevocationView]
) -> RevocationView:
    """Another process' view on the same store."""
    return view_of(redis_place.open())


def keeper(view: RevocationView) -> Keeper:
    assert view._keeper is not None
    return view._keeper


def thread(view: RevocationView) -> threading.Thread:
    running = keeper(view)._thread
    assert running is not None
    return running


def is_dead(view: RevocationView, subject: str) -> bool:
    view.check_age()
    return view.is_revoked(jti="a", subject=subject, issued_at=1.0)


def followers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "jwt_authz-revocations"]


# The thread


def test_no_thread_runs_before_the_first_question(view: RevocationView, age_clock: Clock) -> None:
    assert keeper(view)._thread is None

    view.check_age()

    assert thread(view).daemon
    assert view.age() == 0


@pytest.mark.parametrize(
    "question",
    [
        lambda view: view.check_age(),
        lambda view: view.is_revoked(jti="a", subject="ann", issued_at=1.0),
        lambda view: view.newest("ann"),
        lambda view: view.next_iat("ann"),
        lambda view: view.revoke(Target("subject", "ann")),
    ],
)
def test_any_first_question_loads_the_view(
    sqlite_place: Shared,
    view_of: Callable[..., RevocationView],
    question: Callable[[RevocationView], object],
) -> None:
    store = sqlite_place.open()
    store.prepare()
    view = view_of(store)
    question(view)

    assert keeper(view).is_loaded


def test_what_another_process_revokes_is_known_without_a_question(
    view: RevocationView, other: RevocationView
) -> None:
    view.check_age()
    other.revoke(Target("subject", "ann"))

    eventually(lambda: is_dead(view, "ann"))
    assert is_dead(view, "ann")


def test_a_view_is_renewed_again_and_again(view: RevocationView, age_clock: Clock) -> None:
    view.check_age()
    for _ in range(3):
        age_clock.step(BOUND)
        eventually(lambda: view.age() == 0)
        assert view.age() == 0


killing = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def kill(view: RevocationView) -> None:
    """Have the thread die at its next look."""

    def die() -> bool:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper(view), "look", die)
        thread(view).join(PATIENCE)
    assert not thread(view).is_alive()


@killing
def test_a_thread_that_died_is_started_again(
    view: RevocationView, other: RevocationView, age_clock: Clock
) -> None:
    view.check_age()
    dead = thread(view)
    kill(view)
    age_clock.step(1)
    other.revoke(Target("subject", "ann"))

    eventually(lambda: is_dead(view, "ann"))
    assert thread(view) is not dead


@killing
def test_a_view_whose_thread_died_is_not_a_pass_once_it_is_too_old(
    view: RevocationView, age_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.check_age()
    monkeypatch.setattr(keeper_module, "_follow", lambda *_: None)  # it dies at once, each time
    kill(view)
    age_clock.step(BOUND + 1)

    with pytest.raises(StoreUnavailable, match="too long ago"):
        view.check_age(BOUND)


def test_a_thread_goes_on_after_an_error_of_any_kind(
    view: RevocationView,
    age_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    view.check_age()
    follow = keeper(view)._follower.follow

    def broken() -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(keeper(view)._follower, "follow", broken)
    eventually(lambda: "ZeroDivisionError" in caplog.text)
    age_clock.step(1)
    monkeypatch.setattr(keeper(view)._follower, "follow", follow)

    eventually(lambda: view.age() == 0)
    assert thread(view).is_alive()


def test_trouble_and_its_end_are_reported_once(
    view: RevocationView, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jwt_authz.revocation")
    view.check_age()
    failures = []

    def fail() -> bool:
        failures.append(1)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(keeper(view)._follower, "follow", fail)
    eventually(lambda: len(failures) > 3)
    monkeypatch.undo()
    eventually(lambda: "can be read again" in caplog.text)

    assert caplog.text.count("cannot be read: gone") == 1


def test_a_stopped_view_gets_older_and_starts_nothing(
    view: RevocationView, age_clock: Clock
) -> None:
    view.check_age()
    running = thread(view)
    view.stop()
    assert not running.is_alive()
    age_clock.step(BOUND + 1)

    with pytest.raises(StoreUnavailable):
        view.check_age(BOUND)
    assert not thread(view).is_alive()


def test_the_thread_ends_with_the_view(redis_place: Shared) -> None:
    view = RevocationView(redis_place.open(), longest=900)
    view.store.prepare()
    view.check_age()
    running = thread(view)
    del view
    gc.collect()

    running.join(PATIENCE)
    assert not running.is_alive()


def test_threads_that_ask_at_once_start_one_thread(view: RevocationView) -> None:
    before = set(followers())
    barrier = threading.Barrier(16)

    def ask() -> None:
        barrier.wait()
        view.check_age()

    asking = [threading.Thread(target=ask) for _ in range(16)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()

    assert set(followers()) - before == {thread(view)}


# The first load


class Recorded(threading.Event):
    """An event that keeps how long it was waited for."""

    def __init__(self, waits: list[float]) -> None:
        super().__init__()
        self._waits = waits

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._waits.append(timeout)
        return super().wait(timeout)


@pytest.mark.parametrize(
    ("place", "fault"),
    [("redis", "silence"), ("postgres", "refuse"), ("mariadb", "silence")],
    indirect=["place"],
)
def test_a_first_request_waits_for_so_long_and_the_next_ones_not_at_all(
    place: Shared,
    proxy: Callable[[str], Proxy],
    view_of: Callable[..., RevocationView],
    age_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    place.open().prepare()
    between = proxy(place.url)
    getattr(between, fault)()
    view = view_of(
        Shared(place.kind, between.url, place.prefix, place.opened).open(), first_load=0.3
    )
    waits: list[float] = []
    monkeypatch.setattr(keeper(view), "_first", Recorded(waits))
    with pytest.raises(StoreUnavailable, match="has not answered yet"):
        view.check_age()
    assert waits == [pytest.approx(0.3)]
    age_clock.step(0.3)

    for ask in (view.check_age, lambda: view.next_iat("ann"), lambda: is_dead(view, "ann")):
        with pytest.raises(StoreUnavailable):
            ask()
    assert waits[1:] == [0, 0, 0]

    between.cut()
    between.restore()
    eventually(lambda: keeper(view).is_loaded)
    assert not is_dead(view, "ann")


# Clocks


def test_the_age_is_the_longer_one_of_both_clocks(
    view: RevocationView, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.refresh()
    wall, monotonic = time.time(), time.monotonic()

    def clocks(wall_step: float, monotonic_step: float) -> None:
        set_clocks(
            monkeypatch,
            keeper_module,
            wall=lambda: wall + wall_step,
            monotonic=lambda: monotonic + monotonic_step,
        )

    clocks(3_600, 1)  # a machine that slept, or a clock put right
    assert view.age() == pytest.approx(3_600, abs=1)
    clocks(-3_600, 8)  # a clock that stepped back
    assert view.age() == pytest.approx(8, abs=1)


@pytest.mark.parametrize("off", [-3_600.0, -30.0, 30.0, 3_600.0])
def test_a_process_whose_clock_is_wrong_issues_by_the_stores(
    view: RevocationView, other: RevocationView, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    """SECURITY F13."""
    view.refresh()
    for module in (clock_module, keeper_module):
        set_clocks(monkeypatch, module, wall=lambda: time.time() + off)
    before = view.next_iat("ann")
    said = other.revoke(Target("subject", "ann")).revoked_at
    view.refresh()

    assert before < said < view.next_iat("ann")
    assert view.next_iat("ann") - before < PATIENCE


def test_a_step_of_the_wall_clock_is_repaired_by_the_next_look(
    view: RevocationView, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.check_age()
    clock = Clock()
    clock.step(3_600)
    set_clocks(monkeypatch, keeper_module, wall=clock)

    eventually(lambda: view.age() < 3_600)
    view.check_age()  # it raises if the view is too old
    assert view.age() < 3_600


# Forks

FORK = """
import os, sys, threading, time
from jwt_authz.revocation import RevocationView, Target
sys.path.insert(0, "tests")
from revocation.workers import open_shared

store = open_shared(*sys.argv[1:])
store.prepare()
view = RevocationView(store, longest=900, max_age=60, interval=0.1, first_load=60)
view.check_age()
view.revoke(Target("subject", "before"))
def followers():  # a call of the store has a thread of its own as well
    return sum(thread.name == "jwt_authz-revocations" for thread in threading.enumerate())
assert followers() == 1
held = view._keeper._looking  # as if the thread had been looking just then
held.acquire()
store_lock = view._known._lock
store_lock.acquire()
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        try:
            assert followers() == 0
            view.check_age()
            assert view.is_revoked(jti="a", subject="before", issued_at=1.0)
            assert followers() == 1
            view.revoke(Target("subject", f"child{number}"))
            until = time.monotonic() + 60
            for subject in ("child0", "child1", "child2", "parent"):
                while not view.is_revoked(jti="a", subject=subject, issued_at=1.0):
                    assert time.monotonic() < until, subject
                    view.check_age()
                    time.sleep(0.01)
            assert len({store.start("ann", lifetime=9, idle=9).jti for _ in range(5)}) == 5
        except BaseException:
            import traceback; traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
store_lock.release()
held.release()
view.revoke(Target("subject", "parent"))
codes = [os.waitpid(child, 0)[1] for child in children]
view.check_age()
assert view.is_revoked(jti="a", subject="child1", issued_at=1.0)
view.stop()
sys.exit(any(codes))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_forked_processes_follow_for_themselves(place: Shared) -> None:
    """SECURITY F14."""
    ran = run(FORK, place.kind, place.url, place.prefix)

    assert ran.returncode == 0, ran.stderr


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Forking with a thread is what is tested: Python 3.12 and later warn of it.
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )


def test_a_child_that_asks_long_after_the_fork_looks_first(
    sqlite_place: Shared, view_of: Callable[..., RevocationView], age_clock: Clock
) -> None:
    store = sqlite_place.open()
    store.prepare()
    view = view_of(store)
    view.check_age()
    view.stop()
    keeper(view)._is_stopped = False
    keeper(view).after_fork()  # what the child runs
    age_clock.step(BOUND + 1)

    view.check_age(BOUND)  # else it would be too old
    assert view.age() == 0


def test_nothing_of_a_request_waits_for_a_look_that_takes_long(
    view: RevocationView, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.check_age()
    began, release = threading.Event(), threading.Event()
    log: Any = keeper(view)._log
    read = log.read

    def slow(*arguments: Any) -> Any:
        began.set()
        assert release.wait(PATIENCE)
        return read(*arguments)

    monkeypatch.setattr(log, "read", slow)
    assert began.wait(PATIENCE)
    view.check_age()
    view.is_revoked(jti="a", subject="ann", issued_at=1.0)
    view.next_iat("ann")
    release.set()
    eventually(keeper(view)._looking.locked)  # or else the look had been given up


def test_a_look_that_hangs_is_waited_for_only_so_long(
    view: RevocationView, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.check_age()
    view.stop()
    monkeypatch.setattr(keeper(view), "_first_load", 0.1)
    began, release = threading.Event(), threading.Event()

    def hang(*_: Any) -> Any:
        began.set()
        assert release.wait(PATIENCE)
        raise StoreUnavailable("down")

    monkeypatch.setattr(keeper(view)._log, "read", hang)

    def look() -> None:
        with pytest.raises(StoreUnavailable, match="down"):
            view.refresh()

    looking = threading.Thread(target=look)
    looking.start()
    assert began.wait(PATIENCE)
    for ask in (view.refresh, view.distrust_store):
        with pytest.raises(StoreUnavailable, match="by another thread"):
            ask()
    release.set()
    looking.join()


def test_anyone_who_follows_the_news_holds_up_no_other_look(view: RevocationView) -> None:
    view.check_age()
    view.stop()
    began, release = threading.Event(), threading.Event()

    def heed(looked: Any) -> None:
        if not began.is_set():
            began.set()
            assert release.wait(PATIENCE)

    view.call_after_look(heed)
    looking = threading.Thread(target=view.refresh)
    looking.start()
    assert began.wait(PATIENCE)
    view.refresh()
    release.set()
    looking.join()


# Messages about the catalog


def test_news_of_the_catalog_and_nothing_else_changes_its_mark(
    view: RevocationView, other: RevocationView
) -> None:
    mark = view.mark_of_catalogue()
    other.revoke(Target("subject", "ann"))
    view.refresh()
    assert view.mark_of_catalogue() == mark
    other.announce_catalogue()
    view.refresh()
    assert view.mark_of_catalogue() != mark


def test_who_did_not_look_for_longer_than_a_statement_may_live_may_have_missed_news(
    view: RevocationView,
) -> None:
    mark = view.mark_of_catalogue()
    with keeper(view)._looking:  # or a look of the thread's that has begun would undo it
        monotonic, wall = keeper(view)._fresh
        keeper(view)._fresh = monotonic - SLACK - 1, wall - SLACK - 1
    view.refresh()
    assert view.mark_of_catalogue() != mark


def test_anyone_who_follows_raises_when_the_look_before_began(view: RevocationView) -> None:
    looks: list[tuple[float, float]] = []
    assert view.call_after_look(looks.append)
    view.check_age()
    view.stop()
    before = keeper(view)._fresh
    view.refresh()
    assert looks[-1] == before
