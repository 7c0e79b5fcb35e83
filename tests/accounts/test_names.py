"""Names compare by code point in each database, whatever its default collation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import sessionmaker

from jwt_authz import MisuseError, Permission
from jwt_authz.accounts import models
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.accounts.sqlalchemy import SQLAlchemyAccounts, SQLAlchemyRoles

LOOK_ALIKES = [
    "clerk",
    "Clerk",
    "clérk",
    "clerk ",
    "clerk\u200b",
    "\uff43lerk",
    "straße",
    "strasse",
]


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def catalog(request: pytest.FixtureRequest) -> SQLAlchemyRoles:
    engine: Engine = request.getfixturevalue(request.param).engine
    models.metadata.create_all(engine)
    with engine.begin() as connection:
        for table in reversed(models.metadata.sorted_tables):
            connection.execute(table.delete())
    return SQLAlchemyRoles(sessionmaker(engine), models.Role)


@pytest.mark.parametrize("name", LOOK_ALIKES[1:], ids=ascii)
def test_a_role_leaves_one_of_a_similar_name_alone(catalog: SQLAlchemyRoles, name: str) -> None:
    catalog.add("clerk", "orders:read")
    catalog.add(name, "orders:delete")
    roles = catalog.load()
    assert roles["clerk"].permissions == (Permission.parse("orders:read"),)
    assert roles[name].permissions == (Permission.parse("orders:delete"),)
    catalog.remove(name)
    assert list(catalog.load()) == ["clerk"]
    assert catalog.is_retired(name)
    assert not catalog.is_retired("clerk")


def test_users_with_similar_names_are_different_users(
    accounts: MemoryAccounts | SQLAlchemyAccounts,
) -> None:
    for name in LOOK_ALIKES:
        accounts.add(name, f"correct horse {name!a}", roles=[name])
    for name in LOOK_ALIKES:
        user = accounts.authenticate(name, f"correct horse {name!a}")
        assert user is not None
        assert user.roles == (name,)
        for other in LOOK_ALIKES:
            found = accounts.authenticate(other, f"correct horse {name!a}")
            assert (found is not None) is (other == name)


def test_subjects_and_tenants_are_compared_as_exact_text(
    accounts: MemoryAccounts | SQLAlchemyAccounts,
) -> None:
    for number, name in enumerate(LOOK_ALIKES):
        accounts.add(f"user{number}", subject=name, tenant=name)
    for number, name in enumerate(LOOK_ALIKES):
        user = accounts.find(name)
        assert user is not None
        assert (user.username, user.tenant) == (f"user{number}", name)


@pytest.fixture
def old_tables(mariadb_url: str) -> Iterator[Engine]:
    """Tables of an earlier version in MariaDB, whose names compare by the default collation."""
    engine = create_engine(mariadb_url)
    models.metadata.create_all(engine)
    roles = models.Role.__table__
    with engine.begin() as connection:
        connection.execute(roles.delete())
        connection.execute(
            text(f"ALTER TABLE {roles.name} MODIFY name VARCHAR(255) CHARACTER SET utf8mb4")
        )
    yield engine
    models.metadata.drop_all(engine)
    engine.dispose()


def test_in_tables_that_ignore_case_a_role_is_refused_and_rewrites_no_other(
    old_tables: Engine,
) -> None:
    catalog = SQLAlchemyRoles(sessionmaker(old_tables), models.Role)
    catalog.add("clerk", "orders:read")
    with pytest.raises(MisuseError, match="the database refused the change by a constraint"):
        catalog.add("Clerk", "orders:delete")
    with pytest.raises(MisuseError, match="no role is named 'CLERK'"):
        catalog.grant("CLERK", "orders:delete")
    assert list(catalog.load()) == ["clerk"]
    assert "orders:delete" not in catalog.load().permissions_of(["clerk"])
