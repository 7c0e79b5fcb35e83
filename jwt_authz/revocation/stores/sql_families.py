"""The refresh families of the SQL store: one row each, changed by one UPDATE that must find it.

The UPDATE names the revision that the row was read at. Of several callers at the same moment one
changes the row, and the others look again: no lock is held between looking and changing, and it
does not matter how the database isolates transactions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..._extras import needs_extra
from ...errors import StoreUnavailable
from ..families import (
    MOST_FAMILIES,
    Family,
    FamilyOwner,
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
from ..log import MarkMissing
from .database import Database
from .dialects import primary_clock
from .tables import families, marks

with needs_extra(__name__, "SQLAlchemy 2", "sqlalchemy"):
    from sqlalchemy import (
        ColumnElement,
        Connection,
        Double,
        Row,
        Table,
        and_,
        insert,
        literal,
        select,
        update,
    )

ATTEMPTS = 10


class SQLFamilies:
    """The families of a database, and its clock: the server's, or this machine's for SQLite."""

    def __init__(
        self, database: Database, namespace: str, clock: Callable[[], float] | None
    ) -> None:
        self._database = database
        self._namespace = namespace
        self._clock = clock
        self._written: Record | None = None

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
        about, jti = FamilyOwner(subject, issuer, tenant, client), new_id()

        def write(connection: Connection) -> Record:
            generation, now = self._generation(connection)
            family = new_family(about, now, lifetime, idle)
            record = Record(family, generation, digest_of(jti))
            row = {**_columns(record), "owner": about.owner, "about": about.to_json()}
            row.update(id=family.id, namespace=self._namespace)
            connection.execute(insert(families).values(**row))
            living = self._is_living(subject, issuer, generation, now)
            newest = select(families.c.id).where(*living).order_by(families.c.used_at.desc())
            if too_many := connection.scalars(newest.offset(MOST_FAMILIES)).all():
                ended = {"ended_at": now, "revision": families.c.revision + 1}
                change = update(families).where(families.c.id.in_(too_many))
                connection.execute(change.values(**ended))
            return record

        self._written = record = self._database.run(write)
        return Rotation("started", record.family, jti)

    def rotate(self, family: str, presented: str, *, grace: float, idle: float) -> Rotation:
        """Take the token presented, and tell what comes of it: see `Families`."""
        until = self._database.deadline()
        for _ in range(ATTEMPTS):
            record, generation, now = self._find(family, until)
            outcome = judge(record, presented, generation, now, grace)
            if record is None:
                return Rotation("unknown")
            changed = apply(outcome, record, presented, now, idle)
            if changed is record or self._change(record, changed, until):
                return answer(outcome, changed, presented)
        raise _never_found()

    def end(self, family: str) -> bool:
        """End the family; whether it was living: see `Families`."""
        until = self._database.deadline()
        for _ in range(ATTEMPTS):
            record, generation, now = self._find(family, until)
            if record is None or not record.is_living(generation, now):
                return False
            ended = replace(record, ended_at=now, revision=record.revision + 1)
            if self._change(record, ended, until):
                return True
        raise _never_found()

    def end_all(self, subject: str, issuer: str | None = None) -> int:
        """End all families of the subject; how many were living."""

        def write(connection: Connection) -> int:
            generation, now = self._generation(connection)
            ended = update(families).where(*self._is_living(subject, issuer, generation, now))
            change = ended.values(ended_at=now, revision=families.c.revision + 1)
            return connection.execute(change).rowcount

        return self._database.run(write)

    def families(self, subject: str, issuer: str | None = None) -> tuple[Family, ...]:
        """The living families of the subject, the one used last first."""

        def read(connection: Connection) -> list[Row[Any]]:
            living = self._is_living(subject, issuer, *self._generation(connection))
            query = select(families).where(*living).order_by(families.c.used_at.desc())
            return list(connection.execute(query))

        return tuple(_record(row).family for row in self._database.read(read))

    def _find(self, family: str, until: float) -> tuple[Record | None, str, float]:
        """The family's record, the store's generation and its clock."""
        id = family if is_id(family) else ""
        mine = and_(families.c.id == id, self._is_mine(families))
        found = select(families, *self._mark()).select_from(marks.outerjoin(families, mine))
        found = found.where(self._is_mine(marks))

        def look(connection: Connection) -> Row[Any] | None:
            row = connection.execute(found).one_or_none()
            return row and from_primary(connection, row)

        row = self._database.read(look, until=until)
        if row is None or row.store_generation is None:
            raise MarkMissing
        return None if row.id is None else _record(row), row.store_generation, row.now

    def _change(self, record: Record, changed: Record, until: float) -> bool:
        """Whether the row was still as it had been read, and is now changed."""
        same = (families.c.id == record.family.id, families.c.revision == record.revision)
        change = update(families).where(*same).values(**_columns(changed))
        rows = self._database.run(lambda one: one.execute(change).rowcount, until=until)
        if rows != 1:
            return False
        self._written = changed
        return True

    def _generation(self, connection: Connection) -> tuple[str, float]:
        """The store's generation and its clock; raises MarkMissing where there is none."""
        mark = select(*self._mark()).where(self._is_mine(marks))
        row = connection.execute(mark).one_or_none()
        if row is None or from_primary(connection, row).store_generation is None:
            raise MarkMissing
        return row.store_generation, row.now

    def _is_mine(self, table: Table) -> ColumnElement[bool]:
        return table.c.namespace == self._namespace

    def _is_living(
        self, subject: str, issuer: str | None, generation: str, now: float
    ) -> tuple[ColumnElement[bool], ...]:
        return (
            self._is_mine(families),
            families.c.owner == owner_of(subject, issuer),
            families.c.generation == generation,
            families.c.ended_at.is_(None),
            families.c.expires_at > now,
        )

    def _mark(self) -> tuple[ColumnElement[Any], ColumnElement[float]]:
        return marks.c.generation.label("store_generation"), self._now().label("now")

    def _now(self) -> ColumnElement[float]:
        if self._clock is not None:
            return literal(self._clock(), Double())
        clock = primary_clock(self._database.engine.dialect)
        return literal(time.time(), Double()) if clock is None else clock


def from_primary(connection: Connection, row: Row[Any]) -> Row[Any]:
    """Return the row, which has the time as `now`.

    Raises StoreUnavailable for a row from a standby, which may be out of date: it has no time. The
    next call opens a new connection, in case the URL's name means another server by then.
    """
    if row.now is None:
        connection.invalidate()
        raise StoreUnavailable(
            "the database of revocations is a standby: AUTHZ_STORE_URL must name the primary"
        )
    return row


def _columns(record: Record) -> dict[str, Any]:
    """What of a record changes, as columns."""
    family = record.family
    return {
        "generation": record.generation,
        "created_at": family.created_at,
        "used_at": family.used_at,
        "ends_at": family.ends_at,
        "expires_at": family.expires_at,
        "ended_at": record.ended_at,
        "current": record.current,
        "previous": record.previous,
        "rotated_at": record.rotated_at,
        "seed": record.seed,
        "revision": record.revision,
    }


def _record(row: Row[Any]) -> Record:
    try:
        about = FamilyOwner.from_json(row.about)
    except ValueError:
        raise StoreUnavailable("the store holds a refresh family that cannot be read") from None
    times = row.created_at, row.used_at, row.ends_at, row.expires_at
    return Record(
        Family(row.id, *about.fields, *times),
        row.generation,
        row.current,
        row.previous,
        row.seed,
        row.rotated_at,
        row.ended_at,
        row.revision,
    )


def _never_found() -> StoreUnavailable:
    return StoreUnavailable("the refresh family changed each time that it was looked at: try again")
