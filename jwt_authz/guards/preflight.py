"""Preflights: which OPTIONS requests a decorator for cross-origin requests answers.

A preflight carries no credentials, so blueprints and applications must not ask for any (Fetch
standard, CORS-preflight fetch). `@cross_origin` of flask-cors, and `crossdomain` of Flask-RESTful
and Flask-RESTX, answer it before the view and what stands below them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

from flask import Flask

from .call_path import followed, guards_on

_FLASK_CORS = ("flask_cors.decorator",)
_CROSSDOMAIN = ("flask_restful.utils.cors", "flask_restx.cors")


def is_preflight(app: Flask, view: Any, method: str) -> bool:
    """Return whether a decorator of the view answers a request with this method as a preflight."""
    return method == "OPTIONS" and _answering(app, view) is not None


def guards_above(app: Flask, view: Any) -> tuple[Any, ...]:
    """Return the guards that a preflight meets: those above the decorator that answers it."""
    above, below = guards_on(view), guards_on(_answering(app, view))
    return above[: len(above) - len(below)]


def _answering(app: Flask, view: Any) -> Any:
    """Return the decorator that answers preflights of a view, None if there is none."""
    for function in followed(view):
        module = getattr(function, "__globals__", {}).get("__name__")
        if module in _FLASK_CORS and _is_automatic(app, function):
            return function
        if module in _CROSSDOMAIN and _variable(function, "automatic_options") is True:
            return function
    return None


def _is_automatic(app: Flask, function: FunctionType) -> bool:
    """Return whether `@cross_origin` answers OPTIONS itself, by its own or the app's settings."""
    options = function.__globals__["get_cors_options"](app, _variable(function, "_options") or {})
    if isinstance(options, Mapping):  # before flask-cors 6.0.3
        return bool(options.get("automatic_options"))
    return bool(getattr(options, "automatic_options", False))


def _variable(function: FunctionType, name: str) -> Any:
    """Return an outer variable of a function, None if it uses none of that name."""
    names = function.__code__.co_freevars
    if name not in names or function.__closure__ is None:
        return None
    return function.__closure__[names.index(name)].cell_contents
