"""Authentication: a request to its verified Identity, by way of the cache of verified tokens.

How it works. A verified token is kept as an `Entry`, by the digest of its text, in a cache that
belongs to one `Authenticator`; a changed key, setting, catalogue or set of trusted issuers is
another `Authenticator`, and so an empty cache. An entry whose time is over is verified anew: a
foreign token is kept no longer than its issuer's keys are fresh. What can change between two
requests is asked after the cache, each time: the clock, the application's callbacks, its own key
and identity loaders. What was found out about a request hangs on that request object, and so is
never taken for another's.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from hashlib import sha256
from time import time
from typing import Any

from flask import (
    Flask,
    Request,
    after_this_request,
)
from flask_jwt_extended import JWTManager
from jwt import PyJWTError
from werkzeug.local import LocalProxy

from .claims import IdentityReader
from .errors import (
    AlgorithmNotAllowed,
    InvalidToken,
    IssuerInvalid,
    KeyUnknown,
    MisuseError,
    SubjectUnknown,
    TokenNotFresh,
    TokenRevoked,
)
from .identity import Identity
from .jwt_extended import (
    algorithms_for_loader,
    ask_callbacks,
    has_callbacks,
    key_loader,
    make_verifier,
    own_claims,
    read_deciding,
)
from .locations import (
    headers_that_decide,
    other_locations,
    plain_scheme,
    token_elsewhere,
    token_from_header,
    vary_by,
)
from .predicates import is_async
from .request_slots import fill_later, fill_slots
from .revocation import RevocationView
from .roles import Roles
from .settings import Settings
from .tokens import KeySet, Verified
from .tokens.cache import Entry, VerifiedCache
from .tokens.jws import LONGEST_TOKEN, Key, Signed
from .tokens.keys import prepare_key
from .trust import Trust, Trusted

_KEPT = "_jwt_authz_authentication"


class Token:
    """What is kept of a verified token: the identity made of it, its header, how to revoke it."""

    __slots__ = ("header", "identity", "is_flat", "is_own", "issued_at", "jti", "roles")

    def __init__(self, identity: Identity, header: dict[str, Any], is_own: bool) -> None:
        self.identity = identity
        self.header = header
        self.is_own = is_own
        self.jti: str | None = identity.claims.get("jti")
        self.issued_at: float | None = identity.claims.get("iat")
        catalogue, roles = identity.catalogue, identity.roles
        self.roles = roles if catalogue is None else roles | catalogue.with_included(roles)
        self.is_flat = not any(isinstance(value, dict | list) for value in header.values())

    def fill(self) -> tuple[dict[str, Any], dict[str, Any], None, str]:
        """What FJE keeps of the token, for a request that brought it in the header."""
        return self.copy_header(), self.identity.claims.copy(), None, "headers"

    def is_revoked(self, view: RevocationView) -> bool:
        """Whether it is revoked, as far as the view knows; raises `StoreUnavailable`."""
        view.check_age()
        identity = self.identity
        return view.is_revoked(
            jti=self.jti,
            subject=identity.subject,
            issued_at=self.issued_at,
            issuer=identity.issuer,
            tenant=identity.tenant,
            roles=self.roles,
            is_own=self.is_own,
        )

    def copy_header(self) -> dict[str, Any]:
        """The token's header, as a dict of the caller's own."""
        return self.header.copy() if self.is_flat else copy.deepcopy(self.header)


class Authentication:
    """What was found out about the caller of one request; it hangs on the request object.

    `token` is the verified token, None where none came; `identity` what was made of it; `error`
    the condition where a token came that is not good.
    """

    __slots__ = ("error", "identity", "token")

    def __init__(
        self, identity: Any = None, token: Token | None = None, error: InvalidToken | None = None
    ) -> None:
        self.identity = identity
        self.token = token
        self.error = error

    def check_fresh(self) -> None:
        """Raises `TokenNotFresh` unless the token's `fresh` is true or a time still ahead."""
        fresh = self.token.identity.claims["fresh"] if self.token is not None else False
        if fresh is not True and not (type(fresh) in (int, float) and fresh >= time()):
            raise TokenNotFresh


class IdentitySource:
    """The application's own identity loader, which takes `(subject, claims)` or nothing."""

    def __init__(self, loader: Callable[..., Any]) -> None:
        if is_async(loader) or inspect.isgeneratorfunction(loader):
            raise MisuseError(
                f"{getattr(loader, '__name__', 'the identity loader')} is async or a generator: "
                "an identity loader answers at once, so write a plain def"
            )
        try:
            inspect.signature(loader).bind("subject", {})
            self.takes_token = True
        except TypeError:
            self.takes_token = False
        if not self.takes_token and inspect.signature(loader).parameters:
            raise MisuseError(
                "an identity loader takes (subject, claims), or nothing where the identity "
                f"comes from elsewhere: write def {getattr(loader, '__name__', 'loader')}"
                "(subject, claims)"
            )
        self.load = loader


class Authenticator:
    """Verifies the tokens of one application, with its settings as they were when it was made."""

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        catalogue: Roles | None,
        source: IdentitySource | None,
        keys: KeySet | None,
        trust: Trust | None = None,
        revocations: RevocationView | None = None,
    ) -> None:
        self._revocations = revocations
        self.deciding = _copied(read_deciding(app.config))
        self.keys = keys
        self._source = source
        self._catalogue = catalogue
        self._trust = trust
        longest = max(LONGEST_TOKEN, settings.max_token_bytes)
        profile = own_claims(settings) if settings.token_profile is not None else None
        self._verifier = make_verifier(longest, keys, profile, needs_key=trust is None)
        self._read = IdentityReader(settings.encoding, catalogue, settings.claim_names).read
        self._algorithms = algorithms_for_loader()
        self._longest = self._verifier.longest
        self._locations = other_locations()
        self._scheme = plain_scheme(self._locations)
        self._scheme_length = len(self._scheme)
        self._plain = bool(self._scheme) and source is None
        self._add_vary = _vary_adder(headers_that_decide(self._locations))
        self.cache = VerifiedCache(settings.cache_bytes)

    def authenticate(self, request: Request, manager: JWTManager) -> Authentication:
        """Who sent this request, found out once a request; raises no `InvalidToken`."""
        kept = request.__dict__.get(_KEPT)
        if kept is not None and kept[0] is self:  # another application's verdict is not ours
            return kept[1]  # type: ignore[no-any-return]
        if self._source is not None and not self._source.takes_token:
            return Authentication(_loaded(self._source.load()))  # not kept: a log-in changes it
        after_this_request(self._add_vary)
        found = self._hit(request, manager)
        if found is None:
            return self._keep(request, lambda: self._find(request, manager))
        request.__dict__[_KEPT] = (self, found)
        return found

    def take(self, request: Request, manager: JWTManager, text: str) -> None:
        """Take a request for one that brought this token, wherever tokens are looked for.

        Raises `MisuseError` where no token is looked at, and `StoreUnavailable`.
        """
        if self._source is not None and not self._source.takes_token:
            raise MisuseError(
                "the identity loader takes the identity from elsewhere, and no token is looked at"
            )
        self._keep(request, lambda: self._found(request, manager, text, "headers"))

    def suppose(self, request: Request, identity: Identity) -> None:
        """Take a request for one of a good token of which this identity was made.

        Nothing is verified, and FJE's callbacks are not asked; the identity loader is.
        """
        found = Authentication(identity, Token(identity, {}, is_own=True))
        fill_slots(request, {}, identity.claims.copy(), {"loaded_user": None}, "headers")
        asks_loader = self._source is not None and self._source.takes_token
        self._keep(request, lambda: self._loaded_by_source(found) if asks_loader else found)

    def _keep(self, request: Request, find: Callable[[], Authentication]) -> Authentication:
        """Keep what is found out about a request, be it that its token is not good."""
        try:
            found = find()
        except InvalidToken as error:
            found = Authentication(error=error)
            fill_slots(request, {}, {}, {"loaded_user": None}, None)
        request.__dict__[_KEPT] = (self, found)
        return found

    def forget(self, request: Request) -> None:
        """Forget what was found out about a request, so that it is found out anew."""
        request.__dict__.pop(_KEPT, None)

    def _hit(self, request: Request, manager: JWTManager) -> Authentication | None:
        """`_find` in one function, for a known token in the header and nothing unusual, else None.

        The way of nearly every request; a test holds its answers against those of `_find`.
        """
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        if (
            not self._plain
            or not header.startswith(self._scheme)
            or len(header) > self._longest
            or has_callbacks(manager)
        ):
            return None
        text = header[self._scheme_length :].encode("utf-8", "surrogatepass")
        now = time()
        entry = self.cache.get(sha256(text).digest(), now)
        if entry is None or not entry.starts <= now < entry.expires:
            return None
        found: Authentication = entry.value
        token: Token = found.token  # type: ignore[assignment] # what is kept has a token
        if self._revocations is not None and token.is_revoked(self._revocations):
            return None
        return found if fill_later(request, token.fill) else None

    def _find(self, request: Request, manager: JWTManager) -> Authentication:
        text, location = self._text(request)
        if text is None:
            fill_slots(request, {}, {}, {"loaded_user": None}, None)
            return Authentication()
        return self._found(request, manager, text, location)

    def _found(
        self, request: Request, manager: JWTManager, text: str, location: str | None
    ) -> Authentication:
        found: Authentication = self._verified(text, manager).value
        token: Token = found.token  # type: ignore[assignment] # what is kept has a token
        if self._revocations is not None and token.is_revoked(self._revocations):
            raise TokenRevoked
        claims = token.identity.claims
        header, payload = token.copy_header(), claims.copy()
        user = ask_callbacks(manager, header, payload) if has_callbacks(manager) else None
        fill_slots(request, header, payload, user, location)
        return found if self._source is None else self._loaded_by_source(found)

    def _loaded_by_source(self, found: Authentication) -> Authentication:
        """The identity that the application's loader makes of a good token."""
        token: Token = found.token  # type: ignore[assignment] # what is kept has a token
        load: Callable[..., Any] = self._source.load  # type: ignore[union-attr]
        identity = _loaded(load(token.identity.subject, token.identity.claims.copy()))
        if identity is None:
            raise SubjectUnknown("the identity loader returned nobody")
        return Authentication(identity, token)

    def _text(self, request: Request) -> tuple[str | None, str | None]:
        """The token's text and its location, as the application's settings look for it."""
        if not self._locations:
            return token_from_header(request, self._longest), "headers"
        found = token_elsewhere(request, self._locations, self._longest)
        return found or (None, None)

    def _verified(self, text: str, manager: JWTManager) -> Entry:
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
        identity = trusted.issuer.read(subject, verified.payload, self._catalogue)
        return _entry(identity, verified, False, lease.since, lease.until)


def _entry(
    identity: Identity,
    verified: Verified,
    is_own: bool,
    since: float = -math.inf,
    until: float = math.inf,
) -> Entry:
    """What is kept of a verified token, from `since` to `until` at most."""
    held = identity.permissions
    return Entry(
        Authentication(identity, Token(identity, verified.header, is_own)),
        expires=min(verified.expires, until),
        starts=max(verified.starts, since),
        size=identity.claims.size,
        shared=held,
        shared_size=held.size,
    )


def resolved(identity: Any) -> Any:
    """What a proxy stands for; None where it is nobody: None, or Flask-Login's anonymous user."""
    if isinstance(identity, LocalProxy):
        identity = identity._get_current_object()
    return None if getattr(identity, "is_authenticated", True) is False else identity


def _loaded(identity: Any) -> Any:
    """What an identity loader answered; None for all that is falsy ("" from a session, say).

    Raises `MisuseError` for what is no identity but would make one: a coroutine, a function.
    """
    identity = resolved(identity)
    is_later = inspect.isawaitable(identity) or inspect.isgenerator(identity)
    if is_later or inspect.isroutine(identity):
        raise MisuseError(f"the identity loader answered a {type(identity).__name__}: call it")
    return identity or None


def _digest(text: str | bytes) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return sha256(data).digest()


def _copied(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists and sets copied, so that one that is changed in place is seen to have changed."""
    return tuple(copy.copy(v) if isinstance(v, list | set | dict) else v for v in values)


def _vary_adder(names: list[str]) -> Callable[[Any], Any]:
    """What says in an answer that it depends on the caller; as quick as it can be."""
    value = ", ".join(names)

    def add_vary(response: Any) -> Any:
        return vary_by(response, value)

    return add_vary
