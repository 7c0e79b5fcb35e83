"""Mixins that store the role catalog next to the users: permissions, inclusion and levels.

    class Permission(PermissionMixin, Base):
        __tablename__ = "permissions"

    class Role(CatalogueRoleMixin, Base):
        __tablename__ = "roles"
        __permission__ = Permission

The two join tables are added automatically, and so is the table of the names of removed roles.
`SQLAlchemyRoles` loads the rows as `Roles`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from ..._extras import needs_extra
from ..user import MAX_TEXT
from .names import ExactName
from .tables import RoleMixin, class_named_by, join_table, key_to, never_reuse_ids, table_of

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import Column, Table, event
    from sqlalchemy.orm import Mapped, Mapper, mapped_column, relationship


class PermissionMixin:
    """A table of permissions, each `resource:action`."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(ExactName(MAX_TEXT), unique=True)


class CatalogueRoleMixin(RoleMixin):
    """A table of roles that is the catalog; `permissions` are rows of `__permission__`.

    `includes` are rows of the same table; `level` is NULL for a role without a level.
    `__join_table__` names the join table, by default `roles_permissions` after the joined tables.
    The table for inclusion is `roles_includes`. `roles_retired` has the names of removed roles, so
    that an administrator cannot reuse one.
    """

    __permission__: ClassVar[type[PermissionMixin]]
    __join_table__: ClassVar[str]
    retired: ClassVar[Table]

    level: Mapped[int | None] = mapped_column()

    if TYPE_CHECKING:
        # Rows of the application's classes, whose columns a type checker cannot know here.
        permissions: Mapped[list[Any]]
        includes: Mapped[list[Any]]


event.listen(PermissionMixin, "after_mapper_constructed", never_reuse_ids, propagate=True)


@event.listens_for(CatalogueRoleMixin, "after_mapper_constructed", propagate=True)
def _join_permissions(mapper: Mapper[Any], roles: type[CatalogueRoleMixin]) -> None:
    if mapper.inherits is not None and issubclass(mapper.inherits.class_, CatalogueRoleMixin):
        return
    permission = permission_of(roles)
    role_table, permission_table = cast(Table, mapper.local_table), table_of(permission)
    grants = join_table(roles, role_table, "role_id", permission_table, "permission_id")
    included = Table(
        f"{role_table.name}_includes",
        role_table.metadata,
        key_to("role_id", role_table),
        key_to("included_id", role_table, index=True),
        schema=role_table.schema,
    )
    roles.retired = Table(
        f"{role_table.name}_retired",
        role_table.metadata,
        Column("name", ExactName(MAX_TEXT), primary_key=True),
        schema=role_table.schema,
    )
    mapper.add_property("permissions", relationship(permission, secondary=grants))
    mapper.add_property(
        "includes",
        relationship(
            roles,
            secondary=included,
            primaryjoin=role_table.c.id == included.c.role_id,
            secondaryjoin=role_table.c.id == included.c.included_id,
        ),
    )


def permission_of(roles: type[CatalogueRoleMixin]) -> type[PermissionMixin]:
    """Return the class in `__permission__`; raise `MisuseError` if there is none."""
    return class_named_by(roles, "__permission__", PermissionMixin)
