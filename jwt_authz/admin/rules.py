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

    `is_kept` says that the caller's roles are those that the accounts have for them, `is_own` that
    the application has issued their token; `stored` is the catalogue where it is in the tables of
    the users.
    """

    caller: Identity
    is_own: bool
    is_kept: bool
    required: Requirement
    catalogue: Roles | None
    stored: SQLAlchemyRoles | None

    def __call__(self, turn: Turn, before: User, after: User) -> None:
        """Raises a `ProblemAnswer` where the change may not be; see `Rule`."""
        stored = None if self.stored is None else self.stored.read_in(turn.session)
        self._in_turn(turn, stored, before)._refuse_of_user(turn, before, after)

    def of_catalogue(self, turn: Turn, change: RoleChange, before: Roles, after: Roles) -> None:
        """Raises a `ProblemAnswer` where a change of a role may not be; see `CatalogueRule`."""
        self.refuse_tenant()
        now = self._in_turn(turn, before)
        then = now._as_of(after.open_ended(), now.caller.roles)
        now._refuse_given(change, before, after)
        nobody = User("nobody", "nobody")
        if meets_more(now.caller, then.caller) or then._rank(nobody) > now._rank(nobody):
            raise _opens_to_themselves()
        best = now._best(turn, now.caller.subject, (None,), enough=RANK[YES])
        if then._best(turn, now.caller.subject, (None,), enough=best) < best:
            raise _nobody_left()

    def _in_turn(self, turn: Turn, stored: Roles | None, before: User | None = None) -> Rules:
        """The same by what is stored in this moment: the catalogue, and the caller's own roles.

        `before` is a user as they were before the change. Raises a `ProblemAnswer` where the caller
        may not administer any more.
        """
        user, roles = self._kept_caller(turn, before), self.caller.roles
        if user is not None:
            roles = roles.intersection(user.roles)
        rules = self._as_of(self.catalogue if stored is None else stored.open_ended(), roles)
        is_disabled = user is not None and user.disabled
        if is_disabled or rules._rank_of(rules.caller) == RANK[NO]:
            raise ProblemAnswer(403, "not-allowed", "You may not administer any more.")
        return rules

    def _kept_caller(self, turn: Turn, before: User | None) -> User | None:
        """The caller as the accounts have them; None where their roles come from elsewhere."""
        if not self.is_kept:
            return None
        if before is not None and before.subject == self.caller.subject:
            return before
        return turn.find(self.caller.subject, self.caller.tenant)

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
        if self.is_own and before.subject == self.caller.subject:
            if given:
                raise ProblemAnswer(403, "self-promotion", "Nobody gives themselves a role.")
            was, will = (
                self._as_of(self.catalogue, frozenset(user.roles)).caller
                for user in (before, after)
            )
            if meets_more(was, will):
                raise _opens_to_themselves()
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
        unheld = sorted(one for one in given if one not in self.caller.permissions)
        if unheld:
            detail = f"You give roles only permissions that you hold yourself, and not {unheld[0]}."
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

    def _as_of(self, catalogue: Roles | None, roles: frozenset[str]) -> Rules:
        return replace(self, catalogue=catalogue, caller=_as_of(self.caller, catalogue, roles))

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


def _as_of(identity: Identity, catalogue: Roles | None, roles: frozenset[str]) -> Identity:
    """The identity by another catalogue and roles; in what else it had more or less, it stays."""
    read_by, by = identity.catalogue or Roles(), catalogue or Roles()
    held, of_roles = identity.permissions.held, read_by.permissions_of(identity.roles).held
    permissions = (by.permissions_of(roles).held - (of_roles - held)) | (held - of_roles)
    is_level_of_roles = identity.level == read_by.level_of(identity.roles)
    return Identity(
        identity.subject,
        issuer=identity.issuer,
        tenant=identity.tenant,
        roles=roles,
        permissions=PermissionSet(permissions),
        scopes=identity.scopes,
        level=by.level_of(roles) if is_level_of_roles else identity.level,
        claims=identity.claims,
        catalogue=catalogue,
    )


def _opens_to_themselves() -> ProblemAnswer:
    detail = "Nobody opens anything to themselves, or the administration to everybody."
    return ProblemAnswer(403, "self-promotion", detail)


def _level(catalogue: Roles, name: str) -> int | None:
    return catalogue[name].level if name in catalogue else None


def _nobody_left() -> ProblemAnswer:
    detail = "Nobody would be left who may administer: appoint somebody else first."
    return ProblemAnswer(409, "last-administrator", detail)
