"""Rules: what not even an administrator may do, asked inside the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..accounts import User
from ..decision import NO
from ..endpoints.answers import ProblemAnswer
from ..errors import MisuseError
from ..identity import Identity
from ..requirements import Requirement
from ..roles import Roles
from .effect import effects_between
from .roles import Everybody, RoleChange


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one caller; `required` is what makes an administrator here."""

    caller: Identity
    is_own: bool
    required: Requirement
    catalogue: Roles | None

    def __call__(self, before: User, after: User, everybody: Iterator[User]) -> None:
        """Raises a `ProblemAnswer` where the change may not be; see `Rule`."""
        given = self._with_included(after.roles) - self._with_included(before.roles)
        if given and self.is_own and before.subject == self.caller.subject:
            raise ProblemAnswer(403, "self-promotion", "Nobody gives themselves a role.")
        self.refuse_unheld(given)
        if self._administers(before) and not self._administers(after):
            those = (user for user in everybody if user.tenant in (None, before.tenant))
            if not any(map(self._administers, those)):
                raise _nobody_left()

    def of_catalogue(
        self, change: RoleChange, before: Roles, after: Roles, everybody: Everybody
    ) -> None:
        """Raises a `ProblemAnswer` where a change of a role may not be; see `CatalogueRule`."""
        self.refuse_tenant()
        name = change.name
        given = after.permissions_of([name]).held - before.permissions_of([name]).held
        if not all(permission in self.caller.permissions for permission in given):
            detail = "You give roles only permissions that you hold yourself."
            raise ProblemAnswer(403, "permission-not-held", detail)
        included = after.with_included([name]) - before.with_included([name]) - {name}
        self.refuse_unheld({*included, *change.included_by})
        self._refuse_level(_level(before, name), _level(after, name))
        effects = effects_between(self._under(before), self._under(after))
        if any(effect.opens for effect in effects):
            detail = "Nobody opens a route to themselves by changing a role."
            raise ProblemAnswer(403, "self-promotion", detail)
        if self._somebody(everybody(), before) and not self._somebody(everybody(), after):
            raise _nobody_left()

    def refuse_tenant(self) -> None:
        """Raises a `ProblemAnswer` for a caller of a tenant: its roles are those of all others."""
        if self.caller.tenant is not None:
            detail = "All tenants share the roles: whoever has no tenant changes them."
            raise ProblemAnswer(403, "of-a-tenant", detail)

    def refuse_unknown(self, roles: Iterable[str]) -> None:
        """Raises a `ProblemAnswer` for a role that the catalogue lacks."""
        if self.catalogue is not None and not {*roles} <= self.catalogue.keys():
            raise ProblemAnswer(400, "unknown-role", "No role of the catalogue has this name.")

    def refuse_unheld(self, roles: Iterable[str]) -> None:
        """Raises a `ProblemAnswer` for a role that the caller does not hold themselves."""
        names = tuple(roles)
        self.refuse_unknown(names)
        for name in names:
            if not self.caller.has_role(name):
                detail = "You give others only roles that you hold yourself."
                raise ProblemAnswer(403, "role-not-held", detail)

    def _refuse_level(self, before: int | None, after: int | None) -> None:
        # Also one that is lowered: `has_level("manager")` would open with the manager's level.
        levels = [level for level in (before, after) if level is not None]
        if before != after and any(level > self.caller.level for level in levels):
            detail = "You change only levels that are not above your own, to such levels."
            raise ProblemAnswer(403, "level-not-held", detail)

    def _with_included(self, roles: tuple[str, ...]) -> set[str]:
        included = () if self.catalogue is None else self.catalogue.with_included(roles)
        return {*roles, *included}

    def _under(self, catalogue: Roles) -> Identity:
        """The caller as a catalogue has them."""
        return Identity(
            self.caller.subject,
            tenant=self.caller.tenant,
            roles=self.caller.roles,
            scopes=self.caller.scopes,
            claims=self.caller.claims,
            catalogue=catalogue.open_ended(),
        )

    def _somebody(self, users: Iterable[User], catalogue: Roles) -> bool:
        """Whether one of the users may change roles, were this the catalogue."""
        rules = replace(self, catalogue=catalogue.open_ended())
        return any(rules._administers(user) for user in users if user.tenant is None)

    def _administers(self, user: User) -> bool:
        """Whether the user may administer, as far as their roles tell."""
        if user.disabled:
            return False
        identity = Identity(
            user.subject, tenant=user.tenant, roles=user.roles, catalogue=self.catalogue
        )
        try:
            return self.required.analyse(identity) is not NO
        except MisuseError:
            return False


def _level(catalogue: Roles, name: str) -> int | None:
    return catalogue[name].level if name in catalogue else None


def _nobody_left() -> ProblemAnswer:
    detail = "Nobody would be left who may administer: appoint somebody else first."
    return ProblemAnswer(409, "last-administrator", detail)
