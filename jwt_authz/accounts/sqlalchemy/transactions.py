"""Transactions: each piece of work in a session of its own, and what goes wrong said in one way."""

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

OWN_COLUMNS = "give columns of your own a default, or make them nullable"
"""What to do where a constraint refuses a new row."""

_Result = TypeVar("_Result")


class Transactions:
    """Runs work in sessions of the application's own; no error that it raises quotes SQL."""

    def __init__(self, sessions: Callable[[], Session]) -> None:
        self._sessions = sessions
        self._in_memory: bool | None = None

    def write(self, work: Callable[[Session], _Result], advice: str) -> _Result:
        """What the work gives, committed; raises MisuseError where a constraint refuses it."""
        # Twice: a row that another writer put in between is seen the second time.
        for _ in range(2):
            with suppress(IntegrityError, StaleDataError):
                return self.run(work)
        raise MisuseError(f"the database refused the change by a constraint: {advice}")

    def run(self, work: Callable[[Session], _Result]) -> _Result:
        """What the work gives, committed; raises StoreUnavailable where there is no answer."""
        try:
            with self._sessions() as session, _cut_off_in_time(session), session.begin():
                result = work(session)
                if (attempt := current_call()) is not None:
                    attempt.go_on()
                return result
        except IntegrityError:
            raise
        except (DBAPIError, DisconnectionError, TimeoutError, OSError) as error:
            kind = type(error).__name__
        # Outside the handler: the driver's error quotes SQL and values, and would come along.
        raise StoreUnavailable(
            f"the accounts' database did not answer ({kind}): look whether it runs, what its URL "
            "is, and whether the tables were made (Base.metadata.create_all)"
        )

    def are_in_memory(self, entity: Any) -> bool:
        """Return whether the table of `entity` is in an SQLite database in memory.

        That one belongs to the thread that made it, and never keeps anyone waiting.
        """
        if self._in_memory is None:
            with self._sessions() as session:
                engine = session.get_bind(entity).engine
            is_in_memory = isinstance(engine.pool, SingletonThreadPool | StaticPool)
            self._in_memory = is_in_memory and engine.dialect.name == "sqlite"
        return self._in_memory


@contextmanager
def _cut_off_in_time(session: Session) -> Iterator[None]:
    """Let the current attempt cut off the session's connections when its time is over."""
    attempt = current_call()
    if attempt is None:
        yield
        return

    def took(_: Session, __: Any, connection: Connection) -> None:
        held = connection.connection  # which has no connection any more once it is given back
        attempt.cut = lambda: shut_down(held.dbapi_connection)

    event.listen(session, "after_begin", took)
    try:
        yield
    finally:
        event.remove(session, "after_begin", took)


def wait_for_others(session: Session, roles: Any) -> None:
    """Let no other change that calls this begin before the session's is committed.

    An UPDATE locks SQLite's database, also one of no row; elsewhere the roles' rows are locked. One
    row is written, so that a transaction whose snapshot is older (REPEATABLE READ) fails.
    """
    table = roles.__table__
    first = select(select(func.min(table.c.id).label("id")).subquery().c.id).scalar_subquery()
    session.execute(update(table).where(table.c.id == first).values(name=table.c.name))
    session.execute(select(table.c.id).order_by(table.c.id).with_for_update())
