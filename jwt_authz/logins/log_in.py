"""Log users in, and refresh their tokens.

How it works. A log-in starts a token family in the store (RFC 9700 section 4.14.2). Its tokens
carry the family's id and the time of the log-in. A refresh reads the user again, so that a role
that was taken away is gone. Then it rotates the family in the store, in one atomic step. This step
is the last one, so a refresh that fails earlier can be repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from time import time
from typing import Any, NoReturn, TypeGuard, cast

from ..accounts import Accounts, TenantAccounts, User
from ..application import AppState
from ..errors import InvalidToken, MisuseError, RefreshRefused, StoreUnavailable, TokenReused
from ..jwt_extended.challenge import token_type
from ..jwt_extended.manager import Subject
from ..jwt_extended.own_claims import own_claims
from ..jwt_extended.times import access_lifetime, refresh_lifetime
from ..revocation import Family, Outcome, Rotation, is_id
from ..tokens import page
from ..tokens.refresh import RefreshClaims
from .access_token import TYP
from .issuing import claims_of, issue
from .revoking import end_access_tokens, end_family

_log = logging.getLogger("jwt_authz")

NO_ACCOUNTS = "a log-in needs accounts: write Authz(app, accounts=...)"
NEVER_ENDS = "refresh tokens never expire: set JWT_REFRESH_TOKEN_EXPIRES to a timedelta of days"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The result of a log-in or a refresh: tokens for the client only; never log them.

    `expires_in` is the lifetime of the access token in seconds; `refresh_token` is None if no
    token family was started. `token_type` is what stands before the access token in its header.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 no password

    def as_dict(self) -> dict[str, Any]:
        """Return the members of a response (RFC 6749 section 5.1), which no cache may store."""
        members: dict[str, Any] = {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
        }
        if self.refresh_token is not None:
            members["refresh_token"] = self.refresh_token
        return members


class Logins:
    """The log-ins of one application's users. Needs an application context."""

    def __init__(self, state: AppState, accounts: Accounts | None) -> None:
        if accounts is None:
            raise MisuseError(NO_ACCOUNTS)
        self.accounts = state.deadline.bound(accounts)
        self._in_tenants = state.deadline.bound(accounts) if _has_tenants(accounts) else None
        self._state = state

    def now(self) -> float:
        """Return the time at which a log-in begins, by the store's clock, in seconds since 1970."""
        view = self._state.revocations
        return time() if view is None else view.after_all()

    def start(
        self,
        user: User,
        *,
        has_refresh: bool,
        since: float | None = None,
        client: str | None = None,
        lifetime: float | None = None,
        is_for_page: bool = False,
    ) -> Tokens | None:
        """Return tokens for an authenticated user; None if they are gone or disabled.

        `since` is a time before the user was authenticated. `lifetime` is the number of seconds
        until the log-in ends, by default that of refresh tokens. `is_for_page` returns a page token
        instead of the access token. Raise `StoreUnavailable`, also if the user's tokens were
        revoked after `since`: the password may have changed.
        """
        if not isinstance(user, User):
            name = type(user).__name__
            raise MisuseError(f"log_in expects a User, not {name}: write accounts.find(subject)")
        issued_at, found, away = self._user_now(user.subject, user.tenant)
        if found is None:
            return None
        started = self._start_family(found, client, lifetime) if has_refresh else None
        claims = None if started is None else _claims_of(started, found, issued_at, away)
        with self._ending_on_failure(started):
            if since is not None:
                self._refuse_ended_since(found, since)
            token = self._access_token(
                found, issued_at, claims, is_fresh=True, is_for_page=is_for_page
            )
            return self._tokens(token, claims, started)

    def refresh(self, text: str) -> Tokens:
        """Return the tokens that follow a refresh token.

        Raise `RefreshRefused` and `StoreUnavailable`. A repetition within the grace period returns
        the same successor, signed again. A token that was used before that ends its family, and so
        does a user who was removed or disabled.
        """
        state = self._state
        state.needed_revocations().check_age()
        claims = self._read(text)
        issued_at, user, _ = self._user_now(claims.subject, claims.tenant)
        if user is None or claims.tenant not in (None, user.tenant):
            end_family(state, claims.family)
            raise RefreshRefused("its subject was removed or disabled")
        self._refuse_ended(claims, user.tenant)
        token = self._access_token(user, issued_at, claims)
        rotation = self._rotate(claims)  # the last thing that can fail
        if rotation.jti is None:
            self._refuse(rotation.outcome, claims)
        if rotation.family is not None and rotation.family.tenant != user.tenant:
            self._refuse_ended(claims, rotation.family.tenant)
        return self._tokens(token, replace(claims, jti=rotation.jti), rotation)

    def _refuse_ended(self, claims: RefreshClaims, tenant: str | None) -> None:
        """Raise `RefreshRefused` for a token that is revoked, or whose log-in has ended."""
        view = self._state.needed_revocations()
        is_over = view.is_login_over(claims.subject, claims.logged_in_at, tenant=tenant)
        if is_over or view.knows_id(claims.jti):
            end_family(self._state, claims.family)
            raise RefreshRefused("it has been revoked")

    def _read(self, text: str) -> RefreshClaims:
        """Return the claims of a refresh token after verifying it."""
        if not isinstance(text, str):
            raise RefreshRefused("it is not a string")
        try:
            claims = self._state.read_token(lambda found: found.refresh_claims(text))
        except InvalidToken as error:
            raise RefreshRefused(f"{error.name} {error.detail}") from None
        if not is_id(claims.family):
            raise RefreshRefused("its family is invalid")
        return claims

    def in_tenant(self, user: User, tenant: str) -> User | None:
        """Return the user with their roles in this tenant; None if they have none there."""
        if user.tenant == tenant:
            return user
        accounts = self._in_tenants
        return None if accounts is None else accounts.find_in(user.subject, tenant)

    def _find(self, subject: str, tenant: str | None) -> tuple[User | None, str | None]:
        """Return the user in the tenant, and the tenant if it is not their own."""
        user, accounts = self.accounts.find(subject), self._in_tenants
        is_away = user is not None and tenant is not None and tenant != user.tenant
        if not is_away or accounts is None:
            return user, None
        return accounts.find_in(subject, str(tenant)), tenant

    def _user_now(
        self, subject: str, tenant: str | None
    ) -> tuple[float | None, User | None, str | None]:
        """Return the `iat` of a token, the user as of that time (None if gone), and the tenant.

        The tenant is None if it is the user's own. The user is read after the `iat` was set: if a
        change happens in between, its revocation is later than the token, and ends it.
        """
        (user, away), issued_at = self._find(subject, tenant), None
        view = self._state.revocations
        if view is not None and user is not None:
            catalog, roles = self._state.catalog, set(user.roles)
            if catalog is not None:
                roles |= catalog.with_included(roles)
            issued_at = view.next_iat(subject, tenant=user.tenant, roles=roles)
            user, away = self._find(subject, tenant)
        return issued_at, None if user is None or user.disabled else user, away

    def _start_family(
        self, user: User, client: str | None, lifetime: float | None = None
    ) -> Rotation:
        lifetime = refresh_lifetime() if lifetime is None else lifetime
        if lifetime is None:
            raise MisuseError(NEVER_ENDS)
        return self._state.needed_revocations().ask_families(
            lambda families: families.start(
                user.subject,
                lifetime=lifetime,
                idle=self._state.settings.refresh_idle,
                tenant=user.tenant,
                client=client,
            )
        )

    @contextmanager
    def _ending_on_failure(self, started: Rotation | None) -> Iterator[None]:
        """End a family that was just started if its tokens could not be issued."""
        try:
            yield
        except Exception:
            if started is not None and started.family is not None:
                id = started.family.id
                with suppress(StoreUnavailable):
                    self._state.needed_revocations().ask_families(lambda found: found.end(id))
            raise

    def _refuse_ended_since(self, user: User, since: float) -> None:
        """Raise `StoreUnavailable` if the user's tokens were revoked, as by a password change."""
        view = self._state.revocations
        if view is None:
            return
        view.refresh()
        newest = view.newest(user.subject, tenant=user.tenant)
        if newest is not None and newest > since:
            raise StoreUnavailable("the user's tokens were revoked during the log-in: try again")

    def _rotate(self, claims: RefreshClaims) -> Rotation:
        settings = self._state.settings
        return self._state.needed_revocations().ask_families(
            lambda families: families.rotate(
                claims.family,
                claims.jti,
                grace=settings.refresh_grace,
                idle=settings.refresh_idle,
            )
        )

    def _refuse(self, outcome: Outcome, claims: RefreshClaims) -> NoReturn:
        if outcome in ("reused", "ended"):  # also if the process that noticed the reuse died
            end_access_tokens(self._state, claims.family)
        if outcome == "reused":
            raise TokenReused(subject=claims.subject, family=claims.family)
        raise RefreshRefused(f"its log-in is {outcome}")

    def _access_token(
        self,
        user: User,
        issued_at: float | None,
        family: RefreshClaims | None = None,
        is_fresh: bool = False,
        is_for_page: bool = False,
    ) -> str:
        catalog = self._state.catalog
        roles = [name for name in user.roles if catalog is None or name in catalog]
        if len(roles) < len(user.roles):
            _log.warning(
                "a user has a role that is not in the catalog; it is left out of the token"
            )
        claims = claims_of(self._state, roles=roles, tenant=user.tenant)
        if issued_at is not None:
            claims["iat"] = issued_at
        if family is not None:
            claims.update(family.shared)
        if is_for_page:
            claims.update(page.CLAIMS)
        typ = page.TYP if is_for_page else TYP
        return issue(self._state, Subject(user.subject), claims, fresh=is_fresh, typ=typ)

    def _tokens(
        self, access: str, claims: RefreshClaims | None, rotation: Rotation | None
    ) -> Tokens:
        refresh = None
        if claims is not None and rotation is not None and rotation.family is not None:
            family, own = rotation.family, own_claims(self._state.settings)
            refresh = claims.encode(Subject(claims.subject), own, family.used_at, family.expires_at)
        return Tokens(access, refresh, int(access_lifetime()), token_type())


def _claims_of(
    started: Rotation, user: User, issued_at: float | None, away: str | None
) -> RefreshClaims:
    """Return the claims of a family's first refresh token."""
    family, jti = cast(Family, started.family), cast(str, started.jti)  # there if `started`
    since = family.created_at if issued_at is None else issued_at
    return RefreshClaims(user.subject, jti, family.id, since, away)


def _has_tenants(accounts: Accounts) -> TypeGuard[TenantAccounts]:
    return isinstance(accounts, TenantAccounts)
