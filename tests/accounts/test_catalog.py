"""The catalog in a database: its tables, what is read from them, and changes at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, create_engine, insert, text
from sqlalchemy.orm import DeclarativeBase, sessionmaker

from jwt_authz import MisuseError, Role, Roles
from jwt_authz.accounts import models
from jwt_authz.accounts.sqlalchemy import (
    CatalogueRoleMixin,
    PermissionMixin,
    SQLAlchemyAccounts,
    SQLAlchemyRoles,
)
from jwt_authz.accounts.sqlalchemy import roles as sqlalchemy_roles
from jwt_authz.accounts.sqlalchemy.tables import RoleMixin, UserMixin
from jwt_authz.errors import StoreUnavailable
from jwt_authz.policy.role_sources import ManagedRoles, RolesFile, RolesSource
from tests.patience import PATIENCE

PASSWORD = "correct horse battery staple"


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The ready-made models' tables, empty."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'roles.db'}")
    else:
        engine = request.getfixturevalue(f"{request.param}_engine")
    models.metadata.create_all(engine)
    with engine.begin() as connection:
        for table in reversed(models.metadata.sorted_tables):
            connection.execute(table.delete())
    yield engine
    if request.param == "sqlite":
        engine.dispose()


@pytest.fixture
def stored(engine: Engine) -> SQLAlchemyRoles:
    return SQLAlchemyRoles(sessionmaker(engine), models.Role)


def test_what_is_added_is_what_is_loaded(stored: SQLAlchemyRoles) -> None:
    stored.add("clerk", "orders:read", "orders:list", level=0)
    stored.add("manager", "orders:*", includes="clerk", level=2)
    stored.add("nobody")
    assert dict(stored.load()) == dict(
        Roles(
            Role("clerk", "orders:list", "orders:read", level=0),
            Role("manager", "orders:*", includes="clerk", level=2),
            Role("nobody"),
        )
    )


def test_what_is_loaded_has_the_fingerprint_of_the_same_catalog_in_code(
    stored: SQLAlchemyRoles,
) -> None:
    stored.add("clerk", "orders:read")
    stored.add("manager", "orders:*", includes=["clerk"])
    code = Roles(Role("manager", "orders:*", includes="clerk"), Role("clerk", "orders:read"))
    assert stored.load().fingerprint == code.fingerprint


def test_each_change_is_there_at_the_next_loading_and_may_be_repeated(
    stored: SQLAlchemyRoles,
) -> None:
    stored.add("clerk", "orders:read")
    stored.add("auditor", "stock:read")
    for _ in range(2):
        stored.grant("clerk", "orders:read", "orders:list")
        stored.take("clerk", "orders:read", "orders:refund")
        stored.include("clerk", "auditor")
        stored.set_level("clerk", 3)
        assert stored.load()["clerk"] == Role("clerk", "orders:list", includes="auditor", level=3)
    for _ in range(2):
        stored.exclude("clerk", "auditor")
        stored.set_level("clerk", None)
        assert stored.load()["clerk"] == Role("clerk", "orders:list")
    stored.remove("clerk")
    assert list(stored.load()) == ["auditor"]


def test_two_roles_share_one_row_of_a_permission(stored: SQLAlchemyRoles, engine: Engine) -> None:
    stored.add("clerk", "orders:read")
    stored.add("manager", "orders:read")
    stored.take("clerk", "orders:read")
    assert stored.load()["manager"] == Role("manager", "orders:read")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM authz_permissions")) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda roles: roles.add("clerk"), "the role 'clerk' already exists"),
        (lambda roles: roles.add("boss", includes="nobody"), "no role is named 'nobody'"),
        (lambda roles: roles.add("boss", "orders"), "Invalid permission 'orders'"),
        (lambda roles: roles.add(""), "cannot be stored"),
        (lambda roles: roles.add("x" * 256), "cannot be stored"),
        (lambda roles: roles.add("boss", level="high"), "invalid level"),
        (lambda roles: roles.grant("nobody", "orders:read"), "no role is named 'nobody'"),
        (lambda roles: roles.grant("clerk", "orders"), "Invalid permission 'orders'"),
        (lambda roles: roles.grant("clerk\0", "a:b"), "no role is named"),
        (lambda roles: roles.take("nobody", "orders:read"), "no role is named 'nobody'"),
        (lambda roles: roles.include("clerk", "manager"), "Roles include each other"),
        (lambda roles: roles.include("clerk", "clerk"), "Roles include each other"),
        (lambda roles: roles.include("clerk", "nobody"), "no role is named 'nobody'"),
        (lambda roles: roles.remove("clerk"), "the role 'manager' includes 'clerk'"),
        (lambda roles: roles.remove("nobody"), "no role is named 'nobody'"),
        (lambda roles: roles.set_level("clerk", True), "invalid level"),
    ],
)
def test_a_change_to_an_invalid_catalog_is_refused_and_changes_nothing(
    stored: SQLAlchemyRoles, change: Callable[[SQLAlchemyRoles], None], message: str
) -> None:
    stored.add("clerk", "orders:read")
    stored.add("manager", includes="clerk")
    before = dict(stored.load())
    with pytest.raises(MisuseError, match=message):
        change(stored)
    assert dict(stored.load()) == before


def test_invalid_rows_are_a_misuse_that_names_the_role(
    stored: SQLAlchemyRoles, engine: Engine
) -> None:
    stored.add("clerk", "orders:read")
    with engine.begin() as connection:
        connection.execute(text("UPDATE authz_permissions SET name = 'orders'"))
    with pytest.raises(MisuseError, match="in the database: Invalid permission 'orders'"):
        stored.load()


def test_tables_that_are_not_there_are_an_unavailable_store(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(StoreUnavailable):
        SQLAlchemyRoles(sessionmaker(engine), models.Role).load()
    engine.dispose()


def test_a_role_that_is_removed_is_taken_from_its_users(
    stored: SQLAlchemyRoles, engine: Engine, cheap_argon2: PasswordHasher
) -> None:
    stored.add("clerk", "orders:read")
    stored.add("auditor", "stock:read")
    accounts = SQLAlchemyAccounts(sessionmaker(engine), models.User)
    ann = accounts.add("ann", PASSWORD, roles=["auditor", "clerk"])
    stored.remove("clerk")
    found = accounts.find(ann.subject)
    assert found is not None
    assert found.roles == ("auditor",)
    stored.add("clerk", "orders:read")
    assert accounts.find(ann.subject) == found


def test_a_user_cannot_have_a_role_outside_the_catalog_in_the_table(
    stored: SQLAlchemyRoles, engine: Engine, cheap_argon2: PasswordHasher
) -> None:
    stored.add("clerk", "orders:read")
    accounts = SQLAlchemyAccounts(sessionmaker(engine), models.User)
    with pytest.raises(MisuseError, match="no role is named 'clrek'"):
        accounts.add("ann", PASSWORD, roles=["clrek"])
    ann = accounts.add("ann", PASSWORD, roles=["clerk"])
    with pytest.raises(MisuseError, match="no role is named 'boss'"):
        accounts.set_roles(ann.subject, ["boss"])
    assert list(stored.load()) == ["clerk"]


def test_the_mixins_stand_on_a_base_of_the_applications_own_with_names_of_its_own(
    tmp_path: Path,
) -> None:
    class Base(DeclarativeBase):
        pass

    class Right(PermissionMixin, Base):
        __tablename__ = "rights"

    class Group(CatalogueRoleMixin, Base):
        __tablename__ = "groups"
        __permission__ = Right

    class Member(UserMixin, Base):
        __tablename__ = "members"
        __role__ = Group

    assert set(Base.metadata.tables) == {
        *("rights", "groups", "members"),
        *("groups_rights", "groups_includes", "groups_retired"),
        *("members_groups", "members_groups_in_tenants"),
    }
    engine = create_engine(f"sqlite:///{tmp_path / 'own.db'}")
    Base.metadata.create_all(engine)
    stored = SQLAlchemyRoles(sessionmaker(engine), Group)
    stored.add("clerk", "orders:read")
    stored.add("manager", includes="clerk")
    assert stored.load()["manager"] == Role("manager", includes="clerk")
    engine.dispose()


def test_roles_without_their_permissions_class_are_a_misuse() -> None:
    class Base(DeclarativeBase):
        pass

    with pytest.raises(MisuseError, match="write __permission__ = Permission in Group"):

        class Group(CatalogueRoleMixin, Base):
            __tablename__ = "groups"


def test_a_table_of_bare_names_is_not_a_catalog() -> None:
    class Base(DeclarativeBase):
        pass

    class Group(RoleMixin, Base):
        __tablename__ = "groups"

    with pytest.raises(MisuseError, match="CatalogueRoleMixin"):
        SQLAlchemyRoles(sessionmaker(), Group)  # type: ignore[arg-type]


def test_a_source_is_known_by_its_methods(stored: SQLAlchemyRoles) -> None:
    assert isinstance(stored, ManagedRoles)
    assert isinstance(RolesFile("roles.toml"), RolesSource)
    assert not isinstance(RolesFile("roles.toml"), ManagedRoles)
    assert not isinstance(Roles(), RolesSource)


# --- two admins at one moment --------------------------------------------------------------------


def at_once(*changes: Callable[[], None]) -> list[BaseException | None]:
    """What came of changes that threads of their own began at the same moment."""
    barrier = Barrier(len(changes))

    def one(change: Callable[[], None]) -> BaseException | None:
        barrier.wait()
        try:
            return change()
        except MisuseError as error:
            return error

    with ThreadPoolExecutor(len(changes)) as pool:
        return list(pool.map(one, changes))


def test_two_admins_who_grant_a_role_at_one_moment_both_have_their_way(
    stored: SQLAlchemyRoles,
) -> None:
    stored.add("clerk", "orders:read")
    for number in range(10):
        first, second = f"orders:first{number}", f"orders:second{number}"
        assert at_once(
            lambda one=first: stored.grant("clerk", one),  # type: ignore[misc]
            lambda one=second: stored.grant("clerk", one),  # type: ignore[misc]
        ) == [None, None]
        held = {str(permission) for permission in stored.load()["clerk"].permissions}
        assert {first, second} <= held


def include_each_other(
    stored: SQLAlchemyRoles, monkeypatch: pytest.MonkeyPatch, within: float = 0.3
) -> None:
    """Two admins who each have one role include the other, and look before either has written."""
    stored.add("clerk")
    stored.add("auditor")
    both = Barrier(2)
    read = stored.read_in

    def read_together(session: object) -> Roles:
        found = read(session)  # type: ignore[arg-type]
        try:
            both.wait(within)
        except Exception:
            both.reset()
        return found

    monkeypatch.setattr(stored, "read_in", read_together)
    outcome = at_once(
        lambda: stored.include("clerk", "auditor"), lambda: stored.include("auditor", "clerk")
    )
    monkeypatch.setattr(stored, "read_in", read)
    assert outcome.count(None) >= 1
    stored.load()


@pytest.mark.slow
def test_two_admins_cannot_make_a_circle_together(
    stored: SQLAlchemyRoles, monkeypatch: pytest.MonkeyPatch
) -> None:
    include_each_other(stored, monkeypatch)
    roles = stored.load()
    assert bool(roles["clerk"].includes) != bool(roles["auditor"].includes)


def test_without_the_wait_for_others_they_do(
    postgres_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control, where two transactions can write at once."""
    models.metadata.create_all(postgres_engine)
    with postgres_engine.begin() as connection:
        for table in reversed(models.metadata.sorted_tables):
            connection.execute(table.delete())
    stored = SQLAlchemyRoles(sessionmaker(postgres_engine), models.Role)
    monkeypatch.setattr(sqlalchemy_roles, "wait_for_others", lambda session, roles: None)
    with pytest.raises(MisuseError, match="Roles include each other"):
        include_each_other(stored, monkeypatch, PATIENCE)


def test_the_catalog_is_read_in_one_statement(stored: SQLAlchemyRoles, engine: Engine) -> None:
    """So that nobody's change comes in between two parts of it."""
    from sqlalchemy import event

    stored.add("clerk", "orders:read")
    stored.add("manager", includes="clerk")
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *reported: asked.append(reported[2]))
    assert len(stored.load()) == 2
    assert len(asked) == 1


def test_a_row_written_by_hand_counts(stored: SQLAlchemyRoles, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(models.Role).values(name="clerk", level=7))
    assert dict(stored.load()) == {"clerk": Role("clerk", level=7)}
