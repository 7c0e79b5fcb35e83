"""Safeguards: the limits of what administrators may do, checked in the transaction of a change.

How it works. Another process may have just changed a role, unknown to this one. So the holdings of
the caller, and of all others, are read from the catalog that the transaction sees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..accounts import User
from ..accounts.sqlalchemy.roles import SQLAlchemyRoles
from ..errors import MisuseError
from ..policy.decision import NO
from ..policy.identity import Identity
from ..policy.permissions import PermissionSet
from ..policy.requirements import Requirement
from ..policy.roles import Roles
from ..refusals import ProblemAnswer
from .change import ChangeContext
from .guard_parts import RANK, meets_more
from .holdings import Holdings, holdings_of
from .roles import RoleChange, changed_names


@dataclass(frozen=True, slots=True)
class Safeguards:
    """The safeguards for one caller; `required` is the requirement for administrators.

    `is_kept` says that the caller's roles are those in the accounts, `is_own` that the application
    issued their token. `stored` is the catalog if it is in the tables of the users.
    """

    caller: Identity
    is_own: bool
    is_kept: bool
    required: Requirement
    catalog: Roles | None
    stored: SQLAlchemyRoles | None

    def __call__(self, context: ChangeContext, before: User, after: User) -> None:
        """Raise `ProblemAnswer` if the change is not allowed; see `Rule`."""
        stored = None if self.stored is None else self.stored.read_in(context.session)
        self._reread(context, stored, before)._refuse_of_user(context, before, after)

    def of_catalog(
        self, context: ChangeContext, change: RoleChange, before: Roles, after: Roles
    ) -> None:
        """Raise `ProblemAnswer` if a change of a role is not allowed; see `CatalogRule`."""
        self.refuse_tenant()
        now = self._reread(context, before)
        then = now._as_of(after.open_ended(), now.caller.roles)
        for name in dict.fromkeys((change.name, *changed_names(change, before, after))):
            now._refuse_of_role(name, before, after)
        nobody: frozenset[str] = frozenset()
        is_open = then._rank(None, nobody) > now._rank(None, nobody)
        if meets_more(now.caller, then.caller) or is_open:
            raise _opens_to_themselves()
        now._refuse_last_of(context, then)

    def _reread(
        self, context: ChangeContext, stored: Roles | None, before: User | None = None
    ) -> Safeguards:
        """Return the safeguards with what is stored now: the catalog, and the caller's own roles.

        `before` is a user before the change. Raise `ProblemAnswer` if the caller may no longer
        administer.
        """
        user, roles = self._kept_caller(context, before), self.caller.roles
        if user is not None:
            roles = roles.intersection(user.roles)
        safeguards = self._as_of(self.catalog if stored is None else stored.open_ended(), roles)
        is_disabled = user is not None and user.disabled
        if is_disabled or safeguards._rank_of(safeguards.caller) == RANK[NO]:
            raise ProblemAnswer(403, "not-allowed", "You can no longer administer.")
        return safeguards

    def _kept_caller(self, context: ChangeContext, before: User | None) -> User | None:
        """Return the caller's account; None if their roles come from elsewhere."""
        if not self.is_kept:
            return None
        if before is not None and before.subject == self.caller.subject:
            return before
        return context.find(self.caller.subject, self.caller.tenant)

    def refuse_tenant(self) -> None:
        """Raise `ProblemAnswer` for a caller with a tenant, since all tenants share the roles."""
        if self.caller.tenant is not None:
            detail = "All tenants share the roles. Only users without a tenant can change them."
            raise ProblemAnswer(403, "of-a-tenant", detail)

    def refuse_unknown(self, roles: Iterable[str]) -> None:
        """Raise `ProblemAnswer` for a role that is not in the catalog."""
        if self.catalog is not None and not {*roles} <= self.catalog.keys():
            raise ProblemAnswer(400, "unknown-role", "The catalog has no role with this name.")

    def _refuse_of_user(self, context: ChangeContext, before: User, after: User) -> None:
        had, has = self._with_included(before.roles), self._with_included(after.roles)
        if not self.caller.subject_is_foreign and before.subject == self.caller.subject:
            self._refuse_of_themselves(before, after, has - had)
        self._refuse_unheld(has - had)
        self._refuse_unheld(self._known(had - has), "You cannot take a role that you do not hold")
        self._refuse_superior(context, before, after)
        self._refuse_last_user(context, before, after)

    def _refuse_of_themselves(self, before: User, after: User, given: set[str]) -> None:
        if given:
            raise ProblemAnswer(403, "self-promotion", "You cannot give yourself a role.")
        was, will = (
            self._as_of(self.catalog, frozenset(user.roles)).caller for user in (before, after)
        )
        if meets_more(was, will):
            raise _opens_to_themselves()

    def _refuse_superior(self, context: ChangeContext, before: User, after: User) -> None:
        """Refuse to act on a user who holds more than the caller, before the change or after it."""
        roles = {*before.roles, *after.roles}
        if before.roles == after.roles:  # concerns the whole account, such as disabling
            elsewhere = context.roles_elsewhere(before.subject)
            if elsewhere and self.caller.tenant is not None:
                detail = "This user also has roles in tenants that you do not administer."
                raise ProblemAnswer(403, "holds-more", detail)
            roles |= elsewhere
        missing = holdings_of(roles, self.catalog).missing_from(self.caller)
        if missing is not None:
            detail = f"This user holds {missing}, which you do not hold."
            raise ProblemAnswer(403, "holds-more", detail)

    def _refuse_last_user(self, context: ChangeContext, before: User, after: User) -> None:
        rank = self._rank_of_user(before)
        if self._rank_of_user(after) < rank:
            held = holdings_of(before.roles, self.catalog)
            tenants = (None, before.tenant)
            left = [(tenant, roles) for tenant, roles in context.role_sets() if tenant in tenants]
            if not self._is_among(left, rank, held):
                raise _nobody_left()

    def _refuse_last_of(self, context: ChangeContext, then: Safeguards) -> None:
        """Refuse a change of a role that removes an administrator without an equal one remaining.

        The remaining administrator has to hold everything that the other one held, or no one could
        give it back.
        """
        left = [(tenant, roles) for tenant, roles in context.role_sets() if tenant is None]
        for tenant, roles in left:
            rank = self._rank(tenant, roles)
            if then._rank(tenant, roles) < rank:
                held = holdings_of(roles, self.catalog)
                names = frozenset(then._known(held.names))
                if not then._is_among(left, rank, replace(held, names=names)):
                    raise _nobody_left()

    def _is_among(
        self, left: Iterable[tuple[str | None, frozenset[str]]], rank: int, held: Holdings
    ) -> bool:
        """Return whether a user can administer with at least this rank, and holds all of this."""
        users = (self._anybody(tenant, roles) for tenant, roles in left)
        return any(self._rank_of(one) >= rank and held.missing_from(one) is None for one in users)

    def _refuse_of_role(self, name: str, before: Roles, after: Roles) -> None:
        """Refuse a change of a role that grants, before or after it, what the caller lacks."""
        for catalog in (before, after):
            held = replace(holdings_of([name], catalog), names=frozenset())
            missing = held.missing_from(self.caller)
            if missing is not None:
                detail = f"The role {name} grants {missing}, which you do not hold."
                if missing.startswith("the level"):
                    raise ProblemAnswer(403, "level-not-held", detail)
                raise ProblemAnswer(403, "permission-not-held", detail)
        included = after.with_included([name]) - before.with_included([name])
        self._refuse_unheld(included & before.keys())
        if name in before:
            self._refuse_unheld([name], "You cannot change a role that you do not hold")

    def _refuse_unheld(
        self, roles: Iterable[str], detail: str = "You cannot give a role that you do not hold"
    ) -> None:
        names = sorted(roles)
        self.refuse_unknown(names)
        for name in names:
            if not self.caller.has_role(name):
                raise ProblemAnswer(403, "role-not-held", f"{detail}: {name}.")

    def _known(self, roles: Iterable[str]) -> set[str]:
        """Return the roles that are in the catalog; others give nothing."""
        return {name for name in roles if self.catalog is None or name in self.catalog}

    def _with_included(self, roles: tuple[str, ...]) -> set[str]:
        included = () if self.catalog is None else self.catalog.with_included(roles)
        return {*roles, *included}

    def _as_of(self, catalog: Roles | None, roles: frozenset[str]) -> Safeguards:
        return replace(self, catalog=catalog, caller=_as_of(self.caller, catalog, roles))

    def _rank_of_user(self, user: User) -> int:
        """Return how far a user may administer according to their roles; see `RANK`."""
        return RANK[NO] if user.disabled else self._rank(user.tenant, frozenset(user.roles))

    def _rank(self, tenant: str | None, roles: frozenset[str]) -> int:
        return self._rank_of(self._anybody(tenant, roles))

    def _anybody(self, tenant: str | None, roles: frozenset[str]) -> Identity:
        return Identity("anybody", tenant=tenant, roles=roles, catalogue=self.catalog)

    def _rank_of(self, identity: Identity) -> int:
        try:
            return RANK[self.required.analyse(identity)]
        except MisuseError:  # a name outside the catalog: everyone is refused
            return RANK[NO]


def _as_of(identity: Identity, catalog: Roles | None, roles: frozenset[str]) -> Identity:
    """Return the identity with another catalog and roles, keeping its other differences."""
    read_by, by = identity.catalogue or Roles(), catalog or Roles()
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
        catalogue=catalog,
        subject_is_foreign=identity.subject_is_foreign,
    )


def _opens_to_themselves() -> ProblemAnswer:
    detail = "You cannot give yourself more access, or open the administration to everyone."
    return ProblemAnswer(403, "self-promotion", detail)


def _nobody_left() -> ProblemAnswer:
    detail = "No administrator who holds as much would remain. Appoint another one first."
    return ProblemAnswer(409, "last-administrator", detail)
