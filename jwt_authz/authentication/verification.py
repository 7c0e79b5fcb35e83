"""Verification: verify the tokens of one application, by its keys, settings and issuers.

How it works. A verified token is cached as a `CacheEntry` under the digest of its text. The cache
belongs to one `Snapshot`; after a change of keys, settings, catalog or trusted issuers there is
another snapshot with an empty cache. An entry that has expired is verified again; the entry of a
foreign token expires at the latest when the keys of its issuer have to be fetched again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from time import time
from typing import Any

from jwt import PyJWTError

from ..errors import (
    AlgorithmNotAllowed,
    IssuerInvalid,
    KeyUnknown,
    MisuseError,
    TokenRevoked,
)
from ..issuers.trust import Trusted
from ..jwt_extended.bridge import is_blocklisted, key_loader
from ..jwt_extended.own_claims import own_claims
from ..jwt_extended.own_keys import algorithms_for_loader, make_verifier
from ..policy.identity import Identity, size_of
from ..tokens import Verified
from ..tokens.cache import CacheEntry
from ..tokens.jws import LONGEST_TOKEN, Key, Signed
from ..tokens.keys import prepare_key
from ..tokens.page import AUDIENCE, PageVerifier
from ..tokens.refresh import RefreshClaims, RefreshVerifier
from .snapshot import Snapshot
from .verified import Authentication, Token


class Verification:
    """Verifies the tokens of one application, with the settings of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.cache = snapshot.cache
        self._revocations = snapshot.revocations
        self._catalog = snapshot.catalog
        self._manager = snapshot.manager
        self._trust = snapshot.trust
        self._read = snapshot.reader.read
        settings = snapshot.settings
        longest = max(LONGEST_TOKEN, settings.max_token_bytes)
        has_issuers = snapshot.trust is not None
        make = functools.partial(
            make_verifier, longest, snapshot.keys, own_claims(settings), needs_key=not has_issuers
        )
        self._verifier = make(needs_profile=settings.token_profile is not None)
        self._refresh_verifier = make(needs_profile=True, kind=RefreshVerifier)
        page = make(needs_profile=True, kind=PageVerifier)
        self._page_verifier = replace(page, audience=AUDIENCE)
        self.longest = self._verifier.longest
        self._algorithms = algorithms_for_loader()

    def check(self, text: str, is_page: bool = False) -> Authentication:
        """Return the caller that a token names, verified and not revoked; raise an `InvalidToken`.

        It must be an access token, or with `is_page` a page token. The application's callbacks
        are not asked.
        """
        entry = self._page_entry(text) if is_page else self._entry(text)
        found: Authentication = entry.value
        token: Token = found.token  # type: ignore[assignment] # what is kept has a token
        if self._revocations is not None and token.is_revoked(self._revocations):
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
        return self._revocations is None or not token.is_revoked(self._revocations)

    def known(self, text: str) -> Authentication | None:
        """Return what `check` returns for a token that is in the cache and valid, else None."""
        now = time()
        entry = self.cache.get(sha256(text.encode("utf-8", "surrogatepass")).digest(), now)
        if entry is None or not entry.starts <= now < entry.expires:
            return None
        found: Authentication = entry.value
        if self._revocations is not None and found.token.is_revoked(self._revocations):  # type: ignore[union-attr] # what is kept has a token
            return None
        return found

    def refresh_claims(self, text: str) -> RefreshClaims:
        """Return the verified claims of an own refresh token; raise `InvalidToken`."""
        verified = self._refresh_verifier.verify(text, self._chosen_key(text))
        if is_blocklisted(self._manager, verified.header, verified.payload):
            raise TokenRevoked
        return RefreshClaims.of(verified.payload, self._verifier.subject_claim)

    def own_token(self, text: str) -> Signed:
        """Return a token that was signed with this application's keys; raise an `InvalidToken`.

        Only the signature is checked, since the token may be valid later, or in another process.
        """
        if self._foreign(text) is not None:
            raise IssuerInvalid
        return self._verifier.check_signature(text, self._chosen_key(text))

    def _page_entry(self, text: str) -> CacheEntry:
        """Return the entry of a page token; not cached, so that no other request can find it."""
        verified = self._page_verifier.verify(text, self._chosen_key(text))
        subject = verified.payload[self._verifier.subject_claim]
        return _entry(self._read(subject, verified.payload), verified, is_own=True)

    def _chosen_key(self, text: str) -> Key | None:
        """Return the key that the application's key loader chooses for an own token; or None."""
        loader = key_loader(self._manager)
        return None if loader is None else self._loaded_key(text, loader)[1]

    def _entry(self, text: str) -> CacheEntry:
        """Return the entry of a token from the cache, or verify the token."""
        now, digest, key = time(), _digest(text), None
        loader = key_loader(self._manager)
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
        """Return the trusted issuer that a token names, and what was read of it, not verified."""
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

    def _verify(self, text: str, key: Key | None) -> CacheEntry:
        self.cache.count_miss()
        foreign = self._foreign(text) if key is None else None
        if foreign is not None:
            return self._verify_foreign(*foreign)
        if self._trust is not None and key is None and not self._verifier.has_keys:
            raise IssuerInvalid
        verified = self._verifier.verify(text, key)
        subject = verified.payload[self._verifier.subject_claim]
        return _entry(self._read(subject, verified.payload), verified, is_own=True)

    def _verify_foreign(self, trusted: Trusted, signed: Signed, issuer: str) -> CacheEntry:
        """Return the entry of a trusted issuer's token, verified by the issuer's keys and rules."""
        verified, lease = trusted.verify(signed, issuer)
        subject = trusted.issuer.subject_of(verified.payload)
        verified.payload[self._verifier.subject_claim] = subject  # as get_jwt_identity() reads it
        identity = trusted.issuer.read(subject, verified.payload, self._catalog)
        return _entry(identity, verified, False, lease.since, lease.until)


_USUAL_HEADER = 400  # bytes of a token's header, counted among what every entry takes


def _entry(
    identity: Identity,
    verified: Verified,
    is_own: bool,
    since: float = -math.inf,
    until: float = math.inf,
) -> CacheEntry:
    """Return the cache entry of a verified token, valid from `since` to `until` at most."""
    held, expires = identity.permissions, min(verified.expires, until)
    return CacheEntry(
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
