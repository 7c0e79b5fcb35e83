"""A store in an SQL database, which several processes and machines share.

Statements are written under a lock on the mark's row, so that none becomes visible after another
one with a higher position; who follows the log by its positions misses none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from secrets import token_hex
from typing import Any

from ..._extras import needs_extra
from ...errors import StoreUnavailable
from .. import sharing
from ..families import KEPT, Record
from ..log import MICROSECONDS, TIMEOUT, LogEntry, MarkMissing, Page, Sleeper
from ..statements import EVERYTHING, Statement, Target
from .database import Database, engine_of
from .sql_families import SQLFamilies, from_primary
from .tables import applications, create_or_upgrade, families, marks, metadata, statements

with needs_extra(__name__, "SQLAlchemy 2", "sqlalchemy"):
    from sqlalchemy import (
        Column,
        ColumnElement,
        Connection,
        Engine,
        Row,
        Update,
        case,
        delete,
        exists,
        func,
        insert,
        select,
        update,
    )

__all__ = ["SQLAlchemyStore", "metadata"]

PAGE = 5_000
SWEEP_EVERY = 60.0
SWEPT_AT_ONCE = 1_000


class SQLAlchemyStore(SQLFamilies):
    """Revocations and refresh families in tables `authz_...`; any thread may call it.

    `engine` is the application's own, or `from_url` makes one. Applications that share a database
    are kept apart by the `namespace` of each. The clock is the server's, or this machine's for
    SQLite; `clock` is for tests. All methods raise StoreUnavailable if the database does not answer
    within `timeout` seconds.
    """

    known = None

    def __init__(
        self,
        engine: Engine,
        namespace: str = "",
        timeout: float = TIMEOUT,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(Database(engine, timeout), namespace, clock)
        self._seen: str | None = None
        self._swept_at = time.monotonic()

    @classmethod
    def from_url(cls, url: str, namespace: str = "", timeout: float = TIMEOUT) -> SQLAlchemyStore:
        """Return a store in the database of a SQLAlchemy URL, with an engine of its own."""
        return cls(engine_of(url, timeout), namespace, timeout)

    def prepare(self, *, is_new: bool = True) -> None:
        """Create missing tables and columns and, if it is new, the mark that says so.

        An application with migrations creates the tables of `metadata` there, and calls this once
        for the mark.
        """

        def mark(connection: Connection) -> None:
            if self._lock(connection, 0)[1] is None:
                connection.execute(self._set_generation(token_hex(16)))

        self._database.run(create_or_upgrade)
        if is_new:
            self._database.run(mark)

    def close(self) -> None:
        """Close the connections."""
        self._database.engine.dispose()

    def revoke(self, target: Target, forget_at: float, not_before: float = 0.0) -> LogEntry:
        """Write a statement: see `Log`."""

        def write(connection: Connection) -> LogEntry:
            position, generation = self._lock(connection, 1)
            if generation is None:
                raise MarkMissing
            # Not before any token, also where the clock was set back since it was issued.
            newest = select(func.max(families.c.used_at)).where(self._is_mine(families))
            issued = connection.scalar(newest) or 0.0
            said = max(position / MICROSECONDS, not_before, issued)
            return self._insert(connection, position, [Statement(*target, said, forget_at)])[0]

        return self._database.run(write)

    def add(self, statements: Sequence[Statement]) -> list[int]:
        """Write statements again as they are: see `Log`."""

        def write(connection: Connection) -> list[LogEntry]:
            position, _ = self._lock(connection, len(statements))
            return self._insert(connection, position, statements)

        return [entry.position for entry in self._database.run(write)] if statements else []

    def establish(
        self, expected: str | None, generation: str, revoke_until: float | None = None
    ) -> str:
        """Begin a new generation: see `Log`."""

        def write(connection: Connection) -> str:
            position, found = self._lock(connection, 1)
            if found != expected and found is not None:
                return found
            connection.execute(self._set_generation(generation))
            if revoke_until is not None:
                said = position / MICROSECONDS
                self._insert(connection, position, [Statement(*EVERYTHING, said, revoke_until)])
            return generation

        return self._database.run(write)

    def read(self, after: int, witness: LogEntry | None) -> Page:
        """The entries after a position: see `Log`."""
        newer = select(statements.c.position, statements.c.body)
        newer = newer.where(self._is_mine(statements), statements.c.position > after)
        newer = newer.order_by(statements.c.position).limit(PAGE)
        written = self._written

        def look(connection: Connection) -> tuple[Row[Any], list[Row[Any]]]:
            state = connection.execute(self._state(witness, written)).one()
            from_primary(connection, state)
            # The mark first: all up to what it names is there when the rest is read.
            return state, list(connection.execute(newer)) if state.last != after else []

        state, rows = self._database.read(look, always=True)
        is_intact = self._is_intact(state, after, witness, written)
        self._seen = state.generation
        self._sweep_now_and_then(state.now)
        entries = [LogEntry(row.position, Statement.from_json(row.body)) for row in rows]
        is_full = len(entries) == PAGE
        newest = [after, *(entry.position for entry in entries[-1:])]
        return Page(
            state.now,
            state.generation,
            is_intact,
            max(newest if is_full else [*newest, state.last or 0]),
            not is_full,
            entries,
        )

    def record(self, application: str) -> list[str]:
        """Keep the record of an application, and return all: see `sharing.Shared`."""
        key = {"namespace": self._namespace, "id": sha256(application.encode()).hexdigest()}

        def write(connection: Connection) -> list[str]:
            clock = connection.execute(select(self._now().label("now"))).one()
            now = from_primary(connection, clock).now
            same = update(applications).filter_by(**key).values(seen_at=now)
            if connection.execute(same).rowcount == 0:
                row = {**key, "record": application, "seen_at": now}
                connection.execute(insert(applications).values(**row))
            mine = self._is_mine(applications)
            old = delete(applications).where(mine, applications.c.seen_at < now - sharing.KEPT)
            connection.execute(old)
            return list(connection.scalars(select(applications.c.record).where(mine)))

        return self._database.run(write)

    def listen(self) -> Sleeper:
        """A listener for the calling thread: the database tells nothing, and is asked again."""
        return Sleeper()

    def sweep(self, now: float) -> int:
        """Delete statements and families past their time; how many rows that were.

        Reading the log does so once a minute.
        """
        past = self._delete(statements.c.position, statements.c.forget_at < now)
        return past + self._delete(families.c.id, families.c.expires_at < now - KEPT)

    def _delete(self, key: Column[Any], condition: ColumnElement[bool]) -> int:
        """Delete some rows at a time, each by its key, so that no others are locked."""
        mine, deleted = self._is_mine(key.table), 0
        some = select(key).where(mine, condition).limit(SWEPT_AT_ONCE)

        def write(connection: Connection) -> int:
            keys = connection.scalars(some).all()
            return connection.execute(delete(key.table).where(mine, key.in_(keys))).rowcount

        while True:
            count = self._database.run(write)
            deleted += count
            if count < SWEPT_AT_ONCE:
                return deleted

    def _sweep_now_and_then(self, now: float) -> None:
        if time.monotonic() - self._swept_at > SWEEP_EVERY:
            self._swept_at = time.monotonic()
            with suppress(StoreUnavailable):
                self.sweep(now)

    def _lock(self, connection: Connection, count: int) -> tuple[int, str | None]:
        """Lock the mark for `count` new entries; the first one's position, and the generation."""
        clock = connection.execute(select(self._now().label("now"))).one()
        now = math.ceil(from_primary(connection, clock).now * MICROSECONDS)
        last = case((marks.c.last + 1 > now, marks.c.last + count), else_=now + count - 1)
        mine = self._is_mine(marks)
        if connection.execute(update(marks).where(mine).values(last=last)).rowcount == 0:
            id = (connection.scalar(select(func.max(marks.c.id))) or 0) + 1
            row = {"id": id, "generation": None, "last": now + count - 1}
            connection.execute(insert(marks), [{**row, "namespace": self._namespace}])
        mark = connection.execute(select(marks).where(mine)).one()
        return mark.last - count + 1, mark.generation

    def _state(self, witness: LogEntry | None, written: Record | None) -> Any:
        """A query for the mark, the clock, and whether what was seen and written is still there."""
        position = -1 if witness is None else witness.position
        id = "" if written is None else written.family.id
        mine = self._is_mine(marks)
        revision = select(families.c.revision).where(families.c.id == id, self._is_mine(families))
        seen = exists().where(statements.c.position == position, self._is_mine(statements))
        return select(
            select(marks.c.generation).where(mine).scalar_subquery().label("generation"),
            select(marks.c.last).where(mine).scalar_subquery().label("last"),
            self._now().label("now"),
            seen.label("witness"),
            revision.scalar_subquery().label("revision"),
        )

    def _is_intact(
        self, state: Row[Any], after: int, witness: LogEntry | None, written: Record | None
    ) -> bool:
        if (state.last or 0) < after or (witness is not None and not state.witness):
            return False
        if written is None or written.generation != self._seen or written.kept_until < state.now:
            return True
        return (state.revision or 0) >= written.revision

    def _set_generation(self, generation: str) -> Update:
        return update(marks).where(self._is_mine(marks)).values(generation=generation)

    def _insert(
        self, connection: Connection, first: int, several: Sequence[Statement]
    ) -> list[LogEntry]:
        entries = [LogEntry(first + n, statement) for n, statement in enumerate(several)]
        rows = [
            {
                "position": entry.position,
                "forget_at": entry.statement.forget_at,
                "body": entry.statement.to_json(),
                "namespace": self._namespace,
            }
            for entry in entries
        ]
        connection.execute(insert(statements), rows)
        return entries
