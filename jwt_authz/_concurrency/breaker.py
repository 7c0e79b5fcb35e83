"""Breaker: a store that does not answer is not asked by every request in turn."""

from __future__ import annotations

import time

from ..errors import StoreUnavailable

FAILURES = 3
PAUSE = 1.0


class Breaker:
    """After three failures in a row only one call at a time tries; the others fail at once.

    The next call tries `pause` seconds after the last failure, and `longest` seconds after the one
    before it began to try. A call that succeeds lets all through again. `what` names in messages
    what was asked. Threads may share a breaker: a race lets one call more or less through.
    """

    def __init__(
        self, pause: float = PAUSE, longest: float | None = None, what: str = "the store"
    ) -> None:
        self._pause = pause
        self._longest = pause if longest is None else longest
        self._what = what
        self._failures = 0
        self._closed_until = 0.0

    def check(self) -> None:
        """Raise StoreUnavailable if the last calls failed and it is not this call's turn to try."""
        if self._failures < FAILURES:
            return
        now = time.monotonic()
        if now < self._closed_until:
            raise StoreUnavailable(
                f"{self._what} did not answer just now: calls fail at once for a moment"
            )
        self._closed_until = now + self._longest  # this call tries, and holds back the others

    def failed(self, pause: float | None = None) -> None:
        """Count a call that was not answered.

        With a `pause` the calls are held back for so many seconds, however many failed before.
        """
        self._failures += 1 if pause is None else FAILURES
        self._closed_until = time.monotonic() + (self._pause if pause is None else pause)

    def succeeded(self) -> None:
        """Forget the failures: there was an answer."""
        self._failures = 0
