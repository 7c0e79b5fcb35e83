"""Problem, the body of a refusal (RFC 9457), and the challenge beside it (RFC 6750 section 3)."""

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
DISCLOSE = ("none", "sentence", "tree")


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal as a value: what RFC 9457 calls a problem, and the parts of its challenge.

    `type` is a stable URI, `status` 401, 403, 429 or 503, `instance` a random reference that the
    log repeats, `error` the code of RFC 6750 section 3.1 (None where no token came), `scope` what
    the challenge names, `required` the tree of reasons where it may be told, `max_age` the seconds
    that a log-in may lie back where another one is asked for (RFC 9470 section 3).
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

    def as_dict(self) -> dict[str, Any]:
        """The JSON body (RFC 9457 section 3.1): `error` and `required` only where they are set."""
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
        """The value of `WWW-Authenticate` (RFC 6750 section 3); None where none belongs."""
        if self.status not in (401, 403):
            return None
        parts = [f'realm="{_quoted(realm)}"']
        if self.error is not None:
            parts += [f'error="{self.error}"', f'error_description="{_described(self.detail)}"']
        if self.scope is not None:
            parts.append(f'scope="{self.scope}"')
        if self.max_age is not None:
            parts.append(f'max_age="{self.max_age:.0f}"')
        return f"Bearer {', '.join(parts)}"


def token_missing() -> Problem:
    """The 401 for a request without a token: no error code (RFC 6750 section 3.1)."""
    return Problem(
        f"{TYPE_PREFIX}token-missing",
        "Authentication required",
        401,
        "This needs an access token: send Authorization: Bearer <token>.",
    )


def token_invalid(error: InvalidToken) -> Problem:
    """The 401 for a token that is not good."""
    title = "Log in anew" if error.code != "invalid_token" else "Access token not accepted"
    max_age = error.max_age if isinstance(error, TokenNotFresh) else None
    kind = f"{TYPE_PREFIX}{error.name}"
    return Problem(kind, title, 401, error.sentence, error=error.code, max_age=max_age)


def wrong_credentials() -> Problem:
    """The 401 of the log-in: the same for an unknown user and for a wrong password."""
    return Problem(
        f"{TYPE_PREFIX}wrong-credentials",
        "Log-in refused",
        401,
        "The user name or the password is wrong.",
    )


def too_many_attempts() -> Problem:
    """The 429 of the log-in, where too many have failed lately (RFC 6585 section 4)."""
    return Problem(
        f"{TYPE_PREFIX}too-many-attempts",
        "Too many attempts",
        429,
        "Too many log-ins have failed: try again later.",
    )


def not_allowed(decision: Decision, disclose: str = "sentence") -> Problem:
    """The 403 of a decision, telling as much as `disclose` says: none, sentence or tree."""
    if disclose not in DISCLOSE:
        raise MisuseError(f"AUTHZ_DISCLOSE is one of {', '.join(DISCLOSE)}, not {disclose!r}")
    detail, scope, required = "This is not allowed.", None, None
    if disclose != "none":
        detail = f"This needs a caller who {decision.sentence}."
        if decision.error:
            detail = "Whether this is allowed could not be decided."
        scope = " ".join(dict.fromkeys(_scopes_wanted(decision))) or None
    if disclose == "tree":
        required = decision.as_dict()
    return Problem(
        f"{TYPE_PREFIX}not-allowed",
        "Not allowed",
        403,
        detail,
        error="insufficient_scope",
        scope=scope,
        required=required,
    )


def unavailable() -> Problem:
    """The 503 for a decision that needs a store which does not answer: closed, and said so."""
    return Problem(
        f"{TYPE_PREFIX}authorization-unavailable",
        "Authorization unavailable",
        503,
        "The access rights cannot be checked at the moment: try again later.",
    )


def token_not_issued() -> Problem:
    """Return the 503 for a user whose roles fit into no token."""
    return Problem(
        f"{TYPE_PREFIX}token-not-issued",
        "Token not issued",
        503,
        "Your roles do not fit into an access token. Ask an administrator to give you fewer.",
    )


def _scopes_wanted(decision: Decision) -> Iterator[str]:
    """The scopes that were asked for and not granted, as RFC 6749 section 3.3 lets them be."""
    asked = decision.requirement
    if isinstance(asked, has_scope) and not decision and _SCOPE.fullmatch(asked.value):
        yield asked.value
    for part in () if isinstance(asked, Not) else decision.parts:
        yield from _scopes_wanted(part)


_SCOPE = re.compile(r"[!#-\[\]-~]+")


def _quoted(text: str) -> str:
    """Text for a quoted-string (RFC 9110 section 5.6.4): one line, ASCII, escaped."""
    return _one_line(text).replace("\\", "\\\\").replace('"', '\\"')


def _described(text: str) -> str:
    """Text with the characters alone that RFC 6750 section 3 lets an `error_description` have."""
    return _one_line(text).replace('"', "'").replace("\\", "/")


def _one_line(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)
