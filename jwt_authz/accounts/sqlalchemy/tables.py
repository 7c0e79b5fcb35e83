"""Mixins that put users, roles and their join tables on the application's declarative base.

    class Base(DeclarativeBase): ...

    class Role(RoleMixin, Base):
        __tablename__ = "roles"

    class User(UserMixin, Base):
        __tablename__ = "users"
        __role__ = Role

The join tables are added automatically. Both classes can have columns of their own. Make them
nullable or give them a default, since `SQLAlchemyAccounts.add` does not set them.
"""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from ..._extras import needs_extra
from ...errors import MisuseError
from ..user import MAX_TEXT
from .names import ExactName

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import Column, ForeignKey, String, Table, event, false
    from sqlalchemy.orm import Mapped, Mapper, class_mapper, mapped_column, relationship

_Mixin = TypeVar("_Mixin")


class RoleMixin:
    """A table of role names, which are defined in the application's role catalog."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(ExactName(MAX_TEXT), unique=True)


class UserMixin:
    """A table of users; `roles` are rows of `__role__`, loaded for all users in one query.

    `__join_table__` names the join table, by default `users_roles` after the joined tables. Roles
    in other tenants than the user's own are in a second one, `users_roles_in_tenants`.
    """

    __role__: ClassVar[type[RoleMixin]]
    __join_table__: ClassVar[str]
    roles_in_tenants: ClassVar[Table]

    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(
        ExactName(MAX_TEXT), unique=True, default=lambda: token_hex(16)
    )
    username: Mapped[str] = mapped_column(ExactName(MAX_TEXT), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(MAX_TEXT))
    tenant: Mapped[str | None] = mapped_column(ExactName(MAX_TEXT))
    disabled: Mapped[bool] = mapped_column(default=False, server_default=false())

    if TYPE_CHECKING:
        # Of the class in `__role__`, whose own columns a type checker cannot know here.
        roles: Mapped[list[Any]]


@event.listens_for(RoleMixin, "after_mapper_constructed", propagate=True)
@event.listens_for(UserMixin, "after_mapper_constructed", propagate=True)
def never_reuse_ids(mapper: Mapper[Any], _: type[Any]) -> None:
    """Make SQLite never reuse an id: a new row would inherit the joins of a deleted one."""
    cast(Table, mapper.local_table).dialect_kwargs["sqlite_autoincrement"] = True


# The event comes after the users' table exists and, with every kind of base, before create_all().
@event.listens_for(UserMixin, "after_mapper_constructed", propagate=True)
def _join_roles(mapper: Mapper[Any], users: type[UserMixin]) -> None:
    if mapper.inherits is not None and issubclass(mapper.inherits.class_, UserMixin):
        return
    role = role_of(users)
    user_table, role_table = cast(Table, mapper.local_table), table_of(role)
    join = join_table(users, user_table, "user_id", role_table, "role_id")
    mapper.add_property("roles", relationship(role, secondary=join, lazy="selectin"))
    users.roles_in_tenants = Table(
        f"{join.name}_in_tenants",
        user_table.metadata,
        key_to("user_id", user_table),
        Column("tenant", ExactName(MAX_TEXT), primary_key=True),
        key_to("role_id", role_table, index=True),
        schema=user_table.schema,
    )


def table_of(mapped: type[Any]) -> Table:
    """Return the table of a mapped class, without configuring its mapper."""
    return cast(Table, class_mapper(mapped, configure=False).local_table)


def join_table(owner: type[Any], left: Table, left_key: str, right: Table, right_key: str) -> Table:
    """Return the join table of two tables, with the name in `owner.__join_table__` if given."""
    return Table(
        getattr(owner, "__join_table__", f"{left.name}_{right.name}"),
        left.metadata,
        key_to(left_key, left),
        key_to(right_key, right, index=True),
        schema=left.schema,
    )


def role_of(users: type[UserMixin]) -> type[RoleMixin]:
    """Return the role class in `__role__`; raise `MisuseError` if there is none."""
    return class_named_by(users, "__role__", RoleMixin)


def class_named_by(owner: type[Any], attribute: str, mixin: type[_Mixin]) -> type[_Mixin]:
    """Return the mapped class in an attribute of another class; raise `MisuseError` if missing."""
    found = getattr(owner, attribute, None)
    is_class = isinstance(found, type) and issubclass(found, mixin)
    if not (is_class and hasattr(found, "__mapper__")):
        kind = mixin.__name__.removesuffix("Mixin")
        raise MisuseError(
            f"{owner.__name__}.{attribute} must be a class with {kind}Mixin: define it first, and "
            f"write {attribute} = {kind} in {owner.__name__}"
        )
    return cast(type[_Mixin], found)


def key_to(name: str, table: Table, index: bool = False) -> Column[Any]:
    """Return a column of a join table whose row is deleted with the row that it refers to."""
    key = ForeignKey(table.c.id, ondelete="CASCADE")
    return Column(name, key, primary_key=True, index=index)
