"""Answers: tokens and refusals, as the endpoints around a log-in give them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NoReturn, ParamSpec

from flask import Response, current_app, jsonify
from flask.sansio.app import App

from ..accounts import Accounts
from ..errors import MisuseError, StoreUnavailable
from ..extension import Authz
from ..logins import Logins, Tokens
from ..parts import CHECKS, current_parts
from ..problem import Problem, unavailable
from ..refusals import AuthorizationUnavailable, NotIdentified, TooManyAttempts
from .bodies import Unfit

Given = ParamSpec("Given")

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


def answering(view: Callable[Given, Response]) -> Callable[Given, Response]:
    """The view, in which an unfit body is answered, and a store that does not answer is a 503."""

    @functools.wraps(view)
    def answered(*arguments: Given.args, **keywords: Given.kwargs) -> Response:
        try:
            return view(*arguments, **keywords)
        except Unfit as unfit:
            return unfit.response
        except StoreUnavailable as error:
            refuse(unavailable(), f"{view.__name__}: {error}")

    return answered


def refuse(problem: Problem, note: str, wait: int = 0) -> NoReturn:
    """Raise the refusal of a problem, and tell the audit; `wait` is seconds for a 429."""
    parts = current_parts()
    parts.audit.refused(current_app, None, None, problem, note)
    if problem.status == 429:
        raise TooManyAttempts(problem, parts.settings.realm, wait)
    refusal = NotIdentified if problem.status == 401 else AuthorizationUnavailable
    raise refusal(problem, parts.settings.realm)


def add_check(app: App, check: Callable[[], list[str]]) -> None:
    """Have `Authz.check` ask this, once: a function that returns warnings or raises."""
    checks = app.extensions.setdefault(CHECKS, [])
    if check not in checks:
        checks.append(check)
