"""StoreClock: estimates the store's time, so that a wrong clock of this machine does not matter."""

from __future__ import annotations

import time


class StoreClock:
    """The store's clock: the time in its last answer, plus this machine's monotonic time since.

    The answer was written after the request and before it arrived. So the store's time is between
    `earliest()` and `latest()`, whatever this machine's wall clock says.
    """

    def __init__(self) -> None:
        self._answer: tuple[float, float, float] | None = None

    def answered(self, store_time: float, asked: float, came: float) -> None:
        """Set the time in an answer, and when it was requested and arrived (monotonic seconds)."""
        self._answer = (store_time, asked, came)

    def earliest(self) -> float:
        """Return the earliest possible time at the store; this machine's time before any answer.

        It is never later than a time that the store sets afterwards.
        """
        answer = self._answer
        if answer is None:
            return time.time()
        store_time, _, came = answer
        return store_time + max(0.0, time.monotonic() - came)

    def latest(self) -> float | None:
        """Return the latest possible time at the store; None before any answer."""
        answer = self._answer
        if answer is None:
            return None
        store_time, asked, _ = answer
        return store_time + max(0.0, time.monotonic() - asked)
