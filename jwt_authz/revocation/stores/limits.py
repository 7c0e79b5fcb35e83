"""Limits in the database server: how long a statement, a lock and an idle transaction may take.

A connection has them from its beginning. Behind a pooler such as PgBouncer, which may give each
transaction another connection of the server, each transaction sets its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ..._extras import needs_extra
from .dialects import MYSQL

with needs_extra(__name__, "SQLAlchemy 2", "sqlalchemy"):
    from sqlalchemy import Connection, Dialect

_FOR_TRANSACTION = "jwt_authz_limits"
_IDLE_CONNECTION = 60
"""After how many seconds MySQL, which has no limit for idle transactions, ends a connection."""


def limit(dialect: Dialect, timeout: float, dbapi_connection: Any, record: Any) -> None:
    """Set the limits of a new connection, or remember those that each transaction will set."""
    with dbapi_connection.cursor() as cursor:
        if dialect.name == "postgresql" and _is_pooled(dbapi_connection, cursor):
            record.info[_FOR_TRANSACTION] = _of_postgresql(timeout, is_local=True)
            dbapi_connection.prepare_threshold = None
        elif dialect.name == "postgresql":
            cursor.execute(_of_postgresql(timeout, is_local=False))
        else:
            cursor.execute(_of_mysql(dialect, timeout))
    dbapi_connection.commit()


@contextmanager
def begun(connection: Connection, is_reading: bool) -> Iterator[None]:
    """Run the block in a transaction with limits, or only to read, without one if that is enough.

    Behind a pooler that is not enough. In MySQL and MariaDB it would be more round trips.
    """
    limits = connection.info.get(_FOR_TRANSACTION)
    if is_reading and limits is None and connection.dialect.name not in MYSQL:
        connection.execution_options(isolation_level="AUTOCOMMIT")
    with connection.begin():
        if limits is not None:
            _set_for_transaction(connection, limits)
        yield


def _set_for_transaction(connection: Connection, limits: str) -> None:
    driver: Any = connection.connection.dbapi_connection
    try:
        # psycopg sends BEGIN along with the limits, in one round trip.
        with getattr(driver, "pipeline", nullcontext)(), driver.cursor() as cursor:
            cursor.execute(limits)
    except connection.dialect.loaded_dbapi.Error:
        connection.invalidate()
        raise ConnectionError from None


def _is_pooled(dbapi_connection: Any, cursor: Any) -> bool:
    """Return whether the process that the server named to the driver is not the one that answers.

    A pooler names one of its own. A driver that does not say it may be behind one.
    """
    cursor.execute("SELECT pg_backend_pid()")
    named = getattr(getattr(dbapi_connection, "info", None), "backend_pid", None)
    return bool(cursor.fetchone()[0] != named)


def _of_postgresql(timeout: float, is_local: bool) -> str:
    milliseconds = {
        "statement_timeout": math.ceil(timeout * 1_000),
        "idle_in_transaction_session_timeout": math.ceil(timeout * 2_000),
    }
    calls = (f"set_config('{name}', '{n}', {is_local})" for name, n in milliseconds.items())
    return f"SELECT {', '.join(calls)}"


def _of_mysql(dialect: Dialect, timeout: float) -> str:
    seconds = math.ceil(timeout)
    limits = {"innodb_lock_wait_timeout": seconds}
    if dialect.name == "mariadb" or getattr(dialect, "is_mariadb", False):
        limits |= {"max_statement_time": seconds, "idle_transaction_timeout": 2 * seconds}
    else:
        milliseconds = math.ceil(timeout * 1_000)
        limits |= {"max_execution_time": milliseconds, "wait_timeout": _IDLE_CONNECTION}
    return "SET SESSION " + ", ".join(f"{name} = {value}" for name, value in limits.items())
