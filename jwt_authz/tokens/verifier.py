"""Verifier: verifies a token's signature and claims (RFC 7519), and returns its payload.

The checks are ordered by cost and trust: length, form, header, key, signature, and only then the
claims. Each check raises its own condition; no message contains anything of the token.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Container
from dataclasses import dataclass, field
from typing import Any

from ..errors import (
    AudienceInvalid,
    ClaimInvalid,
    ClaimMissing,
    IssuerInvalid,
    KindInvalid,
    TokenExpired,
    TokenNotYetValid,
)
from .jws import LONGEST_TOKEN, Key, Signed, choose_key

_ACCESS_TYP = frozenset({"jwt", "at+jwt", "application/at+jwt"})  # RFC 9068 section 4
_PROFILE_TYP = _ACCESS_TYP - {"jwt"}
_PROFILE_CLAIMS = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")  # section 2.2
_STRINGS = ("iss", "sub", "jti", "type", "client_id", "csrf")
_FOREVER = math.inf

START_LEEWAY = 5.0
"""The number of seconds that `iat` and `nbf` may be in the future by default: clocks differ."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified token: `header` and `payload` as dicts, and the times between which it is valid.

    `expires` and `starts` are seconds since the epoch, leeway included: the token is valid while
    `starts <= now < expires`.
    """

    header: dict[str, Any]
    payload: dict[str, Any]
    expires: float
    starts: float

    def check_time(self, now: float) -> None:
        """Raise `TokenExpired` or `TokenNotYetValid` if the token is not valid at `now`."""
        if now >= self.expires:
            raise TokenExpired
        if now < self.starts:
            raise TokenNotYetValid


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies access tokens; immutable.

    - `keys`: the accepted algorithms, with the key for tokens without a `kid`.
    - `by_kid`: the keys by `kid`.
    - `subject_claim`: the name of the claim that contains the subject.
    - `issuer`, `audience`: a string, several, or None to accept any.
    - `optional`: those of `iss` and `aud` that may be missing.
    - `leeway`: the tolerance for clocks in seconds; `start_leeway` that for `nbf` and `iat`, if
      it is more.
    - `longest`: the maximum length of a token in characters.
    - `needs_profile`: whether a token must meet RFC 9068 section 2.
    """

    keys: dict[str, Key] = field(repr=False)
    by_kid: dict[str, Key] = field(default_factory=dict, repr=False)
    subject_claim: str = "sub"
    issuer: str | Container[str] | None = None
    audience: str | Collection[str] | None = None
    optional: frozenset[str] = frozenset()
    leeway: float = 0
    start_leeway: float = 0
    longest: int = LONGEST_TOKEN
    needs_profile: bool = False

    @property
    def has_keys(self) -> bool:
        """Whether there is any key to verify tokens with."""
        return bool(self.keys or self.by_kid)

    def read(self, token: str) -> Signed:
        """Return the parsed token, not verified; raise an `InvalidToken` if it is malformed."""
        return Signed(token, self.longest)

    def verify(self, token: str, key: Key | None = None) -> Verified:
        """Return the verified header and payload; raise the `InvalidToken` condition that applies.

        `key` is set if the application chooses the key itself; it is then the only one, and the
        header's `alg` must still be its algorithm.
        """
        signed = self.read(token)
        return self.check(signed, key or self._key_for(signed))

    def check_signature(self, token: str, key: Key | None = None) -> Signed:
        """Return the token if its signature is valid; raise an `InvalidToken` if it is not.

        No claim is checked, not even `exp`: use it to end a token, never to accept one. `key` is
        that of `verify`.
        """
        signed = self.read(token)
        signed.check_signature(key or self._key_for(signed))
        return signed

    def _key_for(self, signed: Signed) -> Key:
        return choose_key(signed.header, self.keys, self.by_kid)

    def check(self, signed: Signed, key: Key) -> Verified:
        """Verify a parsed token with its key; return and raise as `verify` does."""
        payload = signed.verified(key)
        verified = Verified(signed.header, payload, self._expires(payload), self._starts(payload))
        verified.check_time(time.time())
        self._check_kind(signed.header, payload)
        if self.needs_profile:
            self._check_profile(signed.header, payload)
        self.check_strings(payload)
        self.check_origin(payload)
        return verified

    def _expires(self, payload: dict[str, Any]) -> float:
        if "exp" not in payload:
            raise ClaimMissing("exp is missing")
        return math.floor(_number(payload, "exp")) + self.leeway

    def _starts(self, payload: dict[str, Any]) -> float:
        # Whole seconds for iat, since the clocks of two machines always differ a little.
        starts = _number(payload, "nbf") if "nbf" in payload else -_FOREVER
        issued = math.floor(_number(payload, "iat")) if "iat" in payload else -_FOREVER
        return max(starts, issued) - max(self.leeway, self.start_leeway)

    def _check_kind(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        if header.get("typ", "jwt").lower() not in _ACCESS_TYP:
            raise KindInvalid("the header's typ is not that of an access token")
        check_kind_is_named(header, payload)
        if payload.setdefault("type", "access") != "access":
            raise KindInvalid("the claim type is not access")
        if "cnf" in payload:  # RFC 7800: bound to a key, whose possession is not checked here
            raise KindInvalid("the token is bound to a key (cnf), which is not supported")
        fresh = payload.setdefault("fresh", False)
        if not isinstance(fresh, bool | int | float):
            raise ClaimInvalid("fresh is neither a boolean nor a number")

    def _check_profile(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        if header.get("typ", "").lower() not in _PROFILE_TYP:
            raise KindInvalid("the header's typ is not at+jwt")
        for name in _PROFILE_CLAIMS:
            if payload.get(name) in (None, "", []):
                raise ClaimMissing(f"{name} is missing")

    def check_origin(self, payload: dict[str, Any]) -> None:
        """Raise an `InvalidToken` if `iss` or `aud` is not one that is accepted."""
        self._check_issuer(payload)
        self._check_audience(payload)

    def check_strings(self, payload: dict[str, Any]) -> None:
        """Raise `ClaimInvalid` for a claim of the wrong type, `ClaimMissing` without a subject."""
        for name in (*_STRINGS, self.subject_claim):
            if name in payload and not isinstance(payload[name], str):
                raise ClaimInvalid(f"{name} is not a string")
        payload.setdefault("jti", None)
        if not payload.get(self.subject_claim):
            raise ClaimMissing("the claim of the subject is missing or empty")

    def _check_issuer(self, payload: dict[str, Any]) -> None:
        if self.issuer is None or ("iss" in self.optional and "iss" not in payload):
            return
        issuer = payload.get("iss")
        trusted = (self.issuer,) if isinstance(self.issuer, str) else self.issuer
        if issuer is None:
            raise ClaimMissing("iss is missing")
        if not isinstance(issuer, str) or issuer not in trusted:
            raise IssuerInvalid("iss is not accepted: see AUTHZ_ISSUER and JWT_DECODE_ISSUER")

    def _check_audience(self, payload: dict[str, Any]) -> None:
        audience = payload.get("aud", ())
        named = (audience,) if isinstance(audience, str) else audience
        if not isinstance(named, list | tuple) or not all(isinstance(a, str) for a in named):
            raise ClaimInvalid("aud is neither a string nor a list of strings")
        if self.audience is None or ("aud" in self.optional and "aud" not in payload):
            return
        ours = (self.audience,) if isinstance(self.audience, str) else self.audience
        if not named or named == ("",):
            raise ClaimMissing("aud is missing")
        if not any(own in named for own in ours):
            raise AudienceInvalid(
                "aud names no accepted audience: see AUTHZ_AUDIENCE and JWT_DECODE_AUDIENCE"
            )


def check_kind_is_named(header: dict[str, Any], payload: dict[str, Any]) -> None:
    """Raise `KindInvalid` unless a `type` claim or the `typ` of RFC 9068 names a token's kind.

    Only a token with `typ: JWT` that names neither issuer nor audience may lack both, as
    Flask-JWT-Extended reads it.
    """
    typ = header.get("typ")
    named = typ.lower() if isinstance(typ, str) else None
    if "type" in payload or named in _PROFILE_TYP:
        return
    if named != "jwt" or "iss" in payload or "aud" in payload:
        raise KindInvalid("the token has neither the claim type nor the typ at+jwt")


def _number(payload: dict[str, Any], name: str) -> float:
    value = payload[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClaimInvalid(f"{name} is not a number")
    if abs(value) > 2**53:  # too large for a date, and for an exact float
        raise ClaimInvalid(f"{name} is too large")
    return value
