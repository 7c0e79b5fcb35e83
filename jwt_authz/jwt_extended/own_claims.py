"""The issuer, audience and client of the application's own tokens."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from flask import current_app

from ..settings import Settings


def standing_claims() -> dict[str, Any]:
    """Return the `iss` and `aud` of own tokens as set by `JWT_*`, each None if not set.

    A token names every `JWT_ENCODE_AUDIENCE`, as in FJE. Otherwise it names the first of the
    accepted values, which are in `JWT_DECODE_*`.
    """
    config = current_app.config
    issuer = config["JWT_ENCODE_ISSUER"] or config["JWT_DECODE_ISSUER"]
    audience = _every(config["JWT_ENCODE_AUDIENCE"]) or _first(config["JWT_DECODE_AUDIENCE"])
    return {"iss": _first(issuer), "aud": audience}


def own_claims(settings: Settings) -> dict[str, Any]:
    """Return the `iss`, `aud` and `client_id` of the tokens that the application issues.

    `aud` is a list if `JWT_ENCODE_AUDIENCE` names several.
    """
    standing, name = standing_claims(), current_app.name
    return {
        "iss": standing["iss"] or settings.issuer or name,
        "aud": standing["aud"] or settings.audience or name,
        "client_id": settings.client_id or name,
    }


def _first(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return next(iter(value), None)


def _every(audience: Any) -> str | list[str] | None:
    """Return all audiences for `aud`; a single one is a string (RFC 7519 section 4.1.3)."""
    if audience is None or isinstance(audience, str):
        return audience
    named = sorted(audience) if isinstance(audience, Set) else list(dict.fromkeys(audience))
    return named if len(named) > 1 else _first(named)
