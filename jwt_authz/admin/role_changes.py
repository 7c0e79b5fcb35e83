"""Change roles with the safeguards, the trail, and effect in all processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..accounts.sqlalchemy.roles import SQLAlchemyRoles
from ..application import current_state
from ..logins.changes import reload_everywhere
from ..logins.revoking import revoke
from ..logins.token_sizes import refuse_role_change
from ..policy.roles import Role, Roles
from ..refusals import ProblemAnswer
from ..revocation import Target
from .change import ChangeContext
from .effect import Effect, effect_of_catalog
from .roles import AdminRoles, CatalogRule, RoleChange
from .safeguards import Safeguards
from .user_changes import Administration, announce, fit
from .versions import ANY, Seen

ROLES_ELSEWHERE = (
    "The roles are not stored in the users' database. Change them where they are stored."
)


@dataclass(frozen=True, slots=True)
class RoleAdministration:
    """The operations of administrators on the role catalog of the application."""

    of_users: Administration

    def roles(self) -> Roles:
        """Return the catalog; empty if the application has none."""
        self.of_users.safeguards()
        return _catalog()

    def role(self, name: str) -> Role:
        """Return the role with this name; raise a 404 if there is none."""
        found = self.roles().get(name)
        if found is None:
            raise _no_such_role()
        return found

    def versioned(self, name: str) -> tuple[Role, str]:
        """Return `role`, and the version that a change may be based on."""
        role = self.role(name)
        return role, self.of_users.accounts.role_version(role)

    def why_fixed(self) -> str | None:
        """Return a sentence that says why the caller cannot change the roles, or None."""
        try:
            self._safeguards()
        except ProblemAnswer as problem:
            return problem.description
        return None

    def effect_of_change(self, role: Role) -> list[Effect]:
        """Return the effect of changing the role to the given one."""
        self.of_users.safeguards().refuse_unknown(role.includes)
        return _effect_of(RoleChange("change role", role.name, role))

    def effect_of_removal(self, name: str) -> list[Effect]:
        """Return the effect of removing the role."""
        return _effect_of(RoleChange("remove role", self.role(name).name))

    def judge(self, role: Role) -> None:
        """Raise the `ProblemAnswer` with which `change` would be refused, if any."""
        self._judge(RoleChange("change role", role.name, role))

    def create(self, role: Role, included_by: Iterable[str] = ()) -> Role:
        """Create a role with what the caller holds; roles that they hold can include it at once."""
        if role.name in self.roles():
            raise ProblemAnswer(409, "role-exists", "A role with this name already exists.")
        names = tuple(dict.fromkeys(included_by))
        self._make(RoleChange("create role", role.name, role, True, names))
        return role

    def change(self, role: Role, seen: Seen = ANY) -> tuple[Role, str]:
        """Replace the role with this name; the change takes effect at once.

        Return the role and its version. Refuse if the stored role has none of the versions `seen`.
        """
        self.role(role.name)
        return role, self._make(RoleChange("change role", role.name, role, seen=seen))

    def remove(self, name: str, seen: Seen = ANY) -> None:
        """Remove the role from all users and roles, and end the access tokens that have it."""
        change, state = RoleChange("remove role", name, seen=seen), current_state()
        stored = state.deadline.bound(self._safeguards()[1])
        if name not in stored.load():
            if stored.is_retired(name):
                # It may have been removed by this call, which then failed: finish the rest.
                reload_everywhere(state, name)
            raise _no_such_role()
        self._judge(change)
        # Also before the change, so that nothing changes if the store does not answer: tokens with
        # this name would be valid again with another role of this name.
        revoke(state, Target("role", name))
        self._make(change)

    def _judge(self, change: RoleChange) -> None:
        safeguards, stored = self._safeguards(change)
        roles = AdminRoles(self.of_users.accounts, stored)
        fit(lambda: roles.judge(change, _fitting(safeguards)))

    def _make(self, change: RoleChange) -> str:
        (safeguards, stored), state = self._safeguards(change), current_state()
        roles, actor = AdminRoles(self.of_users.accounts, stored), self.of_users.actor()
        state.reload_roles()  # so that nothing changes if the store does not answer
        entries, version = fit(lambda: roles.make(actor, change, _fitting(safeguards)))
        try:
            # Also if nothing changed, to repeat a call that did not reach the other processes.
            reload_everywhere(state, change.name if change.role is None else None)
        finally:
            announce(*entries)
        return version

    def _safeguards(self, change: RoleChange | None = None) -> tuple[Safeguards, SQLAlchemyRoles]:
        """Return the safeguards for a change, and the catalog, if it can be changed here."""
        safeguards = self.of_users.safeguards()
        safeguards.refuse_tenant()
        if safeguards.stored is None:
            raise ProblemAnswer(409, "roles-elsewhere", ROLES_ELSEWHERE)
        if change is not None:
            safeguards.refuse_unknown((*change.includes, *change.included_by))
        return safeguards, safeguards.stored


def _fitting(safeguards: Safeguards) -> CatalogRule:
    """Return the rule for a change of a role, which also refuses tokens that would be too long."""
    state = current_state()

    def rule(context: ChangeContext, change: RoleChange, before: Roles, after: Roles) -> None:
        safeguards.of_catalog(context, change, before, after)
        refuse_role_change(
            state, before, after, lambda: {roles for _, roles in context.role_sets()}
        )

    return rule


def _effect_of(change: RoleChange) -> list[Effect]:
    before = _catalog()
    return effect_of_catalog(before, fit(lambda: change.applied_to(before)))


def _catalog() -> Roles:
    return current_state().roles or Roles()


def _no_such_role() -> ProblemAnswer:
    return ProblemAnswer(404, "role-unknown", "There is no such role.")
