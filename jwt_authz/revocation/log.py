"""The log of a store that several processes share: statements in the order of their writing.

A store numbers what is written to it: each entry has a position, which is the microsecond of its
writing by the store's own clock, or one more than the entry before it. So positions only grow,
no two entries have the same, and a reader who has read up to one asks for what came after it.

A store also has a mark, which names its generation. A store without a mark is new or has
forgotten everything; a new generation says that the one before it had forgotten something.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import NamedTuple, Protocol

from ..errors import StoreUnavailable
from .statements import Statement, Target

MICROSECONDS = 1_000_000

TIMEOUT = 1.0
"""Seconds that a call of a store may take by default."""


class MarkMissing(StoreUnavailable):
    """The store has no mark: it is new, or it has forgotten what was in it."""

    def __init__(self) -> None:
        super().__init__(
            "the store of revocations is new or has lost its contents: run `flask authz init` for "
            "a new one; what the running processes know is written back by itself"
        )


class LogEntry(NamedTuple):
    """A statement and its position in the log; `shelf` is where the store keeps it."""

    position: int
    statement: Statement
    shelf: int = 0


class Page(NamedTuple):
    """What one reading of the log found.

    `now` is the store's clock, `generation` None where there is no mark. `intact` is False where
    something is missing that was written before. `position` is where to read on, and `complete`
    whether that is the log's end.
    """

    now: float
    generation: str | None
    intact: bool
    position: int
    complete: bool
    entries: list[LogEntry]


class Listener(Protocol):
    """What tells a process that something was written to the log; it belongs to one thread."""

    def wait(self, timeout: float, stop: Event) -> bool:
        """Whether something was written; comes back after `timeout` seconds, or at a stop."""
        ...

    def close(self) -> None:
        """Give back what was opened for listening."""
        ...


class Sleeper:
    """The listener of a store that tells nothing: it sleeps, and the log is read again then."""

    def wait(self, timeout: float, stop: Event) -> bool:
        """False after `timeout` seconds, or at a stop."""
        stop.wait(timeout)
        return False

    def close(self) -> None:
        """Nothing was opened."""


class Log(Protocol):
    """What a store offers so that other processes can follow it; all raise StoreUnavailable."""

    def read(self, after: int, witness: LogEntry | None) -> Page:
        """The entries after a position, a page of them at a time.

        The witness is an entry read before; where it is gone, the log is not intact.
        """
        ...

    def revoke(self, target: Target, forget_at: float, not_before: float) -> LogEntry:
        """Write a statement, said at the store's time or at `not_before`, if that is later.

        Raises MarkMissing where the store has no mark.
        """
        ...

    def add(self, statements: Sequence[Statement]) -> list[int]:
        """Write statements again as they are, mark or no mark; their new positions."""
        ...

    def establish(
        self, expected: str | None, generation: str, revoke_until: float | None = None
    ) -> str:
        """Begin a new generation in place of the expected one; the generation that now holds.

        That is another one where the store's was no longer the one expected: then nothing is
        written. With `revoke_until` everything is revoked in the same step, as a statement that
        is forgotten at that time.
        """
        ...

    def listen(self) -> Listener:
        """A listener for the calling thread."""
        ...
