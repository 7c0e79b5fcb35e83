"""A store in an SQL database (PostgreSQL, SQLite), which several processes and machines share.

A refresh family changes by one UPDATE that names the revision it was read at: of several callers
at the same moment one succeeds, and the others look again. Statements are written under a lock on
the mark's row, so that their positions become visible in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex
from typing import Any

from ..errors import StoreUnavailable
from .database import Database, engine_of
from .families import (
    KEPT,
    About,
    Family,
    Record,
    Rotation,
    answer,
    apply,
    digest_of,
    is_id,
    judge,
    new_family,
    new_id,
    owner_of,
)
from .log import MICROSECONDS, Entry, MarkMissing, Page, Sleeper
from .statements import EVERYTHING, Statement, Target
from .tables import families, marks, metadata, statements

try:
    from sqlalchemy import (
        ColumnElement,
        Connection,
        Double,
        Engine,
        Row,
        case,
        cast,
        delete,
        exists,
        func,
        insert,
        literal,
        select,
        update,
    )
except ImportError as error:
    raise ImportError(
        "jwt_authz.revocation.sqlalchemy needs SQLAlchemy 2, which is missing: "
        "pip install 'jwt_authz[sqlalchemy]'",
        name=error.name,
    ) from error

__all__ = ["SQLAlchemyStore", "metadata"]

PAGE = 5_000
SWEEP_EVERY = 60.0
ATTEMPTS = 10
_GENERATION = select(marks.c.generation).where(marks.c.id == 1).scalar_subquery()


class SQLAlchemyStore:
    """Revocations and refresh families in tables `authz_...`; any thread may call it.

    `engine` is the application's own, or `from_url` makes one. The clock is PostgreSQL's, and
    with another database this machine's; `clock` is for tests. All methods raise
    StoreUnavailable when the database does not answer within 1.5 seconds.
    """

    known = None

    def __init__(self, engine: Engine, clock: Callable[[], float] | None = None) -> None:
        self._database = Database(engine)
        self._clock = clock
        self._swept_at = time.monotonic()
        self._written: tuple[str, Record] | None = None

    @classmethod
    def from_url(cls, url: str) -> SQLAlchemyStore:
        """A store in the database that a SQLAlchemy URL names, with an engine of its own."""
        return cls(engine_of(url))

    def prepare(self) -> None:
        """Make the tables that are missing, and the mark that says that the store is new.

        An application with migrations makes the tables of `metadata` there, and calls this once
        for the mark.
        """
        self._database.run(metadata.create_all)

        def mark(connection: Connection) -> None:
            _, generation, _ = self._lock(connection, 0)
            if generation is None:
                connection.execute(update(marks).values(generation=token_hex(16)))

        self._database.run(mark)

    def close(self) -> None:
        """Close the connections."""
        self._database.engine.dispose()

    # The log

    def revoke(self, target: Target, forget_at: float, not_before: float = 0.0) -> Entry:
        """Write a statement: see `Log`."""

        def write(connection: Connection) -> Entry:
            position, generation, _ = self._lock(connection, 1)
            if generation is None:
                raise MarkMissing
            said = max(position / MICROSECONDS, not_before)
            entry = Entry(position, Statement(*target, said, forget_at))
            _insert(connection, [entry])
            return entry

        return self._database.run(write)

    def add(self, statements: Sequence[Statement]) -> list[int]:
        """Write statements again as they are: see `Log`."""

        def write(connection: Connection) -> list[int]:
            first, _, _ = self._lock(connection, len(statements))
            entries = [Entry(first + n, statement) for n, statement in enumerate(statements)]
            _insert(connection, entries)
            return [entry.position for entry in entries]

        return self._database.run(write) if statements else []

    def establish(
        self, expected: str | None, generation: str, revoke_until: float | None = None
    ) -> str:
        """Begin a new generation: see `Log`."""

        def write(connection: Connection) -> str:
            position, found, _ = self._lock(connection, 1)
            if found is not None and found != expected:
                return found
            connection.execute(update(marks).values(generation=generation))
            if revoke_until is not None:
                everything = Statement(*EVERYTHING, position / MICROSECONDS, revoke_until)
                _insert(connection, [Entry(position, everything)])
            return generation

        return self._database.run(write)

    def read(self, after: int, witness: Entry | None) -> Page:
        """The entries after a position: see `Log`."""

        def look(connection: Connection) -> tuple[Any, Sequence[Row[Any]]]:
            mark = connection.execute(self._mark_query(witness)).one_or_none()
            if mark is not None and mark.last == after:
                return mark, ()
            newer = select(statements.c.position, statements.c.body)
            newer = newer.where(statements.c.position > after)
            return mark, connection.execute(
                newer.order_by(statements.c.position).limit(PAGE)
            ).all()

        page = self._page(after, *self._database.run(look))
        if time.monotonic() - self._swept_at > SWEEP_EVERY:
            self._swept_at = time.monotonic()
            with suppress(StoreUnavailable):
                self.sweep()
        return page

    def listen(self) -> Sleeper:
        """A listener for the calling thread: the database tells nothing, and is asked again."""
        return Sleeper()

    def sweep(self) -> int:
        """Delete statements and families past their time; how many rows that were, at most 20,000.

        Reading the log does so once a minute.
        """
        past = select(statements.c.position).where(statements.c.forget_at < self._now_in_sql())
        gone = select(families.c.id).where(families.c.expires_at < self._now_in_sql() - KEPT)
        return sum(
            self._delete(delete(table).where(key.in_(rows.limit(1_000))))
            for table, key, rows in (
                (statements, statements.c.position, past),
                (families, families.c.id, gone),
            )
        )

    # Refresh families

    def start(
        self,
        subject: str,
        *,
        lifetime: float,
        idle: float,
        issuer: str | None = None,
        tenant: str | None = None,
        client: str | None = None,
    ) -> Rotation:
        """A new family and the `jti` of its first token: see `Families`."""
        about, jti = About(subject, issuer, tenant, client), new_id()

        def write(connection: Connection) -> Record:
            mark = connection.execute(self._mark_query(None)).one_or_none()
            if mark is None or mark.generation is None:
                raise MarkMissing
            family = new_family(about, mark.now, lifetime, idle)
            record = Record(family, mark.generation, digest_of(jti))
            connection.execute(insert(families), [_columns(record, about)])
            return record

        record = self._database.run(write)
        self._written = (record.generation, record)
        return Rotation("started", record.family, jti)
