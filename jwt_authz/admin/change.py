"""One change of the accounts: its author, what it can read, and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import NamedTuple

from .._extras import needs_extra
from ..accounts import User
from ..accounts.sqlalchemy.trail import Entry, State

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change; `issuer` is None for this application's own subjects."""

    subject: str
    username: str
    issuer: str | None = None

    def entry(
        self,
        action: str,
        before: State | None,
        after: State | None,
        user: User | None = None,
        role: str | None = None,
    ) -> Entry:
        """Return an entry for an action of the author, now, on a user or a role."""
        return Entry(
            at=int(time()),
            actor=self.subject,
            actor_issuer=self.issuer,
            actor_name=self.username,
            action=action,
            subject=None if user is None else user.subject,
            username=None if user is None else user.username,
            tenant=None if user is None else user.tenant,
            role=role,
            before=before,
            after=after,
        )


END_SESSIONS = "end sessions"
"""The only action on a user that does not change what is shown of them."""

RoleSet = tuple[str | None, frozenset[str]]
"""A tenant, or None, and the roles of a user in it."""


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """What one change can read, in a transaction during which no other change is made.

    `role_sets` returns the tenants and roles of the enabled users, without duplicates. `find`
    returns a user by subject and tenant, `roles_elsewhere` the roles of a user in other tenants.
    """

    session: Session
    role_sets: Callable[[], set[RoleSet]]
    find: Callable[[str, str | None], User | None]
    roles_elsewhere: Callable[[str], set[str]]


Rule = Callable[[ChangeContext, User, User], None]
"""A check that raises to roll back a change; called with the user before and after it."""


class Changed(NamedTuple):
    """A user after a change, their new version, and the entry if there is one."""

    user: User
    version: str
    entry: Entry | None
