"""Flask-JWT-Extended's ("FJE's") manager, its callbacks, and the settings that decide.

This folder is the only one that uses what is private to FJE. A test pins it to the installed FJE.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager
from flask_jwt_extended import default_callbacks as _defaults
from flask_jwt_extended import view_decorators as _view_decorators

from ..errors import ClaimInvalid, MisuseError, SubjectUnknown, TokenRevoked

EXTENSION = "flask-jwt-extended"

# Every setting that decides which tokens are valid. One C call reads them all: each request checks
# in a third of a microsecond whether one has changed.
_DECIDING = (
    "JWT_ALGORITHM",
    "JWT_DECODE_ALGORITHMS",
    "JWT_SECRET_KEY",
    "SECRET_KEY",
    "JWT_PUBLIC_KEY",
    "JWT_PRIVATE_KEY",
    "JWT_DECODE_ISSUER",
    "JWT_DECODE_AUDIENCE",
    "JWT_ENCODE_ISSUER",
    "JWT_ENCODE_AUDIENCE",
    "JWT_DECODE_LEEWAY",
    "JWT_IDENTITY_CLAIM",
    "JWT_HEADER_NAME",
    "JWT_HEADER_TYPE",
    "JWT_TOKEN_LOCATION",
)
read_deciding: Callable[[Any], tuple[Any, ...]] = operator.itemgetter(*_DECIDING)


def manager_of(app: Flask) -> JWTManager:
    """Return the application's current JWTManager; a later one replaces an earlier one."""
    try:
        return app.extensions[EXTENSION]  # type: ignore[no-any-return]
    except KeyError:
        raise MisuseError("the application has no JWTManager: write Authz(app)") from None


def has_user_lookup(manager: JWTManager) -> bool:
    """Return whether the application has a `user_lookup_loader`."""
    return manager._user_lookup_callback is not None


FINDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "cookies": lambda: _view_decorators._decode_jwt_from_cookies(False),
    "query_string": lambda: _view_decorators._decode_jwt_from_query_string(),
    "json": lambda: _view_decorators._decode_jwt_from_json(False),
}
"""FJE's functions that find a request's access token and its CSRF value, by location."""


def key_loader(manager: JWTManager) -> Callable[[dict[str, Any], dict[str, Any]], Any] | None:
    """Return the application's `decode_key_loader`, called on every request; None by default."""
    loader = manager._decode_key_callback
    return None if loader is _defaults.default_decode_key_callback else loader


def has_encode_key_loader(manager: JWTManager) -> bool:
    """Return whether the application has an `encode_key_loader`."""
    return manager._encode_key_callback is not _defaults.default_encode_key_callback


def is_blocklisted(manager: JWTManager, header: dict[str, Any], payload: dict[str, Any]) -> bool:
    """Return whether the application's `token_in_blocklist_loader` reports the token."""
    return bool(manager._token_in_blocklist_callback(header, payload))


read_callbacks: Callable[[JWTManager], tuple[Any, ...]] = operator.attrgetter(
    "_decode_key_callback",
    "_token_in_blocklist_callback",
    "_user_lookup_callback",
    "_token_verification_callback",
)
"""Read the callbacks that are called on every request."""

_DEFAULT_CALLBACKS = (
    _defaults.default_decode_key_callback,
    _defaults.default_blocklist_callback,
    None,
    _defaults.default_token_verification_callback,
)


def has_callbacks(manager: JWTManager) -> bool:
    """Return whether the application has set one of the callbacks called on every request."""
    return read_callbacks(manager) != _DEFAULT_CALLBACKS


def ask_callbacks(manager: JWTManager, header: dict[str, Any], payload: dict[str, Any]) -> Any:
    """Call what FJE calls after it verified a token, and return what FJE keeps of the user.

    Raise `TokenRevoked`, `ClaimInvalid` or `SubjectUnknown` if a callback refuses the token.
    """
    if manager._token_in_blocklist_callback(header, payload):
        raise TokenRevoked
    if not manager._token_verification_callback(header, payload):
        raise ClaimInvalid("refused by the token_verification_loader")
    if manager._user_lookup_callback is None:
        return None
    user = manager._user_lookup_callback(header, payload)
    if user is None:
        raise SubjectUnknown
    return {"loaded_user": user}
