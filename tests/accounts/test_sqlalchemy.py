"""The store in a database: tables on the application's own base, queries, races and failures."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, ForeignKey, MetaData, create_engine, delete, event, select, update
from sqlalchemy.exc import DisconnectionError, IntegrityError, OperationalError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    declarative_base,
    mapped_column,
    relationship,
    sessionmaker,
)
from sqlalchemy.pool import QueuePool

from jwt_authz.accounts import User, passwords
from jwt_authz.accounts.sqlalchemy import RoleMixin, SQLAlchemyAccounts, UserMixin
from jwt_authz.errors import HashingBusy, MisuseError, StoreUnavailable

from .conftest import Database

PASSWORD = "correct horse battery staple"
THREADS = 8
OLD = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)

pytestmark = [pytest.mark.versions, pytest.mark.usefixtures("cheap_argon2")]


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """The SQL that the database was sent, in order."""
    sent: list[str] = []

    def keep(_c: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", keep)
    yield sent
    event.remove(database.engine, "before_cursor_execute", keep)


@pytest.fixture
def tables() -> type[DeclarativeBase]:
    """A base of the application's own, with nothing on it yet."""

    class Own(DeclarativeBase):
        pass

    return Own


@pytest.fixture
def own_engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'own.db'}")
    yield engine
    engine.dispose()


def together(work: Callable[[int], object]) -> list[object]:
    """What 8 threads got that began at the same moment; a MisuseError counts as an answer."""
    barrier = Barrier(THREADS)

    def one(number: int) -> object:
        barrier.wait()
        try:
            return work(number)
        except MisuseError as refused:
            return refused

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


def assert_says_nothing_of_the_database(error: BaseException) -> None:
    # Nor do the errors behind it, which a log would print along.
    assert error.__cause__ is None
    assert error.__context__ is None
    for secret in ("SELECT", "INSERT", "DELETE", "UPDATE", "argon2id", "ann@example.com"):
        assert secret not in str(error)


# The tables


def test_an_application_chooses_names_and_adds_columns(
    tables: type[DeclarativeBase], own_engine: Engine
) -> None:
    class Group(RoleMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "app_groups"
        title: Mapped[str] = mapped_column(default="untitled")

    class Person(UserMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "app_people"
        __role__ = Group
        __join_table__ = "app_members"
        email: Mapped[str | None]

    tables.metadata.create_all(own_engine)
    accounts = SQLAlchemyAccounts(sessionmaker(own_engine), User=Person, Role=Group)
    ann = accounts.add("ann", PASSWORD, roles=["editor"])

    assert set(tables.metadata.tables) == {
        *("app_groups", "app_people", "app_members", "app_members_in_tenants")
    }
    assert accounts.authenticate("ann", PASSWORD) == ann
    with Session(own_engine) as session:
        person = session.scalars(select(Person)).one()
        assert (person.email, [group.title for group in person.roles]) == (None, ["untitled"])


def test_the_join_table_is_named_after_the_two_that_it_joins(database: Database) -> None:
    join = database.Base.metadata.tables["users_roles"]

    assert [key.target_fullname for key in sorted(join.foreign_keys, key=str)] == [
        "roles.id",
        "users.id",
    ]


def test_a_schema_and_another_kind_of_key_carry_over_to_the_join_table(
    tables: type[DeclarativeBase],
) -> None:
    class Role(RoleMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "roles"

    class Account(UserMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "users"
        __table_args__ = {"schema": "app"}  # noqa: RUF012
        __role__ = Role
        id: Mapped[UUID] = mapped_column(  # type: ignore[assignment]
            primary_key=True, default=uuid4
        )

    join = tables.metadata.tables["app.users_roles"]
    assert {key.target_fullname for key in join.foreign_keys} == {"app.users.id", "roles.id"}
    assert join.c.user_id.type.python_type is UUID


def test_a_user_with_another_kind_of_key_works(
    tables: type[DeclarativeBase], own_engine: Engine
) -> None:
    class Role(RoleMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "roles"

    class Account(UserMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "users"
        __role__ = Role
        id: Mapped[UUID] = mapped_column(  # type: ignore[assignment]
            primary_key=True, default=uuid4
        )

    tables.metadata.create_all(own_engine)
    accounts = SQLAlchemyAccounts(sessionmaker(own_engine), Account)
    ann = accounts.add("ann", roles=["editor"])

    assert accounts.find(ann.subject) == ann


def test_the_mixins_work_on_a_base_of_the_older_kind(own_engine: Engine) -> None:
    Older: Any = declarative_base()

    class Role(RoleMixin, Older):  # type: ignore[misc]
        __tablename__ = "roles"

    class Account(UserMixin, Older):  # type: ignore[misc]
        __tablename__ = "users"
        __role__ = Role

    Older.metadata.create_all(own_engine)
    accounts = SQLAlchemyAccounts(sessionmaker(own_engine), Account)
    ann = accounts.add("ann", PASSWORD, roles=["editor"])

    assert accounts.authenticate("ann", PASSWORD) == ann


def test_a_subclass_of_a_users_class_shares_its_roles(
    tables: type[DeclarativeBase], own_engine: Engine
) -> None:
    class Role(RoleMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "roles"

    class Account(UserMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "users"
        __role__ = Role

    class Employee(Account):
        __tablename__ = "employees"
        id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)

    assert set(tables.metadata.tables) == {
        *("users", "roles", "users_roles", "users_roles_in_tenants", "employees")
    }
    tables.metadata.create_all(own_engine)
    accounts = SQLAlchemyAccounts(sessionmaker(own_engine), Employee)
    ann = accounts.add("ann", PASSWORD, roles=["editor"])
    with Session(own_engine) as session, session.begin():
        session.scalars(select(Employee)).one().password_hash = OLD.hash(PASSWORD)

    assert accounts.authenticate("ann", PASSWORD) == ann
    assert accounts.set_roles(ann.subject, []).roles == ()
    accounts.remove(ann.subject)
    assert accounts.find(ann.subject) is None


def test_a_role_may_refer_to_a_class_that_is_defined_later(
    tables: type[DeclarativeBase], own_engine: Engine
) -> None:
    class Role(RoleMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "roles"
        holders = relationship("Account", secondary="users_roles", viewonly=True)

    class Account(UserMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "users"
        __role__ = Role

    tables.metadata.create_all(own_engine)
    SQLAlchemyAccounts(sessionmaker(own_engine), Account).add("ann", roles=["editor"])

    with Session(own_engine) as session:
        role = session.scalars(select(Role)).one()
        assert [account.username for account in role.holders] == ["ann"]


def test_a_users_class_without_its_role_class_is_a_misuse(tables: type[DeclarativeBase]) -> None:
    with pytest.raises(MisuseError, match="write __role__ = Role in Account"):

        class Account(UserMixin, tables):  # type: ignore[valid-type,misc]
            __tablename__ = "users"


def test_another_role_class_than_the_users_own_is_a_misuse(
    sqlite: Database, tables: type[DeclarativeBase]
) -> None:
    class Other(RoleMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "roles"

    with pytest.raises(MisuseError, match="omit the argument Role"):
        SQLAlchemyAccounts(sessionmaker(sqlite.engine), sqlite.User, Other)


def test_a_row_that_the_application_inserts_gets_a_subject_and_is_enabled(
    database: Database,
) -> None:
    with Session(database.engine) as session, session.begin():
        session.add_all([database.User(username="ann"), database.User(username="bob")])

    with Session(database.engine) as session:
        ann, bob = session.scalars(select(database.User).order_by("username"))
        assert len(ann.subject) == len(bob.subject) == 32
        assert ann.subject != bob.subject
        assert ann.disabled is False


def test_a_row_deleted_by_hand_leaves_its_roles_to_nobody(database: Database) -> None:
    accounts = database.accounts
    ann = accounts.add("ann", roles=["admin"])
    with Session(database.engine) as session, session.begin():
        session.execute(delete(database.User).where(database.User.subject == ann.subject))

    bob = accounts.add("bob")

    found = accounts.find(bob.subject)
    assert found is not None
    assert found.roles == ()


def test_a_role_deleted_by_hand_leaves_its_users_to_no_other_role(database: Database) -> None:
    accounts = database.accounts
    ann = accounts.add("ann", roles=["viewer"])
    with Session(database.engine) as session, session.begin():
        session.execute(delete(database.Role))

    accounts.add("bob", roles=["admin"])

    found = accounts.find(ann.subject)
    assert found is not None
    assert found.roles == ()


# The queries


def test_the_roles_of_many_users_come_in_one_query(
    database: Database, statements: list[str]
) -> None:
    for number in range(20):
        database.accounts.add(f"user{number}", roles=["viewer", f"role{number}"])
    statements.clear()

    with Session(database.engine) as session:
        users = session.scalars(select(database.User)).all()
        roles = {user.username: {role.name for role in user.roles} for user in users}

    assert roles["user7"] == {"viewer", "role7"}
    assert len(statements) == 2


def test_finding_a_user_takes_two_queries_however_many_roles(
    database: Database, statements: list[str]
) -> None:
    subject = database.accounts.add("ann", roles=[f"role{n}" for n in range(50)]).subject
    statements.clear()

    user = database.accounts.find(subject)

    assert user is not None
    assert len(user.roles) == 50
    assert len(statements) == 2


@pytest.mark.parametrize("who", ["nobody", "disabled", "passwordless", "ann"])
def test_every_failed_log_in_sends_the_same_query(
    database: Database, statements: list[str], who: str
) -> None:
    """SECURITY 1.33, 2.43."""
    accounts = database.accounts
    accounts.add("ann", PASSWORD)
    accounts.add("passwordless")
    accounts.disable(accounts.add("disabled", PASSWORD).subject)
    statements.clear()

    accounts.authenticate("nobody", "incorrect horse")
    accounts.authenticate(who, PASSWORD if who == "disabled" else "incorrect horse")

    assert len(statements) == 2
    assert statements[0] == statements[1]


def test_no_connection_is_held_while_a_password_is_checked(
    database: Database, while_verifying: Callable[[Callable[[], object]], None]
) -> None:
    database.accounts.add("ann", PASSWORD)
    held: list[int] = []
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    while_verifying(lambda: held.append(pool.checkedout()))

    database.accounts.authenticate("ann", PASSWORD)

    assert held == [0]


def test_a_role_that_exists_is_not_added_again(database: Database) -> None:
    for number in range(3):
        database.accounts.add(f"user{number}", roles=["viewer"])

    with Session(database.engine) as session:
        assert [role.name for role in session.scalars(select(database.Role))] == ["viewer"]


# Hashes


def stored_hash(database: Database) -> str | None:
    with Session(database.engine) as session:
        return session.scalars(select(database.User.password_hash)).one()


def store_hash(database: Database, password_hash: str) -> None:
    with Session(database.engine) as session, session.begin():
        session.execute(update(database.User).values(password_hash=password_hash))


def test_an_outdated_hash_is_replaced_at_log_in(database: Database) -> None:
    """SECURITY 2.47."""
    accounts = database.accounts
    accounts.add("ann", PASSWORD)
    store_hash(database, OLD.hash(PASSWORD))

    assert accounts.authenticate("ann", "incorrect horse") is None
    assert "t=2" in str(stored_hash(database))
    assert accounts.authenticate("ann", PASSWORD) is not None
    assert "t=1" in str(stored_hash(database))
    assert accounts.authenticate("ann", PASSWORD) is not None


@pytest.mark.slow
def test_an_outdated_hash_stays_when_there_is_no_capacity_to_make_another(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = database.accounts
    accounts.add("ann", PASSWORD)
    store_hash(database, OLD.hash(PASSWORD))

    def busy(*_: object) -> str:
        raise HashingBusy("try again later")

    with monkeypatch.context() as patch:
        patch.setattr(passwords, "_hash", busy)
        assert accounts.authenticate("ann", PASSWORD) is not None
    assert "t=2" in str(stored_hash(database))
    assert accounts.authenticate("ann", PASSWORD) is not None
    assert "t=1" in str(stored_hash(database))


def test_a_hash_that_is_up_to_date_stays(database: Database) -> None:
    database.accounts.add("ann", PASSWORD)
    before = stored_hash(database)

    assert database.accounts.authenticate("ann", PASSWORD) is not None

    assert stored_hash(database) == before


def test_a_short_password_from_before_the_rule_still_logs_in(database: Database) -> None:
    database.accounts.add("ann", PASSWORD)
    store_hash(database, OLD.hash("short"))

    assert database.accounts.authenticate("ann", "short") is not None


def test_a_user_removed_during_an_upgrade_does_not_get_in(
    database: Database, while_verifying: Callable[[Callable[[], object]], None]
) -> None:
    subject = database.accounts.add("ann", PASSWORD).subject
    store_hash(database, OLD.hash(PASSWORD))
    while_verifying(lambda: database.accounts.remove(subject))

    assert database.accounts.authenticate("ann", PASSWORD) is None


def test_a_password_changed_during_a_log_in_is_not_overwritten(
    database: Database, while_verifying: Callable[[Callable[[], object]], None]
) -> None:
    database.accounts.add("ann", PASSWORD)
    store_hash(database, OLD.hash(PASSWORD))
    changed = OLD.hash("another password")
    while_verifying(lambda: store_hash(database, changed))

    database.accounts.authenticate("ann", PASSWORD)

    assert stored_hash(database) == changed


# Refusals


def test_a_taken_name_is_reported_without_sql_and_rows(database: Database) -> None:
    """SECURITY 1.35."""
    database.accounts.add("ann@example.com", PASSWORD)

    with pytest.raises(MisuseError, match="username is taken") as refused:
        database.accounts.add("ann@example.com", PASSWORD)

    assert_says_nothing_of_the_database(refused.value)


def test_a_name_taken_between_the_query_and_the_insert_is_reported_alike(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY 1.35."""
    accounts = database.accounts
    look = accounts._refuse_taken
    looks = []

    def late(session: Session, user: User) -> None:
        looks.append(user.username)
        if len(looks) > 1:
            look(session, user)

    accounts.add("ann@example.com", PASSWORD)
    monkeypatch.setattr(accounts, "_refuse_taken", late)
    with pytest.raises(MisuseError, match="username is taken") as refused:
        accounts.add("ann@example.com", PASSWORD)

    assert looks == ["ann@example.com"] * 2
    assert_says_nothing_of_the_database(refused.value)


def test_a_column_of_the_applications_own_that_must_be_filled_is_a_misuse(
    tables: type[DeclarativeBase], own_engine: Engine
) -> None:
    class Role(RoleMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "roles"

    class Account(UserMixin, tables):  # type: ignore[valid-type,misc]
        __tablename__ = "users"
        __role__ = Role
        email: Mapped[str]

    tables.metadata.create_all(own_engine)
    accounts = SQLAlchemyAccounts(sessionmaker(own_engine), Account)

    with pytest.raises(MisuseError, match="give your own columns a default") as refused:
        accounts.add("ann@example.com", PASSWORD)
    assert_says_nothing_of_the_database(refused.value)


def test_a_user_to_whom_other_rows_refer_is_not_removed(postgres_engine: Engine) -> None:
    class Own(DeclarativeBase):
        metadata = MetaData()

    class Role(RoleMixin, Own):
        __tablename__ = "own_roles"

    class Account(UserMixin, Own):
        __tablename__ = "own_users"
        __role__ = Role

    class Article(Own):
        __tablename__ = "own_articles"
        id: Mapped[int] = mapped_column(primary_key=True)
        author: Mapped[str] = mapped_column(ForeignKey("own_users.subject"))

    Own.metadata.create_all(postgres_engine)
    accounts = SQLAlchemyAccounts(sessionmaker(postgres_engine), Account)
    ann = accounts.add("ann@example.com", PASSWORD, roles=["editor"])
    with Session(postgres_engine) as session, session.begin():
        session.add(Article(author=ann.subject))

    with pytest.raises(MisuseError, match=r"or call disable\(\)") as refused:
        accounts.remove(ann.subject)

    assert_says_nothing_of_the_database(refused.value)
    assert accounts.authenticate("ann@example.com", PASSWORD) == ann


# Races, on the database that lets writers run side by side


def add_one(accounts: SQLAlchemyAccounts, name: str, _: int) -> User:
    return accounts.add(name)


def add_with_role(accounts: SQLAlchemyAccounts, role: str, number: int) -> User:
    return accounts.add(f"{role}-{number}", roles=["viewer", role])


def set_roles(accounts: SQLAlchemyAccounts, subject: str, number: int) -> User:
    return accounts.set_roles(subject, [f"a{number}", f"b{number}"])


@pytest.mark.slow
def test_of_several_threads_that_add_one_name_one_succeeds(server: Database) -> None:
    for number in range(10):
        answers = together(partial(add_one, server.accounts, f"ann{number}"))

        assert sum(isinstance(answer, User) for answer in answers) == 1
        assert sum(isinstance(answer, MisuseError) for answer in answers) == THREADS - 1


@pytest.mark.slow
def test_several_threads_may_add_the_same_new_role(server: Database) -> None:
    for number in range(10):
        answers = together(partial(add_with_role, server.accounts, f"role{number}"))

        for answer in answers:
            assert isinstance(answer, User), answer
            assert server.accounts.find(answer.subject) == answer


@pytest.mark.slow
def test_roles_set_at_the_same_moment_are_those_of_one_caller(server: Database) -> None:
    accounts = server.accounts
    for n in range(THREADS):
        accounts.add(f"user{n}", roles=[f"a{n}", f"b{n}"])

    for number in range(10):
        # With roles to take away, the later caller would notice the missing row.
        subject = accounts.add(f"ann{number}").subject
        together(partial(set_roles, accounts, subject))

        found = accounts.find(subject)
        assert found is not None
        assert found.roles in {(f"a{n}", f"b{n}") for n in range(THREADS)}


@pytest.mark.parametrize("code", [1213, 1020])
def test_a_change_that_the_database_ends_because_of_another_is_repeated(
    sqlite: Database, code: int
) -> None:
    """A deadlock in MySQL and MariaDB, and in newer versions of MariaDB a snapshot too old."""
    ann = sqlite.accounts.add("ann", PASSWORD)
    left = [3]

    def fail(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE") and left[0]:
            left[0] -= 1
            raise OperationalError(statement, {}, Exception(code, "try restarting transaction"))

    event.listen(sqlite.engine, "before_cursor_execute", fail)

    assert sqlite.accounts.disable(ann.subject).disabled
    assert left == [0]


# Failures


def each_call(accounts: SQLAlchemyAccounts) -> list[Callable[[], object]]:
    return [
        lambda: accounts.authenticate("ann@example.com", PASSWORD),
        lambda: accounts.find("ann@example.com"),
        lambda: accounts.add("ann@example.com", PASSWORD, roles=["editor"]),
        lambda: accounts.set_roles("ann@example.com", ["editor"]),
        lambda: accounts.disable("ann@example.com"),
        lambda: accounts.remove("ann@example.com"),
    ]


def assert_every_call_finds_the_store_unavailable(accounts: SQLAlchemyAccounts) -> None:
    for call in each_call(accounts):
        with pytest.raises(StoreUnavailable, match="database did not answer") as failed:
            call()
        assert_says_nothing_of_the_database(failed.value)


def test_a_closed_port_is_an_unavailable_store(database: Database) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        engine = create_engine(f"postgresql+psycopg://nobody@127.0.0.1:{port}/none")

        assert_every_call_finds_the_store_unavailable(
            SQLAlchemyAccounts(sessionmaker(engine), database.User)
        )


def test_a_dropped_table_is_an_unavailable_store(database: Database) -> None:
    database.Base.metadata.drop_all(database.engine)

    assert_every_call_finds_the_store_unavailable(database.accounts)


def test_an_exhausted_pool_is_an_unavailable_store(sqlite: Database) -> None:
    engine = create_engine(
        sqlite.engine.url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    with engine.connect():
        assert_every_call_finds_the_store_unavailable(
            SQLAlchemyAccounts(sessionmaker(engine), sqlite.User)
        )
    engine.dispose()


@pytest.mark.parametrize("error", [DisconnectionError("gone"), ConnectionResetError("gone")])
def test_a_lost_connection_is_an_unavailable_store(sqlite: Database, error: Exception) -> None:
    def broken() -> Session:
        raise error

    assert_every_call_finds_the_store_unavailable(SQLAlchemyAccounts(broken, sqlite.User))


def test_a_connection_cut_by_the_server_is_an_unavailable_store_and_then_replaced(
    postgres: Database,
) -> None:
    ann = postgres.accounts.add("ann", PASSWORD)
    postgres.engine.dispose()
    with postgres.engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    admin = create_engine(postgres.engine.url)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
    admin.dispose()

    with pytest.raises(StoreUnavailable):
        postgres.accounts.find(ann.subject)

    assert postgres.accounts.authenticate("ann", PASSWORD) == ann


def test_a_failed_write_leaves_nothing_behind(database: Database) -> None:
    accounts = database.accounts
    ann = accounts.add("ann", PASSWORD, roles=["viewer"])

    def fail(*_: object) -> None:
        raise IntegrityError("INSERT", {}, Exception("constraint"))

    event.listen(Session, "before_commit", fail)
    try:
        with pytest.raises(MisuseError, match="refused the change by a constraint"):
            accounts.set_roles(ann.subject, ["admin"])
    finally:
        event.remove(Session, "before_commit", fail)

    assert accounts.find(ann.subject) == ann


def test_a_missing_sqlalchemy_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    for name in ("sqlalchemy", "sqlalchemy.accounts", "sqlalchemy.tables"):
        monkeypatch.delitem(sys.modules, f"jwt_authz.accounts.{name}")

    for name in ("sqlalchemy", "sqlalchemy.accounts", "sqlalchemy.tables"):
        with pytest.raises(ImportError, match=r"pip install 'jwt_authz\[accounts,sqlalchemy\]'"):
            importlib.import_module(f"jwt_authz.accounts.{name}")
