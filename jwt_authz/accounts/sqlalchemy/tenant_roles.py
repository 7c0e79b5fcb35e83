"""The roles that users have in other tenants than their own, in a separate table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..._extras import needs_extra
from ..user import refuse_unstorable
from .tables import RoleMixin, UserMixin

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import delete, insert, select
    from sqlalchemy.orm import Session


class TenantRoles:
    """The contents of the table `roles_in_tenants` of a user class."""

    def __init__(self, users: type[UserMixin], roles: type[RoleMixin]) -> None:
        self._users = users
        self._roles = roles
        self._table = users.roles_in_tenants

    def names(self, session: Session, user: UserMixin, tenant: str) -> tuple[str, ...]:
        """Return the sorted names of the roles that the user has in this tenant."""
        table = self._table
        query = (
            select(self._roles.name)
            .join(table, table.c.role_id == self._roles.id)
            .where(table.c.user_id == user.id, table.c.tenant == tenant)
            .order_by(self._roles.name)
        )
        return tuple(session.scalars(query))

    def all_names(self, session: Session, subject: str) -> set[str]:
        """Return the names of the roles that the user has in any of these tenants."""
        table, users = self._table, self._users
        query = (
            select(self._roles.name)
            .join(table, table.c.role_id == self._roles.id)
            .join(users, table.c.user_id == users.id)
            .where(users.subject == subject)
        )
        return set(session.scalars(query))

    def grant(
        self, session: Session, user: UserMixin, tenant: str, roles: Iterable[RoleMixin]
    ) -> None:
        """Give the user these roles there, in addition to those that they have."""
        refuse_unstorable(tenant)
        session.flush()  # gives new roles their ids
        held = self.names(session, user, tenant)
        for role in (role for role in roles if role.name not in held):
            values = {"user_id": user.id, "tenant": tenant, "role_id": role.id}
            session.execute(insert(self._table).values(values))

    def take(self, session: Session, user: UserMixin, tenant: str, names: Iterable[str]) -> None:
        """Take the roles with these names from the user there."""
        table = self._table
        taken = select(self._roles.id).where(self._roles.name.in_(tuple(names)))
        session.execute(
            delete(table).where(
                table.c.user_id == user.id, table.c.tenant == tenant, table.c.role_id.in_(taken)
            )
        )

    def holders(self, session: Session, role: str) -> list[tuple[Any, str]]:
        """Return the users who have the role in other tenants than their own, with the tenants."""
        users, table = self._users, self._table
        query = (
            select(users, table.c.tenant)
            .join(table, table.c.user_id == users.id)
            .join(self._roles, table.c.role_id == self._roles.id)
            .where(self._roles.name == role)
            .order_by(users.id, table.c.tenant)
        )
        return [(user, tenant) for user, tenant in session.execute(query)]
