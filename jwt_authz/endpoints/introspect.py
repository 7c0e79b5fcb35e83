"""The introspection endpoint, `POST /token/introspect` (RFC 7662): is this token still good?"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify
from flask_jwt_extended import JWTManager

from ..errors import InvalidToken, MisuseError
from ..jwt_extended import ask_callbacks, has_callbacks
from ..parts import Parts, current_parts
from ..verbs import requires
from ..verification import Authentication, Token
from .bodies import read_token

_TOLD = ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "auth_time")


def introspection_blueprint(*requirements: Any, url: str = "/token/introspect") -> Blueprint:
    """A blueprint that tells callers who meet the requirements whether a token is good.

    The body, JSON or a form, has `token`. An access token of the application's own that is good
    is answered with `active`, its claims, `roles` and `permissions`; any other, whatever it is,
    with `{"active": false}` alone. Raises `MisuseError` without a requirement: the answer is for
    services that need it, and not for everybody (RFC 7662 section 4).
    """
    if not requirements:
        raise MisuseError(
            'introspection needs a credential: write introspection_blueprint("tokens:introspect")'
        )
    blueprint = Blueprint("jwt_authz_introspect", __name__)
    blueprint.post(url)(requires(*requirements)(introspect))
    return blueprint


def introspect() -> Response:
    """Tell whether a token is good, and what it says."""
    token = _good(current_parts(), read_token())
    response = jsonify({"active": False} if token is None else _told(token))
    response.headers["Cache-Control"] = "no-store"
    return response


def _good(parts: Parts, text: str) -> Token | None:
    """The access token of one's own that the text is, or None where it is not good."""
    try:
        return parts.verified(lambda found, manager: _own(found.verified(text, manager), manager))
    except InvalidToken:
        return None


def _own(found: Authentication, manager: JWTManager) -> Token | None:
    token = found.token
    if token is None or not token.is_own:
        return None
    if has_callbacks(manager):
        ask_callbacks(manager, token.copy_header(), token.identity.claims.copy())
    return token


def _told(token: Token) -> dict[str, Any]:
    identity = token.identity
    return {
        "active": True,
        "token_type": "Bearer",
        **{name: identity.claims[name] for name in _TOLD if name in identity.claims},
        "sub": identity.subject,
        "roles": sorted(identity.roles),
        "permissions": sorted(identity.permissions),
        **({"tenant": identity.tenant} if identity.tenant is not None else {}),
    }
