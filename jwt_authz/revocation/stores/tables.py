"""The tables of the SQL store, on a metadata of their own, also for migrations."""

from __future__ import annotations

from ..._extras import needs_extra

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
    from sqlalchemy.schema import CreateColumn

metadata = MetaData()


def _namespace(*, is_key: bool = False) -> Column[str]:
    """Return the column that keeps applications apart; the empty text is the default namespace."""
    return Column("namespace", String(64), nullable=False, server_default="", primary_key=is_key)


marks = Table(
    "authz_marks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one of each namespace
    Column("generation", String(64)),
    Column("last", BigInteger, nullable=False),
    _namespace(),
    Index("ix_authz_marks_namespace", "namespace", unique=True),
)

statements = Table(
    "authz_statements",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("forget_at", Double, nullable=False, index=True),
    Column("body", Text, nullable=False),
    _namespace(is_key=True),  # not in tables of an older version, where few namespaces collide
)

families = Table(
    "authz_families",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("generation", String(64), nullable=False),
    Column("about", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("ended_at", Double),
    Column("current", String(64), nullable=False),
    Column("previous", String(64)),
    Column("rotated_at", Double),
    Column("seed", String(64)),
    Column("revision", Integer, nullable=False),
    _namespace(),
    Index("ix_authz_families_namespace_used_at", "namespace", "used_at"),
)

applications = Table(
    "authz_applications",
    metadata,
    Column("namespace", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("record", Text, nullable=False),
    Column("seen_at", Double, nullable=False),
)


def create_or_upgrade(connection: Connection) -> None:
    """Create the tables that are missing, and what tables of an older version lack."""
    found = inspect(connection)
    for table in metadata.sorted_tables:
        if not found.has_table(table.name):
            table.create(connection)
        elif not any(one["name"] == "namespace" for one in found.get_columns(table.name)):
            column = CreateColumn(table.c.namespace).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column}")
            for index in table.indexes:
                index.create(connection, checkfirst=True)
