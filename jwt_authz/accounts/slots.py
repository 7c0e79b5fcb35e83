"""Slots: how many threads may do heavy work at once, how many may wait for it, and for how long."""

from __future__ import annotations

import os
import threading
from types import TracebackType

from ..errors import StoreUnavailable

LONGEST_WAIT = 5.0


def usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Slots:
    """A `with` block that `at_once` threads may be in, for which `waiting` more may wait.

    Others are turned away at once by StoreUnavailable, and so is whoever has waited for
    `longest_wait` seconds. Who came first goes first.
    """

    def __init__(self, at_once: int, waiting: int, longest_wait: float = LONGEST_WAIT) -> None:
        self.at_once = at_once
        self.waiting = waiting
        self.longest_wait = longest_wait
        self.renew()

    def renew(self) -> None:
        """Forget who is inside: in a process that was forked, those are not there."""
        self._free = self.at_once
        self._queue = 0
        self._changed = threading.Condition(threading.Lock())

    def __enter__(self) -> None:
        with self._changed:
            if self._free == 0 or self._queue:
                self._wait()
            self._free -= 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify()

    def _wait(self) -> None:
        if self._queue >= self.waiting:
            raise StoreUnavailable(
                f"{self.at_once} passwords are being hashed and {self._queue} wait: try again later"
            )
        self._queue += 1
        try:
            if not self._changed.wait_for(lambda: self._free > 0, self.longest_wait):
                raise StoreUnavailable("no password could be hashed in time: try again later")
        finally:
            self._queue -= 1
