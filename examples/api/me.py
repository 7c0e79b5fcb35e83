"""Me: what the caller's token says of them. Any identity will do."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from jwt_authz import current_identity, requires

me = Blueprint("me", __name__)


@me.get("/me")
@requires()
def show_me() -> ResponseReturnValue:
    return {
        "subject": current_identity.subject,
        "tenant": current_identity.tenant,
        "roles": sorted(current_identity.roles),
    }
