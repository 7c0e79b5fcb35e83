"""Rules: what not even an administrator may do, asked inside the transaction of the change.

How it works. Another process may have changed a role a moment ago, and this one not know it yet. So
the caller, and all others, are taken for what the catalogue says that the transaction itself sees.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from ..accounts import User
from ..accounts.sqlalchemy import SQLAlchemyRoles
from ..decision import NO, YES
from ..endpoints.answers import ProblemAnswer
from ..errors import MisuseError
from ..identity import Identity
from ..permissions import PermissionSet
from ..requirements import Requirement
from ..roles import Roles
from .accounts import Turn
from .asked import RANK, meets_more
from .roles import RoleChange


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one caller; `required` is what makes an administrator here.

    `stored` is the catalogue where it is in the tables of the users.
    """

    caller: Identity
    is_own: bool
    required: Requirement
    catalogue: Roles | None
    stored: SQLAlchemyRoles | None

    def __call__(self, turn: Turn, before: User, after: User) -> None:
        """Raises a `ProblemAnswer` where the change may not be; see `Rule`."""
        rules = self
        if self.stored is not None:
            rules = self.under(self.stored.read_in(turn.session))
        rules._refuse_of_user(turn, before, after)

    def of_catalogue(self, turn: Turn, change: RoleChange, before: Roles, after: Roles) -> None:
        """Raises a `ProblemAnswer` where a change of a role may not be; see `CatalogueRule`."""
        self.refuse_tenant()
        now, then = self.under(before), self._as_of(after)
        now._refuse_given(change, before, after)
        nobody = User("nobody", "nobody")
        if meets_more(now.caller, then.caller) or then._rank(nobody) > now._rank(nobody):
            detail = "Nobody opens anything to themselves, or to everybody, by changing a role."
            raise ProblemAnswer(403, "self-promotion", detail)
        best = now._best(turn, now.caller.subject, (None,), enough=RANK[YES])
        if then._best(turn, now.caller.subject, (None,), enough=best) < best:
            raise _nobody_left()

    def under(self, catalogue: Roles) -> Rules:
        """The same by this catalogue; raises a `ProblemAnswer` where the caller may no more."""
        rules = self._as_of(catalogue)
        if rules._rank_of(rules.caller) == RANK[NO]:
            raise ProblemAnswer(403, "not-allowed", "You may not administer any more.")
        return rules

    def refuse_tenant(self) -> None:
        """Raises a `ProblemAnswer` for a caller of a tenant: its roles are those of all others."""
        if self.caller.tenant is not None:
            detail = "All tenants share the roles: whoever has no tenant changes them."
            raise ProblemAnswer(403, "of-a-tenant", detail)

    def refuse_unknown(self, roles: Iterable[str]) -> None:
        """Raises a `ProblemAnswer` for a role that the catalogue lacks."""
        if self.catalogue is not None and not {*roles} <= self.catalogue.keys():
            raise ProblemAnswer(400, "unknown-role", "No role of the catalogue has this name.")

    def _refuse_of_user(self, turn: Turn, before: User, after: User) -> None:
        given = self._with_included(after.roles) - self._with_included(before.roles)
        if given and self.is_own and before.subject == self.caller.subject:
            raise ProblemAnswer(403, "self-promotion", "Nobody gives themselves a role.")
        self._refuse_unheld(given)
        rank = self._rank(before)
        if self._rank(after) < rank:
            tenants = (None, before.tenant)
            if self._best(turn, self.caller.subject, tenants, enough=rank) < rank:
                raise _nobody_left()

    def _refuse_given(self, change: RoleChange, before: Roles, after: Roles) -> None:
        """Refuse what the role is to have and the caller does not hold."""
        name, held = change.name, before.permissions_of([change.name])
        given = [one for one in after.permissions_of([name]) if one not in held]
        if not all(one in self.caller.permissions for one in given):
            detail = "You give roles only permissions that you hold yourself."
            raise ProblemAnswer(403, "permission-not-held", detail)
        included = after.with_included([name]) - before.with_included([name]) - {name}
        self._refuse_unheld({*included, *change.included_by})
        # Also one that is lowered: `has_level("manager")` would open with the manager's level.
        was, will = _level(before, name), _level(after, name)
        if was != will and max(was or 0, will or 0) > self.caller.level:
            detail = "The level of a role, before and after, has to be at or below your own."
            raise ProblemAnswer(403, "level-not-held", detail)

    def _refuse_unheld(self, roles: Iterable[str]) -> None:
        names = tuple(roles)
        self.refuse_unknown(names)
        if not all(map(self.caller.has_role, names)):
            detail = "You give others only roles that you hold yourself."
            raise ProblemAnswer(403, "role-not-held", detail)

    def _with_included(self, roles: tuple[str, ...]) -> set[str]:
        included = () if self.catalogue is None else self.catalogue.with_included(roles)
        return {*roles, *included}

    def _as_of(self, catalogue: Roles) -> Rules:
        opened = catalogue.open_ended()
        return replace(self, catalogue=opened, caller=_as_of(self.caller, opened))

    def _best(self, turn: Turn, first: str, tenants: Collection[str | None], enough: int) -> int:
        """The best rank of the users of these tenants, or one that is enough."""
        best = RANK[NO]
        for user in turn.everybody(first):
            if user.tenant in tenants:
                best = max(best, self._rank(user))
            if best >= enough:
                break
        return best

    def _rank(self, user: User) -> int:
        """How far a user may administer, as far as their roles tell: see `RANK`."""
        if user.disabled:
            return RANK[NO]
        return self._rank_of(
            Identity(user.subject, tenant=user.tenant, roles=user.roles, catalogue=self.catalogue)
        )

    def _rank_of(self, identity: Identity) -> int:
        try:
            return RANK[self.required.analyse(identity)]
        except MisuseError:  # a name that the catalogue lacks: everybody is refused
            return RANK[NO]


def _as_of(identity: Identity, catalogue: Roles) -> Identity:
    """The identity by another catalogue; what was claimed beside the roles stays."""
    read_by = identity.catalogue or Roles()
    claimed = identity.permissions.held - read_by.permissions_of(identity.roles).held
    is_level_of_roles = identity.level == read_by.level_of(identity.roles)
    return Identity(
        identity.subject,
        issuer=identity.issuer,
        tenant=identity.tenant,
        roles=identity.roles,
        permissions=PermissionSet(claimed) | catalogue.permissions_of(identity.roles),
        scopes=identity.scopes,
        level=None if is_level_of_roles else identity.level,
        claims=identity.claims,
        catalogue=catalogue,
    )


def _level(catalogue: Roles, name: str) -> int | None:
    return catalogue[name].level if name in catalogue else None


def _nobody_left() -> ProblemAnswer:
    detail = "Nobody would be left who may administer: appoint somebody else first."
    return ProblemAnswer(409, "last-administrator", detail)
