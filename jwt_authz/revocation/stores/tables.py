"""The tables of the SQL store, on a metadata of their own, also for migrations."""

from __future__ import annotations

from typing import Any

from ..._extras import needs_extra
from .dialects import MYSQL

with needs_extra(__name__, "SQLAlchemy 2", "sqlalchemy"):
    from sqlalchemy import (
        BigInteger,
        Column,
        Connection,
        Double,
        Index,
        Integer,
        MetaData,
        String,
        Table,
        Text,
        inspect,
    )
    from sqlalchemy.dialects import mysql
    from sqlalchemy.schema import CreateColumn

metadata = MetaData()

_KEY = String(64).with_variant(  # case counts in every database
    mysql.VARCHAR(64, charset="utf8mb4", collation="utf8mb4_bin"), *MYSQL
)
_JSON = Text().with_variant(mysql.MEDIUMTEXT(), *MYSQL)
_TRANSACTIONAL: dict[str, Any] = {"mysql_engine": "InnoDB", "mariadb_engine": "InnoDB"}


def _namespace(*, is_key: bool = False) -> Column[str]:
    """Return the column that keeps applications apart; the empty text is the default namespace."""
    return Column("namespace", _KEY, nullable=False, server_default="", primary_key=is_key)


marks = Table(
    "authz_marks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one of each namespace
    Column("generation", _KEY),
    Column("last", BigInteger, nullable=False),
    _namespace(),
    Index("ix_authz_marks_namespace", "namespace", unique=True),
    **_TRANSACTIONAL,
)

statements = Table(
    "authz_statements",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("forget_at", Double, nullable=False, index=True),
    Column("body", _JSON, nullable=False),
    _namespace(is_key=True),  # not in tables of an older version, where few namespaces collide
    **_TRANSACTIONAL,
)

families = Table(
    "authz_families",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("owner", _KEY, nullable=False, index=True),
    Column("generation", _KEY, nullable=False),
    Column("about", _JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("ended_at", Double),
    Column("current", _KEY, nullable=False),
    Column("previous", _KEY),
    Column("rotated_at", Double),
    Column("seed", _KEY),
    Column("revision", Integer, nullable=False),
    _namespace(),
    Index("ix_authz_families_namespace_used_at", "namespace", "used_at"),
    **_TRANSACTIONAL,
)

applications = Table(
    "authz_applications",
    metadata,
    Column("namespace", _KEY, primary_key=True),
    Column("id", _KEY, primary_key=True),
    Column("record", _JSON, nullable=False),
    Column("seen_at", Double, nullable=False),
    **_TRANSACTIONAL,
)


def create_or_upgrade(connection: Connection) -> None:
    """Create the tables that are missing, and what tables of an older version lack.

    What is interrupted in MariaDB or MySQL, whose DDL is not transactional, is finished next time.
    """
    for table in metadata.sorted_tables:
        if not inspect(connection).has_table(table.name):
            table.create(connection)
        found = inspect(connection)
        if not any(one["name"] == "namespace" for one in found.get_columns(table.name)):
            column = CreateColumn(table.c.namespace).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column}")
        existing = {one["name"] for one in found.get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in existing:
                index.create(connection)
