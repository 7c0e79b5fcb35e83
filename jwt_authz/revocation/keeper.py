"""Keeper: keeps what a process knows of a shared log fresh, and says how old it is.

How it works. One thread follows the log: the store notifies it of news where it can, and it looks
by itself every `interval` seconds anyway. The first request in a process starts it, so that it is
there again after a fork; a request that finds the knowledge older than two intervals starts it
again where it has died. Requests wait for the first look alone, and for that only so long.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from weakref import ReferenceType, ref

from .._concurrency.forks import renew_after_fork
from ..errors import StoreUnavailable
from .follower import Follower
from .known import Known
from .log import Listener, Log
from .statements import SLACK

FORGET_EVERY = 60.0
RETRY = 0.1

_log = logging.getLogger("jwt_authz.revocation")


class Keeper:
    """Follows `log` into `known`; any thread may call it.

    `interval` is the seconds between two looks into the store; `first_load` those that the first
    requests may wait for the first look; `longest` those that a token can live.
    """

    def __init__(
        self, log: Log, known: Known, *, longest: float, interval: float, first_load: float
    ) -> None:
        self._log = log
        self._known = known
        self._follower = Follower(log, known, longest, settle=2 * interval)
        self._interval = interval
        self._first_load = first_load
        self._fresh = (-math.inf, -math.inf)  # by the monotonic clock and by the wall clock
        self._forgot_at = time.monotonic()
        self._is_stopped = False
        self._is_failing = False
        self._gaps = 0
        self.heeds: list[Callable[[tuple[float, float]], None]] = []
        self.clock = self._follower.clock
        self.wrote = self._follower.wrote
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """What belongs to one process: locks, a thread, and a first look into the store."""
        self._known.after_fork()
        self._looking = Lock()
        self._starting = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        self._first = Event()
        self._give_up_at: float | None = None
        self.is_loaded = False

    @property
    def mark(self) -> tuple[str | None, int]:
        """Another one where something may have been said that was never read here.

        The store has forgotten something, or nobody looked for longer than a statement may live.
        """
        return self._follower.generation, self._gaps

    def check_age(self, max_age: float) -> None:
        """Raises StoreUnavailable where what is known is older than `max_age` seconds."""
        if not self.is_loaded:
            self.load()
        age = self.age()
        if age > 2 * self._interval:
            self._keep_following()
        if age > max_age:
            raise StoreUnavailable(
                "what is revoked was last read too long ago: look whether the store of "
                "revocations runs and answers"
            )

    def age(self) -> float:
        """The seconds since all that was in the store was known here.

        The longer one by the monotonic and by the wall clock: the one stands still while the
        machine does, and the other may be set back.
        """
        monotonic, wall = self._fresh
        return max(time.monotonic() - monotonic, time.time() - wall)

    def load(self) -> None:
        """Wait for the first look into the store, until those who wait may wait no longer."""
        self._keep_following()
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._first_load
        if not self._first.wait(max(0.0, self._give_up_at - time.monotonic())):
            raise StoreUnavailable(
                "the store of revocations has not answered yet: look whether it runs, and what "
                "AUTHZ_STORE_URL names"
            )

    def refresh(self) -> bool:
        """Look into the store now; whether there was news. Raises StoreUnavailable."""
        with self._turn_to_look():
            # What is read was there when it was asked for; what came later may be missing.
            before, began = self._fresh, (time.monotonic(), time.time())
            is_news = self._follower.follow()
            self._gaps += max(began[0] - before[0], began[1] - before[1]) > SLACK
            self._fresh = began
            self._forget_now_and_then()
            self.is_loaded = True
            self._first.set()
        for heed in self.heeds:  # which may ask a database, and hold up no other look
            heed(before)
        return is_news

    def begin_untrusted(self) -> None:
        """Begin a store that has no mark yet by revoking all tokens issued before now."""
        with self._turn_to_look():
            self._follower.begin_untrusted()

    def distrust(self) -> None:
        """Begin a new generation of the store, by revoking all tokens issued before now."""
        with self._turn_to_look():
            self._follower.distrust()

    @contextmanager
    def _turn_to_look(self) -> Iterator[None]:
        """Look when other threads have; raise StoreUnavailable if that takes too long."""
        if not self._looking.acquire(timeout=self._first_load):
            raise StoreUnavailable("the store of revocations is being read by another thread")
        try:
            yield
        finally:
            self._looking.release()

    def stop(self) -> None:
        """End the thread; what is known gets older from now on."""
        self._is_stopped = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * self._interval + 1)

    def pause(self) -> float:
        """The seconds until the thread looks again."""
        return self._interval if self.is_loaded else min(RETRY, self._interval)

    def look(self) -> bool:
        """`refresh` for the thread, which goes on whatever happens."""
        try:
            is_news = self.refresh()
        except StoreUnavailable as error:
            if not self._is_failing:
                _log.warning("the revocations cannot be read: %s", error)
            self._is_failing = True
            return False
        except Exception:
            _log.exception("the revocations cannot be read")
            self._is_failing = True
            return False
        if self._is_failing:
            _log.warning("the revocations can be read again")
        self._is_failing = False
        return is_news

    def _keep_following(self) -> None:
        """Start the thread, unless it lives."""
        with self._starting:
            is_alive = self._thread is not None and self._thread.is_alive()
            if is_alive or self._is_stopped:
                return
            self._thread = Thread(
                target=_follow,
                args=(ref(self), self._log.listen(), self._stop),
                name="jwt_authz-revocations",
                daemon=True,
            )
            self._thread.start()

    def _forget_now_and_then(self) -> None:
        if time.monotonic() - self._forgot_at > FORGET_EVERY:
            self._forgot_at = time.monotonic()
            self._known.forget(min(time.time(), self.clock.earliest()))


def _follow(keeper_of: ReferenceType[Keeper], listener: Listener, stop: Event) -> None:
    """The thread: it looks, waits for news, and ends with the keeper."""
    is_notified = False
    try:
        while not stop.is_set():
            keeper = keeper_of()
            if keeper is None:
                return
            if keeper.look() and not is_notified:
                listener.close()  # it missed the news: listen again
            pause = keeper.pause()
            del keeper
            is_notified = listener.wait(pause, stop)
    finally:
        listener.close()
