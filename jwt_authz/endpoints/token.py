"""The token endpoint: `POST /token`, an application's own first-party log-in.

It is no OAuth 2 grant: the password grant must not be used (RFC 9700 section 2.4), and a request
for it is answered `unsupported_grant_type`. Its answer has the members of RFC 6749 section 5.1.
"""

from __future__ import annotations

import logging
import re
from typing import Any, NoReturn

from flask import Blueprint, Response, current_app, jsonify, request
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from ..accounts import Accounts, User
from ..context import get_app
from ..errors import MisuseError, StoreUnavailable, TokenMalformed
from ..extension import Authz
from ..parts import current_parts
from ..places import exempt
from ..problem import TYPE_PREFIX, Problem, too_many_attempts, unavailable, wrong_credentials
from ..refusals import AuthorizationUnavailable, NotIdentified, TooManyAttempts
from ..tokens.jws import read_object
from .login_gate import Attempt, add_check

_log = logging.getLogger("jwt_authz")

LONGEST_BODY = 16_384
LONGEST_PASSWORD = 4_096
"""The bytes of a log-in's body, and of its password, that are read at most."""


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
    body = _body()
    if isinstance(body, Response):
        return body
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
    parts.audit.refused(get_app(), None, None, problem, note)
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


def _body() -> dict[str, str] | Response:
    """The credentials, or the answer to a body that holds none."""
    if (request.content_length or 0) > LONGEST_BODY:
        return _too_large()
    text = request.stream.read(LONGEST_BODY + 1)  # also where no length was said
    if len(text) > LONGEST_BODY:
        return _too_large()
    if request.mimetype == "application/x-www-form-urlencoded" and _GRANT_TYPE.search(text):
        return _refused(400, "unsupported-grant-type", _NO_GRANT, "unsupported_grant_type")
    if request.mimetype != "application/json":
        return _refused(415, "unsupported-media-type", "Send JSON with username and password.")
    try:
        body = read_object(text)
        if "grant_type" in body:
            return _refused(400, "unsupported-grant-type", _NO_GRANT, "unsupported_grant_type")
        credentials: dict[str, str] = Credentials().load(body)
    except TokenMalformed:
        return _refused(400, "invalid-request", "The body is not a JSON object.", "invalid_request")
    except ValidationError as error:
        names = ", ".join(sorted(_known(error)))
        return _refused(400, "invalid-request", f"Not as expected: {names}.", "invalid_request")
    if len(credentials["password"].encode("utf-8", "replace")) > LONGEST_PASSWORD:
        return _refused(400, "invalid-request", "The password is too long.", "invalid_request")
    return credentials


_GRANT_TYPE = re.compile(rb"(^|&)grant_type=")
_NO_GRANT = "This is the application's own log-in, not an OAuth 2 grant."


def _known(error: ValidationError) -> set[str]:
    """The names of the fields that are wrong; a name that the caller made up is not repeated."""
    names = error.messages if isinstance(error.messages, dict) else {}
    return {name if name in Credentials._declared_fields else "another member" for name in names}


def _too_large() -> Response:
    return _refused(413, "content-too-large", f"At most {LONGEST_BODY} bytes are read.")


def _refused(status: int, name: str, detail: str, error: str | None = None) -> Response:
    title = name.replace("-", " ").capitalize()
    problem = Problem(f"{TYPE_PREFIX}{name}", title, status, detail, error=error)
    response = jsonify(problem.as_dict())
    response.status_code = status
    response.mimetype = "application/problem+json"
    response.headers["Cache-Control"] = "no-store"
    return response
