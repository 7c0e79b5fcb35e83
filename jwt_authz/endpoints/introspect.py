"""The introspection endpoint, `POST /token/introspect` (RFC 7662): is a token still valid?"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from flask_jwt_extended import JWTManager

from .._context import get_app
from ..application import AppState, current_state
from ..authentication.verified import Authentication, Token
from ..errors import InvalidToken, MisuseError
from ..guards.verbs import requires
from ..jwt_extended.bridge import ask_callbacks, has_callbacks, manager_of
from ..jwt_extended.challenge import token_type
from ..policy.identity import Identity
from ..refusals import unstored
from .bodies import read_token

_SHOWN = ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "auth_time")


def introspection_blueprint(*requirements: Any, url: str = "/token/introspect") -> Blueprint:
    """Return a blueprint that tells callers who meet the requirements whether a token is valid.

    The body, JSON or a form, has `token`. For a valid access token of this application, the
    response has `active`, its claims, `roles` and `permissions`. For anything else, it is
    `{"active": false}`. Raise `MisuseError` without a requirement: the response is meant for
    services that need it, not for everyone (RFC 7662 section 4).
    """
    if not requirements:
        raise MisuseError(
            'introspection needs a requirement: write introspection_blueprint("tokens:introspect")'
        )
    blueprint = Blueprint("jwt_authz_introspect", __name__)
    blueprint.post(url)(requires(*requirements)(introspect))
    return blueprint


def introspect() -> Response:
    """Return whether a token is valid, with its claims if it is."""
    found = _valid(current_state(), read_token())
    active = None if found is None or found.token is None else _shown(found.token, found.identity)
    return unstored(active or {"active": False})


def _valid(state: AppState, text: str) -> Authentication | None:
    """Return the authentication of the application's own access token, or None if it is invalid."""
    try:
        manager = manager_of(get_app())
        found = _own(state.read_token(lambda found: found.check(text)), manager)
        if found is None or state.source is None or not state.source.takes_token:
            return found
        return None if found.token is None else state.source.identify(found.token, state.trust)
    except InvalidToken:
        return None


def _own(found: Authentication, manager: JWTManager) -> Authentication | None:
    token = found.token
    if token is None or not token.is_own:
        return None
    if has_callbacks(manager):
        ask_callbacks(manager, token.copy_header(), token.identity.claims.copy())
    return found


def _shown(token: Token, identity: Any) -> dict[str, Any]:
    """Return the claims of a token, with the roles and permissions of its identity."""
    claims = token.identity.claims
    shown = {name: claims[name] for name in _SHOWN if name in claims}
    shown |= {"active": True, "token_type": token_type(), "sub": token.identity.subject}
    if isinstance(identity, Identity):
        shown |= {"roles": sorted(identity.roles), "permissions": sorted(identity.permissions)}
        if identity.tenant is not None:
            shown["tenant"] = identity.tenant
    return shown
