"""Act as a caller in tests: clients and `with` blocks without a log-in, with all guards active.

How it works. With roles or permissions, a real token is issued and verified, so the test also
covers keys, encodings, callbacks and revocations. An identity that is passed as an object is used
unchanged, in place of a verified token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, NamedTuple

from flask import Flask, has_request_context, request_started
from flask.testing import FlaskClient
from flask_jwt_extended import get_csrf_token

from .._context import get_app, get_request
from ..application import AppState, current_state
from ..errors import MisuseError
from ..jwt_extended.own_keys import has_own_key
from ..logins.issuing import claims_of, issue
from ..policy.permissions import Permission

DEFAULT_SUBJECT = "somebody"


class _Acting(NamedTuple):
    """The caller of the requests in a block: an identity, or a token in place of the request's."""

    app: Flask
    identity: Any
    token: str | None

    def take(self) -> None:
        authenticator = current_state().authenticator(self.app)
        if self.token is not None:
            authenticator.take(get_request(), self.token)
        else:
            authenticator.suppose(get_request(), self.identity)


_innermost: ContextVar[_Acting | None] = ContextVar("jwt_authz_acting_as", default=None)


def authz_client(
    app: Flask,
    *,
    roles: Iterable[str] = (),
    permissions: Iterable[str | Permission] | None = None,
    claims: Mapping[str, Any] | None = None,
    subject: Any = DEFAULT_SUBJECT,
    tenant: str | None = None,
    scope: str | Iterable[str] | None = None,
    fresh: bool | timedelta = False,
) -> FlaskClient:
    """Return a test client that sends a token of this caller with every request.

    The arguments are those of `Authz.issue`; `claims` are additional claims of the token. The
    token is issued here and expires like any other. Raise `MisuseError` for a role that the
    catalog does not have, and if the application does not accept tokens of its own; use
    `acting_as` there.
    """
    client = app.test_client()
    with app.app_context():
        token = _token(roles, permissions, claims, subject, tenant, scope, fresh)
        _bring(client, token)
    return client


@contextmanager
def acting_as(
    app: Flask,
    identity: Any = None,
    *,
    roles: Iterable[str] = (),
    permissions: Iterable[str | Permission] | None = None,
    claims: Mapping[str, Any] | None = None,
    subject: Any = DEFAULT_SUBJECT,
    tenant: str | None = None,
    scope: str | Iterable[str] | None = None,
    fresh: bool | timedelta = False,
) -> Iterator[None]:
    """Run the requests of this thread or task in the block as this caller; guards stay active.

    This applies to requests that start in the block, from any client and with any token, and to a
    request that is already active (`app.test_request_context()`). `identity` is an `Identity`, or
    what the application's identity loader returns; without it, the other arguments are those of
    `authz_client`. An inner block replaces an outer one.
    """
    token = None
    if identity is None:
        with app.app_context():
            token = _token(roles, permissions, claims, subject, tenant, scope, fresh)
    acting = _Acting(app, identity, token)
    # It stays connected: disconnecting could disturb a request that another thread starts.
    request_started.connect(_take_over, sender=app)
    before = _innermost.set(acting)
    try:
        is_inside = has_request_context() and get_app() is app
        if is_inside:
            acting.take()
        yield
        if is_inside:
            current_state().authenticator(app).forget(get_request())
    finally:
        _innermost.reset(before)


def _take_over(sender: Flask, **keywords: Any) -> None:
    """Let a request that starts be one of the caller of the innermost block."""
    acting = _innermost.get()
    if acting is not None and acting.app is sender:
        acting.take()


def _token(
    roles: Iterable[str],
    permissions: Iterable[str | Permission] | None,
    claims: Mapping[str, Any] | None,
    subject: Any,
    tenant: str | None,
    scope: str | Iterable[str] | None,
    fresh: bool | timedelta,
) -> str:
    state = current_state()
    _refuse_without_tokens(state)
    granted = claims_of(state, roles=roles, permissions=permissions, tenant=tenant, scope=scope)
    return issue(state, subject, {**granted, **(claims or {})}, fresh=fresh)


def _refuse_without_tokens(state: AppState) -> None:
    """Raise `MisuseError` if the application accepts no token that it could issue itself."""
    if state.source is not None and not state.source.takes_token:
        raise MisuseError(
            "the identity loader does not use a token: write with acting_as(app, the_identity): ..."
        )
    if state.keys is None and not has_own_key():
        raise MisuseError(
            "the application has no key to sign a token with: write "
            "with acting_as(app, Identity(...)): ..., or set JWT_SECRET_KEY in the tests"
        )


def _bring(client: FlaskClient, token: str) -> None:
    """Make the client send the token where the application looks for one."""
    config = client.application.config
    locations = config["JWT_TOKEN_LOCATION"]
    if "headers" in locations:
        value = f"{config['JWT_HEADER_TYPE']} {token}".strip()
        _set_header(client, config["JWT_HEADER_NAME"], value)
    elif "cookies" in locations:
        client.set_cookie(config["JWT_ACCESS_COOKIE_NAME"], token)
        if config["JWT_COOKIE_CSRF_PROTECT"]:
            _set_header(client, config["JWT_ACCESS_CSRF_HEADER_NAME"], get_csrf_token(token))
    else:
        raise MisuseError(
            f"JWT_TOKEN_LOCATION is {locations!r}, but authz_client supports only headers and "
            "cookies: write with acting_as(app, roles=[...]): ..."
        )


def _set_header(client: FlaskClient, name: str, value: str) -> None:
    client.environ_base[f"HTTP_{name.upper().replace('-', '_')}"] = value
