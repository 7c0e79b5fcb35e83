"""Verification: a token's text to what is kept of it, by one application's keys and settings.

How it works. A verified token is kept as an `Entry`, by the digest of its text, in a cache that
belongs to one `Verification`; a changed key, setting, catalogue or set of trusted issuers is
another `Verification`, and so an empty cache. An entry whose time is over is verified anew: a
foreign token is kept no longer than its issuer's keys are fresh.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from time import time
from typing import Any

from flask_jwt_extended import JWTManager
from jwt import PyJWTError

from ..errors import (
    AlgorithmNotAllowed,
    InvalidToken,
    IssuerInvalid,
    KeyUnknown,
    MisuseError,
    TokenNotFresh,
    TokenRevoked,
)
from ..issuers.trust import Trust, Trusted
from ..jwt_extended.bridge import (
    algorithms_for_loader,
    is_blocklisted,
    key_loader,
    make_verifier,
    own_claims,
)
from ..policy.identity import Identity, size_of
from ..policy.roles import Roles
from ..revocation import RevocationView
from ..settings import Settings
from ..tokens import KeySet, Verified
from ..tokens.cache import Entry, VerifiedCache
from ..tokens.encodings import IdentityReader
from ..tokens.jws import LONGEST_TOKEN, Key, Signed
from ..tokens.keys import prepare_key
from ..tokens.page import AUDIENCE, PageVerifier
from ..tokens.refresh import FAMILY, LOGGED_IN_AT, RefreshClaims, RefreshVerifier, number_or_none

CLOCKS_DIFFER = 60.0
"""Seconds that a log-in may lie ahead, by the clock of whoever issued the token."""


class Token:
    """What is kept of a verified token: the identity made of it, its header, how to revoke it."""

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
        catalogue, roles = identity.catalogue, identity.roles
        self.roles = roles if catalogue is None else roles | catalogue.with_included(roles)
        self.is_flat = not any(isinstance(value, dict | list) for value in header.values())
        self._good_at = -1  # the view's additions when it was last found not to be revoked

    def fill(self) -> tuple[dict[str, Any], dict[str, Any], None, str]:
        """What FJE keeps of the token, for a request that brought it in the header."""
        return self.copy_header(), self.identity.claims.copy(), None, "headers"

    def is_revoked(self, view: RevocationView) -> bool:
        """Whether it is revoked, as far as the view knows; raises `StoreUnavailable`."""
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
        """The token's header, as a dict of the caller's own."""
        return self.header.copy() if self.is_flat else copy.deepcopy(self.header)


class Authentication:
    """What was found out about a caller; one is kept with each verified token.

    `token` is the verified token, None where none came; `identity` what was made of it; `error`
    why the token is refused; `has_ended` whether it was valid earlier in this request.
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
        """Raises `TokenNotFresh` unless the log-in is at most `longest` ago, by `auth_time`.

        Without `longest` the token's `fresh` must be true, or a time not yet past.
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


class Verification:
    """Verifies the tokens of one application, with its settings as they were when it was made."""

    def __init__(
        self,
        settings: Settings,
        reader: IdentityReader,
        catalogue: Roles | None,
        keys: KeySet | None,
        trust: Trust | None,
        revocations: RevocationView | None,
    ) -> None:
        self.keys = keys
        self.revocations = revocations
        self.cache = VerifiedCache(settings.cache_bytes)
        self.catalogue = catalogue
        self._trust = trust
        longest = max(LONGEST_TOKEN, settings.max_token_bytes)
        make = functools.partial(
            make_verifier, longest, keys, own_claims(settings), needs_key=trust is None
        )
        self._verifier = make(needs_profile=settings.token_profile is not None)
        self._refresh_verifier = make(needs_profile=True, kind=RefreshVerifier)
        page = make(needs_profile=True, kind=PageVerifier)
        self._page_verifier = replace(page, audience=AUDIENCE)
        self.longest = self._verifier.longest
        self._read = reader.read
        self._algorithms = algorithms_for_loader()

    def verified(self, text: str, manager: JWTManager, is_page: bool = False) -> Authentication:
        """Return the caller that a token names, verified and not revoked; raise an `InvalidToken`.

        It must be an access token, or with `is_page` a page token. The application's callbacks
        are not asked.
        """
        entry = self._page_entry(text, manager) if is_page else self._entry(text, manager)
        found: Authentication = entry.value
        token: Token = found.token  # type: ignore[assignment] # what is kept has a token
        if self.revocations is not None and token.is_revoked(self.revocations):
            raise TokenRevoked
        return found

    def is_current(self, token: Token | None) -> bool:
        """Return whether a token that was valid earlier in this request still is.

        Raise `StoreUnavailable` if that is not known.
        """
        if token is None or token.expires is None:
            return True
        if time() >= token.expires:
            return False
        return self.revocations is None or not token.is_revoked(self.revocations)

    def known(self, text: bytes) -> Authentication | None:
        """What `verified` returns, for a token that was verified before and is good; else None."""
        now = time()
        entry = self.cache.get(sha256(text).digest(), now)
        if entry is None or not entry.starts <= now < entry.expires:
            return None
        found: Authentication = entry.value
        if self.revocations is not None and found.token.is_revoked(self.revocations):  # type: ignore[union-attr] # what is kept has a token
            return None
        return found

    def refresh_claims(self, text: str, manager: JWTManager) -> RefreshClaims:
        """What a refresh token of the application's own says, verified; raises `InvalidToken`."""
        verified = self._refresh_verifier.verify(text, self._chosen_key(text, manager))
        if is_blocklisted(manager, verified.header, verified.payload):
            raise TokenRevoked
        return RefreshClaims.of(verified.payload, self._verifier.subject_claim)

    def own_token(self, text: str, manager: JWTManager) -> Signed:
        """Return a token that was signed with this application's keys; raise an `InvalidToken`.

        Only the signature is checked, since the token may be valid later, or in another process.
        """
        if self._foreign(text) is not None:
            raise IssuerInvalid
        return self._verifier.check_signature(text, self._chosen_key(text, manager))

    def _page_entry(self, text: str, manager: JWTManager) -> Entry:
        """Return the entry of a page token; not cached, so that no other request can find it."""
        verified = self._page_verifier.verify(text, self._chosen_key(text, manager))
        subject = verified.payload[self._verifier.subject_claim]
        return _entry(self._read(subject, verified.payload), verified, is_own=True)

    def _chosen_key(self, text: str, manager: JWTManager) -> Key | None:
        """Return the key that the application chooses for an own token; None if it has no say."""
        loader = key_loader(manager)
        return None if loader is None else self._loaded_key(text, loader)[1]

    def _entry(self, text: str, manager: JWTManager) -> Entry:
        """The entry of a token, verified now unless it is known and its time is not over."""
        now, digest, key = time(), _digest(text), None
        loader = key_loader(manager)
        if loader is not None and self._foreign(text) is None:
            answer, key = self._loaded_key(text, loader)
            if not isinstance(answer, str | bytes):
                return self._verify(text, key)
            digest += _digest(answer)
        entry = self.cache.get(digest, now)
        if entry is None or not entry.starts <= now < entry.expires:
            entry = self._verify(text, key)
            if entry.starts <= now < entry.expires:
                self.cache.put(digest, entry, now)
        return entry

    def _foreign(self, text: str) -> tuple[Trusted, Signed, str] | None:
        """The trusted issuer that a token says to be of, with what was read and not verified."""
        if self._trust is None:
            return None
        signed = self._verifier.read(text)
        issuer = signed.unverified().get("iss")
        trusted = self._trust.find(issuer)
        return None if trusted is None else (trusted, signed, str(issuer))

    def _loaded_key(self, text: str, loader: Callable[..., Any]) -> tuple[Any, Key]:
        signed = self._verifier.read(text)
        algorithm = signed.header["alg"]
        if algorithm not in self._algorithms:
            raise AlgorithmNotAllowed
        try:
            payload = signed.unverified()
            self._verifier.check_strings(payload)  # what a loader may look up by
            answer = loader(signed.header, payload)
        except (LookupError, PyJWTError):
            raise KeyUnknown("the decode_key_loader knows no such key") from None
        try:
            return answer, prepare_key(answer, algorithm)
        except MisuseError:
            raise AlgorithmNotAllowed("the key loaded does not fit the algorithm") from None

    def _verify(self, text: str, key: Key | None) -> Entry:
        self.cache.count_miss()
        foreign = self._foreign(text) if key is None else None
        if foreign is not None:
            return self._verify_foreign(*foreign)
        if self._trust is not None and key is None and not self._verifier.has_keys:
            raise IssuerInvalid
        verified = self._verifier.verify(text, key)
        subject = verified.payload[self._verifier.subject_claim]
        return _entry(self._read(subject, verified.payload), verified, is_own=True)

    def _verify_foreign(self, trusted: Trusted, signed: Signed, issuer: str) -> Entry:
        """The entry of a token of a trusted issuer, by that issuer's keys and rules alone."""
        verified, lease = trusted.verify(signed, issuer)
        subject = trusted.issuer.subject_of(verified.payload)
        verified.payload[self._verifier.subject_claim] = subject  # as get_jwt_identity() reads it
        identity = trusted.issuer.read(subject, verified.payload, self.catalogue)
        return _entry(identity, verified, False, lease.since, lease.until)


_USUAL_HEADER = 400  # bytes of a token's header, counted among what every entry takes


def _entry(
    identity: Identity,
    verified: Verified,
    is_own: bool,
    since: float = -math.inf,
    until: float = math.inf,
) -> Entry:
    """What is kept of a verified token, from `since` to `until` at most."""
    held, expires = identity.permissions, min(verified.expires, until)
    return Entry(
        Authentication(identity, Token(identity, verified.header, is_own, expires)),
        expires=expires,
        starts=max(verified.starts, since),
        size=identity.size + max(0, size_of(verified.header) - _USUAL_HEADER),
        shared=held,
        shared_size=held.size,
    )


def _digest(text: str | bytes) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return sha256(data).digest()
