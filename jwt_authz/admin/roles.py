"""Change the catalog in the table of the accounts' roles, with a trail of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..accounts.sqlalchemy.roles import SQLAlchemyRoles
from ..accounts.sqlalchemy.trail import Entry
from ..errors import MisuseError
from ..policy.roles import Role, Roles
from ..refusals import ProblemAnswer
from .accounts import AdminAccounts
from .change import Actor, ChangeContext
from .shown import state_of
from .versions import ANY, Seen, refuse_missing, refuse_stale


@dataclass(frozen=True, slots=True)
class RoleChange:
    """A change that stores `role`, or removes the role `name` if `role` is None.

    If it `is_new`, the roles in `included_by` will include it. The change is based on the versions
    `seen`.
    """

    action: str
    name: str
    role: Role | None = None
    is_new: bool = False
    included_by: tuple[str, ...] = ()
    seen: Seen = ANY

    @property
    def includes(self) -> tuple[str, ...]:
        """The roles that it will include."""
        return () if self.role is None else self.role.includes

    def applied_to(self, catalog: Roles) -> Roles:
        """Return the catalog after the change; raise `MisuseError` if it would be invalid."""
        if self.is_new == (self.name in catalog):
            there = (
                "a role with this name already exists" if self.is_new else "the role was removed"
            )
            raise MisuseError(there)
        others = {name: role for name, role in catalog.items() if name != self.name}
        if self.role is None:
            others = {name: _without(role, self.name) for name, role in others.items()}
        for name in self.included_by:
            if name not in others:
                raise MisuseError(f"no role is named {name!r}")
            others[name] = _including(others[name], self.name)
        return Roles(*others.values(), *(() if self.role is None else (self.role,)))


_RETIRED = (
    "A role with this name was removed, and code may still refer to it. Choose another name. "
    "`flask authz roles add` restores the name."
)

CatalogRule = Callable[[ChangeContext, RoleChange, Roles, Roles], None]
"""A check that raises to refuse a change; called with the catalog before and after it."""


class AdminRoles:
    """Serialized changes of the roles of the accounts' users."""

    def __init__(self, accounts: AdminAccounts, roles: SQLAlchemyRoles) -> None:
        self._accounts = accounts
        self._roles = roles

    def judge(self, change: RoleChange, rule: CatalogRule) -> None:
        """Raise what `make` would raise, without a change."""
        self._accounts.in_turn(lambda context: self._judged(context, change, rule))

    def make(self, actor: Actor, change: RoleChange, rule: CatalogRule) -> tuple[list[Entry], str]:
        """Make the change and record it in the trail, without an entry if nothing changed.

        Return the entries, and the new version of the role. The first entry is that of the role;
        then come the roles that include it, and the users who lose a removed role. Raise
        `MisuseError` if the catalog would be invalid, a `ProblemAnswer` if the role has changed
        since it was seen, and what the rule raises.
        """

        def work(context: ChangeContext) -> tuple[list[Entry], str]:
            entries = changed(context)
            context.session.flush()
            return entries, self._accounts.role_version_in(
                context.session, change.name, change.role
            )

        def changed(context: ChangeContext) -> list[Entry]:
            before, after = self._judged(context, change, rule)
            names = changed_names(change, before, after)
            entries = [_entry(actor, change, name, before, after) for name in names]
            if not entries:
                return []
            if change.role is None:
                entries += self._accounts.entries_of_loss(context, actor, change.name)
                self._roles.delete_in(context.session, change.name)
            else:
                self._roles.put_in(context.session, change.role)
            context.session.flush()
            for name in change.included_by:
                self._roles.include_in(context.session, name, change.name)
            return [self._accounts.keep(context.session, entry) for entry in entries]

        return self._accounts.in_turn(work)

    def _judged(
        self, context: ChangeContext, change: RoleChange, rule: CatalogRule
    ) -> tuple[Roles, Roles]:
        before = self._roles.read_in(context.session)
        found = before.get(change.name)
        # If it is already as requested, this may be a repeated call whose response was lost.
        if found != change.role:
            version = self._accounts.role_version_in(context.session, change.name, found)
            refuse_stale(version, change.seen)
        after = change.applied_to(before)
        if change.is_new and self._roles.is_retired_in(context.session, change.name):
            raise ProblemAnswer(409, "role-retired", _RETIRED)
        rule(context, change, before, after)
        refuse_missing(change.seen)
        return before, after


def role_of(name: str, permissions: Iterable[str], includes: Iterable[str], level: Any) -> Role:
    """Return the role as in the catalog, with sorted names without duplicates."""
    return Role(name, *sorted(set(permissions)), includes=sorted(set(includes)), level=level)


def _including(role: Role, other: str) -> Role:
    includes = sorted({*role.includes, other})
    return Role(role.name, *role.permissions, includes=includes, level=role.level)


def _without(role: Role, other: str) -> Role:
    includes = [name for name in role.includes if name != other]
    return Role(role.name, *role.permissions, includes=includes, level=role.level)


def changed_names(change: RoleChange, before: Roles, after: Roles) -> list[str]:
    """Return the names of the roles that a change modifies, its own role first."""
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
