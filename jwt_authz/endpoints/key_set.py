"""The key set endpoint: the public keys that verify an application's tokens, for other services."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, request

from ..application import current_parts
from ..guards.placement import exempt
from ..jwt_extended.bridge import published_jwk

URL = "/.well-known/jwks.json"
MAX_AGE_SECONDS = 60
"""How long others may keep the answer: so long a new key is to be published before it signs."""


def key_set_blueprint(url: str = URL) -> Blueprint:
    """A blueprint that publishes the application's public keys at `url` (RFC 7517 section 5).

    They are those of its `AUTHZ_KEYS_FILE` and the one of an asymmetric `JWT_ALGORITHM`; with
    secrets alone the set is empty. Anyone may read it, and keep it for a minute.
    """
    blueprint = Blueprint("jwt_authz_key_set", __name__)
    blueprint.add_url_rule(url, "key_set", exempt(show_key_set), methods=["GET"])
    return blueprint


def show_key_set() -> Response:
    """Answer with the key set, or with 304 where the caller has it."""
    response = Response(json.dumps(key_set()), mimetype="application/jwk-set+json")
    response.cache_control.public = True
    response.cache_control.max_age = MAX_AGE_SECONDS
    response.add_etag()
    response.make_conditional(request)
    return response


def key_set() -> dict[str, Any]:
    """The public JWK Set of the current application."""
    keys, own = current_parts().keys, published_jwk()
    published = [] if keys is None else keys.public()["keys"]
    if own is not None and own["kid"] not in {jwk["kid"] for jwk in published}:
        published.append(own)
    return {"keys": published}
