"""A circuit breaker: after repeated failures, calls to a store fail without contacting it."""

from __future__ import annotations

import time

from ..errors import StoreUnavailable

FAILURES = 3
PAUSE = 1.0


class Breaker:
    """A circuit breaker that opens after three failures in a row.

    While it is open, one call at a time is a trial; the others fail immediately. The next trial
    starts `pause` seconds after the last failure, or `longest` seconds after the previous trial
    started. A success closes the breaker. `what` is the name of the store in error messages.
    Threads may share a breaker: a race lets one call more or less through.
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
        """Raise StoreUnavailable if the breaker is open and this call is not the next trial."""
        if self._failures < FAILURES:
            return
        now = time.monotonic()
        if now < self._closed_until:
            raise StoreUnavailable(
                f"{self._what} did not answer recently: calls fail immediately for a moment"
            )
        self._closed_until = now + self._longest  # this call is the trial

    def failed(self, pause: float | None = None) -> None:
        """Count a call that got no answer.

        With a `pause`, open the breaker for that many seconds, however many calls failed before.
        """
        self._failures += 1 if pause is None else FAILURES
        self._closed_until = time.monotonic() + (self._pause if pause is None else pause)

    def succeeded(self) -> None:
        """Reset the failure count after an answer."""
        self._failures = 0
