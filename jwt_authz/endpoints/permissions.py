"""The permissions endpoint: `GET /me/permissions` tells a front end what its user may do."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Blueprint, request

from .._context import get_app
from ..application import current_state
from ..errors import MisuseError
from ..guards.verbs import current_identity, requires
from ..policy.identity import Identity


def permissions_blueprint(url: str = "/me/permissions") -> Blueprint:
    """Return a blueprint that reports the rights of an identified caller.

    The response has `permissions`, `roles`, `scopes`, `level` and, if there is one, `tenant`. A
    permission can have `*` for either part. The ETag (RFC 9110 section 8.8.3) changes when one of
    these or the catalog changes; with `If-None-Match`, an unchanged response is a 304.
    """
    blueprint = Blueprint("jwt_authz_permissions", __name__)
    blueprint.add_url_rule(url, "show_permissions", requires()(show_permissions))
    return blueprint


def show_permissions() -> Any:
    """Return the caller's permissions, roles, scopes, level and tenant."""
    identity = current_identity._get_current_object()
    rights = _rights_of(identity)
    catalog = current_state().catalog
    version = "" if catalog is None else catalog.fingerprint
    text = json.dumps([rights, version], sort_keys=True)
    response: Any = get_app().json.response(rights)
    response.set_etag(hashlib.sha256(text.encode()).hexdigest()[:32])
    response.headers["Cache-Control"] = "private, no-cache"
    response.make_conditional(request)
    return response


def _rights_of(identity: Any) -> dict[str, Any]:
    if not isinstance(identity, Identity):
        raise MisuseError(
            f"the rights of a {type(identity).__name__} are unknown: return an Identity from the "
            "identity loader"
        )
    rights: dict[str, Any] = {
        "permissions": sorted(identity.permissions),
        "roles": sorted(identity.roles),
        "scopes": sorted(identity.scopes),
        "level": identity.level,
    }
    return rights if identity.tenant is None else {**rights, "tenant": identity.tenant}
