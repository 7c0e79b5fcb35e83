"""Accounts to test: in memory and in each database; and Argon2 at a price tests can pay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker

from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.accounts.sqlalchemy import RoleMixin, SQLAlchemyAccounts, UserMixin
from tests.revocation.servers import PgBouncer


class Base(DeclarativeBase):
    pass


class Role(RoleMixin, Base):
    __tablename__ = "roles"


class User(UserMixin, Base):
    __tablename__ = "users"
    __role__ = Role


@dataclass
class Database:
    """An engine whose tables are there and empty, and the store over them."""

    engine: Engine
    accounts: SQLAlchemyAccounts
    Base = Base
    Role = Role
    User = User


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str | bytes]:
    """The hashes that Argon2 was asked to verify a password against, in order."""
    hashes: list[str | bytes] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
        hashes.append(hash)
        return verify(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    return hashes


@pytest.fixture
def while_verifying(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something done while Argon2 looks at a password."""

    def install(action: Callable[[], object]) -> None:
        verify = PasswordHasher.verify

        def interrupted(self: PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
            action()
            return verify(self, hash, password)

        monkeypatch.setattr(PasswordHasher, "verify", interrupted)

    return install


@pytest.fixture(scope="session")
def postgres_engine(new_schema: Callable[[], str]) -> Iterator[Engine]:
    """PostgreSQL, in a schema of these tests."""
    engine = create_engine(new_schema())
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def mariadb_engine(mariadb_url: str) -> Iterator[Engine]:
    """MariaDB or MySQL, in a database of this run."""
    engine = create_engine(mariadb_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def pgbouncer_engine(pgbouncer: PgBouncer) -> Iterator[Engine]:
    """PostgreSQL behind PgBouncer in transaction mode, as the documentation describes it."""
    engine = create_engine(pgbouncer.url, connect_args={"prepare_threshold": None})
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path, cheap_argon2: PasswordHasher) -> Iterator[Database]:
    engine = create_engine(f"sqlite:///{tmp_path / 'accounts.db'}")
    Base.metadata.create_all(engine)
    yield Database(engine, SQLAlchemyAccounts(sessionmaker(engine), User))
    engine.dispose()


@pytest.fixture
def postgres(postgres_engine: Engine, cheap_argon2: PasswordHasher) -> Database:
    return emptied(postgres_engine)


@pytest.fixture
def mariadb(mariadb_engine: Engine, cheap_argon2: PasswordHasher) -> Database:
    return emptied(mariadb_engine)


@pytest.fixture
def behind_pgbouncer(pgbouncer_engine: Engine, cheap_argon2: PasswordHasher) -> Database:
    return emptied(pgbouncer_engine)


def emptied(engine: Engine) -> Database:
    """The accounts in a database that other tests have used."""
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    return Database(engine, SQLAlchemyAccounts(sessionmaker(engine), User))


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["postgres", "mariadb", "behind_pgbouncer"])
def server(request: pytest.FixtureRequest) -> Database:
    """The accounts in each database that is a server."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["memory", "sqlite", "postgres", "mariadb"])
def accounts(
    request: pytest.FixtureRequest, cheap_argon2: PasswordHasher
) -> MemoryAccounts | SQLAlchemyAccounts:
    if request.param == "memory":
        return MemoryAccounts()
    found: Database = request.getfixturevalue(request.param)
    return found.accounts
