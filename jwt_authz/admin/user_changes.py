"""Administration: each change with its rules, its trail, and the end of the tokens it outdates."""

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
from ..application import current_parts
from ..audit import tell_change
from ..endpoints.answers import ProblemAnswer, missing_store
from ..errors import MisuseError, PasswordRefused
from ..findings import Found, add_check, misuse_of
from ..logins.revoking import families_of, revoke
from ..logins.token_sizes import refuse_user_change
from ..policy.identity import Identity
from ..policy.problem import not_allowed, token_missing
from ..policy.requirements import And, Requirement
from ..refusals import NotAllowed, NotIdentified
from ..revocation import Family, target
from .accounts import AdminAccounts
from .effect import Effect, effect_of
from .safeguards import Rules
from .turn import END_SESSIONS, Actor, Rule, Turn
from .user_query import Wanted
from .versions import ANY, Seen

_ADMINISTRATOR = "_jwt_authz_administrator"
_log = logging.getLogger("jwt_authz.admin")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Administration:
    """What a caller who meets the requirements may do to the accounts of the application."""

    requirements: tuple[object, ...]

    @property
    def required(self) -> Requirement:
        """All that is required, as one."""
        return And(*self.requirements)

    @property
    def accounts(self) -> AdminAccounts:
        """The current application's accounts; raises MisuseError where they cannot be changed."""
        return _accounts()

    def users(self, wanted: Wanted) -> tuple[list[User], int]:
        """A page of the users, of the caller's tenant where they have one; and their number."""
        return self.accounts.page_of(replace(wanted, tenant=self.rules().caller.tenant))

    def changes(
        self, page: int, page_size: int, subject: str | None = None, role: str | None = None
    ) -> tuple[list[Entry], int]:
        """A page of the trail, of the caller's tenant where they have one; and its length."""
        tenant = self.rules().caller.tenant
        return self.accounts.changes(page, page_size, subject, tenant, role)

    def user(self, subject: str) -> User:
        """The user with the subject; a 404 where there is none, or they are another tenant's."""
        user, tenant = self.accounts.find(subject), self.rules().caller.tenant
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
        """A new user of the caller's tenant, who has only roles that the caller holds."""
        rules, names = self.rules(), tuple(roles)
        rules.refuse_unknown(names)
        actor, tenant = self._actor(rules), rules.caller.tenant
        rule = _fitting(rules)
        user, entry = fit(
            lambda: self.accounts.create(actor, username, password, names, tenant, rule)
        )
        tell(entry)
        return user

    def give_roles(self, subject: str, roles: Iterable[str], seen: Seen = ANY) -> tuple[User, str]:
        """Give the user these roles alone; tokens with the others are refused from now on.

        Returns the user and their version; refused if they have none of the versions `seen`.
        """
        self.user(subject)
        rules, names = self.rules(), tuple(roles)
        actor, rule = self._actor(rules), _fitting(rules)
        changed = fit(lambda: self.accounts.give_roles(actor, subject, names, rule, seen))
        try:
            # Also where nothing changed: a call whose revocation failed can so be repeated.
            revoke(current_parts(), target(subject=subject), keeps_families=True)
        finally:
            tell(changed.entry)
        return changed.user, changed.version

    def set_disabled(self, subject: str, disabled: bool, seen: Seen = ANY) -> tuple[User, str]:
        """Disable the user and log them out everywhere, or enable them again: see `give_roles`."""
        self.user(subject)
        rules = self.rules()
        actor = self._actor(rules)
        changed = fit(lambda: self.accounts.set_disabled(actor, subject, disabled, rules, seen))
        try:
            if disabled:
                revoke(current_parts(), target(subject=subject))
        finally:
            tell(changed.entry)
        return changed.user, changed.version

    def sessions(self, subject: str) -> tuple[Family, ...]:
        """The user's log-ins that are not over."""
        self.user(subject)
        return families_of(current_parts(), subject)

    def end_sessions(self, subject: str, seen: Seen = ANY) -> None:
        """Log the user out everywhere; refused if they have none of the versions `seen`."""
        self.user(subject)
        rules = self.rules()
        actor, user = self._actor(rules), fit(lambda: self.accounts.judge(subject, rules, seen))
        before = len(families_of(current_parts(), subject))
        revoke(current_parts(), target(subject=subject))
        change = ({"sessions": before}, {"sessions": 0})
        tell(self.accounts.record(actor, END_SESSIONS, user, *change))

    def effect_of_roles(self, user: User, roles: Iterable[str]) -> list[Effect]:
        """What would be answered otherwise to the user, had they these roles and no others."""
        names = tuple(roles)
        self.rules().refuse_unknown(names)
        return effect_of(user.roles, names)

    def rules(self) -> Rules:
        """The rules for the current caller, who is asked for the requirements once more.

        A second layer below the guards, which `AUTHZ_ENFORCE=False` may have opened.
        """
        caller, is_own, is_kept = _caller()
        decision = self.required.evaluate(caller)
        if not decision:
            parts = current_parts()
            problem = not_allowed(decision, parts.settings.disclose)
            parts.audit.refused(get_app(), caller, decision, problem, "administration")
            raise NotAllowed(problem, parts.settings.realm)
        catalogue, roles = current_parts().catalogue, current_parts().roles_given
        stored = roles if isinstance(roles, SQLAlchemyRoles) else None
        if stored is not None and not self.accounts.keep_rows_of(stored):
            stored = None
        return Rules(caller, is_own, is_kept, self.required, catalogue, stored)

    def actor(self) -> Actor:
        """Who is calling."""
        return self._actor(self.rules())

    def _actor(self, rules: Rules) -> Actor:
        user = self.accounts.find(rules.caller.subject) if rules.is_own else None
        name = rules.caller.subject if user is None else user.username
        return Actor(rules.caller.subject, name, None if rules.is_own else rules.caller.issuer)


def _fitting(rules: Rules) -> Rule:
    """Return the rule for a change of a user's roles: what is allowed, and what fits in a token."""
    parts = current_parts()

    def rule(turn: Turn, before: User, after: User) -> None:
        rules(turn, before, after)
        refuse_user_change(parts, before.roles, after)

    return rule


def add_administration_checks(app: App) -> None:
    """Add the checks of an application whose users are administered."""
    add_check(app, "AZ502", missing_store)
    add_check(app, "AZ505", unsupported_accounts)


def unsupported_accounts() -> Iterator[Found]:
    """Yield whether the accounts of the current application do not support administration."""
    return misuse_of(_accounts)


def _accounts() -> AdminAccounts:
    accounts = current_parts().accounts
    if not isinstance(accounts, AdminAccounts):
        raise MisuseError(
            "there are no accounts to administer: write "
            "Authz(app, accounts=AdminAccounts(sessions, User, Change))"
        )
    return current_parts().deadline.bound(accounts)


def _caller() -> tuple[Identity, bool, bool]:
    """Who is calling; whether their token is the application's own; and whether their roles are.

    Those of an identity loader are not. Where it gives an identity of its own kind, which says
    nothing of roles, the token's is taken.
    """
    parts = current_parts()
    found, held = parts.authenticate(get_app()), get_request().__dict__
    if found.identity is not None:
        held[_ADMINISTRATOR] = found
    else:  # perhaps this change has just ended the caller's own token: it is carried through
        found = held.get(_ADMINISTRATOR, found)
    identity, token = found.identity, found.token
    if token is not None and identity is not None and not isinstance(identity, Identity):
        identity = token.identity
    if identity is None:
        raise NotIdentified(token_missing(), parts.settings.realm)
    if not isinstance(identity, Identity):
        raise MisuseError("who administers? the identity loader gives no Identity")
    is_own = token is None or token.is_own
    return identity, is_own, token is not None and is_own and identity is token.identity


def _no_such_user() -> ProblemAnswer:
    return ProblemAnswer(404, "user-unknown", "There is no such user.")


def fit(change: Callable[[], _Result]) -> _Result:
    """Return the result of the change; raise a `ProblemAnswer` with the reason of a refusal.

    That is 400 for a password that cannot be set, and 409 for a change that the accounts refuse.
    """
    try:
        return change()
    except PasswordRefused as error:
        detail = f"Invalid or missing: {error}."
        raise ProblemAnswer(400, "invalid-request", detail, "invalid_request") from None
    except MisuseError as error:
        raise ProblemAnswer(409, "change-refused", f"Not changed: {error}.") from None


def tell(*entries: Entry | None) -> None:
    """Tell of a change, that of the first entry; last, since those who are told may raise."""
    told = [entry for entry in entries if entry is not None]
    for entry in told if _log.isEnabledFor(logging.INFO) else ():
        _log.info("changed: %s", json.dumps(entry.as_dict()))  # escapes what could forge a line
    for entry in told[:1]:
        tell_change(get_app(), entry.actor_name, entry.action, entry.name, entry.subject)
