"""Breaker: a store that does not answer is not asked by every request in turn."""

from __future__ import annotations

import time

from ..errors import StoreUnavailable

FAILURES = 3
PAUSE = 1.0


class Breaker:
    """After three failures in a row only one call a second tries; the others fail at once.

    A call that succeeds closes it for all. Threads may use one breaker together: what they can
    do to each other is let one call more or less through.
    """

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._failures = 0
        self._closed_until = 0.0

    def check(self) -> None:
        """Raises StoreUnavailable where the store has just failed and this call is not to try."""
        if self._failures < FAILURES:
            return
        now = time.monotonic()
        if now < self._closed_until:
            raise StoreUnavailable("the store has just failed to answer: it is not asked again yet")
        self._closed_until = now + self._pause  # this call tries, and holds back the others

    def failed(self) -> None:
        """Count a call that the store did not answer."""
        self._failures += 1
        self._closed_until = time.monotonic() + self._pause

    def succeeded(self) -> None:
        """Forget the failures: the store answered."""
        self._failures = 0
