"""Shared by the endpoints: the current log-ins, refusals of log-ins, and checks of the setup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from flask import current_app, request

from .._context import get_app
from ..application import current_state
from ..findings import Found, misuse_of
from ..logins.log_in import NO_ACCOUNTS, Logins
from ..policy.problem import Problem
from ..refusals import NotIdentified, TooManyAttempts

LONGEST_CLIENT = 200

REFRESH = "jwt_authz.refresh"
"""The key in `app.extensions` that says that there is an endpoint for refresh tokens."""


def current_logins() -> Logins:
    """Return the log-ins of the current application; raise `MisuseError` without accounts."""
    state = current_state()
    return Logins(state, state.accounts)


def has_refresh() -> bool:
    """Return whether the current application accepts refresh tokens, and so issues them."""
    return REFRESH in current_app.extensions


def client_of_request() -> str | None:
    """Return the name of this log-in in the user's list: the client program."""
    return request.user_agent.string[:LONGEST_CLIENT] or None


def refuse(problem: Problem, wait: int, note: str = "log-in") -> NoReturn:
    """Refuse a caller who logs in or proves a password, and audit it; `wait` is in seconds."""
    state = current_state()
    state.audit.refused(get_app(), None, None, problem, note)
    if problem.status == 429:
        raise state.refusing.refusal(TooManyAttempts, problem, wait)
    raise state.refusing.refusal(NotIdentified, problem)


def missing_accounts() -> Iterator[Found]:
    """Yield a finding if the current application has no accounts."""
    if current_state().accounts is None:
        yield Found(NO_ACCOUNTS)


def missing_store() -> Iterator[Found]:
    """Yield a finding if the current application has no store."""
    state = current_state()
    if state.settings.store_url is None:
        yield from misuse_of(state.needed_revocations)
