"""Refresh tokens: their claims, how they are encoded, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask_jwt_extended import create_refresh_token

from ..errors import ClaimInvalid, ClaimMissing, KindInvalid
from .verifier import Verifier

TYP = "rt+jwt"
FAMILY = "sid"
"""The claim with the token family, as OpenID Connect's `sid` names the session."""
LOGGED_IN_AT = "auth_time"
"""The claim with the time of the log-in (OpenID Connect Core section 2)."""

TENANT = "authz_tenant"
"""The claim with the tenant of a log-in; its name cannot clash with the application's claims."""

_CLAIMS = ("iss", "exp", "aud", "iat", "jti", FAMILY, LOGGED_IN_AT)


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """The claims of a refresh token: its subject, id, family and time of the log-in.

    `tenant` is set for a log-in to another tenant than the user's own.
    """

    subject: str
    jti: str
    family: str
    logged_in_at: float
    tenant: str | None = None

    @classmethod
    def of(cls, payload: dict[str, Any], subject_claim: str) -> RefreshClaims:
        """Return the claims of a payload that `RefreshVerifier` accepted."""
        return cls(
            payload[subject_claim],
            payload["jti"],
            payload[FAMILY],
            payload[LOGGED_IN_AT],
            payload.get(TENANT),
        )

    @property
    def shared(self) -> dict[str, Any]:
        """The claims that the access tokens of the family also have."""
        return {FAMILY: self.family, LOGGED_IN_AT: self.logged_in_at}

    def encode(
        self, identity: str, own: dict[str, Any], issued_at: float, expires_at: float
    ) -> str:
        """Return the encoded refresh token; the same arguments give the same claims.

        `identity` is passed to FJE, which makes the subject from it; `own` has issuer and
        audience; times are in seconds since the epoch. Needs an application context.
        """
        token: str = create_refresh_token(
            identity,
            expires_delta=timedelta(seconds=1),  # replaced by `exp` below
            additional_claims={
                **self.shared,
                **({} if self.tenant is None else {TENANT: self.tenant}),
                "iss": own["iss"],
                "aud": own["aud"],
                "jti": self.jti,
                "iat": int(issued_at),
                "nbf": int(issued_at),
                "exp": int(expires_at),
            },
            additional_headers={"typ": TYP},
        )
        return token


class RefreshVerifier(Verifier):
    """Verifies our own refresh tokens; no other kind of token passes."""

    __slots__ = ()

    def _check_kind(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        if header.get("typ", "").lower() != TYP or payload.get("type") != "refresh":
            raise KindInvalid("not a refresh token")
        if "cnf" in payload:  # RFC 7800: bound to a key, whose possession is not checked here
            raise KindInvalid("the token is bound to a key (cnf), which is not supported")

    def _check_profile(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        for name in _CLAIMS:
            if payload.get(name) in (None, "", []):
                raise ClaimMissing(f"{name} is missing")
        if not isinstance(payload[FAMILY], str):
            raise ClaimInvalid(f"{FAMILY} is not a string")
        if number_or_none(payload[LOGGED_IN_AT]) is None:
            raise ClaimInvalid(f"{LOGGED_IN_AT} is not a number")
        if not isinstance(payload.get(TENANT), str | None):
            raise ClaimInvalid(f"{TENANT} is not a string")


def number_or_none(value: object) -> float | None:
    """Return the value if it is a number that can be a time, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= 2**53 else None


def family_of_refresh_token(header: dict[str, Any], payload: dict[str, Any]) -> str | None:
    """Return the family that a refresh token names; None if the token is not a refresh token."""
    family = payload.get(FAMILY)
    is_refresh = header.get("typ", "").lower() == TYP
    return family if is_refresh and isinstance(family, str) and family else None
