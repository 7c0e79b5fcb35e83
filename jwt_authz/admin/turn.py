"""Turn: one change of the accounts, who makes it, what it sees, and what it gives."""

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
    """Who makes a change; `issuer` is None for this application's own subjects."""

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
        """An entry of what they do, now, to a user or a role."""
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
"""The one action on a user that leaves them as they are shown."""

RoleSet = tuple[str | None, frozenset[str]]
"""A tenant, or None, and the roles that a user of it has."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of one change, during which no other one is made.

    `role_sets` returns the tenants and roles of the users who are not disabled, each set once;
    `find` a user by their subject, as one of a tenant; `roles_elsewhere` the roles that a user has
    in other tenants than their own.
    """

    session: Session
    role_sets: Callable[[], set[RoleSet]]
    find: Callable[[str, str | None], User | None]
    roles_elsewhere: Callable[[str], set[str]]


Rule = Callable[[Turn, User, User], None]
"""Raises to roll a change back, which is made already: the user before and after it."""


class Changed(NamedTuple):
    """A user after a change, the version that they have then, and the entry if there is one."""

    user: User
    version: str
    entry: Entry | None
