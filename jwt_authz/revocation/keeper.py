"""Keeper: the thread that keeps this process's copy of a shared log up to date, and its age.

How it works. The thread reads the log when the store notifies it, and every `interval` seconds. The
first request in a process starts it, also after a fork, and a request that finds the copy older
than two intervals restarts it if it has died. Requests wait only for the first read, and not longer
than `first_load`.
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
from .known import KnownRevocations
from .log import Listener, Log
from .statements import SLACK

FORGET_EVERY = 60.0
RETRY = 0.1

_log = logging.getLogger("jwt_authz.revocation")


class Keeper:
    """Copies `log` to `known`. Thread-safe.

    All times are in seconds: `interval` is the time between two reads of the store, `first_load`
    the time that requests wait for the first one, and `longest` the maximum lifetime of a token.
    """

    def __init__(
        self,
        log: Log,
        known: KnownRevocations,
        *,
        longest: float,
        interval: float,
        first_load: float,
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
        self.after_look: list[Callable[[tuple[float, float]], None]] = []
        self.clock = self._follower.clock
        self.wrote = self._follower.wrote
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Reset what belongs to one process: locks, the thread, and the first read."""
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
        """A value that changes if statements may have been missed.

        That is so if the store has lost data, or was not read for longer than a statement lives.
        """
        return self._follower.generation, self._gaps

    def check_age(self, max_age: float) -> None:
        """Raise `StoreUnavailable` if the copy is older than `max_age` seconds."""
        if not self.is_loaded:
            self.load()
        age = self.age()
        if age > 2 * self._interval:
            self._keep_following()
        if age > max_age:
            raise StoreUnavailable(
                "the revocations were last read too long ago: check that the store of "
                "AUTHZ_STORE_URL runs and answers"
            )

    def age(self) -> float:
        """Return the seconds since the store was last read completely.

        By the monotonic or the wall clock, whichever says more: the one stops while the machine is
        suspended, and the other may be set back.
        """
        monotonic, wall = self._fresh
        return max(time.monotonic() - monotonic, time.time() - wall)

    def load(self) -> None:
        """Wait for the first read of the store; raise `StoreUnavailable` if it takes too long."""
        self._keep_following()
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._first_load
        if not self._first.wait(max(0.0, self._give_up_at - time.monotonic())):
            raise StoreUnavailable(
                "the store of revocations has not answered yet: check that it runs, and that "
                "AUTHZ_STORE_URL is correct"
            )

    def refresh(self) -> bool:
        """Read the store now, and return whether there was news; raise `StoreUnavailable`."""
        with self._turn_to_look():
            # The result is as of the start of the read; later statements may be missing.
            before, began = self._fresh, (time.monotonic(), time.time())
            is_news = self._follower.follow()
            self._gaps += max(began[0] - before[0], began[1] - before[1]) > SLACK
            self._fresh = began
            self._forget_now_and_then()
            self.is_loaded = True
            self._first.set()
        for function in self.after_look:  # without the lock: it may query a database
            function(before)
        return is_news

    def begin_untrusted(self) -> None:
        """Begin a store without a mark by revoking all tokens issued before now."""
        with self._turn_to_look():
            self._follower.begin_untrusted()

    def distrust(self) -> None:
        """Begin a new generation of the store by revoking all tokens issued before now."""
        with self._turn_to_look():
            self._follower.distrust()

    @contextmanager
    def _turn_to_look(self) -> Iterator[None]:
        """Wait until no other thread reads the store; raise `StoreUnavailable` after too long."""
        if not self._looking.acquire(timeout=self._first_load):
            raise StoreUnavailable("the store of revocations is being read by another thread")
        try:
            yield
        finally:
            self._looking.release()

    def stop(self) -> None:
        """Stop the thread; the copy ages from now on."""
        self._is_stopped = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * self._interval + 1)

    def pause(self) -> float:
        """Return the seconds until the thread reads the store again."""
        return self._interval if self.is_loaded else min(RETRY, self._interval)

    def look(self) -> bool:
        """Call `refresh` in the thread, and log errors instead of raising them."""
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
        """Start the thread unless it is running."""
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
    """Read the store, wait for news, and repeat; end when the keeper is garbage collected."""
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
