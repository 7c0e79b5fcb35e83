"""The introspection endpoint, `POST /token/introspect` (RFC 7662): is this token still good?"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from flask_jwt_extended import JWTManager

from ..application import Parts, current_parts
from ..authentication.verification import Authentication, Token
from ..errors import InvalidToken, MisuseError
from ..guards.verbs import requires
from ..jwt_extended.bridge import ask_callbacks, has_callbacks
from ..policy.identity import Identity
from .answers import unstored
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
    found = _good(current_parts(), read_token())
    told = None if found is None or found.token is None else _told(found.token, found.identity)
    return unstored(told or {"active": False})


def _good(parts: Parts, text: str) -> Authentication | None:
    """Whom an access token of one's own names, or None where it is not good."""
    try:
        found = parts.verified(lambda found, manager: _own(found.verified(text, manager), manager))
        if found is None or parts.source is None or not parts.source.takes_token:
            return found
        return None if found.token is None else parts.source.identify(found.token, parts.trust)
    except InvalidToken:
        return None


def _own(found: Authentication, manager: JWTManager) -> Authentication | None:
    token = found.token
    if token is None or not token.is_own:
        return None
    if has_callbacks(manager):
        ask_callbacks(manager, token.copy_header(), token.identity.claims.copy())
    return found


def _told(token: Token, identity: Any) -> dict[str, Any]:
    """What the token says, and what the identity made of it may do."""
    claims = token.identity.claims
    told = {name: claims[name] for name in _TOLD if name in claims}
    told |= {"active": True, "token_type": "Bearer", "sub": token.identity.subject}
    if isinstance(identity, Identity):
        told |= {"roles": sorted(identity.roles), "permissions": sorted(identity.permissions)}
        if identity.tenant is not None:
            told["tenant"] = identity.tenant
    return told
