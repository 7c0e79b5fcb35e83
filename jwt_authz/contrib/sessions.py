"""Keep a browser's log-in in Flask's session.

    log_in = SessionLogin(timeout=timedelta(hours=1))

`begin` stores a user in the session after their password has been verified, `current` returns the
user to an identity loader, and `end` logs the user out. The session is signed with the
application's secret key and, by default, stored in the browser, which can read it: do not put
secrets into it.

A session ends like a token. With a store (`AUTHZ_STORE_URL`), it ends when its subject, its tenant
or everything is revoked; with accounts, it ends when the user is disabled or removed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

from flask import current_app, session

from .._context import get_request
from ..accounts import Accounts, User
from ..application import KEY, AppState
from ..errors import MisuseError, StoreUnavailable

_FOUND = "_jwt_authz_account"


@dataclass(frozen=True, slots=True)
class SessionLogin:
    """A log-in stored in Flask's session that lasts for `timeout`, or without a limit if None.

    `user_key` and `time_key` are its keys in the session; `subject` is the member of the stored
    user that holds the subject, as known to revocations and accounts. If the subject is not one of
    the accounts of the `Authz`, pass `asks_accounts=False`.
    """

    timeout: timedelta | None = timedelta(hours=1)
    user_key: str = "authz_user"
    time_key: str = "authz_log_in"
    subject: str = "subject"
    asks_accounts: bool = True

    def begin(self, user: Mapping[str, Any], *, since: float | None = None) -> None:
        """Log in a user, which must be JSON and is stored until `end` or the timeout.

        `since` is the value of `authz.now()` before the password was verified. Raise
        `StoreUnavailable` if the user's tokens were revoked since then, for example by a password
        change, and `MisuseError` if the accounts of the `Authz` do not know the subject.

        Other data in the session is kept, unless another user was logged in: then the session is
        cleared. A server-side session gets a new id if its interface has `regenerate`, to prevent
        session fixation (OWASP ASVS 7.2.4).
        """
        if user.get(self.subject) is None:
            raise MisuseError(f"the user for the session has no subject: pass {self.subject}=...")
        self._refuse_unknown(str(user[self.subject]))
        began = self._begin_at(user, since)
        before = session.get(self.user_key)
        if before is not None and before.get(self.subject) != user[self.subject]:
            session.clear()
        session[self.user_key] = dict(user)
        session[self.time_key] = began
        regenerate = getattr(current_app.session_interface, "regenerate", None)
        if regenerate is not None:
            regenerate(session._get_current_object())  # type: ignore[attr-defined]

    def current(self) -> Any:
        """Return the stored user, or None if no user is logged in.

        End the log-in if it has timed out or was revoked, or if the user is removed or disabled.
        Raise `StoreUnavailable` if that cannot be determined.
        """
        user = self.kept()
        if user is None:
            return None
        began = _seconds(session.get(self.time_key))
        lasts = inf if self.timeout is None else self.timeout.total_seconds()
        if time.time() - began > lasts or self._is_ended(user, began):
            self.end()
            return None
        return user

    def kept(self) -> Any:
        """Return the stored user without checking whether the log-in is still valid, or None."""
        return session.get(self.user_key)

    def end(self) -> Any:
        """Log the current user out; return the stored user, or None if no user was logged in."""
        session.pop(self.time_key, None)
        return session.pop(self.user_key, None)

    def _refuse_unknown(self, subject: str) -> None:
        """Raise MisuseError for a subject whose session would end at the next request."""
        state: AppState | None = current_app.extensions.get(KEY)
        accounts = self._accounts_of(state)
        if accounts is not None and _account(accounts, subject) is None:
            raise MisuseError(
                "the accounts of the Authz have no user with this subject, so the session would "
                "end at the next request: pass the subject of a User, or write "
                "SessionLogin(asks_accounts=False)"
            )

    def _accounts_of(self, state: AppState | None) -> Accounts | None:
        """Return the accounts that the session depends on, or None."""
        if not self.asks_accounts or state is None or state.accounts is None:
            return None
        return state.deadline.bound(state.accounts)

    def _begin_at(self, user: Mapping[str, Any], since: float | None) -> float:
        """Return the time of a log-in, by the store's clock and after the user's revocations."""
        state: AppState | None = current_app.extensions.get(KEY)
        view = None if state is None else state.revocations
        if view is None:
            return time.time()
        view.refresh()
        subject, tenant, roles = str(user[self.subject]), _tenant(user), _roles(user)
        newest = view.newest(subject, tenant=tenant, roles=roles)
        if since is not None and newest is not None and newest > since:
            raise StoreUnavailable("the user's tokens were revoked during the log-in: log in again")
        return view.next_iat(subject, tenant=tenant, roles=roles)

    def _is_ended(self, user: Mapping[str, Any], began: float) -> bool:
        """Return whether the log-in was revoked, or its user is removed or disabled."""
        state: AppState | None = current_app.extensions.get(KEY)
        if state is None:
            return False
        account, tenants = None, {_tenant(user)}
        accounts = self._accounts_of(state)
        if accounts is not None:
            account = _account(accounts, str(user[self.subject]))
            if account is None or account.disabled:
                return True
            tenants.add(account.tenant)
        return any(self._is_revoked(state, user, tenant, began) for tenant in tenants)

    def _is_revoked(
        self, state: AppState, user: Mapping[str, Any], tenant: str | None, began: float
    ) -> bool:
        view = state.revocations
        if view is None:
            return False
        view.check_age()
        subject, roles = str(user[self.subject]), _roles(user)
        if view.is_login_over(subject, began, tenant=tenant):
            return True
        if not roles:  # a revoked role ends the sessions that carry it, as it ends access tokens
            return False
        catalog = state.catalog
        carried = roles if catalog is None else {*roles, *catalog.with_included(roles)}
        newest = view.newest(subject, tenant=tenant, roles=carried)
        return newest is not None and not began > newest


def _account(accounts: Accounts, subject: str) -> User | None:
    """Return the current account of a subject, cached for the request once it is found."""
    kept: dict[str, User | None] = get_request().__dict__.setdefault(_FOUND, {})
    if kept.get(subject) is None:  # it may have been added in the meantime
        kept[subject] = accounts.find(subject)
    return kept[subject]


def _tenant(user: Mapping[str, Any]) -> str | None:
    tenant = user.get("tenant")
    return tenant if isinstance(tenant, str) else None


def _roles(user: Mapping[str, Any]) -> list[str]:
    roles = user.get("roles")
    return [str(name) for name in roles] if isinstance(roles, list | tuple) else []


def _seconds(began: Any) -> float:
    """Return the time of a log-in in seconds; minus infinity if it is unknown."""
    if isinstance(began, datetime):
        aware = began if began.tzinfo else began.replace(tzinfo=UTC)
        began = aware.timestamp()
    return began if isinstance(began, int | float) else -inf
