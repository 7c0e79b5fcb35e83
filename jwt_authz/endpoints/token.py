"""The token endpoint: `POST /token`, an application's own first-party log-in.

It is no OAuth 2 grant: the password grant must not be used (RFC 9700 section 2.4), and a request
for it is answered `unsupported_grant_type`. Its answer has the members of RFC 6749 section 5.1.
"""

from __future__ import annotations

import logging
from typing import Any, NoReturn

from flask import Blueprint, Response, current_app, jsonify, request
from marshmallow import RAISE, Schema, fields, validate

from ..accounts import Accounts, User
from ..errors import MisuseError, StoreUnavailable
from ..extension import Authz
from ..parts import current_parts
from ..places import exempt
from ..problem import Problem, too_many_attempts, unavailable, wrong_credentials
from ..refusals import AuthorizationUnavailable, NotIdentified, TooManyAttempts
from .bodies import JSON, Unfit, UnsupportedGrant, UnsupportedType, load, read_members
from .login_gate import Attempt, add_check

_log = logging.getLogger("jwt_authz")

LONGEST_PASSWORD = 4_096
"""The bytes of a password that are read at most."""


class Credentials(Schema):
    """The body of a log-in: `username` and `password`, both texts that are not empty."""

    class Meta:
        unknown = RAISE

    username = fields.String(required=True, validate=validate.Length(1, 255))
    password = fields.String(required=True, validate=validate.Length(1))


def token_blueprint(url: str = "/token") -> Blueprint:
    """A blueprint that answers a log-in at `url` with an access token of RFC 9068's shape.

    It asks the `accounts` of the application's Authz. JSON with `username` and `password` gives
    `access_token`, `token_type` and `expires_in` (seconds); wrong ones a 401 with a challenge; a
    store that does not answer a 503; too many wrong ones a 429. The answer is never stored by a
    cache.
    """
    blueprint = Blueprint("jwt_authz_token", __name__)
    blueprint.record(lambda state: add_check(state.app))
    blueprint.add_url_rule(url, "token", exempt(log_in), methods=["POST"])
    return blueprint


def log_in() -> Response:
    """Answer a log-in with an access token."""
    authz: Authz = current_app.extensions["jwt_authz"]
    if authz.accounts is None:
        raise MisuseError("the token endpoint asks accounts: write Authz(app, accounts=...)")
    try:
        body = _credentials()
    except Unfit as unfit:
        return unfit.response
    attempt = Attempt(body["username"])
    if attempt.must_wait:
        return _refuse(too_many_attempts(), "log-in", attempt.wait)
    try:
        user = authz.accounts.authenticate(body["username"], body["password"])
        token = _token_for(authz, authz.accounts, user) if user is not None else None
    except StoreUnavailable as error:
        return _refuse(unavailable(), f"log-in: {error}")
    if token is not None:
        attempt.succeeded()
        return _answer(token)
    attempt.failed()
    problem = too_many_attempts() if attempt.wait else wrong_credentials()
    return _refuse(problem, "log-in", attempt.wait)


def _refuse(problem: Problem, note: str, wait: int = 0) -> NoReturn:
    parts = current_parts()
    parts.audit.refused(current_app, None, None, problem, note)
    if problem.status == 429:
        raise TooManyAttempts(problem, parts.settings.realm, wait)
    refusal = NotIdentified if problem.status == 401 else AuthorizationUnavailable
    raise refusal(problem, parts.settings.realm)


def _token_for(authz: Authz, accounts: Accounts, user: User) -> str | None:
    """A token for a user who has logged in; None where they are gone by now.

    Its time is taken before the roles are read: of a change made in between, the revocation then
    comes later than the token, and ends it.
    """
    issued_at, view = None, current_parts().revocations
    if view is not None:
        issued_at = view.next_iat(user.subject, tenant=user.tenant, roles=user.roles)
        now = accounts.find(user.subject)
        if now is None or now.disabled:
            return None
        user = now
    roles = [name for name in user.roles if authz.roles is None or name in authz.roles]
    if len(roles) < len(user.roles):
        _log.warning("a user has a role that the catalogue lacks; it is left out of the token")
    return authz.issue(
        user.subject, roles=roles, tenant=user.tenant, fresh=True, issued_at=issued_at
    )


def _answer(token: str) -> Response:
    response = jsonify(
        access_token=token,
        token_type="Bearer",  # noqa: S106 the kind of token, no password
        expires_in=seconds_to_live(),
    )
    response.headers["Cache-Control"] = "no-store"  # RFC 6749 section 5.1
    return response


def seconds_to_live() -> int:
    """How many seconds an access token lives that is issued now."""
    lifetime: Any = current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    return int(getattr(lifetime, "total_seconds", lambda: lifetime)())


def _credentials() -> dict[str, str]:
    """The credentials of the body; raises `Unfit` for a body that holds none."""
    members = read_members(_WANTED)
    if "grant_type" in members:
        raise UnsupportedGrant("This is the application's own log-in, not an OAuth 2 grant.")
    if request.mimetype != JSON:
        raise UnsupportedType(_WANTED)
    credentials: dict[str, str] = load(Credentials(), members)
    if len(credentials["password"].encode("utf-8", "replace")) > LONGEST_PASSWORD:
        raise Unfit(400, "invalid-request", "The password is too long.", "invalid_request")
    return credentials


_WANTED = "Send JSON with username and password."
