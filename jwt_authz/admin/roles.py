"""AdminRoles: the catalogue in the table of the accounts' own roles, each change with its trail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..accounts.sqlalchemy.roles import SQLAlchemyRoles
from ..accounts.sqlalchemy.trail import Entry
from ..endpoints.answers import ProblemAnswer
from ..errors import MisuseError
from ..policy.roles import Role, Roles
from .accounts import AdminAccounts
from .shown import state_of
from .turn import Actor, Turn
from .versions import ANY, Seen, refuse_missing, refuse_stale


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What is to become of a role: it is to be `role`, or to be there no more where that is None.

    One that `is_new` is included by the roles of `included_by` from then on. The change is based on
    the versions `seen`.
    """

    action: str
    name: str
    role: Role | None = None
    is_new: bool = False
    included_by: tuple[str, ...] = ()
    seen: Seen = ANY

    @property
    def includes(self) -> tuple[str, ...]:
        """The roles that it is to include."""
        return () if self.role is None else self.role.includes

    def applied_to(self, catalogue: Roles) -> Roles:
        """The catalogue after the change; raises MisuseError where it would be none."""
        if self.is_new == (self.name in catalogue):
            there = "there is a role of this name already" if self.is_new else "the role is gone"
            raise MisuseError(there)
        others = {name: role for name, role in catalogue.items() if name != self.name}
        if self.role is None:
            others = {name: _without(role, self.name) for name, role in others.items()}
        for name in self.included_by:
            if name not in others:
                raise MisuseError(f"no role is named {name!r}")
            others[name] = _including(others[name], self.name)
        return Roles(*others.values(), *(() if self.role is None else (self.role,)))


_RETIRED = (
    "A role of this name was removed, and code may still ask for it: choose another name. "
    "`flask authz roles add` gives the name back."
)

CatalogueRule = Callable[[Turn, RoleChange, Roles, Roles], None]
"""Raises where a change may not be: the change, and the catalogue before and after it."""


class AdminRoles:
    """Changes of the roles that the accounts' users have, one after the other."""

    def __init__(self, accounts: AdminAccounts, roles: SQLAlchemyRoles) -> None:
        self._accounts = accounts
        self._roles = roles

    def judge(self, change: RoleChange, rule: CatalogueRule) -> None:
        """Raise what `make` would, and change nothing."""
        self._accounts.in_turn(lambda turn: self._judged(turn, change, rule))

    def make(
        self, actor: Actor, change: RoleChange, rule: CatalogueRule
    ) -> tuple[list[Entry], str]:
        """Make the change, and tell of it in the trail; no entry where it was so already.

        Returns the entries, and the version that the role has then.

        Of the entries the first is that of the role; then come the roles that include it, and the
        users who lose one that is removed. Raises MisuseError where it would be no
        catalogue, a `ProblemAnswer` where the role is not the one that was seen, and what the rule
        raises.
        """

        def work(turn: Turn) -> tuple[list[Entry], str]:
            entries = changed(turn)
            turn.session.flush()
            return entries, self._accounts.role_version_in(turn.session, change.name, change.role)

        def changed(turn: Turn) -> list[Entry]:
            before, after = self._judged(turn, change, rule)
            names = changed_names(change, before, after)
            entries = [_entry(actor, change, name, before, after) for name in names]
            if not entries:
                return []
            if change.role is None:
                entries += self._accounts.told_of_loss(turn, actor, change.name)
                self._roles.delete_in(turn.session, change.name)
            else:
                self._roles.put_in(turn.session, change.role)
            turn.session.flush()
            for name in change.included_by:
                self._roles.include_in(turn.session, name, change.name)
            return [self._accounts.keep(turn.session, entry) for entry in entries]

        return self._accounts.in_turn(work)

    def _judged(self, turn: Turn, change: RoleChange, rule: CatalogueRule) -> tuple[Roles, Roles]:
        before = self._roles.read_in(turn.session)
        found = before.get(change.name)
        # One that is as it is to be may be so by the same call, whose answer was lost.
        if found != change.role:
            version = self._accounts.role_version_in(turn.session, change.name, found)
            refuse_stale(version, change.seen)
        after = change.applied_to(before)
        if change.is_new and self._roles.is_retired_in(turn.session, change.name):
            raise ProblemAnswer(409, "role-retired", _RETIRED)
        rule(turn, change, before, after)
        refuse_missing(change.seen)
        return before, after


def role_of(name: str, permissions: Iterable[str], includes: Iterable[str], level: Any) -> Role:
    """The role as the catalogue has it, each name once and in order."""
    return Role(name, *sorted(set(permissions)), includes=sorted(set(includes)), level=level)


def _including(role: Role, other: str) -> Role:
    includes = sorted({*role.includes, other})
    return Role(role.name, *role.permissions, includes=includes, level=role.level)


def _without(role: Role, other: str) -> Role:
    includes = [name for name in role.includes if name != other]
    return Role(role.name, *role.permissions, includes=includes, level=role.level)


def changed_names(change: RoleChange, before: Roles, after: Roles) -> list[str]:
    """The names of the roles that a change makes different, the one that it is about first."""
    names = dict.fromkeys((change.name, *before))
    return [name for name in names if before.get(name) != after.get(name)]


def _entry(actor: Actor, change: RoleChange, name: str, before: Roles, after: Roles) -> Entry:
    was, will = before.get(name), after.get(name)
    return actor.entry(
        change.action if name == change.name else "change role",
        role=name,
        before=None if was is None else state_of(was),
        after=None if will is None else state_of(will),
    )
