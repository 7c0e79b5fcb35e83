"""Sessions: who is logged in, kept in Flask's session, and cleared when another user logs in.

    log_in = SessionLogin(timeout=timedelta(hours=1))

`begin` puts a user into the session after their password has been verified, `current` returns
them to an identity loader, `end` logs them out. The session is signed by the application's secret
key and, by default, kept by the browser, which can read it: do not put secrets into it.

A session ends as tokens do. Where `AUTHZ_STORE_URL` names a store, it ends with the revocation of
its subject, its tenant or of everything; where the `Authz` has accounts, it ends when the user is
disabled or removed.
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
from ..application import KEY, Parts
from ..errors import MisuseError, StoreUnavailable

_FOUND = "_jwt_authz_account"


@dataclass(frozen=True, slots=True)
class SessionLogin:
    """A log-in kept in Flask's session: `timeout` is how long it lasts, None without a limit.

    `user_key` and `time_key` name its places in the session; `subject` names the member of what is
    kept that is the subject, which revocations and accounts know. Where that is none of the
    accounts of the `Authz`, write `asks_accounts=False`.
    """

    timeout: timedelta | None = timedelta(hours=1)
    user_key: str = "authz_user"
    time_key: str = "authz_log_in"
    subject: str = "subject"
    asks_accounts: bool = True

    def begin(self, user: Mapping[str, Any], *, since: float | None = None) -> None:
        """Log a user in: what is given is kept until `end` or the timeout, and must be JSON.

        `since` is `authz.now()` from before the password was verified. Raises `StoreUnavailable`
        if the user's tokens were revoked since then, as by a change of the password, and
        `MisuseError` for a subject that the accounts of the `Authz` do not know.

        Everything else in the session stays, unless another user was logged in: then it is
        cleared. A session that the server keeps gets a new id, where its interface has
        `regenerate`, so that one planted beforehand is worth nothing (OWASP ASVS 7.2.4).
        """
        if user.get(self.subject) is None:
            raise MisuseError(f"a session needs to know who it is: give {self.subject}=...")
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
        """Return what is kept of the user who is logged in; None if there is none.

        A log-in that has timed out or was revoked, or whose user is gone or disabled, is ended.
        Raises `StoreUnavailable` if that cannot be found out.
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
        """Return what is kept, without asking whether the log-in still counts; None for nothing."""
        return session.get(self.user_key)

    def end(self) -> Any:
        """Log the current user out; returns what was kept, None if nobody was logged in."""
        session.pop(self.time_key, None)
        return session.pop(self.user_key, None)

    def _refuse_unknown(self, subject: str) -> None:
        """Raise MisuseError for a subject whose session would end with the next request."""
        parts: Parts | None = current_app.extensions.get(KEY)
        accounts = self._accounts_of(parts)
        if accounts is not None and _account(accounts, subject) is None:
            raise MisuseError(
                "the accounts of the Authz have no user with this subject, so the session would "
                "end with the next request: give the subject of a User, or write "
                "SessionLogin(asks_accounts=False)"
            )

    def _accounts_of(self, parts: Parts | None) -> Accounts | None:
        """Return the accounts that decide on the session, None if there are none."""
        if not self.asks_accounts or parts is None or parts.accounts is None:
            return None
        return parts.deadline.bound(parts.accounts)

    def _begin_at(self, user: Mapping[str, Any], since: float | None) -> float:
        """Return the time of a log-in: the store's, later than all revocations of the user."""
        parts: Parts | None = current_app.extensions.get(KEY)
        view = None if parts is None else parts.revocations
        if view is None:
            return time.time()
        view.refresh()
        subject, tenant, roles = str(user[self.subject]), _tenant(user), _roles(user)
        newest = view.newest(subject, tenant=tenant, roles=roles)
        if since is not None and newest is not None and newest > since:
            raise StoreUnavailable("the user's tokens were revoked during the log-in: repeat it")
        return view.next_iat(subject, tenant=tenant, roles=roles)

    def _is_ended(self, user: Mapping[str, Any], began: float) -> bool:
        """Return whether a log-in of that time was revoked, or its user is gone or disabled."""
        parts: Parts | None = current_app.extensions.get(KEY)
        if parts is None:
            return False
        account, tenants = None, {_tenant(user)}
        accounts = self._accounts_of(parts)
        if accounts is not None:
            account = _account(accounts, str(user[self.subject]))
            if account is None or account.disabled:
                return True
            tenants.add(account.tenant)
        return any(self._is_revoked(parts, user, tenant, began) for tenant in tenants)

    def _is_revoked(
        self, parts: Parts, user: Mapping[str, Any], tenant: str | None, began: float
    ) -> bool:
        view = parts.revocations
        if view is None:
            return False
        view.check_age()
        subject, roles = str(user[self.subject]), _roles(user)
        if view.is_login_over(subject, began, tenant=tenant):
            return True
        if not roles:  # else they are outdated by what outdates those of an access token
            return False
        catalogue = parts.catalogue
        carried = roles if catalogue is None else {*roles, *catalogue.with_included(roles)}
        newest = view.newest(subject, tenant=tenant, roles=carried)
        return newest is not None and not began > newest


def _account(accounts: Accounts, subject: str) -> User | None:
    """Return the account of a subject as of now; one that is found is asked for once a request."""
    kept: dict[str, User | None] = get_request().__dict__.setdefault(_FOUND, {})
    if kept.get(subject) is None:  # it may have been added since
        kept[subject] = accounts.find(subject)
    return kept[subject]


def _tenant(user: Mapping[str, Any]) -> str | None:
    tenant = user.get("tenant")
    return tenant if isinstance(tenant, str) else None


def _roles(user: Mapping[str, Any]) -> list[str]:
    roles = user.get("roles")
    return [str(name) for name in roles] if isinstance(roles, list | tuple) else []


def _seconds(began: Any) -> float:
    """Return the time of a log-in; that of one that does not say is before all others."""
    if isinstance(began, datetime):
        aware = began if began.tzinfo else began.replace(tzinfo=UTC)
        began = aware.timestamp()
    return began if isinstance(began, int | float) else -inf
