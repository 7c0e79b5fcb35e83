"""The key set endpoint: publish the public keys, so that other services can verify tokens."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, request

from ..application import current_state
from ..guards.placement import exempt
from ..jwt_extended.own_keys import published_jwk

URL = "/.well-known/jwks.json"
MAX_AGE_SECONDS = 60
"""How long clients may cache the response. Publish a new key this long before it signs."""


def key_set_blueprint(url: str = URL) -> Blueprint:
    """Return a blueprint that publishes the public keys at `url` (RFC 7517 section 5).

    These are the keys in `AUTHZ_KEYS_FILE`, and the key of an asymmetric `JWT_ALGORITHM`. If there
    are only secrets, the set is empty. Anyone may read it, and cache it for a minute.
    """
    blueprint = Blueprint("jwt_authz_key_set", __name__)
    blueprint.add_url_rule(url, "key_set", exempt(show_key_set), methods=["GET"])
    return blueprint


def show_key_set() -> Response:
    """Return the key set, or a 304 if the caller already has it."""
    response = Response(json.dumps(key_set()), mimetype="application/jwk-set+json")
    response.cache_control.public = True
    response.cache_control.max_age = MAX_AGE_SECONDS
    response.add_etag()
    response.make_conditional(request)
    return response


def key_set() -> dict[str, Any]:
    """Return the public JWK Set of the current application."""
    keys, own = current_state().keys, published_jwk()
    published = [] if keys is None else keys.public()["keys"]
    if own is not None and own["kid"] not in {jwk["kid"] for jwk in published}:
        published.append(own)
    return {"keys": published}
