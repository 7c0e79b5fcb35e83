"""Authenticator: find the caller of a request, with the cache of verified tokens.

How it works. A verified token is found in the cache by its text. What can change between two
requests is checked each time: the clock, the revocations, the application's callbacks, its key
loader and its identity loader. The outcome is stored on the request object, and so cannot be used
for another request. During the request, only the clock and the revocations are checked again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Request, after_this_request

from ..errors import InvalidToken, MisuseError
from ..jwt_extended.bridge import ask_callbacks, has_callbacks
from ..jwt_extended.locations import (
    headers_that_decide,
    other_locations,
    plain_scheme,
    token_elsewhere,
    vary_by,
)
from ..jwt_extended.slots import Contents, Slots, fill_slots
from ..policy.identity import Identity
from .identity_loader import given, loaded
from .snapshot import Snapshot
from .verification import Verification
from .verified import Authentication, Token

_KEPT = "_jwt_authz_authentication"


class Taken(NamedTuple):
    """A token that the application assigned to a request, in place of the one it contains."""

    text: str
    is_page: bool


_Read = Callable[[], tuple[Authentication, Contents]]
"""Returns the caller that a request's token names, and the contents of FJE's slots."""
_Kept = tuple["Authenticator", Authentication | None, Taken | None]
"""The authenticator of a request, the outcome, and the token assigned to it, if any."""


class Authenticator:
    """Finds the callers of requests to one application, by one snapshot of it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.verification = Verification(snapshot)
        source = snapshot.source
        self._source = source if source is not None and source.takes_token else None
        self._takes_token = source is None or source.takes_token
        self._longest = self.verification.longest
        self._locations = other_locations()
        self._scheme = plain_scheme(self._locations)
        self._is_plain = (
            bool(self._scheme) and source is None and not has_callbacks(snapshot.manager)
        )
        self.vary = ", ".join(headers_that_decide(self._locations)) if self._takes_token else ""
        self._add_vary = lambda response: vary_by(response, self.vary)

    def authenticate(self, request: Request, sets_vary: bool = False) -> Authentication:
        """Return the caller of this request; an `InvalidToken` is in the result, not raised.

        The request is authenticated once; whether the token has expired or was revoked since is
        checked at each call. `sets_vary` says that the caller of this function will set `Vary` on
        the response. Raise `StoreUnavailable`.
        """
        kept: _Kept | None = request.__dict__.get(_KEPT)
        if kept is not None:
            return self._authenticate_again(request, kept)
        if not self._takes_token:
            return self._load()
        request.__dict__[_KEPT] = (self, None, None)  # also if what follows fails
        if not sets_vary:
            after_this_request(self._add_vary)
        # The path of nearly every request; a test compares its answers with those of `_brought`.
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        if self._is_plain and header.startswith(self._scheme) and len(header) <= self._longest:
            found = self.verification.known(header[len(self._scheme) :])
            if found is not None:
                fill_slots(request, found.token.fill)  # type: ignore[union-attr] # it has a token
                request.__dict__[_KEPT] = (self, found, None)
                return found
        return self._settle(request, lambda: self._brought(request))

    def _authenticate_again(self, request: Request, kept: _Kept) -> Authentication:
        """Return the caller of a request that was authenticated before.

        If its token has expired or was revoked since, FJE's slots keep its contents, for the view
        that is running.
        """
        by, found, taken = kept
        if by is self and found is not None and self.verification.is_current(found.token):
            return found
        if (
            by.snapshot.app is not self.snapshot.app
        ):  # the result of another application does not count
            del request.__dict__[_KEPT]
            return self.authenticate(request)
        is_again = by is self and found is not None
        if taken is not None:
            return self._settle(request, lambda: self._verified(*taken), taken, is_again)
        if not self._takes_token:
            return self._load()
        return self._settle(request, lambda: self._brought(request), None, is_again)

    def _load(self) -> Authentication:
        """Return the caller by an identity loader that takes no token.

        It is not kept on the request, since a log-in changes it.
        """
        source: Any = self.snapshot.source
        return Authentication(given(loaded(source.load()), self.snapshot.trust))

    def take(self, request: Request, text: str, is_page: bool = False) -> Authentication:
        """Assign a token to a request, and return the caller that it names.

        With `is_page` the token must be a page token, else an access token. Raise `MisuseError` if
        the application looks at no token, and `StoreUnavailable`.
        """
        if not self._takes_token:
            raise MisuseError(
                "the identity loader takes the identity from elsewhere, and no token is looked at"
            )
        taken = Taken(text, is_page)
        request.__dict__[_KEPT] = (self, None, taken)  # also if what follows fails
        return self._settle(request, lambda: self._verified(text, is_page), taken)

    def suppose(self, request: Request, identity: Any) -> None:
        """Treat a request as one with a valid token of this identity, for tests.

        Nothing is verified, and FJE's callbacks are not called. The identity loader is called,
        unless `identity` is an object of its own class.
        """
        if isinstance(identity, Identity):
            supposed = given(identity, self.snapshot.trust)
            found = Authentication(supposed, Token(supposed, {}, is_own=True))
            slots: Slots = ({}, supposed.claims.copy(), {"loaded_user": None}, "headers")
        else:
            found, slots = Authentication(loaded(identity)), _nothing()
        self._settle(request, lambda: (found, lambda: slots))

    def forget(self, request: Request) -> None:
        """Discard the cached authentication of a request, and the token assigned to it."""
        request.__dict__.pop(_KEPT, None)

    def _settle(
        self,
        request: Request,
        read: _Read,
        taken: Taken | None = None,
        is_again: bool = False,
    ) -> Authentication:
        """Authenticate a request with `read`, store the outcome, and fill the slots."""
        try:
            found, contents = read()
            fill_slots(request, contents)
            if self._source is not None and found.token is not None:
                found = self._source.identify(found.token, self.snapshot.trust)
        except InvalidToken as error:
            found = self._refused(request, error)
            if not is_again:
                fill_slots(request, _nothing)
        request.__dict__[_KEPT] = (self, found, taken)
        return found

    def _refused(self, request: Request, error: InvalidToken) -> Authentication:
        """Return that the request's token is refused, and whether it was valid before."""
        kept: _Kept | None = request.__dict__.get(_KEPT)
        before = None if kept is None else kept[1]
        has_ended = before is not None and (before.identity is not None or before.has_ended)
        # Without its traceback, whose frames refer to it: a reference cycle for each refusal.
        return Authentication(error=error.with_traceback(None), has_ended=has_ended)

    def _brought(self, request: Request) -> tuple[Authentication, Contents]:
        """Read the token in the request; without one there is no caller."""
        locations = self._locations or ("headers",)
        found = token_elsewhere(request, locations, self._longest)
        if found is None:
            return Authentication(), _nothing
        text, location = found
        return self._verified(text, location=location)

    def _verified(
        self, text: str, is_page: bool = False, location: str = "headers"
    ) -> tuple[Authentication, Contents]:
        """Verify a token, and call the application's callbacks."""
        found = self.verification.check(text, is_page)
        token: Token = found.token  # type: ignore[assignment] # what is verified has a token
        manager = self.snapshot.manager
        if not has_callbacks(manager):
            return found, lambda: token.fill(location)
        header, payload, _, _ = token.fill(location)
        user = ask_callbacks(manager, header, payload)
        return found, lambda: (header, payload, user, location)


def is_authenticated(request: Request) -> bool:
    """Return whether the request was authenticated before, whatever the outcome."""
    return _KEPT in request.__dict__


def vary_of(request: Request) -> str:
    """Return the request headers that its authentication read, for `Vary`; "" for none."""
    kept: _Kept | None = request.__dict__.get(_KEPT)
    return "" if kept is None or kept[2] is not None else kept[0].vary


def _nothing() -> Slots:
    """Return the contents of FJE's slots for a request without a valid token."""
    return {}, {}, {"loaded_user": None}, None
