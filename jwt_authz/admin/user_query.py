"""Which users to list, and the query that finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._extras import needs_extra
from ..accounts.sqlalchemy.tables import RoleMixin, UserMixin

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import select


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which users to list: by a part of their name, a role and their state, and in what order.

    `sort` is `username` or `added`; a `-` before it reverses the order. Without a `tenant`, the
    users of all tenants are listed.
    """

    search: str = ""
    role: str | None = None
    disabled: bool | None = None
    sort: str = "username"
    page: int = 1
    page_size: int = 25
    tenant: str | None = None

    def query(self, User: type[UserMixin], Role: type[RoleMixin]) -> tuple[Any, Any]:
        """Return the query for the users on all pages, and its order."""
        query: Any = select(User)
        if self.search:
            query = query.where(User.username.icontains(self.search, autoescape=True))
        if self.role is not None:
            query = query.where(User.roles.any(Role.name == self.role))
        if self.tenant is not None:
            query = query.where(User.tenant == self.tenant)
        if self.disabled is not None:
            query = query.where(User.disabled.is_(self.disabled))
        column: Any = {"username": User.username, "added": User.id}[self.sort.removeprefix("-")]
        return query, column.desc() if self.sort.startswith("-") else column
