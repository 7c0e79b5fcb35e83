"""Change users with the safeguards, the trail, and the end of outdated tokens."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from flask.sansio.app import App

from .._context import get_app, get_request
from ..accounts import User
from ..accounts.sqlalchemy.roles import SQLAlchemyRoles
from ..accounts.sqlalchemy.trail import Entry
from ..application import current_state
from ..audit import tell_change
from ..endpoints.common import missing_store
from ..errors import MisuseError, PasswordRefused
from ..findings import Found, add_check, misuse_of
from ..logins.revoking import families_of, revoke
from ..logins.token_sizes import refuse_user_change
from ..policy.identity import Identity
from ..policy.problem import not_allowed
from ..policy.requirements import And, Requirement
from ..refusals import NotAllowed, NotIdentified, ProblemAnswer
from ..revocation import Family, Target
from .accounts import AdminAccounts
from .change import END_SESSIONS, Actor, ChangeContext, Rule
from .effect import Effect, effect_of
from .safeguards import Safeguards
from .user_query import Wanted
from .versions import ANY, Seen

_ADMINISTRATOR = "_jwt_authz_administrator"
_log = logging.getLogger("jwt_authz.admin")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Administration:
    """The operations of a caller who meets the requirements on the application's accounts."""

    requirements: tuple[object, ...]

    @property
    def required(self) -> Requirement:
        """All requirements, combined."""
        return And(*self.requirements)

    @property
    def accounts(self) -> AdminAccounts:
        """The current application's accounts; raise `MisuseError` if they cannot be changed."""
        return _accounts()

    def users(self, wanted: Wanted) -> tuple[list[User], int]:
        """Return a page of the users (of the caller's tenant, if any), and the total number."""
        return self.accounts.page_of(replace(wanted, tenant=self.safeguards().caller.tenant))

    def changes(
        self, page: int, page_size: int, subject: str | None = None, role: str | None = None
    ) -> tuple[list[Entry], int]:
        """Return a page of the trail (of the caller's tenant, if any), and the total number."""
        tenant = self.safeguards().caller.tenant
        return self.accounts.changes(page, page_size, subject, tenant, role)

    def user(self, subject: str) -> User:
        """Return the user; raise a 404 if there is none, or if they belong to another tenant."""
        user, tenant = self.accounts.find(subject), self.safeguards().caller.tenant
        if user is None or tenant not in (None, user.tenant):
            raise _no_such_user()
        return user

    def versioned(self, subject: str) -> tuple[User, str]:
        """Return `user`, and the version that a change may be based on."""
        self.user(subject)
        found = self.accounts.versioned(subject)
        if found is None:
            raise _no_such_user()
        return found

    def create(self, username: str, password: str | None, roles: Iterable[str]) -> User:
        """Create a user of the caller's tenant, with roles that the caller holds."""
        safeguards, names = self.safeguards(), tuple(roles)
        safeguards.refuse_unknown(names)
        actor, tenant = self._actor(safeguards), safeguards.caller.tenant
        rule = _fitting(safeguards)
        user, entry = fit(
            lambda: self.accounts.create(actor, username, password, names, tenant, rule)
        )
        announce(entry)
        return user

    def give_roles(self, subject: str, roles: Iterable[str], seen: Seen = ANY) -> tuple[User, str]:
        """Replace the user's roles; tokens with the old roles are refused from now on.

        Return the user and their version. Refuse if the user has none of the versions `seen`.
        """
        self.user(subject)
        safeguards, names = self.safeguards(), tuple(roles)
        actor, rule = self._actor(safeguards), _fitting(safeguards)
        changed = fit(lambda: self.accounts.give_roles(actor, subject, names, rule, seen))
        try:
            # Also if nothing changed, to repeat a call whose revocation failed.
            revoke(current_state(), Target("subject", subject), keeps_families=True)
        finally:
            announce(changed.entry)
        return changed.user, changed.version

    def set_disabled(self, subject: str, disabled: bool, seen: Seen = ANY) -> tuple[User, str]:
        """Disable the user and log them out everywhere, or enable them; see `give_roles`."""
        self.user(subject)
        safeguards = self.safeguards()
        actor = self._actor(safeguards)
        changed = fit(
            lambda: self.accounts.set_disabled(actor, subject, disabled, safeguards, seen)
        )
        try:
            if disabled:
                revoke(current_state(), Target("subject", subject))
        finally:
            announce(changed.entry)
        return changed.user, changed.version

    def sessions(self, subject: str) -> tuple[Family, ...]:
        """Return the user's active log-ins."""
        self.user(subject)
        return families_of(current_state(), subject)

    def end_sessions(self, subject: str, seen: Seen = ANY) -> None:
        """Log the user out everywhere; refuse if they have none of the versions `seen`."""
        self.user(subject)
        safeguards = self.safeguards()
        actor, user = (
            self._actor(safeguards),
            fit(lambda: self.accounts.judge(subject, safeguards, seen)),
        )
        before = len(families_of(current_state(), subject))
        revoke(current_state(), Target("subject", subject))
        change = ({"sessions": before}, {"sessions": 0})
        announce(self.accounts.record(actor, END_SESSIONS, user, *change))

    def effect_of_roles(self, user: User, roles: Iterable[str]) -> list[Effect]:
        """Return the effect of replacing the user's roles with these."""
        names = tuple(roles)
        self.safeguards().refuse_unknown(names)
        return effect_of(user.roles, names)

    def safeguards(self) -> Safeguards:
        """Return the safeguards for the current caller, after checking the requirements again.

        This is a second layer below the guards, which `AUTHZ_ENFORCE=False` may have opened.
        """
        caller, is_own, is_kept = _caller()
        decision = self.required.evaluate(caller)
        if not decision:
            state = current_state()
            problem = not_allowed(decision, state.settings.disclose)
            state.audit.refused(get_app(), caller, decision, problem, "administration")
            raise state.refusing.refusal(NotAllowed, problem)
        catalog, roles = current_state().catalog, current_state().roles_given
        stored = roles if isinstance(roles, SQLAlchemyRoles) else None
        if stored is not None and not self.accounts.keep_rows_of(stored):
            stored = None
        return Safeguards(caller, is_own, is_kept, self.required, catalog, stored)

    def actor(self) -> Actor:
        """Return the caller as the author of a change."""
        return self._actor(self.safeguards())

    def _actor(self, safeguards: Safeguards) -> Actor:
        user = self.accounts.find(safeguards.caller.subject) if safeguards.is_own else None
        name = safeguards.caller.subject if user is None else user.username
        return Actor(
            safeguards.caller.subject, name, None if safeguards.is_own else safeguards.caller.issuer
        )


def _fitting(safeguards: Safeguards) -> Rule:
    """Return the rule for a change of a user's roles: it must be allowed and fit in a token."""
    state = current_state()

    def rule(context: ChangeContext, before: User, after: User) -> None:
        safeguards(context, before, after)
        refuse_user_change(state, before.roles, after)

    return rule


def add_administration_checks(app: App) -> None:
    """Add the checks of an application whose users are administered."""
    add_check(app, "AZ502", missing_store)
    add_check(app, "AZ505", unsupported_accounts)


def unsupported_accounts() -> Iterator[Found]:
    """Yield a finding if the accounts of the current application do not support administration."""
    return misuse_of(_accounts)


def _accounts() -> AdminAccounts:
    accounts = current_state().accounts
    if not isinstance(accounts, AdminAccounts):
        raise MisuseError(
            "the application has no accounts to administer: write "
            "Authz(app, accounts=AdminAccounts(sessions, User, Change))"
        )
    return current_state().deadline.bound(accounts)


def _caller() -> tuple[Identity, bool, bool]:
    """Return the caller, whether the application issued their token, and whose their roles are.

    Roles from an identity loader are not those of the accounts. If it returns an object of its own
    kind, without roles, use the identity of the token.
    """
    state = current_state()
    found, held = state.authenticate(get_app()), get_request().__dict__
    if found.identity is not None:
        held[_ADMINISTRATOR] = found
    else:  # this change may have just ended the caller's own token: complete it
        found = held.get(_ADMINISTRATOR, found)
    identity, token = found.identity, found.token
    if token is not None and identity is not None and not isinstance(identity, Identity):
        identity = token.identity
    if identity is None:
        raise state.refusing.refusal(NotIdentified, state.missing_token())
    if not isinstance(identity, Identity):
        raise MisuseError("the caller is unknown: return an Identity from the identity loader")
    is_own = token is None or token.is_own
    return identity, is_own, token is not None and is_own and identity is token.identity


def _no_such_user() -> ProblemAnswer:
    return ProblemAnswer(404, "user-unknown", "There is no such user.")


def fit(change: Callable[[], _Result]) -> _Result:
    """Return the result of the change; raise `ProblemAnswer` with the reason of a refusal.

    The status is 400 for a password that cannot be set, and 409 for a change that the accounts
    refuse.
    """
    try:
        return change()
    except PasswordRefused as error:
        text = str(error)
        detail = f"{text[0].upper()}{text[1:]}."
        raise ProblemAnswer(400, "invalid-request", detail, "invalid_request") from None
    except MisuseError as error:
        raise ProblemAnswer(409, "change-refused", f"Not changed: {error}.") from None


def announce(*entries: Entry | None) -> None:
    """Log the entries, and audit the first one. Call this last, since a receiver may raise."""
    made = [entry for entry in entries if entry is not None]
    for entry in made if _log.isEnabledFor(logging.INFO) else ():
        _log.info("changed: %s", json.dumps(entry.as_dict()))  # escapes what could forge a line
    for entry in made[:1]:
        tell_change(get_app(), entry.actor_name, entry.action, entry.name, entry.subject)
