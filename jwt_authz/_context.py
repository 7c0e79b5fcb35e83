"""The objects behind Flask's proxies `g`, `request` and `current_app`, for code on the hot path.

A proxy looks its object up again at each access, which takes as long as a permission check.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from flask import Flask, Request, current_app, g, request
from flask.globals import app_ctx
from werkzeug.exceptions import HTTPException

get_globals: Callable[[], Any] = g._get_current_object
get_request: Callable[[], Request] = request._get_current_object  # type: ignore[attr-defined]
get_app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]


def handle_http_exception(app: Flask, error: HTTPException) -> Any:
    """Have an application answer an HTTP error, whether or not Flask passes the context (3.2)."""
    handle: Any = app.handle_http_exception
    if _takes_context(type(app).handle_http_exception):
        return handle(app_ctx._get_current_object(), error)  # type: ignore[attr-defined]
    return handle(error)


@functools.lru_cache
def _takes_context(method: Callable[..., Any]) -> bool:
    """Return whether a method takes the context before the error, and not just that."""
    return len(inspect.signature(method).parameters) > 2
