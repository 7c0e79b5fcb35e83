"""Let `jwt_required` and `verify_jwt_in_request` refuse the same revoked tokens as `requires`.

This extends Flask-JWT-Extended's blocklist check in applications that have an Authz with a store.

A view with `jwt_required` accepts tokens that `requires` does not, such as refresh tokens. So each
claim is read separately, and counts as missing if it has an unexpected type.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from flask import current_app
from flask_jwt_extended import view_decorators as _view_decorators
from flask_jwt_extended.exceptions import RevokedTokenError

from ..application import KEY, AppState
from ..authentication.verified import Token
from ..errors import InvalidToken
from ..revocation import RevocationView
from ..tokens.refresh import FAMILY, LOGGED_IN_AT, number_or_none

_CHECK = "verify_token_not_blocklisted"  # FJE looks it up in this module at each call
_check = getattr(_view_decorators, _CHECK)


@functools.wraps(_check)
def _check_revocations(jwt_header: dict[str, Any], jwt_data: dict[str, Any]) -> None:
    _check(jwt_header, jwt_data)  # the application's own token_in_blocklist_loader
    state: AppState | None = current_app.extensions.get(KEY)
    if state is not None and is_revoked(state, jwt_data):
        raise RevokedTokenError(jwt_header, jwt_data)


def install() -> None:
    """Replace Flask-JWT-Extended's blocklist check; calling it again changes nothing."""
    setattr(_view_decorators, _CHECK, _check_revocations)


def is_revoked(state: AppState, payload: dict[str, Any]) -> bool:
    """Return whether a token with this verified payload is revoked; raise `StoreUnavailable`."""
    view = state.revocations
    if view is None:
        return False
    view.check_age()
    try:
        trusted = state.trust.find(payload.get("iss")) if state.trust is not None else None
        if trusted is not None:  # a decode_key_loader has its key
            subject = trusted.issuer.subject_of(payload)
            identity = trusted.issuer.read(subject, payload, state.catalog)
            return Token(identity, {}, is_own=False).is_revoked(view)
        return _is_own_revoked(state, view, payload)
    except InvalidToken:  # its issuer or its roles cannot be read
        return True


def _is_own_revoked(state: AppState, view: RevocationView, payload: dict[str, Any]) -> bool:
    subject = str(payload[current_app.config["JWT_IDENTITY_CLAIM"]])
    jti, family = _text(payload, "jti"), _text(payload, FAMILY)
    tenant = _text(payload, state.settings.tenant_claim)
    issued_at = number_or_none(payload.get("iat"))
    if payload["type"] == "refresh":  # a refresh token stays valid if its roles change
        is_ended = view.is_revoked(jti=jti, subject=None, issued_at=issued_at, family=family)
        return is_ended or view.is_login_over(subject, issued_at or 0.0, tenant=tenant)
    return view.is_revoked(
        jti=jti,
        subject=subject,
        issued_at=issued_at,
        tenant=tenant,
        roles=_roles(state, subject, payload),
        family=family,
        logged_in_at=number_or_none(payload.get(LOGGED_IN_AT)),
    )


def _roles(state: AppState, subject: str, payload: dict[str, Any]) -> Iterator[str]:
    """Yield the token's roles, lazily: they are only read if any role has been revoked."""
    yield from Token(state.reader.read(subject, payload), {}, is_own=True).roles


def _text(payload: dict[str, Any], name: str) -> str | None:
    value = payload.get(name)
    return value if isinstance(value, str) else None
