"""The log of a shared store: the statements of all processes in the order of their writing.

Each entry has a position: the time of its writing in microseconds, by the store's own clock, or one
more than that of the entry before. So positions are unique and increase, and a process reads what
comes after the last position that it read.

A store also has a mark, which names its generation. A store without a mark is new or has lost
everything; a new generation means that data was lost in the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import NamedTuple, Protocol

from ..errors import StoreUnavailable
from .statements import Statement, Target

MICROSECONDS = 1_000_000

TIMEOUT = 1.0
"""The default timeout of a call to a store, in seconds."""


class MarkMissing(StoreUnavailable):
    """The store has no mark: it is new or has lost its contents."""

    def __init__(self) -> None:
        super().__init__(
            "the store of revocations is new or has lost its contents: run `flask authz init` for "
            "a new one; running processes write back what they know"
        )


class LogEntry(NamedTuple):
    """A statement and its position in the log; `shelf` is where the store has it."""

    position: int
    statement: Statement
    shelf: int = 0


class Page(NamedTuple):
    """The result of one read of the log.

    `now` is the store's time, `generation` None without a mark. `intact` is False if something is
    missing that was written before. `position` is where to continue, and `complete` whether that
    is the end of the log.
    """

    now: float
    generation: str | None
    intact: bool
    position: int
    complete: bool
    entries: list[LogEntry]


class Listener(Protocol):
    """Waits for notifications of a store; used by one thread."""

    def wait(self, timeout: float, stop: Event) -> bool:
        """Return whether something was written; wait `timeout` seconds at most, or until a stop."""
        ...

    def close(self) -> None:
        """Close the connection, if any."""
        ...


class Sleeper:
    """The listener of a store without notifications, which only sleeps."""

    def wait(self, timeout: float, stop: Event) -> bool:
        """Return False after `timeout` seconds, or at a stop."""
        stop.wait(timeout)
        return False

    def close(self) -> None:
        """Do nothing: there is no connection."""


class Log(Protocol):
    """What a shared store offers to the processes that follow it; all raise `StoreUnavailable`."""

    def read(self, after: int, witness: LogEntry | None) -> Page:
        """Return a page of the entries after a position.

        The witness is an entry that was read before; if it is missing, the log is not intact.
        """
        ...

    def revoke(self, target: Target, forget_at: float, not_before: float) -> LogEntry:
        """Write a statement with the store's time, or `not_before` if that is later.

        Raise `MarkMissing` if the store has no mark.
        """
        ...

    def add(self, statements: Sequence[Statement]) -> list[int]:
        """Write existing statements again, even without a mark; return their new positions."""
        ...

    def establish(
        self, expected: str | None, generation: str, revoke_until: float | None = None
    ) -> str:
        """Replace the expected generation by a new one; return the current generation.

        If the store has another generation than the expected one, nothing is written. With
        `revoke_until`, everything is revoked in the same step, by a statement that may be forgotten
        at that time.
        """
        ...

    def listen(self) -> Listener:
        """Return a listener for the calling thread."""
        ...
