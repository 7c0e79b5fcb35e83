"""The cached contents of a verified token, and the outcome of authenticating a request."""

from __future__ import annotations

import copy
import math
from datetime import timedelta
from time import time
from typing import Any

from ..errors import InvalidToken, TokenNotFresh
from ..policy.identity import Identity
from ..revocation import RevocationView
from ..tokens.refresh import FAMILY, LOGGED_IN_AT, number_or_none

CLOCKS_DIFFER = 60.0
"""Seconds that a log-in may lie ahead, by the clock of the token's issuer."""


class Token:
    """The cached contents of a verified token: identity, header, and what revocations compare."""

    __slots__ = (
        "_good_at",
        "expires",
        "family",
        "header",
        "identity",
        "is_flat",
        "is_own",
        "issued_at",
        "jti",
        "logged_in_at",
        "roles",
    )

    def __init__(
        self,
        identity: Identity,
        header: dict[str, Any],
        is_own: bool,
        expires: float | None = None,
    ) -> None:
        self.identity = identity
        self.expires = expires  # None for one that nobody has verified: a test supposes it
        self.header = header
        self.is_own = is_own
        self.jti: str | None = identity.claims.get("jti")
        self.issued_at: float | None = identity.claims.get("iat")
        family = identity.claims.get(FAMILY) if is_own else None
        self.family: str | None = family if isinstance(family, str) else None
        self.logged_in_at = number_or_none(identity.claims.get(LOGGED_IN_AT))
        catalog, roles = identity.catalogue, identity.roles
        self.roles = roles if catalog is None else roles | catalog.with_included(roles)
        self.is_flat = not any(isinstance(value, dict | list) for value in header.values())
        self._good_at = -1  # the view's additions when it was last found not to be revoked

    def fill(self, location: str = "headers") -> tuple[dict[str, Any], dict[str, Any], None, str]:
        """Return the contents of FJE's slots for a request with the token in this location."""
        return self.copy_header(), self.identity.claims.copy(), None, location

    def is_revoked(self, view: RevocationView) -> bool:
        """Return whether the view knows that it is revoked; raise `StoreUnavailable`."""
        view.check_age()
        additions, identity = view.additions, self.identity
        if additions == self._good_at:
            return False
        is_revoked = view.is_revoked(
            jti=self.jti,
            subject=identity.subject,
            issued_at=self.issued_at,
            issuer=identity.issuer,
            tenant=identity.tenant,
            roles=self.roles,
            family=self.family,
            logged_in_at=self.logged_in_at,
            is_own=self.is_own,
        )
        if not is_revoked:
            self._good_at = additions
        return is_revoked

    def copy_header(self) -> dict[str, Any]:
        """Return a copy of the token's header."""
        return self.header.copy() if self.is_flat else copy.deepcopy(self.header)


class Authentication:
    """The outcome of authenticating a request; cached with each verified token.

    `token` is the verified token, or None; `identity` the identity built from it; `error` why the
    token is refused; `has_ended` whether it was valid earlier in this request.
    """

    __slots__ = ("error", "has_ended", "identity", "token")

    def __init__(
        self,
        identity: Any = None,
        token: Token | None = None,
        error: InvalidToken | None = None,
        has_ended: bool = False,
    ) -> None:
        self.identity = identity
        self.token = token
        self.error = error
        self.has_ended = has_ended

    def check_fresh(self, longest: timedelta | None) -> None:
        """Raise `TokenNotFresh` unless the log-in is at most `longest` ago, by `auth_time`.

        Without `longest` the token's `fresh` must be true, or a time in the future.
        """
        token = self.token
        if longest is not None:
            seconds = longest.total_seconds()
            since = time() - token.logged_in_at if token and token.logged_in_at else math.inf
            if not -CLOCKS_DIFFER <= since <= seconds:
                raise TokenNotFresh(max_age=seconds)
            return
        fresh = token.identity.claims["fresh"] if token is not None else False
        if fresh is not True and not (type(fresh) in (int, float) and fresh >= time()):
            raise TokenNotFresh
