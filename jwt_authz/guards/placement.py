"""Places: which guards and exemptions stand on an endpoint, read from marks on views."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from flask import Blueprint, Flask, request
from flask.views import MethodView
from flask.views import View as FlaskView

from .._context import get_app, get_request
from ..application import KEY, AppState, current_state
from ..errors import MisuseError

GUARDS = "__jwt_authz_guards__"  # on a wrapped view: the guards around it, outermost first
WRAPPED = "__jwt_authz_wrapped__"  # on the bare view inside: that a guard was put around it
EXEMPT = "__jwt_authz_exempt__"  # on a view, class, method or blueprint
_LRUCache = type(lru_cache(lambda: None))
PAGES = "__jwt_authz_pages__"  # on a view or blueprint: it answers people and not clients


def exempt(what: Any, app: Flask | None = None) -> Any:
    """Let everyone call a view that a blueprint, the application or the default would guard.

    Use it as a decorator, or call it. `what` is a view, a class, one of its methods, a blueprint,
    or the name of an endpoint (with `app`, or inside its context). It never removes a `requires`
    from the view itself, and does not reach nested blueprints or subclasses. Return `what`.

    >>> @app.get("/health")
    ... @exempt
    ... def health():
    ...     return "ok"
    >>> app.test_client().get("/health").status_code
    200
    """
    if isinstance(what, str):
        state = current_state() if app is None else app.extensions.get(KEY)
        if state is None:
            raise MisuseError("the application has no Authz yet: write Authz(app) before exempt")
        state.exempt_endpoints.add(what)
        state.exemptions.clear()
        return what
    if isinstance(what, Flask) or not (callable(what) or isinstance(what, Blueprint)):
        raise MisuseError(f"exempt takes a view, class, method, blueprint or name, not {what!r}")
    if not mark(what, EXEMPT):
        raise MisuseError(f"{what!r} cannot be marked: write exempt('its.endpoint', app)")
    return what


def passes_unguarded(state: AppState) -> bool:
    """Whether blueprint, application and default guards let the current request pass unasked."""
    rule = request.url_rule
    if rule is None or request.routing_exception is not None:
        return True
    if request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return True
    place = (rule.endpoint, request.method)
    passes = state.exemptions.get(place)
    if passes is None:
        app = get_app()
        passes = is_static(app, rule.endpoint) or is_exempt(app, *place)
        state.exemptions[place] = passes
    return passes


def is_static(app: Flask, endpoint: str) -> bool:
    """Whether the endpoint is Flask's own for static files, of the application or a blueprint."""
    name, _, last = endpoint.rpartition(".")
    if last != "static":
        return False
    scaffold: Any = app.blueprints.get(name) if name else app
    return scaffold is not None and bool(scaffold.has_static_folder)


def is_exempt(app: Flask, endpoint: str, method: str) -> bool:
    """Whether `exempt` was said of the endpoint, its blueprint, class, view or method."""
    state: AppState = app.extensions[KEY]
    view = app.view_functions.get(endpoint)
    view_class = getattr(view, "view_class", None)
    blueprint = app.blueprints.get(endpoint.rpartition(".")[0])
    return (
        endpoint in state.exempt_endpoints
        or getattr(blueprint, EXEMPT, False)
        or getattr(view, EXEMPT, False)
        or (view_class is not None and EXEMPT in vars(view_class))
        or getattr(method_of(view_class, method), EXEMPT, False)
    )


def is_page(app: Flask, endpoint: str) -> bool:
    """Whether an endpoint, or the blueprint that it is in, answers with pages for people."""
    blueprint = app.blueprints.get(endpoint.rpartition(".")[0])
    return any(getattr(one, PAGES, False) for one in (app.view_functions.get(endpoint), blueprint))


def guards_of(app: Flask, endpoint: str, method: str) -> list[Any]:
    """The guards that a call of this endpoint and method meets, in the order in which it does."""
    return [guard for _, guard in placed_guards(app, endpoint, method)]


def placed_guards(app: Flask, endpoint: str, method: str) -> Iterator[tuple[str, Any]]:
    """Those guards, and where each stands: `application`, `blueprint ...`, `view`, `class`,
    `method`."""
    view = app.view_functions.get(endpoint)
    if not is_exempt(app, endpoint, method):
        for name in (None, *_blueprint_names(endpoint)):
            for function in app.before_request_funcs.get(name, ()):
                for guard in getattr(function, GUARDS, ()):
                    yield "application" if name is None else f"blueprint {name}", guard
    view_class = getattr(view, "view_class", None)
    handlers = {
        "view" if view_class is None else "class": (
            view,
            getattr(view_class, "dispatch_request", None),
        ),
        "method": (method_of(view_class, method),),
    }
    for place, functions in handlers.items():
        for function in functions:
            for guard in getattr(function, GUARDS, ()):
                yield place, guard


def has_cache_above_guard(view: Any, method: str) -> bool:
    """Return whether a cache stands above a guard on the view, its class or its method.

    Such a cache (`cached` and `memoize` of Flask-Caching, `functools.lru_cache`) gives what one
    caller was answered to all who come after, without asking the guard.
    """
    view_class = getattr(view, "view_class", None)
    dispatch = getattr(view_class, "dispatch_request", None)
    functions = (view, dispatch, method_of(view_class, method))  # each calls the next
    return any(
        getattr(below, GUARDS, ())
        for number, function in enumerate(functions, 1)
        for cached in _cached_functions(function)
        for below in (cached, *functions[number:])
    )


def _cached_functions(function: Any) -> Iterator[Any]:
    """What the caches around a function call where they have no answer, outermost first."""
    while (below := getattr(function, "__wrapped__", None)) is not None:
        if isinstance(function, _LRUCache) or getattr(function, "uncached", None) is below:
            yield below
        function = below


def left_out_guard(view: Any, method: str) -> tuple[str, str] | None:
    """What of a view's class overrides a guarded part of a parent without a guard, and that part.

    As `("Child.get", "Parent.get")`; None where nothing is lost, or something was said instead.
    """
    view_class = getattr(view, "view_class", None)
    if view_class is None or EXEMPT in vars(view_class):
        return None
    handler = method_of(view_class, method)
    names = ["dispatch_request"]
    if handler is not None:
        names.append("get" if handler is getattr(view_class, "get", None) else method.lower())
    if not any(getattr(function, GUARDS, ()) for function in (view, handler)):
        names.append("decorators")
    for name in names:
        of, *parents = (kind for kind in view_class.__mro__ if name in vars(kind))
        if not (_is_guarded(vars(of)[name]) or getattr(handler, EXEMPT, False)):
            for parent in parents:
                if _is_guarded(vars(parent)[name]):
                    return f"{of.__name__}.{name}", f"{parent.__name__}.{name}"
    return None


def _is_guarded(part: Any) -> bool:
    """Whether a guard stands on a function, or in a list of decorators."""
    if isinstance(part, list | tuple):
        return any(getattr(getattr(d, "__self__", d), "is_guard", False) for d in part)
    return bool(getattr(part, GUARDS, ()))


def method_of(view_class: type | None, method: str) -> Any:
    """The function of a class that answers a method; `get` answers HEAD where no `head` does."""
    if not _is_dispatched_by_method(view_class):
        return None
    handler = getattr(view_class, method.lower(), None)
    if handler is None and method == "HEAD":
        handler = getattr(view_class, "get", None)
    return handler


def _is_dispatched_by_method(view_class: type | None) -> bool:
    """Whether Flask calls the class's `get`, `post` ... at all."""
    dispatch: Any = getattr(view_class, "dispatch_request", None)
    while hasattr(dispatch, "__wrapped__"):  # a guard may stand around it
        dispatch = dispatch.__wrapped__
    return dispatch is MethodView.dispatch_request


def _blueprint_names(endpoint: str) -> list[str]:
    names = endpoint.split(".")[:-1]
    return [".".join(names[: length + 1]) for length in range(len(names))]


def mark(target: Any, name: str) -> bool:
    try:
        setattr(target, name, True)
    except (AttributeError, TypeError):
        return False
    return True


def view_has_head(app: Flask) -> bool:
    """Whether the view being called is a class with a `head` of its own."""
    view = app.view_functions.get(get_request().endpoint or "")
    return hasattr(getattr(view, "view_class", None), "head")


def without_self(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """A method's arguments without its view object: what the URL gave, as for a function."""
    return arguments[1:] if arguments and isinstance(arguments[0], FlaskView) else arguments
