"""The token endpoint: `POST /token`, an application's own first-party log-in.

It is not an OAuth 2 grant: the password grant must not be used (RFC 9700 section 2.4), and a
request for it is refused as `unsupported_grant_type`. The response has the members of RFC 6749
section 5.1.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from marshmallow import RAISE, Schema, fields, validate

from ..findings import add_check
from ..guards.placement import exempt
from ..policy.problem import too_many_attempts, wrong_credentials
from ..refusals import ProblemAnswer, unstored
from .bodies import JSON, UnsupportedGrant, UnsupportedType, load, read_members
from .common import client_of_request, current_logins, has_refresh, missing_accounts, refuse
from .login_attempt import Attempt, add_rate_checks, wait_of_address

LONGEST_PASSWORD = 4_096
"""The maximum size of a password in bytes."""


class Credentials(Schema):
    """The body of a log-in: `username`, `password`, and optionally `tenant`; non-empty strings."""

    class Meta:
        unknown = RAISE

    username = fields.String(required=True, validate=validate.Length(1, 255))
    password = fields.String(required=True, validate=validate.Length(1))
    tenant = fields.String(load_default=None, validate=validate.Length(1, 255))


_CREDENTIALS = Credentials()


def token_blueprint(url: str = "/token") -> Blueprint:
    """Return a blueprint that answers a log-in at `url` with an access token as in RFC 9068.

    It uses the `accounts` of the application's `Authz`. It takes JSON with `username` and
    `password`, and returns `access_token`, `token_type`, `expires_in` (seconds) and, if there is a
    `refresh_blueprint`, `refresh_token`. Wrong credentials get a 401 with a challenge, too many of
    them a 429, and a store that does not answer a 503. With a `tenant`, the roles are those that
    the user has there (`TenantAccounts`); if there are none, a 403. No cache stores the response.
    """
    blueprint = Blueprint("jwt_authz_token", __name__)
    blueprint.record(lambda state: add_rate_checks(state.app))
    blueprint.record(lambda state: add_check(state.app, "AZ501", missing_accounts))
    blueprint.add_url_rule(url, "token", exempt(log_in), methods=["POST"])
    return blueprint


def log_in() -> Response:
    """Return an access token for a log-in, and a refresh token if the application accepts them."""
    wait = wait_of_address()
    if wait:
        refuse(too_many_attempts(), wait)
    body = _credentials()
    logins = current_logins()
    attempt = Attempt(logins.accounts, body["username"])
    if attempt.must_wait:
        refuse(too_many_attempts(), attempt.wait)
    since = logins.now()
    user = attempt.authenticate(body["password"])
    tokens = None
    if user is not None and body["tenant"] is not None:
        user = logins.in_tenant(user, body["tenant"])
        if user is None:
            detail = "You have no role in this tenant."
            raise ProblemAnswer(403, "no-role-in-tenant", detail)
    if user is not None:
        client = client_of_request()
        tokens = logins.start(user, has_refresh=has_refresh(), since=since, client=client)
    if user is not None and tokens is not None:
        attempt.succeeded(user)
        return unstored(tokens.as_dict())
    attempt.failed()
    refuse(too_many_attempts() if attempt.wait else wrong_credentials(), attempt.wait)


def _credentials() -> dict[str, Any]:
    """Return the credentials in the body; raise `ProblemAnswer` if it has none."""
    members = read_members(_WANTED)
    if "grant_type" in members:
        raise UnsupportedGrant("This is the application's own log-in, not an OAuth 2 grant.")
    if request.mimetype != JSON:
        raise UnsupportedType(_WANTED)
    credentials: dict[str, Any] = load(_CREDENTIALS, members)
    if len(credentials["password"].encode("utf-8", "replace")) > LONGEST_PASSWORD:
        raise ProblemAnswer(400, "invalid-request", "The password is too long.", "invalid_request")
    return credentials


_WANTED = "Send JSON with username and password."
