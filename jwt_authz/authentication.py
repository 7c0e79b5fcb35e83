"""Authentication: a request to its verified Identity, by way of the cache of verified tokens.

How it works. A verified token is kept as an `Entry`, by the digest of its text, in a cache that
belongs to one `Authenticator`; a changed key, setting or catalogue is another `Authenticator`,
and so an empty cache. What can change between two requests is asked after the cache, each time:
the clock, the application's callbacks, its own key and identity loaders. What was found out
about a request hangs on that request object, and so is never taken for another's.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import marshal
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Request, after_this_request, g
from flask_jwt_extended import JWTManager

from .claims import IdentityReader
from .errors import (
    AlgorithmNotAllowed,
    InvalidToken,
    KeyUnknown,
    MisuseError,
    TokenExpired,
    TokenNotFresh,
    TokenNotYetValid,
)
from .identity import Identity
from .jwt_extended import (
    SLOTS,
    algorithms_for_loader,
    ask_callbacks,
    fill_slots,
    has_callbacks,
    key_loader,
    make_verifier,
    read_deciding,
)
from .locations import other_locations, plain_scheme, token_elsewhere, token_from_header
from .roles import Roles
from .settings import Settings
from .tokens import Verified
from .tokens.cache import Entry, VerifiedCache
from .tokens.jws import LONGEST_TOKEN, Key
from .tokens.keys import prepare_key

_KEPT = "_jwt_authz_authentication"
_OWNER = "_jwt_authz_request"


class Known:
    """What is kept of a verified token: the identity made of it, and its header as bytes."""

    __slots__ = ("header", "identity")

    def __init__(self, identity: Identity, header: dict[str, Any]) -> None:
        self.identity = identity
        self.header = marshal.dumps(header)

    def entry(self, verified: Verified) -> Entry:
        """The cache's entry for it, with the bytes that it takes."""
        held = self.identity.permissions
        return Entry(
            self,
            expires=verified.expires,
            starts=verified.starts,
            size=self.identity.claims.size + len(self.header) + 80 * len(self.identity.roles),
            shared=held,
            shared_size=sum(len(permission) + 130 for permission in held),
        )


class Authentication:
    """What was found out about the caller of one request; it hangs on the request object.

    `entry` is the verified token, None where no token came; `identity` what was made of it;
    `error` the condition where a token came that is not good.
    """

    __slots__ = ("entry", "error", "identity")

    def __init__(
        self, identity: Any = None, entry: Entry | None = None, error: InvalidToken | None = None
    ) -> None:
        self.identity = identity
        self.entry = entry
        self.error = error

    def check_fresh(self) -> None:
        """Raises `TokenNotFresh` unless the token's `fresh` is true or a time still ahead."""
        fresh = self.entry.value.identity.claims["fresh"] if self.entry is not None else False
        if fresh is not True and not (type(fresh) in (int, float) and fresh >= time.time()):
            raise TokenNotFresh


class IdentitySource:
    """The application's own identity loader, which takes `(subject, claims)` or nothing."""

    def __init__(self, loader: Callable[..., Any]) -> None:
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
        self, app: Flask, settings: Settings, catalogue: Roles | None, source: IdentitySource | None
    ) -> None:
        self._deciding = _copied(read_deciding(app.config))
        self._catalogue = catalogue
        self._source = source
        self._verifier = make_verifier(max(LONGEST_TOKEN, settings.max_token_bytes))
        self._read = IdentityReader(settings.encoding, catalogue).read
        self._algorithms = algorithms_for_loader()
        self._locations = other_locations()
        self._scheme = plain_scheme(self._locations)
        self.cache = VerifiedCache(settings.cache_bytes)

    def serves(self, app: Flask, catalogue: Roles | None, source: IdentitySource | None) -> bool:
        """Whether it was made for what is configured now; if not, another must be made."""
        return (
            read_deciding(app.config) == self._deciding
            and catalogue is self._catalogue
            and source is self._source
        )

    def authenticate(self, request: Request, manager: JWTManager) -> Authentication:
        """Who sent this request, found out once a request; raises no `InvalidToken`."""
        kept = request.__dict__.get(_KEPT)
        if kept is not None:
            return kept  # type: ignore[no-any-return]
        if self._source is not None and not self._source.takes_token:
            return Authentication(self._source.load())  # not kept: a log-in may change it
        try:
            found = self._find(request, manager)
        except InvalidToken as error:
            found = Authentication(error=error)
        request.__dict__[_KEPT] = found
        return found

    def _find(self, request: Request, manager: JWTManager) -> Authentication:
        now = time.time()
        location: str | None = "headers"
        entry = self._known(request, now) if key_loader(manager) is None else None
        if entry is None:
            token, location = self._token(request)
            if token is None:
                _tell(request, {}, {}, {"loaded_user": None}, None)
                return Authentication()
            entry = self._verified(token, manager, now)
        if not entry.starts <= now < entry.expires:
            raise TokenExpired if now >= entry.expires else TokenNotYetValid
        known: Known = entry.value
        payload = known.identity.claims.copy()
        header = marshal.loads(known.header)  # noqa: S302 our own bytes
        user = ask_callbacks(manager, header, payload) if has_callbacks(manager) else None
        _tell(request, header, payload, user, location)
        if self._source is None:
            return Authentication(known.identity, entry)
        claims = known.identity.claims.copy()
        return Authentication(self._source.load(known.identity.subject, claims), entry)

    def _known(self, request: Request, now: float) -> Entry | None:
        """The shortest way: a token in the header, as nearly all write it, that is known."""
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        scheme = self._scheme
        if not scheme or not header.startswith(scheme):
            return None
        return self.cache.get(_digest(header[len(scheme) :]), now)

    def _token(self, request: Request) -> tuple[str | None, str | None]:
        if not self._locations:
            return token_from_header(request), "headers"
        return token_elsewhere(request, self._locations) or (None, None)

    def _verified(self, token: str, manager: JWTManager, now: float) -> Entry:
        """The entry of a token, verified now unless it is known."""
        digest, key = _digest(token), None
        loader = key_loader(manager)
        if loader is not None:
            answer, key = self._loaded_key(token, loader)
            if not isinstance(answer, str | bytes):
                return self._verify(token, key)
            digest += _digest(answer)
        entry = self.cache.get(digest, now)
        if entry is None:
            entry = self._verify(token, key)
            self.cache.put(digest, entry, now)
        return entry

    def _loaded_key(self, token: str, loader: Callable[..., Any]) -> tuple[Any, Key]:
        signed = self._verifier.read(token)
        algorithm = signed.header["alg"]
        if algorithm not in self._algorithms:
            raise AlgorithmNotAllowed
        try:
            answer = loader(signed.header, signed.unverified())
        except LookupError:
            raise KeyUnknown("the decode_key_loader knows no such key") from None
        try:
            return answer, prepare_key(answer, algorithm)
        except MisuseError:
            raise AlgorithmNotAllowed("the key loaded does not fit the algorithm") from None

    def _verify(self, token: str, key: Key | None) -> Entry:
        verified = self._verifier.verify(token, key)
        subject = verified.payload[self._verifier.subject_claim]
        return Known(self._read(subject, verified.payload), verified.header).entry(verified)


def _digest(text: str | bytes) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(data).digest()


def _copied(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists copied, so that one that is changed in place is seen to have changed."""
    return tuple(list(value) if isinstance(value, list) else value for value in values)


def _tell(request: Request, header: Any, payload: Any, user: Any, location: str | None) -> None:
    """Fill FJE's slots for this request, and give them back to an outer request afterwards.

    `g` belongs to the application context, which a request made from inside a view shares.
    """
    slots = g._get_current_object()
    owner = slots.__dict__.get(_OWNER)
    if owner is not None and owner is not request:
        after_this_request(functools.partial(_give_back, slots, dict(slots.__dict__)))
    slots.__dict__[_OWNER] = request
    fill_slots(slots, header, payload, user, location)


def _give_back(slots: Any, before: dict[str, Any], response: Any) -> Any:
    for name in (*SLOTS, _OWNER):
        slots.__dict__[name] = before.get(name)
    return response
