"""Refresh tokens: what one says, how it is signed, and the checks that it must pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask_jwt_extended import create_refresh_token

from ..errors import ClaimInvalid, ClaimMissing, KindInvalid
from .verifier import Verifier

TYP = "rt+jwt"
FAMILY = "sid"
"""The claim that names a token's family: the session of OpenID Connect's `sid`."""
LOGGED_IN_AT = "auth_time"
"""The claim that says when its subject logged in (OpenID Connect Core section 2)."""

TENANT = "authz_tenant"
"""The claim that names the tenant of a log-in: apart from those of the application's own."""

_CLAIMS = ("iss", "exp", "aud", "iat", "jti", FAMILY, LOGGED_IN_AT)


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """What a refresh token says: of whom it is, its id, its family, and when the log-in was.

    `tenant` is that of a log-in to another tenant than the subject's own, else None.
    """

    subject: str
    jti: str
    family: str
    logged_in_at: float
    tenant: str | None = None

    @classmethod
    def of(cls, payload: dict[str, Any], subject_claim: str) -> RefreshClaims:
        """The claims of a payload that `RefreshVerifier` let pass."""
        return cls(
            payload[subject_claim],
            payload["jti"],
            payload[FAMILY],
            payload[LOGGED_IN_AT],
            payload.get(TENANT),
        )

    @property
    def shared(self) -> dict[str, Any]:
        """The claims that the access tokens of the family carry as well."""
        return {FAMILY: self.family, LOGGED_IN_AT: self.logged_in_at}

    def encode(
        self, identity: str, own: dict[str, Any], issued_at: float, expires_at: float
    ) -> str:
        """The encoded refresh token; it says the same for the same arguments.

        `identity` is what FJE makes the subject of; `own` has issuer and audience; times are
        seconds since the epoch. Needs an application context.
        """
        token: str = create_refresh_token(
            identity,
            expires_delta=timedelta(seconds=1),  # `exp` below says it to the second
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
    """What a refresh token of one's own is checked against; no other kind of token passes."""

    __slots__ = ()

    def _check_kind(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        if header.get("typ", "").lower() != TYP or payload.get("type") != "refresh":
            raise KindInvalid("this is no refresh token of a family")
        if "cnf" in payload:  # RFC 7800: bound to a key whose proof is not asked for here
            raise KindInvalid("the token is bound to a key (cnf), which is not supported")

    def _check_profile(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        for name in _CLAIMS:
            if payload.get(name) in (None, "", []):
                raise ClaimMissing(f"{name} is missing")
        if not isinstance(payload[FAMILY], str):
            raise ClaimInvalid(f"{FAMILY} is no string")
        if number_or_none(payload[LOGGED_IN_AT]) is None:
            raise ClaimInvalid(f"{LOGGED_IN_AT} is no number")
        if not isinstance(payload.get(TENANT), str | None):
            raise ClaimInvalid(f"{TENANT} is no string")


def number_or_none(value: object) -> float | None:
    """The value where it is a number that can be a time, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= 2**53 else None


def family_of_refresh_token(header: dict[str, Any], payload: dict[str, Any]) -> str | None:
    """Return the family that a refresh token names; None if the token is not a refresh token."""
    family = payload.get(FAMILY)
    is_refresh = header.get("typ", "").lower() == TYP
    return family if is_refresh and isinstance(family, str) and family else None
