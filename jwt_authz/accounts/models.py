"""Ready-made models for users, roles and permissions, for applications without their own tables.

The tables are `authz_users`, `authz_roles`, `authz_permissions`, three join tables, and
`authz_changes` for the trail of administrators' changes. They belong to `metadata`: create them
with `create_all`, or with alembic and the migrations in the directory next to this file.
"""

from __future__ import annotations

from .._extras import needs_extra
from .sqlalchemy.role_tables import CatalogueRoleMixin, PermissionMixin
from .sqlalchemy.tables import UserMixin
from .sqlalchemy.trail import ChangeMixin

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import MetaData
    from sqlalchemy.orm import DeclarativeBase

# Names for all constraints, so that a migration can drop them in every database.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class Base(DeclarativeBase):
    """The base of only these models; an application's own models have another one."""

    metadata = metadata


class Permission(PermissionMixin, Base):
    """A permission, `resource:action`."""

    __tablename__ = "authz_permissions"


class Role(CatalogueRoleMixin, Base):
    """A role of the catalog."""

    __tablename__ = "authz_roles"
    __permission__ = Permission
    __join_table__ = "authz_roles_permissions"


class User(UserMixin, Base):
    """A user who can log in."""

    __tablename__ = "authz_users"
    __role__ = Role
    __join_table__ = "authz_users_roles"


class Change(ChangeMixin, Base):
    """An entry of the trail that `jwt_authz.admin` keeps."""

    __tablename__ = "authz_changes"
