"""Answers: tokens and refusals, as the endpoints around a log-in give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from flask import Response, current_app, jsonify
from flask.sansio.app import App

from ..accounts import Accounts
from ..context import get_app
from ..errors import MisuseError
from ..extension import Authz
from ..logins import Logins, Tokens
from ..parts import CHECKS, current_parts
from ..problem import Problem
from ..refusals import NotIdentified, TooManyAttempts

REFRESH = "jwt_authz.refresh"
"""Under this name `app.extensions` says that there is an endpoint for refresh tokens."""


def accounts_and_logins() -> tuple[Accounts, Logins]:
    """What the endpoints of the current application ask; raises `MisuseError` without accounts."""
    authz: Authz = current_app.extensions["jwt_authz"]
    if authz.accounts is None:
        raise MisuseError("the token endpoint asks accounts: write Authz(app, accounts=...)")
    return authz.accounts, Logins(current_parts(), authz.roles, authz.accounts)


def has_refresh() -> bool:
    """Whether the current application takes refresh tokens, so that it is of use to give one."""
    return REFRESH in current_app.extensions


def answer(tokens: Tokens) -> Response:
    """The tokens with the members of RFC 6749 section 5.1; no cache may store it."""
    members = {
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
    }
    if tokens.refresh_token is not None:
        members["refresh_token"] = tokens.refresh_token
    response = jsonify(members)
    response.headers["Cache-Control"] = "no-store"
    return response


def refuse(problem: Problem, note: str, wait: int = 0) -> NoReturn:
    """Raise the refusal of a problem, and tell the audit; `wait` is seconds for a 429."""
    parts = current_parts()
    parts.audit.refused(get_app(), None, None, problem, note)
    if problem.status == 429:
        raise TooManyAttempts(problem, parts.settings.realm, wait)
    raise NotIdentified(problem, parts.settings.realm)


def add_check(app: App, check: Callable[[], list[str]]) -> None:
    """Have `Authz.check` ask this, once: a function that returns warnings or raises."""
    checks = app.extensions.setdefault(CHECKS, [])
    if check not in checks:
        checks.append(check)
