"""Vary: set the `Vary` header of guarded views, whose responses depend on the caller.

How it works. If Flask calls the guard itself as the view function, no decorator in between expects
the value that the view returned. Then the guard makes the response and sets `Vary` on it, at a
third of the cost of an `after_this_request` callback. Otherwise, and if no response can be made,
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

    Also return None if the request was authenticated before: then `Vary` is set already, and a
    view that calls another one expects the value that it returned, not a response.
    """
    state, request = app.extensions.get(KEY), get_request()
    rule = request.url_rule
    if (
        state is not None
        and state.uses_flask_dispatch
        and rule is not None
        and app.view_functions.get(rule.endpoint) is function
        and not is_authenticated(request)
    ):
        return request
    return None


def with_vary(answer: Any, request: Request) -> Any:
    """Return the response for the value that a view returned, with `Vary`."""
    try:
        response = get_app().make_response(answer)
    except Exception:
        vary_later(request)
        return answer  # Flask fails, too, and reports the error as usual
    names = vary_of(request)
    return vary_by(response, names) if names else response


def vary_later(request: Request) -> None:
    """Set `Vary` on the response of this request later, whatever it will be."""
    names = vary_of(request)
    if names:
        after_this_request(lambda response: vary_by(response, names))
