"""Error handlers: keep frameworks from replacing the responses of refusals.

How it works. Frameworks answer all HTTP errors with bodies of their own, in one of two ways.
Flask-Smorest, APIFlask and Connexion register a handler for `HTTPException`: the handler for
`Refusal` is more specific, and asks only a general handler that the application itself wrote.
Flask-RESTful and Flask-RESTX replace `app.handle_user_exception`: it is wrapped before the first
request, so that refusals reach Flask's own method. Handlers that the application gave these
frameworks are called as they would be for other errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType
from typing import Any

from flask import Flask, has_request_context, request
from werkzeug.exceptions import HTTPException

from .._context import get_app, get_request
from ..authentication.authenticator import vary_of
from ..errors import AuthzError, InvalidToken, StoreUnavailable, TokenDoesNotFit
from ..refusals import CompleteAnswer, Refusal
from .call_path import closure_of

_HANDLING_ALL = ("apiflask", "connexion", "flask_smorest")
_ROUTING_ERRORS = ("flask_restful", "flask_restx", "flask_restplus")
_KEPT = (Refusal, CompleteAnswer, StoreUnavailable, InvalidToken, TokenDoesNotFit)
"""The errors whose responses frameworks must not replace."""


def answer_refusal(error: HTTPException) -> Any:
    """Answer as the application's own general handler does, or with the refusal itself."""
    app = get_app()
    handlers = app.error_handler_spec[None][None]
    for kind in type(error).__mro__:
        handler = handlers.get(kind)
        if handler is None or handler is answer_refusal or _is_default(handler, app):
            continue
        return app.ensure_sync(handler)(error)
    return error.get_response()


def answer_complete(error: CompleteAnswer) -> Any:
    """Answer with the response of the exception, as Flask does unless HTTP errors are trapped."""
    return error.get_response()


def keep_refusals(app: Flask) -> None:
    """Route refusals around the error handling of the frameworks that an application uses."""
    general = app.error_handler_spec[None][None]
    handler = general.get(HTTPException)
    if _package_of(handler) == "connexion" and not isinstance(handler, _WithVary):
        general[HTTPException] = _WithVary(handler)
    handle = vars(app).get("handle_user_exception")
    if handle is None or isinstance(handle, _Routing):
        return
    apis = list(_apis_in(handle))
    if apis:
        vars(app)["handle_user_exception"] = _Routing(app, handle, apis)


class _Routing:
    """What stands for `app.handle_user_exception`: refusals do not reach these APIs."""

    def __init__(self, app: Flask, handle: Any, apis: Iterable[Any]) -> None:
        self._app = app
        self._handle = handle
        self._apis = tuple(apis)

    def __call__(self, *arguments: Any) -> Any:
        """Handle an error, which is the last argument; Flask 3.2 passes the context before it."""
        error = arguments[-1]
        if isinstance(error, _KEPT) and not self._has_own_handler(error):
            return type(self._app).handle_user_exception(self._app, *arguments)
        return self._handle(*arguments)

    def _has_own_handler(self, error: Exception) -> bool:
        """Return whether the application gave the API of this request a handler for the error."""
        rule = request.url_rule if has_request_context() else None
        if rule is None:
            return False
        owners = (api for api in self._apis if api.owns_endpoint(rule.endpoint))
        return any(_handles(api, error) for api in owners)


class _WithVary:
    """Connexion's handler, which raises HTTP errors as Starlette's, past Flask's response."""

    __module__ = "connexion"  # whose default it is

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def __call__(self, error: HTTPException) -> Any:
        """Handle an error; what is raised gets the `Vary` of the request."""
        try:
            return self._handler(error)
        except Exception as raised:
            names = vary_of(get_request())
            if names and hasattr(raised, "headers"):
                raised.headers = {**(raised.headers or {}), "Vary": names}
            raise


def _apis_in(handle: Any) -> Iterator[Any]:
    """Yield the APIs of Flask-RESTful and Flask-RESTX that an error handler goes through."""
    waiting, seen = [handle], set[int]()
    while waiting:
        function = waiting.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        if isinstance(function, partial):
            waiting += [function.func, *function.args]
        elif isinstance(function, FunctionType):  # flask-cors wraps the handler in a closure
            waiting += closure_of(function)
        elif hasattr(function, "__self__") and function.__name__ == "error_router":
            yield function.__self__


def _handles(api: Any, error: Exception) -> bool:
    """Return whether an API has a handler of the application's for an error."""
    if _package_of(type(api).handle_error) not in _ROUTING_ERRORS:
        return True
    if type(error).__name__ in getattr(api, "errors", {}):
        return True
    of_one = (getattr(one, "error_handlers", {}) for one in (api, *getattr(api, "namespaces", ())))
    kinds = (kind for handlers in of_one for kind in handlers)
    if not isinstance(error, HTTPException):  # as in Flask, ours is more specific than any other
        kinds = (kind for kind in kinds if issubclass(kind, AuthzError))
    return isinstance(error, tuple(kinds))


def _is_default(handler: Any, app: Flask) -> bool:
    """Return whether a handler for all errors is the framework's, with nothing of the user's."""
    package = _package_of(handler)
    if package == "apiflask":  # its handler calls the application's `error_processor`
        package = _package_of(getattr(app, "error_callback", handler))
    return package in _HANDLING_ALL


def _package_of(function: Any) -> str:
    return str(getattr(function, "__module__", "")).partition(".")[0]
