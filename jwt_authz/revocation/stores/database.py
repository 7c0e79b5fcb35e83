"""Database: transactions with an end, for the SQL store; and the engine that its URL describes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from ..._concurrency.bounded import BoundedCall, shut_down
from ..._concurrency.breaker import Breaker
from ..._concurrency.forks import renew_after_fork
from ..._extras import needs_extra
from ...errors import AuthzError, MisuseError, StoreUnavailable
from ..log import TIMEOUT
from .dialects import SUPPORTED, connect_args, engine_options, is_conflict
from .limits import begun, limit

with needs_extra(__name__, "SQLAlchemy 2", "sqlalchemy"):
    from sqlalchemy import Connection, Engine, create_engine, event
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

TRIES = 4
_Result = TypeVar("_Result")


class Database:
    """Runs transactions on an engine; one that takes longer than `timeout` seconds is given up.

    A transaction that met another one (a serialization failure, a deadlock, a key that another
    process inserted meanwhile) is tried again, a few times.
    """

    def __init__(self, engine: Engine, timeout: float = TIMEOUT) -> None:
        self.engine = engine
        self._timeout = timeout
        self._breaker = Breaker()
        renew_after_fork(self)

    def deadline(self) -> float:
        """Return when a call that begins now has to end, for calls of several transactions."""
        return time.monotonic() + self._timeout

    def read(
        self,
        work: Callable[[Connection], _Result],
        *,
        until: float | None = None,
        always: bool = False,
    ) -> _Result:
        """Return what the work reads, without a transaction where that is faster; else as `run`.

        `always` is for callers that may wait: they ask even while others fail at once because the
        database did not answer, and so find out for all that it does again.
        """
        return self._tried(work, until, is_reading=True, always=always)

    def run(self, work: Callable[[Connection], _Result], *, until: float | None = None) -> _Result:
        """Return what the work returns, in a transaction; raise StoreUnavailable if that fails."""
        return self._tried(work, until)

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent."""
        self.engine.dispose(close=False)

    def _tried(
        self,
        work: Callable[[Connection], _Result],
        until: float | None,
        *,
        is_reading: bool = False,
        always: bool = False,
    ) -> _Result:
        if not always:
            self._breaker.check()
        until = self.deadline() if until is None else until
        for left in reversed(range(TRIES)):
            try:
                result = self._transaction(work, is_reading, until - time.monotonic())
                self._breaker.succeeded()
                return result
            except AuthzError:
                self._breaker.succeeded()
                raise
            except (SQLAlchemyError, OSError) as error:
                kind = type(error).__name__
                if not (left and is_conflict(error)):
                    break
        self._breaker.failed()
        # Outside the handler: the driver's error quotes SQL and values, and would come along.
        raise StoreUnavailable(
            f"the database of revocations did not answer ({kind}): look whether it runs, what "
            "AUTHZ_STORE_URL names, and whether `flask authz init` made or upgraded its tables"
        )

    def _transaction(
        self, work: Callable[[Connection], _Result], is_reading: bool, seconds: float
    ) -> _Result:
        if self.engine.dialect.name == "sqlite":  # a file: its time-out is for the lock
            with self.engine.connect() as connection, begun(connection, is_reading):
                return work(connection)

        def begin(attempt: BoundedCall[_Result]) -> _Result:
            with self.engine.connect() as connection:
                attempt.cut = partial(shut_down, connection.connection.dbapi_connection)
                with begun(connection, is_reading):
                    result = work(connection)
                    attempt.go_on()
                    return result

        return BoundedCall(begin).wait(max(0.0, seconds))


def engine_of(url: str, timeout: float = TIMEOUT) -> Engine:
    """Return an engine for the URL with short time-outs; raise MisuseError for an invalid URL."""
    advice = "AUTHZ_STORE_URL is not valid: write postgresql+psycopg://host/name"
    try:
        parsed = make_url(url)
        if _is_in_memory(parsed):
            raise MisuseError("an SQLite database in memory is this process's alone: write memory:")
        engine = create_engine(
            parsed,
            pool_pre_ping=True,
            pool_timeout=timeout,
            connect_args=connect_args(parsed, timeout),
            **engine_options(parsed),
        )
        if engine.dialect.name not in SUPPORTED:
            raise MisuseError(
                f"AUTHZ_STORE_URL names {engine.dialect.name}, which is not supported as a store: "
                "write postgresql+psycopg://host/name, mysql+pymysql://host/name, sqlite:///file "
                "or redis://host:6379/0"
            )
        if engine.dialect.name != "sqlite":
            event.listen(engine, "connect", partial(limit, engine.dialect, timeout))
        return engine
    except (ArgumentError, ValueError):  # a dialect that is unknown, a port that is not a number
        pass
    except ModuleNotFoundError as error:
        advice = f"the driver that AUTHZ_STORE_URL names is missing: install what has {error.name}"
    raise MisuseError(advice)


def _is_in_memory(url: URL) -> bool:
    named = url.database or ""
    is_memory = named in ("", ":memory:") or url.query.get("mode") == "memory"
    return url.get_backend_name() == "sqlite" and is_memory
