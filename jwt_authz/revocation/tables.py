"""The tables of the SQL store, on a metadata of their own: for `create_all` and for migrations."""

from __future__ import annotations

try:
    from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, String, Table, Text
except ImportError as error:
    raise ImportError(
        "jwt_authz.revocation.sqlalchemy needs SQLAlchemy 2, which is missing: "
        "pip install 'jwt_authz[sqlalchemy]'",
        name=error.name,
    ) from error

metadata = MetaData()

marks = Table(
    "authz_marks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("generation", String(64)),
    Column("last", BigInteger, nullable=False),
)

statements = Table(
    "authz_statements",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("forget_at", Double, nullable=False, index=True),
    Column("body", Text, nullable=False),
)

families = Table(
    "authz_families",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("generation", String(64), nullable=False),
    Column("about", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False, index=True),
    Column("ends_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("ended_at", Double),
    Column("current", String(64), nullable=False),
    Column("previous", String(64)),
    Column("rotated_at", Double),
    Column("seed", String(64)),
    Column("revision", Integer, nullable=False),
)
