"""Rules: what not even an administrator may do, asked inside the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..accounts import User
from ..decision import NO
from ..endpoints.answers import ProblemAnswer
from ..errors import MisuseError
from ..identity import Identity
from ..requirements import Requirement
from ..roles import Roles


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
                detail = "Nobody would be left who may administer: appoint somebody else first."
                raise ProblemAnswer(409, "last-administrator", detail)

    def refuse_unheld(self, roles: Iterable[str]) -> None:
        """Raises a `ProblemAnswer` for a role that the caller does not hold themselves."""
        for name in roles:
            if self.catalogue is not None and name not in self.catalogue:
                raise ProblemAnswer(400, "unknown-role", "No role of the catalogue has this name.")
            if not self.caller.has_role(name):
                detail = "You give others only roles that you hold yourself."
                raise ProblemAnswer(403, "role-not-held", detail)

    def _with_included(self, roles: tuple[str, ...]) -> set[str]:
        included = () if self.catalogue is None else self.catalogue.with_included(roles)
        return {*roles, *included}

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
