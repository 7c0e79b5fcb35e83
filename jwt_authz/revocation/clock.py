"""StoreClock: what a process knows of its store's clock, so that its own may be wrong."""

from __future__ import annotations

import time


class StoreClock:
    """The store's clock as its last answer gave it, carried on by this machine's monotonic one.

    An answer was written after it was asked for and before it came: the store's clock now lies
    between `earliest()` and `latest()`, whatever this machine's wall clock says.
    """

    def __init__(self) -> None:
        self._answer: tuple[float, float, float] | None = None

    def answered(self, store_time: float, asked: float, came: float) -> None:
        """Take an answer's time; `asked` and `came` are this machine's monotonic seconds."""
        self._answer = (store_time, asked, came)

    def earliest(self) -> float:
        """The time that it is at the store at least; this machine's where no answer came yet.

        What is stamped with it never lies after what the store stamps later.
        """
        answer = self._answer
        if answer is None:
            return time.time()
        store_time, _, came = answer
        return store_time + max(0.0, time.monotonic() - came)

    def latest(self) -> float | None:
        """The time that it is at the store at most; None where no answer came yet."""
        answer = self._answer
        if answer is None:
            return None
        store_time, asked, _ = answer
        return store_time + max(0.0, time.monotonic() - asked)
