"""Answers: how the answer of a guarded view says that it depends on the caller.

How it works. If Flask calls the guard itself as the view function, nothing between the two sees
what the view returned. Then the guard makes the response and sets `Vary` on it, which costs a
third of a callback by `after_this_request`. In all other cases, and if no response comes of it,
`authenticate` or `vary_later` registers that callback.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Request, after_this_request

from .._context import get_app, get_request
from ..application import KEY
from ..authentication.authenticator import is_authenticated, vary_of
from ..jwt_extended.locations import vary_by


def request_answered_by(function: Any, app: Flask) -> Request | None:
    """Return the current request if Flask calls this function as its view, else None.

    None as well if the request was authenticated before: `Vary` is cared for then, and a view that
    calls itself expects what it returned, not a response.
    """
    state, request = app.extensions.get(KEY), get_request()
    rule = request.url_rule
    if (
        state is not None
        and state.passes_answers_on
        and rule is not None
        and app.view_functions.get(rule.endpoint) is function
        and not is_authenticated(request)
    ):
        return request
    return None


def with_vary(answer: Any, request: Request) -> Any:
    """Return the response to what a view returned, which names the headers that it depends on."""
    try:
        response = get_app().make_response(answer)
    except Exception:
        vary_later(request)
        return answer  # Flask fails on it as well, and then reports it in its own way
    names = vary_of(request)
    return vary_by(response, names) if names else response


def vary_later(request: Request) -> None:
    """Have the answer, whatever it will be, name the headers that it depends on."""
    names = vary_of(request)
    if names:
        after_this_request(lambda response: vary_by(response, names))
