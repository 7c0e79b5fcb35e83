"""AdminRoles: the catalogue in the table of the accounts' own roles, each change with its trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import time
from typing import Any

from ..accounts import User
from ..accounts.sqlalchemy import SQLAlchemyRoles
from ..accounts.trail import Entry, State
from ..errors import MisuseError
from ..roles import Role, Roles
from .accounts import Actor, AdminAccounts


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What is to become of a role: it is to be `role`, or to be there no more where that is None.

    A new one is included by the roles of `included_by` from then on.
    """

    action: str
    name: str
    role: Role | None = None
    included_by: tuple[str, ...] = ()

    @property
    def includes(self) -> tuple[str, ...]:
        """The roles that it is to include."""
        return () if self.role is None else self.role.includes

    def applied_to(self, catalogue: Roles) -> Roles:
        """The catalogue after the change; raises MisuseError where it would be none."""
        if self.role is None and (by := catalogue.including(self.name)):
            raise MisuseError(f"the role {by[0]!r} includes {self.name!r}: take that out first")
        others = {name: role for name, role in catalogue.items() if name != self.name}
        for name in self.included_by:
            if name not in others:
                raise MisuseError(f"no role is named {name!r}")
            others[name] = _including(others[name], self.name)
        return Roles(*others.values(), *(() if self.role is None else (self.role,)))


Everybody = Callable[[], Iterator[User]]
"""Gives all users who are not disabled, as they are before the change."""

CatalogueRule = Callable[[RoleChange, Roles, Roles, Everybody], None]
"""Raises where a change may not be: the change, and the catalogue before and after it."""


class AdminRoles:
    """Changes of the roles that the accounts' users have, one after the other."""

    def __init__(self, accounts: AdminAccounts, roles: SQLAlchemyRoles) -> None:
        self._accounts = accounts
        self._roles = roles

    def make(self, actor: Actor, change: RoleChange, rule: CatalogueRule) -> Entry | None:
        """Make the change, and tell of it in the trail; None where it was so already.

        Raises MisuseError where it would be no catalogue, and what the rule raises.
        """

        def work(session: Any) -> Entry | None:
            before = self._roles.read_in(session)
            after = change.applied_to(before)
            if before.get(change.name) == after.get(change.name):
                return None
            rule(
                change,
                before,
                after,
                lambda: self._accounts.everybody(session, first=actor.subject),
            )
            if change.role is None:
                self._roles.delete_in(session, change.name)
            else:
                self._roles.put_in(session, change.role)
            session.flush()
            for name in change.included_by:
                self._roles.include_in(session, name, change.name)
            return self._accounts.keep(session, _entry(actor, change, before, after))

        return self._accounts.in_turn(work)


def role_of(name: str, permissions: list[str], includes: list[str], level: int | None) -> Role:
    """The role as the catalogue has it, each name once and in order."""
    return Role(name, *sorted(set(permissions)), includes=sorted(set(includes)), level=level)


def state_of(role: Role) -> State:
    """What the trail, and the API, tell of a role."""
    return {
        "permissions": [str(one) for one in role.permissions],
        "includes": [*role.includes],
        "level": role.level,
    }


def _including(role: Role, other: str) -> Role:
    includes = (*role.includes, other)
    return Role(role.name, *role.permissions, includes=includes, level=role.level)


def _entry(actor: Actor, change: RoleChange, before: Roles, after: Roles) -> Entry:
    was, will = before.get(change.name), after.get(change.name)
    told = None if will is None else dict(state_of(will))
    if told is not None and change.included_by:
        told["included by"] = [*change.included_by]
    return Entry(
        int(time()), actor.subject, actor.username, change.action, None, None, None, change.name,
        None if was is None else state_of(was), told,
    )  # fmt: skip
