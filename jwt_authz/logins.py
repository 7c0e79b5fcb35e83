"""Log-ins: a user to their first tokens, and a refresh token to the ones that follow.

How it works. A log-in starts a refresh family in the store (RFC 9700 section 4.14.2). Its tokens
carry the family's id and the time of the log-in. A refresh reads the user anew, so that a role that
was taken away is gone, and has the store rotate the family, in one atomic step that comes last:
whatever fails before may be repeated.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import NoReturn

from .accounts import Accounts, User
from .errors import MisuseError, SubjectUnknown, TokenExpired, TokenReused, TokenRevoked
from .issuing import claims_of, issue
from .jwt_extended import access_lifetime, own_claims, refresh_lifetime
from .parts import Parts
from .revocation import Family, Outcome, Rotation, is_id
from .revoking import end_access_tokens, end_family
from .roles import Roles
from .tokens.refresh import RefreshClaims

_log = logging.getLogger("jwt_authz")

NEVER_ENDS = "refresh tokens never expire: set JWT_REFRESH_TOKEN_EXPIRES to a timedelta of days"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a log-in or a refresh gives: tokens for the client alone, and never for a log.

    `expires_in` is the seconds that the access token lives; `refresh_token` is None where no
    refresh family was started.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: int


class Logins:
    """The log-ins of one application's users; needs an application context."""

    def __init__(self, parts: Parts, catalogue: Roles | None, accounts: Accounts | None) -> None:
        if accounts is None:
            raise MisuseError("a log-in asks accounts: write Authz(app, accounts=...)")
        self._parts = parts
        self._catalogue = catalogue
        self._accounts = accounts

    def start(
        self,
        user: User,
        *,
        has_refresh: bool,
        proved_at: float | None = None,
        client: str | None = None,
    ) -> Tokens | None:
        """Tokens for a user who has proved who they are; None where that is over.

        That is, where they are gone or disabled by now, or where all that they had was ended since
        `proved_at`, the store's time before the proof was looked at. Raises `StoreUnavailable`.
        """
        issued_at, found = self._user_now(user)
        if found is None:
            return None
        if not has_refresh:
            return self._tokens(self._access_token(found, issued_at, is_fresh=True))
        started = self._start_family(found, client)
        claims = _claims_of(started, found.subject, issued_at)
        if proved_at is not None and self._was_ended_since(found.subject, proved_at):
            end_family(self._parts, claims.family)
            return None
        token = self._access_token(found, issued_at, claims, is_fresh=True)
        return self._tokens(token, claims, started.family)

    def refresh(self, text: str) -> Tokens:
        """The tokens that follow a refresh token; raises an `InvalidToken`, `StoreUnavailable`.

        A repeat within the grace is answered with the same successor, signed anew. A token that
        was used before that ends its family, and so does a user who is gone or disabled.
        """
        parts, view = self._parts, self._parts.needed_revocations()
        claims = parts.verified(lambda found, manager: found.refresh_claims(text, manager))
        if not is_id(claims.family):
            raise TokenRevoked("its family is none")
        view.check_age()
        user = self._accounts.find(claims.subject)
        issued_at, user = (0.0, None) if user is None else self._user_now(user)
        if user is None:
            end_family(parts, claims.family)
            raise SubjectUnknown("the refresh token's subject is gone or disabled")
        began = claims.logged_in_at
        if view.is_revoked(jti=claims.jti, subject=None, issued_at=began, tenant=user.tenant):
            end_family(parts, claims.family)
            raise TokenRevoked
        token = self._access_token(user, issued_at, claims)
        rotation = self._rotate(claims)
        if rotation.jti is None:
            self._refuse(rotation.outcome, claims.family)
        return self._tokens(token, replace(claims, jti=rotation.jti), rotation.family)

    def _user_now(self, user: User) -> tuple[float | None, User | None]:
        """The `iat` of a token for the user, and the user as they are after it; None if gone.

        In this order, so that of a change made in between the revocation comes later than the
        token, and ends it.
        """
        issued_at, view = None, self._parts.revocations
        if view is not None:
            issued_at = view.next_iat(user.subject, tenant=user.tenant, roles=user.roles)
        found = self._accounts.find(user.subject)
        return issued_at, None if found is None or found.disabled else found

    def _start_family(self, user: User, client: str | None) -> Rotation:
        lifetime = refresh_lifetime()
        if lifetime is None:
            raise MisuseError(NEVER_ENDS)
        return self._parts.needed_revocations().ask_families(
            lambda families: families.start(
                user.subject,
                lifetime=lifetime,
                idle=self._parts.settings.refresh_idle,
                tenant=user.tenant,
                client=client,
            )
        )

    def _was_ended_since(self, subject: str, proved_at: float) -> bool:
        """Whether the subject's tokens were revoked since: a password may have been changed."""
        view = self._parts.needed_revocations()
        view.refresh()
        newest = view.newest(subject)
        return newest is not None and newest > proved_at

    def _rotate(self, claims: RefreshClaims) -> Rotation:
        settings = self._parts.settings
        return self._parts.needed_revocations().ask_families(
            lambda families: families.rotate(
                claims.family,
                claims.jti,
                grace=settings.refresh_grace,
                idle=settings.refresh_idle,
            )
        )

    def _refuse(self, outcome: Outcome, family: str) -> NoReturn:
        if outcome in ("reused", "ended"):  # also where the process died that saw it reused
            end_access_tokens(self._parts, family)
        if outcome == "reused":
            raise TokenReused("a refresh token was used again: its family is ended")
        raise TokenExpired if outcome == "expired" else TokenRevoked(f"its family is {outcome}")

    def _access_token(
        self,
        user: User,
        issued_at: float | None,
        family: RefreshClaims | None = None,
        is_fresh: bool = False,
    ) -> str:
        catalogue = self._catalogue
        roles = [name for name in user.roles if catalogue is None or name in catalogue]
        if len(roles) < len(user.roles):
            _log.warning("a user has a role that the catalogue lacks; it is left out of the token")
        claims = claims_of(self._parts, catalogue, roles, None, user.tenant, None)
        if issued_at is not None:
            claims["iat"] = issued_at
        if family is not None:
            claims.update(family.shared)
        return issue(self._parts, user.subject, claims, is_fresh, None)

    def _tokens(
        self, access: str, claims: RefreshClaims | None = None, family: Family | None = None
    ) -> Tokens:
        refresh = None
        if claims is not None and family is not None:
            own = own_claims(self._parts.settings)
            refresh = claims.encode(own, family.used_at, family.expires_at)
        return Tokens(access, refresh, int(access_lifetime()))


def _claims_of(started: Rotation, subject: str, issued_at: float | None) -> RefreshClaims:
    """What a family's first refresh token says."""
    family = started.family
    assert family is not None and started.jti is not None  # noqa: S101 what `started` means
    began = family.created_at if issued_at is None else issued_at
    return RefreshClaims(subject, started.jti, family.id, began)
