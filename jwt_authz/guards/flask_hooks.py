"""Flask hooks: functions for templates, `default="deny"` before requests, and error handlers."""

from __future__ import annotations

import logging
from typing import Any

from flask import request

from .._context import get_app, handle_http_exception
from ..application import current_state
from ..errors import InvalidToken, StoreUnavailable, TokenDoesNotFit, TokenReused
from ..policy.identity import Identity
from ..policy.problem import Problem, token_invalid, token_not_issued, unavailable
from ..refusals import AuthorizationUnavailable, NotIdentified, Refusal, TokenNotIssued
from .guard import UNGUARDED
from .placement import has_seen_guard, passes_unguarded
from .verbs import allowed, current_identity

_log = logging.getLogger("jwt_authz")


def for_templates() -> dict[str, Any]:
    """Return the names for templates: `{% if allowed("article:edit", on=article) %}`."""
    return {"allowed": allowed, "current_identity": current_identity}


def answer_unavailable(error: StoreUnavailable) -> Any:
    """Answer 503 if a store does not answer, anywhere in a request."""
    return _refused(AuthorizationUnavailable, unavailable(), None, str(error))


def answer_token_does_not_fit(error: TokenDoesNotFit) -> Any:
    """Answer 503 if no token is short enough, and log its sizes; trying again does not help."""
    _log.error("no access token was issued: %s", error)
    return _refused(TokenNotIssued, token_not_issued(), None, str(error))


def answer_invalid(error: InvalidToken) -> Any:
    """Answer 401 if a view raises an `InvalidToken`, such as for a refresh token."""
    subject = error.subject if isinstance(error, TokenReused) else ""
    whose = Identity(subject) if subject else None
    return _refused(NotIdentified, token_invalid(error), whose, error.detail)


def _refused(kind: type[Refusal], problem: Problem, identity: Identity | None, note: str) -> Any:
    app, state = get_app(), current_state()
    state.audit.refused(app, identity, None, problem, note)
    error = state.refusing.refusal(kind, problem)
    answer = handle_http_exception(app, error)
    return error.get_response() if answer is error else answer  # Flask takes longer to convert it


def deny_unguarded() -> Any:
    """Refuse calls of views with neither a guard nor `exempt`, for `default="deny"`."""
    state = current_state()
    if passes_unguarded(state):
        return None
    app = get_app()
    if request.endpoint is not None and has_seen_guard(app, request.endpoint, request.method):
        return None
    return UNGUARDED.refused((), request.view_args or {})
