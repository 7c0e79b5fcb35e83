"""Run each transaction in its own session, and turn database errors into errors without SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from ..._concurrency.bounded import current_call, shut_down
from ..._extras import needs_extra
from ...errors import MisuseError, StoreUnavailable

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import Connection, event, func, select, update
    from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, TimeoutError
    from sqlalchemy.orm import Session
    from sqlalchemy.orm.exc import StaleDataError
    from sqlalchemy.pool import SingletonThreadPool, StaticPool

OWN_COLUMNS = "give your own columns a default, or make them nullable"
"""What to do if a constraint refuses a new row."""

_CONFLICTS = (1213, 1020)
"""Errors of MySQL and MariaDB: a deadlock, and a row that changed since the snapshot was taken."""
_TRIES = 10

_Result = TypeVar("_Result")


class Transactions:
    """Run work in the application's sessions; its errors never contain SQL."""

    def __init__(self, sessions: Callable[[], Session]) -> None:
        self._sessions = sessions
        self._in_memory: bool | None = None

    def write(self, work: Callable[[Session], _Result], advice: str) -> _Result:
        """Commit the work and return its result; raise `MisuseError` if a constraint refuses it."""
        # Twice: the second time, a row that another writer has added in between is visible.
        for _ in range(2):
            with suppress(IntegrityError, StaleDataError):
                return self._run_again_after_conflicts(work)
        raise MisuseError(f"the database refused the change by a constraint: {advice}")

    def _run_again_after_conflicts(self, work: Callable[[Session], _Result]) -> _Result:
        for _ in range(_TRIES - 1):
            with suppress(_Conflict):
                return self.run(work)
        return self.run(work)

    def run(self, work: Callable[[Session], _Result]) -> _Result:
        """Commit the work and return its result; raise `StoreUnavailable` without an answer."""
        try:
            with self._sessions() as session, _cut_off_in_time(session), session.begin():
                result = work(session)
                if (attempt := current_call()) is not None:
                    attempt.go_on()
                return result
        except IntegrityError:
            raise
        except (DBAPIError, DisconnectionError, TimeoutError, OSError) as error:
            kind, is_conflict = type(error).__name__, _is_conflict(error)
        # Outside the handler, since the driver's error contains SQL and values.
        raise (_Conflict if is_conflict else StoreUnavailable)(
            f"the accounts' database did not answer ({kind}): check that it runs, that its URL is "
            "correct, and that the tables exist (Base.metadata.create_all)"
        )

    def are_in_memory(self, entity: Any) -> bool:
        """Return whether the table of `entity` is in an SQLite database in memory.

        Such a database belongs to the thread that created it, and never blocks.
        """
        if self._in_memory is None:
            with self._sessions() as session:
                engine = session.get_bind(entity).engine
            is_in_memory = isinstance(engine.pool, SingletonThreadPool | StaticPool)
            self._in_memory = is_in_memory and engine.dialect.name == "sqlite"
        return self._in_memory


class _Conflict(StoreUnavailable):
    """The database ended the transaction because of another one; it can be repeated."""


def _is_conflict(error: Exception) -> bool:
    reason = error.orig.args if isinstance(error, DBAPIError) and error.orig is not None else ()
    return bool(reason) and reason[0] in _CONFLICTS


@contextmanager
def _cut_off_in_time(session: Session) -> Iterator[None]:
    """Let the current attempt shut down the session's connections when its time is over."""
    attempt = current_call()
    if attempt is None:
        yield
        return

    def took(_: Session, __: Any, connection: Connection) -> None:
        held = connection.connection  # it has no connection after it is returned to the pool
        attempt.cut = lambda: shut_down(held.dbapi_connection)

    event.listen(session, "after_begin", took)
    try:
        yield
    finally:
        event.remove(session, "after_begin", took)


def wait_for_others(session: Session, roles: Any) -> None:
    """Block other changes that call this until the session's change is committed.

    In SQLite, an UPDATE locks the database, even if it matches no row; elsewhere, lock the rows of
    the roles. Write one row, so that a transaction with an older snapshot (REPEATABLE READ) fails.
    """
    table = roles.__table__
    first = select(select(func.min(table.c.id).label("id")).subquery().c.id).scalar_subquery()
    session.execute(update(table).where(table.c.id == first).values(name=table.c.name))
    session.execute(select(table.c.id).order_by(table.c.id).with_for_update())
