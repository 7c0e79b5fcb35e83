"""What differs between the databases of the SQL store: clocks, options and errors."""

from __future__ import annotations

import math
from typing import Any

from ..._extras import needs_extra

with needs_extra(__name__, "SQLAlchemy 2", "sqlalchemy"):
    from sqlalchemy import (
        ColumnElement,
        Dialect,
        Double,
        case,
        cast,
        extract,
        func,
        literal_column,
        null,
    )
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import DBAPIError, IntegrityError

MYSQL = ("mysql", "mariadb")
"""The names of the SQLAlchemy dialects of MySQL and MariaDB."""
SUPPORTED = ("postgresql", *MYSQL, "sqlite")
"""The names of the SQLAlchemy dialects of databases that can be the store."""

_CONFLICTS = frozenset(
    {
        "40001",  # serialization failure (SQL standard)
        "40P01",  # deadlock in PostgreSQL
        1213,  # deadlock in MySQL and MariaDB
        1020,  # row changed since the transaction's snapshot (MariaDB)
        1050,  # table created meanwhile
        1061,  # index created meanwhile
    }
)


def primary_clock(dialect: Dialect) -> ColumnElement[float] | None:
    """Return the server's time in seconds since 1970, or None without a server.

    It is NULL on a standby or a read-only replica, which may be out of date.
    """
    if dialect.name == "postgresql":
        clock: ColumnElement[Any] = extract("epoch", func.clock_timestamp())
        return cast(case((func.pg_is_in_recovery(), null()), else_=clock), Double())
    if dialect.name in MYSQL:
        # In UTC, since an hour of local time comes twice at the end of summer time.
        since_1970 = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6"
        is_writable = "CONCAT(@@global.read_only) IN ('0', 'OFF')"  # a name in newer versions
        return literal_column(f"CASE WHEN {is_writable} THEN {since_1970} END", Double())
    return None


def connect_args(url: URL, timeout: float) -> dict[str, Any]:
    """Return the driver's options by which connecting, and waiting for the server, have an end."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": timeout / 2}  # a transaction may wait for the lock, and at its commit
    if url.get_driver_name() in ("psycopg", "psycopg2"):  # libpq's, in s and ms
        return {
            "connect_timeout": max(2, math.ceil(timeout)),
            "tcp_user_timeout": math.ceil(2_000 * timeout),
        }
    if url.get_driver_name() == "pymysql":
        return {
            "connect_timeout": timeout,
            "read_timeout": 2 * timeout,
            "write_timeout": 2 * timeout,
        }
    return {}


def engine_options(url: URL) -> dict[str, Any]:
    """Return options of `create_engine` that this kind of database needs."""
    if url.get_backend_name() in MYSQL:
        return {"isolation_level": "READ COMMITTED"}  # by default, they also lock gaps
    return {}


def is_conflict(error: Exception) -> bool:
    """Return whether a transaction failed only because of another one, and can be repeated."""
    if isinstance(error, IntegrityError):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else None
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return state in _CONFLICTS or next(iter(getattr(cause, "args", ())), None) in _CONFLICTS
