"""Authentication: a request to its verified Identity, by way of the cache of verified tokens.

How it works. What verification kept of a token is found by its text; what can change between two
requests is asked after that, each time: the clock, the application's callbacks, its own key and
identity loaders. What was found out about a request hangs on that request object, and so is never
taken for another's.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from flask import Flask, Request, after_this_request
from flask_jwt_extended import JWTManager
from werkzeug.local import LocalProxy

from ..errors import InvalidToken, MisuseError, SubjectUnknown
from ..issuers.trust import Trust
from ..jwt_extended.bridge import ask_callbacks, has_callbacks, read_deciding
from ..jwt_extended.locations import (
    headers_that_decide,
    other_locations,
    plain_scheme,
    token_elsewhere,
    token_from_header,
    vary_by,
)
from ..jwt_extended.slots import fill_later, fill_slots
from ..policy.functions import is_async
from ..policy.identity import Identity
from ..policy.roles import Roles
from ..revocation import RevocationView
from ..settings import Settings
from ..tokens import KeySet
from ..tokens.encodings import IdentityReader
from .verification import Authentication, Token, Verification

_KEPT = "_jwt_authz_authentication"
_TAKEN = "_jwt_authz_taken"


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

    def identify(self, token: Token, trust: Trust | None) -> Authentication:
        """Who a token names, by a loader that takes one; raises `SubjectUnknown` for nobody."""
        identity = _loaded(self.load(token.identity.subject, token.identity.claims.copy()))
        if identity is None:
            raise SubjectUnknown("the identity loader returned nobody")
        if trust is not None:
            identity = trust.marked(identity, token.identity)
        return Authentication(identity, token)


class Authenticator:
    """Finds out who sends requests to one application, with its settings as they were."""

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        reader: IdentityReader,
        catalogue: Roles | None,
        source: IdentitySource | None,
        keys: KeySet | None,
        trust: Trust | None = None,
        revocations: RevocationView | None = None,
    ) -> None:
        self._app = app
        self.deciding = _copied(read_deciding(app.config))
        self.verification = Verification(settings, reader, catalogue, keys, trust, revocations)
        self._source = source
        self._trust = trust
        self._longest = self.verification.longest
        self._locations = other_locations()
        self._scheme = plain_scheme(self._locations)
        self._scheme_length = len(self._scheme)
        self._plain = bool(self._scheme) and source is None
        self._add_vary = _vary_adder(headers_that_decide(self._locations))

    def authenticate(self, request: Request, manager: JWTManager) -> Authentication:
        """Return the caller of this request; an `InvalidToken` is in the answer, not raised.

        The request is authenticated once; whether the token has expired or was revoked since is
        checked at each call. Raise `StoreUnavailable`.
        """
        kept: tuple[Any, Authentication] | None = request.__dict__.get(_KEPT)
        if kept is not None:
            owner, found = kept
            if owner is self and self.verification.is_current(found.token):
                return found
            if owner is self:  # another application's verdict is not ours
                again: Authentication = self._authenticate_again(request, manager)
                return again
            app, text, is_page = request.__dict__.get(_TAKEN, (None, "", False))
            if app is self._app:  # taken by one that is gone, since the catalogue changed, say
                return self.take(request, manager, text, is_page)
        if self._source is not None and not self._source.takes_token:
            loaded = given(_loaded(self._source.load()), self._trust)
            return Authentication(loaded)  # not kept: a log-in changes it
        after_this_request(self._add_vary)
        hit = self._hit(request, manager)
        if hit is None:
            return self._keep(request, lambda: self._find(request, manager))
        request.__dict__[_KEPT] = (self, hit)
        return hit

    def take(
        self, request: Request, manager: JWTManager, text: str, is_page: bool = False
    ) -> Authentication:
        """Take a request for one that brought this token, wherever tokens are looked for.

        With `is_page` the token must be a page token, else an access token. Returns who sent it.
        Raises `MisuseError` where no token is looked at, and
        `StoreUnavailable`.
        """
        if self._source is not None and not self._source.takes_token:
            raise MisuseError(
                "the identity loader takes the identity from elsewhere, and no token is looked at"
            )
        request.__dict__[_TAKEN] = (self._app, text, is_page)
        self.find_anew(request)  # where this fails, too
        return self._keep(request, lambda: self._found(request, manager, text, "headers", is_page))

    def suppose(self, request: Request, identity: Any) -> None:
        """Take a request for one of a good token of which this identity was made.

        Nothing is verified, and FJE's callbacks are not asked; the identity loader is, unless it
        is one of its own kind of identity that is supposed.
        """
        if not isinstance(identity, Identity):
            fill_slots(request, {}, {}, {"loaded_user": None}, None)
            self._keep(request, lambda: Authentication(_loaded(identity)))
            return
        identity = given(identity, self._trust)
        token, source = Token(identity, {}, is_own=True), self._source
        fill_slots(request, {}, identity.claims.copy(), {"loaded_user": None}, "headers")
        if source is not None and source.takes_token:
            self._keep(request, lambda: source.identify(token, self._trust))
        else:
            self._keep(request, lambda: Authentication(identity, token))

    def _keep(self, request: Request, find: Callable[[], Authentication]) -> Authentication:
        """Keep what is found out about a request, be it that its token is not good."""
        try:
            found = find()
        except InvalidToken as error:
            found = self._refused(request, error)
            fill_slots(request, {}, {}, {"loaded_user": None}, None)
        request.__dict__[_KEPT] = (self, found)
        return found

    def _authenticate_again(self, request: Request, manager: JWTManager) -> Authentication:
        """Return the caller of a request that has outlived its token, or the lease of its key.

        FJE's slots keep what the token said, for a view that is in the middle of its work.
        """
        app, text, is_page = request.__dict__.get(_TAKEN, (None, "", False))
        try:
            if app is self._app:
                found = self._found(request, manager, text, "headers", is_page)
            else:
                found = self._find(request, manager)
        except InvalidToken as error:
            found = self._refused(request, error)
        request.__dict__[_KEPT] = (self, found)
        return found

    def _refused(self, request: Request, error: InvalidToken) -> Authentication:
        """Return that the request's token is refused, and whether it was valid before."""
        kept: tuple[Any, Any] = request.__dict__.get(_KEPT, (None, None))
        (owner, before), has_ended = kept, False
        if owner is not None and owner._app is self._app:
            has_ended = before.identity is not None or before.has_ended
        # Without its traceback, whose frames hold what holds it: a circle for each refusal.
        return Authentication(error=error.with_traceback(None), has_ended=has_ended)

    def find_anew(self, request: Request) -> None:
        """Have what was found out about a request found out anew, by the token that was taken."""
        request.__dict__[_KEPT] = (None, None)

    def forget(self, request: Request) -> None:
        """Forget what was found out about a request, and the token that it was taken for."""
        request.__dict__.pop(_KEPT, None)
        request.__dict__.pop(_TAKEN, None)

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
        found = self.verification.known(text)
        if found is None:
            return None
        token: Token = found.token  # type: ignore[assignment] # what is kept has a token
        return found if fill_later(request, token.fill) else None

    def _find(self, request: Request, manager: JWTManager) -> Authentication:
        text, location = self._text(request)
        if text is None:
            fill_slots(request, {}, {}, {"loaded_user": None}, None)
            return Authentication()
        return self._found(request, manager, text, location)

    def _found(
        self,
        request: Request,
        manager: JWTManager,
        text: str,
        location: str | None,
        is_page: bool = False,
    ) -> Authentication:
        found = self.verification.verified(text, manager, is_page)
        token: Token = found.token  # type: ignore[assignment] # what is kept has a token
        claims = token.identity.claims
        header, payload = token.copy_header(), claims.copy()
        user = ask_callbacks(manager, header, payload) if has_callbacks(manager) else None
        fill_slots(request, header, payload, user, location)
        return found if self._source is None else self._source.identify(token, self._trust)

    def _text(self, request: Request) -> tuple[str | None, str | None]:
        """The token's text and its location, as the application's settings look for it."""
        if not self._locations:
            return token_from_header(request, self._longest), "headers"
        found = token_elsewhere(request, self._locations, self._longest)
        return found or (None, None)


def resolved(identity: Any) -> Any:
    """What a proxy stands for; None where it is nobody: None, or Flask-Login's anonymous user."""
    if isinstance(identity, LocalProxy):
        identity = identity._get_current_object()
    return None if getattr(identity, "is_authenticated", True) is False else identity


def given(identity: Any, trust: Trust | None) -> Any:
    """Return the identity that the application gave, its subject marked if it is foreign."""
    identity = resolved(identity)
    return identity if trust is None else trust.marked(identity)


def _loaded(identity: Any) -> Any:
    """What an identity loader answered; None for all that is falsy ("" from a session, say).

    Raises `MisuseError` for what is no identity but would make one: a coroutine, a function.
    """
    identity = resolved(identity)
    is_later = inspect.isawaitable(identity) or inspect.isgenerator(identity)
    if is_later or inspect.isroutine(identity):
        raise MisuseError(f"the identity loader answered a {type(identity).__name__}: call it")
    return identity or None


def _copied(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists and sets copied, so that one that is changed in place is seen to have changed."""
    return tuple(copy.copy(v) if isinstance(v, list | set | dict) else v for v in values)


def _vary_adder(names: list[str]) -> Callable[[Any], Any]:
    """What says in an answer that it depends on the caller; as quick as it can be."""
    value = ", ".join(names)

    def add_vary(response: Any) -> Any:
        return vary_by(response, value)

    return add_vary
