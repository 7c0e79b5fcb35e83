"""Responses of the endpoints around a log-in: tokens and problems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from flask import Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException

from .._context import get_app
from ..application import current_parts
from ..findings import Found, misuse_of
from ..logins.log_in import NO_ACCOUNTS, Logins
from ..policy.problem import TYPE_PREFIX, Problem
from ..refusals import NotIdentified, TooManyAttempts

LONGEST_CLIENT = 200

REFRESH = "jwt_authz.refresh"
"""The key in `app.extensions` that says that there is an endpoint for refresh tokens."""


class ProblemAnswer(HTTPException):
    """An exception whose response is a problem (RFC 9457) without a challenge."""

    def __init__(self, status: int, name: str, detail: str, error: str | None = None) -> None:
        title = name.replace("-", " ").capitalize()
        self.problem = Problem(f"{TYPE_PREFIX}{name}", title, status, detail, error=error)
        response = unstored(self.problem.as_dict())
        response.status_code = status
        response.mimetype = "application/problem+json"
        super().__init__(detail, response)


def unstored(members: dict[str, Any] | None = None) -> Response:
    """Return a response with these members as JSON, or an empty one, that no cache may store."""
    response = Response() if members is None else jsonify(members)
    response.headers["Cache-Control"] = "no-store"  # RFC 6749 section 5.1
    return response


def current_logins() -> Logins:
    """Return the log-ins of the current application; raise `MisuseError` without accounts."""
    parts = current_parts()
    return Logins(parts, parts.accounts)


def has_refresh() -> bool:
    """Return whether the current application accepts refresh tokens, and so issues them."""
    return REFRESH in current_app.extensions


def client_of_request() -> str | None:
    """Return the name of this log-in in the user's list: the client program."""
    return request.user_agent.string[:LONGEST_CLIENT] or None


def refuse(problem: Problem, wait: int, note: str = "log-in") -> NoReturn:
    """Refuse a caller who logs in or proves a password, and audit it; `wait` is in seconds."""
    parts = current_parts()
    parts.audit.refused(get_app(), None, None, problem, note)
    if problem.status == 429:
        raise TooManyAttempts(problem, parts.settings.realm, wait)
    raise NotIdentified(problem, parts.settings.realm)


def missing_accounts() -> Iterator[Found]:
    """Yield whether the current application has no users who could log in."""
    if current_parts().accounts is None:
        yield Found(NO_ACCOUNTS)


def missing_store() -> Iterator[Found]:
    """Yield whether the current application has no store."""
    parts = current_parts()
    if parts.settings.store_url is None:
        yield from misuse_of(parts.needed_revocations)
