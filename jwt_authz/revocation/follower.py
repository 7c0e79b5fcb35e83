"""Follower: reads a shared log into a process's copy, and repairs a log that has lost statements.

How it works. A process keeps each statement until it expires, whatever happens to the store. So the
processes repair a store that has lost data: each writes back what it knows and the store lacks, and
changes the store's generation, so that all others do the same. Data is lost if the mark is missing,
if its generation has changed, if the log ends before the position that was read, or if the newest
statement that was read and has not expired is missing.

A process that has just started knows nothing, and cannot distinguish a new store from an empty one.
It waits a moment for others to repair the store, and then begins a new generation by revoking all
tokens that were issued before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from itertools import islice
from secrets import token_hex

from ..errors import StoreUnavailable
from .clock import StoreClock
from .known import KnownRevocations
from .log import Log, LogEntry, MarkMissing, Page
from .statements import SLACK, Statement

BATCH = 500

_log = logging.getLogger("jwt_authz.revocation")


class Follower:
    """Reads a log into `known`; only one thread at a time may call its methods.

    `longest` is the maximum lifetime of a token, and `settle` how long a process that has just
    started waits for others to repair a store without a mark, both in seconds.
    """

    def __init__(self, log: Log, known: KnownRevocations, longest: float, settle: float) -> None:
        self.clock = StoreClock()
        self._log = log
        self._known = known
        self._longest = longest
        self._settle = settle
        self._generation: str | None = None
        self._position = 0
        self._witnesses: list[LogEntry] = []
        self._unread: dict[int, Statement] = {}
        self._missing_since: float | None = None

    @property
    def generation(self) -> str | None:
        """The store's generation, None before the first read; it changes if data is lost."""
        return self._generation

    def wrote(self, entry: LogEntry) -> None:
        """Remember what this process wrote until it is read back. Thread-safe."""
        self._unread[entry.position] = entry.statement

    def follow(self) -> bool:
        """Read the rest of the log, and return whether there was anything new.

        Raise `StoreUnavailable` if it is not certain that everything is known.
        """
        expected = list(self._unread)  # before the log is read, so it must have them
        page = self._read(self._position, self._witness())
        if self._generation is None:
            page = self._begin(page)
        elif page.generation != self._generation or not page.intact:
            self._repair()
            return True
        before = self._position
        self._take_all(page)
        self._write_again(expected)
        return self._position != before

    def begin_untrusted(self) -> None:
        """Begin a store without a mark by revoking all tokens issued before now."""
        page = self._read(self._position, None)
        if page.generation is None:
            _log.warning(
                "the store of revocations is empty under AUTHZ_STORE_NAMESPACE: all tokens "
                "issued before now are revoked, since some may have been revoked elsewhere"
            )
            self._log.establish(None, token_hex(16), self._forget_at())

    def distrust(self) -> None:
        """Begin a new generation by revoking all tokens issued before now."""
        page = self._read(self._position, None)
        generation = token_hex(16)
        if self._log.establish(page.generation, generation, self._forget_at()) != generation:
            raise StoreUnavailable("another process changed the store at the same time: try again")
        self.follow()

    def _begin(self, page: Page) -> Page:
        """Return the first page for a process that knows nothing; the store may have lost data."""
        if page.generation is None or not page.intact:
            self._wait_for_others()
            _log.warning(
                "the store of revocations is new or has lost its contents: all tokens issued "
                "before now are revoked; run `flask authz init` before the first use of a new "
                "store"
            )
            self._log.establish(page.generation, token_hex(16), self._forget_at())
            page = self._read(0, None)
            self._position, self._witnesses = 0, []
        self._generation, self._missing_since = page.generation, None
        return page

    def _wait_for_others(self) -> None:
        now = time.monotonic()
        if self._missing_since is None:
            self._missing_since = now
        if now - self._missing_since < self._settle:
            raise MarkMissing

    def _repair(self) -> None:
        """Write back what this process knows and the store lacks, and read it from the start.

        The signs of the loss change last, so an interrupted repair is repeated. Other processes
        repair at the same time: what they have written is not written again.
        """
        there, witnesses = KnownRevocations(), list[LogEntry]()
        page = self._read_on(self._read(0, None), there, witnesses)
        missing = (known for known in self._known.statements() if not there.covers(known))
        for batch in _batches(missing):
            written = self._log.add(batch)
            page = self._read_on(self._read(page.position, None), there, witnesses)
            if page.position < written[-1]:
                raise StoreUnavailable("the store lost its contents while they were written back")
        generation = page.generation
        if generation in (None, self._generation):
            _log.error("the store of revocations had lost data: it has been written back")
            generation = self._log.establish(generation, token_hex(16))
        self._unread.clear()
        self._generation, self._position, self._witnesses = generation, page.position, witnesses

    def _read_on(self, page: Page, there: KnownRevocations, witnesses: list[LogEntry]) -> Page:
        """Add all statements from this page to the end of the log; return the last page."""
        while True:
            self._learn(page, witnesses)
            for entry in page.entries:
                there.add(entry.statement)
            if page.complete:
                return page
            page = self._read(page.position, None)

    def _take_all(self, page: Page) -> None:
        while True:
            self._learn(page, self._witnesses)
            self._position = page.position
            if page.complete:
                return
            page = self._read(self._position, self._witness())
            if page.generation != self._generation or not page.intact:
                raise StoreUnavailable("the store of revocations changed while it was read")

    def _learn(self, page: Page, witnesses: list[LogEntry]) -> None:
        for entry in sorted(page.entries):
            self._known.add(entry.statement)
            self._unread.pop(entry.position, None)
            # The newest entry that has not expired proves all before it; those that expire
            # earlier are not needed.
            while witnesses and witnesses[-1].statement.forget_at <= entry.statement.forget_at:
                witnesses.pop()
            witnesses.append(entry)

    def _witness(self) -> LogEntry | None:
        """Return the newest entry that was read and that the store must still have."""
        now = (self.clock.latest() or time.time()) + 1
        while self._witnesses and self._witnesses[-1].statement.forget_at <= now:
            self._witnesses.pop()
        return self._witnesses[-1] if self._witnesses else None

    def _write_again(self, expected: list[int]) -> None:
        """Write again what this process wrote before the log was read, and is missing there."""
        missing = [at for at in expected if at in self._unread]
        # An entry that was read before `wrote` was called is not missing.
        lost = [self._unread[at] for at in missing if not self._is_there(at)]
        for position, statement in zip(self._log.add(lost) if lost else [], lost, strict=True):
            self._unread[position] = statement
        for at in missing:
            del self._unread[at]

    def _is_there(self, position: int) -> bool:
        page = self._read(position - 1, None)
        return any(entry.position == position for entry in page.entries)

    def _read(self, after: int, witness: LogEntry | None) -> Page:
        asked = time.monotonic()
        page = self._log.read(after, witness)
        self.clock.answered(page.now, asked, time.monotonic())
        return page

    def _forget_at(self) -> float:
        return self.clock.earliest() + self._longest + SLACK


def _batches(statements: Iterator[Statement]) -> Iterator[list[Statement]]:
    while batch := list(islice(statements, BATCH)):
        yield batch
