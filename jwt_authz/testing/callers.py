"""Callers: clients and blocks of code that act as somebody, without a log-in and with all guards.

How it works. Where roles or permissions are named, a real token is issued and verified, so that
all that stands in its way is tried as well: keys, encodings, callbacks, revocations. An identity
that is given as an object is taken as it is, and stands in for a token that would be verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from flask import Flask, has_request_context, request_started
from flask.testing import FlaskClient
from flask_jwt_extended import get_csrf_token

from .._context import get_app, get_request
from ..application import Parts, current_parts
from ..errors import MisuseError
from ..jwt_extended.bridge import has_own_key, manager_of
from ..logins.issuing import claims_of, issue
from ..policy.permissions import Permission

SOMEBODY = "somebody"
_innermost: ContextVar[object] = ContextVar("jwt_authz_acting_as", default=None)


def authz_client(
    app: Flask,
    *,
    roles: Iterable[str] = (),
    permissions: Iterable[str | Permission] | None = None,
    claims: Mapping[str, Any] | None = None,
    subject: Any = SOMEBODY,
    tenant: str | None = None,
    scope: str | Iterable[str] | None = None,
    fresh: bool | timedelta = False,
) -> FlaskClient:
    """A test client of the application, whose requests all carry a token of this caller.

    The arguments are those of `Authz.issue`; `claims` are more claims of the token. It is issued
    here and lives as long as any other. Raises `MisuseError` for a role that the catalogue lacks,
    and where the application takes no tokens of its own: `acting_as` does there.
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
    subject: Any = SOMEBODY,
    tenant: str | None = None,
    scope: str | Iterable[str] | None = None,
    fresh: bool | timedelta = False,
) -> Iterator[None]:
    """Within the block, each request of this thread or task is of this caller; guards stay on.

    That holds for requests begun in the block, by any client and whatever token they bring, and
    for one that is being served already (`app.test_request_context()`). `identity` is an
    `Identity`, or whatever the application's identity loader returns; in its place the other
    arguments are those of `authz_client`. An inner block takes the place of an outer one.
    """
    token = None
    if identity is None:
        with app.app_context():
            token = _token(roles, permissions, claims, subject, tenant, scope, fresh)
    me = object()

    def receive(sender: Flask, **keywords: Any) -> None:
        if _innermost.get() is me:
            _take(sender, identity, token)

    before = _innermost.set(me)
    try:
        with request_started.connected_to(receive, sender=app):
            is_inside = has_request_context() and get_app() is app
            if is_inside:
                _take(app, identity, token)
            yield
            if is_inside:
                current_parts().current_authenticator(app).forget(get_request())
    finally:
        _innermost.reset(before)


def _take(app: Flask, identity: Any, token: str | None) -> None:
    authenticator = current_parts().current_authenticator(app)
    if token is not None:
        authenticator.take(get_request(), manager_of(app), token)
    else:
        authenticator.suppose(get_request(), identity)


def _token(
    roles: Iterable[str],
    permissions: Iterable[str | Permission] | None,
    claims: Mapping[str, Any] | None,
    subject: Any,
    tenant: str | None,
    scope: str | Iterable[str] | None,
    fresh: bool | timedelta,
) -> str:
    parts = current_parts()
    _refuse_without_tokens(parts)
    granted = claims_of(parts, roles=roles, permissions=permissions, tenant=tenant, scope=scope)
    return issue(parts, subject, {**granted, **(claims or {})}, fresh=fresh)


def _refuse_without_tokens(parts: Parts) -> None:
    """Raises `MisuseError` where the application takes no token that it could issue."""
    if parts.source is not None and not parts.source.takes_token:
        raise MisuseError(
            "the identity loader takes the identity from elsewhere and not from a token: write "
            "with acting_as(app, the_identity): ..."
        )
    if parts.keys is None and not has_own_key():
        raise MisuseError(
            "the application has no key of its own to sign a token with: write "
            "with acting_as(app, Identity(...)): ..., or set JWT_SECRET_KEY in the tests"
        )


def _bring(client: FlaskClient, token: str) -> None:
    """Have the client bring the token where the application looks for one."""
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
            f"JWT_TOKEN_LOCATION is {locations!r}, and a client brings tokens in headers or "
            "cookies: write with acting_as(app, roles=[...]): ..."
        )


def _set_header(client: FlaskClient, name: str, value: str) -> None:
    client.environ_base[f"HTTP_{name.upper().replace('-', '_')}"] = value
