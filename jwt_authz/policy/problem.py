"""Problem: the body of a refusal (RFC 9457) and its challenge (RFC 6750 section 3)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidToken, MisuseError, TokenNotFresh
from .decision import Decision
from .requirements import Not
from .standard import has_scope

TYPE_PREFIX = "urn:jwt-authz:problem:"
TITLES = {
    # Authentication
    "token-missing": "Authentication required",
    "invalid-token": "Invalid access token",
    "token-malformed": "Malformed access token",
    "token-too-long": "Access token too long",
    "algorithm-not-allowed": "Signing algorithm not accepted",
    "key-unknown": "Unknown signing key",
    "signature-invalid": "Invalid signature",
    "token-expired": "Access token expired",
    "token-not-yet-valid": "Access token not valid yet",
    "issuer-invalid": "Untrusted issuer",
    "audience-invalid": "Access token for another audience",
    "claim-missing": "Required claim missing",
    "claim-invalid": "Invalid claim",
    "claims-left-out": "Roles or groups missing from the access token",
    "kind-invalid": "Not an access token",
    "token-revoked": "Access token revoked",
    "subject-unknown": "Unknown subject",
    "csrf-invalid": "Missing or invalid CSRF token",
    "token-not-fresh": "Recent log-in required",
    # Decisions
    "not-allowed": "Not allowed",
    "authorization-unavailable": "Authorization unavailable",
    # Log-in and refresh
    "wrong-credentials": "Wrong user name or password",
    "too-many-attempts": "Too many failed log-ins",
    "no-role-in-tenant": "No role in this tenant",
    "token-not-issued": "Access token too long to be issued",
    "refresh-refused": "Invalid or expired refresh token",
    "token-reused": "Refresh token already used",
    "log-in-unknown": "Log-in not found",
    "no-password": "No password stored for this user",
    "wrong-password": "Wrong password",
    "password-refused": "New password refused",
    # Requests to the endpoints
    "invalid-request": "Invalid request",
    "invalid-scope": "Invalid scope",
    "unsupported-grant-type": "Unsupported grant type",
    "unsupported-token-type": "Unsupported token type",
    "unsupported-media-type": "Unsupported media type",
    "content-too-large": "Request body too large",
    # Administration
    "user-unknown": "User not found",
    "role-unknown": "Role not found",
    "unknown-role": "Unknown role",
    "role-exists": "Role already exists",
    "role-retired": "Role name no longer available",
    "roles-elsewhere": "Roles cannot be changed here",
    "change-refused": "Change refused",
    "changed-meanwhile": "Changed since it was loaded",
    "precondition-required": "If-Match required",
    "of-a-tenant": "Only for administrators of all tenants",
    "self-promotion": "You cannot extend your own access",
    "role-not-held": "You do not hold this role",
    "permission-not-held": "You do not hold this permission",
    "level-not-held": "You do not hold this level",
    "holds-more": "This user holds more than you",
    "last-administrator": "An administrator must remain",
}
"""The title of each problem type, by the last part of its URI; `docs/refusals.md` has each."""

DISCLOSE = ("none", "sentence", "tree")
_DISCLOSE_VALUES = f"{', '.join(DISCLOSE[:-1])} or {DISCLOSE[-1]}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal as a value: the problem details of RFC 9457, and the parts of its challenge.

    - `type`: a stable URI.
    - `title`, `detail`: texts for people.
    - `status`: 401, 403, 429 or 503.
    - `instance`: a random reference, which the log record of the refusal repeats.
    - `error`: the error code of RFC 6750 section 3.1; None for a request without a token.
    - `scope`: the scopes that the challenge names.
    - `required`: the tree of reasons, if `AUTHZ_DISCLOSE` is `tree`.
    - `max_age`: the maximum age of the log-in in seconds, where the user has to log in again
      (RFC 9470 section 3).
    - `scheme`: the authentication scheme of the challenge, by default `Bearer`.

    >>> from jwt_authz import Problem
    >>> problem = Problem("urn:example:closed", "Closed", 403, "The shop is closed.", "urn:uuid:1")
    >>> problem.as_dict()["detail"]
    'The shop is closed.'
    >>> problem.challenge("shop")
    'Bearer realm="shop"'
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str = field(default_factory=lambda: f"urn:uuid:{uuid.uuid4()}")
    error: str | None = None
    scope: str | None = None
    required: dict[str, Any] | None = None
    max_age: float | None = None
    scheme: str = "Bearer"

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON body (RFC 9457 section 3.1), with `error` and `required` if set."""
        body: dict[str, Any] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": self.instance,
        }
        if self.error is not None:
            body["error"] = self.error
        if self.required is not None:
            body["required"] = self.required
        return body

    def challenge(self, realm: str) -> str | None:
        """Return the value of `WWW-Authenticate` (RFC 6750 section 3); None if not 401 or 403."""
        if self.status not in (401, 403):
            return None
        parts = [f'realm="{_quoted(realm)}"']
        if self.error is not None:
            parts += [f'error="{self.error}"', f'error_description="{_described(self.detail)}"']
        if self.scope is not None:
            parts.append(f'scope="{self.scope}"')
        if self.max_age is not None:
            parts.append(f'max_age="{self.max_age:.0f}"')
        return f"{self.scheme} {', '.join(parts)}"


def make_problem(name: str, status: int, detail: str, **members: Any) -> Problem:
    """Return a problem of one of the types in `TITLES`, with further members of `Problem`."""
    return Problem(f"{TYPE_PREFIX}{name}", TITLES[name], status, detail, **members)


def token_missing(ways: str = "Authorization: Bearer <token>") -> Problem:
    """Return the 401 for a request without a token: no error code (RFC 6750 section 3.1).

    `ways` says where a client may put its token; it is empty if no token is looked at.
    """
    detail = f"An access token is required: send {ways}." if ways else "Log in first."
    return make_problem("token-missing", 401, detail)


def token_invalid(error: InvalidToken) -> Problem:
    """Return the 401 for an invalid token."""
    title = TITLES.get(error.name, TITLES[InvalidToken.name])
    max_age = error.max_age if isinstance(error, TokenNotFresh) else None
    kind = f"{TYPE_PREFIX}{error.name}"
    return Problem(kind, title, 401, error.sentence, error=error.code, max_age=max_age)


def wrong_credentials() -> Problem:
    """Return the 401 of a failed log-in: the same for an unknown user and a wrong password."""
    return make_problem("wrong-credentials", 401, "The user name or the password is wrong.")


def too_many_attempts() -> Problem:
    """Return the 429 of a log-in after too many failed ones (RFC 6585 section 4)."""
    return make_problem("too-many-attempts", 429, "Too many log-ins have failed. Try again later.")


def not_allowed(decision: Decision, disclose: str = "sentence") -> Problem:
    """Return the 403 of a decision.

    `disclose` says how much it explains: `none`, `sentence` or `tree`. Raises `MisuseError` for
    another value.
    """
    if disclose not in DISCLOSE:
        raise MisuseError(f"Invalid AUTHZ_DISCLOSE {disclose!r}: expected {_DISCLOSE_VALUES}.")
    detail, scope, required = "This is not allowed.", None, None
    if disclose != "none":
        detail = f"Requires a caller who {decision.sentence}."
        if decision.error:
            detail = "The access rights could not be evaluated."
        scope = " ".join(dict.fromkeys(_scopes_wanted(decision))) or None
    if disclose == "tree":
        required = decision.as_dict()
    return make_problem(
        "not-allowed", 403, detail, error="insufficient_scope", scope=scope, required=required
    )


def unavailable() -> Problem:
    """Return the 503 for a decision that needs a store which does not answer."""
    detail = "The access rights cannot be checked at the moment. Try again later."
    return make_problem("authorization-unavailable", 503, detail)


def token_not_issued() -> Problem:
    """Return the 503 for a user whose roles do not fit into a token."""
    detail = "Your roles do not fit into an access token. Ask an administrator to give you fewer."
    return make_problem("token-not-issued", 503, detail)


def _scopes_wanted(decision: Decision) -> Iterator[str]:
    """Yield the required scopes that were not granted, if valid (RFC 6749 section 3.3)."""
    asked = decision.requirement
    if isinstance(asked, has_scope) and not decision and _SCOPE.fullmatch(asked.value):
        yield asked.value
    for part in () if isinstance(asked, Not) else decision.parts:
        yield from _scopes_wanted(part)


_SCOPE = re.compile(r"[!#-\[\]-~]+")


def _quoted(text: str) -> str:
    """Return the text for a quoted-string (RFC 9110 section 5.6.4): one line, ASCII, escaped."""
    return _one_line(text).replace("\\", "\\\\").replace('"', '\\"')


def _described(text: str) -> str:
    """Return the text with only the characters that RFC 6750 allows in `error_description`."""
    return _one_line(text).replace('"', "'").replace("\\", "/")


def _one_line(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)
