"""The refresh endpoint, `POST /token/refresh`, and the blueprint with the endpoints below it."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response
from flask.blueprints import BlueprintSetupState
from marshmallow import EXCLUDE, Schema, fields, validate

from ..findings import Found, add_check
from ..guards.placement import exempt
from ..guards.verbs import requires
from ..jwt_extended.times import refresh_lifetime
from ..logins.log_in import NEVER_ENDS
from ..refusals import ProblemAnswer, unstored
from .bodies import UnsupportedGrant, load, read_members
from .common import REFRESH, current_logins, missing_accounts, missing_store
from .families import end_families, end_one_family, show_families
from .revoke import revoke_token


class RefreshBody(Schema):
    """The body of a refresh: `refresh_token`, and what an OAuth 2 client can send with it."""

    class Meta:
        unknown = EXCLUDE  # RFC 6749 section 3.2

    refresh_token = fields.String(required=True, validate=validate.Length(1))
    grant_type = fields.String(load_default="refresh_token")
    scope = fields.String(load_default="")


def refresh_blueprint(url_prefix: str = "/token") -> Blueprint:
    """Return a blueprint for refresh tokens, which log-ins then issue; needs `AUTHZ_STORE_URL`.

    `POST /token/refresh` takes `refresh_token` and returns the next pair. `POST /token/revoke`
    takes `token`, of either kind, and ends it (RFC 7009). `GET /token/families` lists the caller's
    log-ins, `DELETE /token/families/<id>` ends one, `DELETE /token/families` all. Bodies are JSON
    or forms.
    """
    blueprint = Blueprint("jwt_authz_refresh", __name__)
    blueprint.record(_register)
    blueprint.post(f"{url_prefix}/refresh")(exempt(refresh))
    blueprint.post(f"{url_prefix}/revoke")(exempt(revoke_token))
    blueprint.get(f"{url_prefix}/families")(requires()(show_families))
    blueprint.delete(f"{url_prefix}/families")(requires()(end_families))
    blueprint.delete(f"{url_prefix}/families/<family>")(requires()(end_one_family))
    return blueprint


def _register(state: BlueprintSetupState) -> None:
    state.app.extensions[REFRESH] = True
    add_check(state.app, "AZ501", missing_accounts)
    add_check(state.app, "AZ502", missing_store)
    add_check(state.app, "AZ503", endless_refresh_tokens)


def endless_refresh_tokens() -> Iterator[Found]:
    """Yield a finding if refresh tokens never expire."""
    if refresh_lifetime() is None:
        yield Found(NEVER_ENDS, {"setting": "JWT_REFRESH_TOKEN_EXPIRES"})


def refresh() -> Response:
    """Return the tokens that follow a refresh token (RFC 6749 section 6)."""
    body = load(RefreshBody(), read_members("Send JSON or a form with refresh_token."))
    if body["grant_type"] != "refresh_token":
        raise UnsupportedGrant("This endpoint accepts only refresh tokens.")
    if body["scope"]:  # a log-in grants none, and a refresh cannot add one
        detail = "The log-in was granted no scope."
        raise ProblemAnswer(400, "invalid-scope", detail, "invalid_scope")
    return unstored(current_logins().refresh(body["refresh_token"]).as_dict())
