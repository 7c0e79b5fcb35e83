"""Placement: find the guards and exemptions of an endpoint, by their marks on views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from flask import Blueprint, Flask, request
from flask.views import View as FlaskView

from .._context import get_app, get_request
from ..application import KEY, AppState, current_state
from ..errors import MisuseError
from .call_path import GUARDS, call_path, class_of, followed, guards_on, method_of, owner_of
from .preflight import guards_above, is_preflight

WRAPPED = "__jwt_authz_wrapped__"  # on a function that a guard wraps
EXEMPT = "__jwt_authz_exempt__"  # on a view, class, method or blueprint
_LRUCache = type(lru_cache(lambda: None))
PAGES = "__jwt_authz_pages__"  # on a view or blueprint that answers with pages for people


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
    """Return whether guards of the blueprint and the application do not apply to this request."""
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
        passes = passes or is_preflight(app, app.view_functions.get(rule.endpoint), request.method)
        state.exemptions[place] = passes
    return passes


def is_static(app: Flask, endpoint: str) -> bool:
    """Return whether Flask serves static files there, of the application or a blueprint."""
    name, _, last = endpoint.rpartition(".")
    if last != "static":
        return False
    scaffold: Any = app.blueprints.get(name) if name else app
    return scaffold is not None and bool(scaffold.has_static_folder)


def is_exempt(app: Flask, endpoint: str, method: str) -> bool:
    """Return whether the endpoint, or its blueprint, class, view or method, is exempt."""
    state: AppState = app.extensions[KEY]
    view = app.view_functions.get(endpoint)
    view_class, owner = class_of(view), owner_of(view)
    blueprint = app.blueprints.get(endpoint.rpartition(".")[0])
    return (
        endpoint in state.exempt_endpoints
        or getattr(blueprint, EXEMPT, False)
        or getattr(view, EXEMPT, False)
        or (owner is not None and EXEMPT in vars(owner))
        or getattr(method_of(view_class, method), EXEMPT, False)
    )


def is_page(app: Flask, endpoint: str) -> bool:
    """Return whether an endpoint, or its blueprint, answers with pages for people."""
    blueprint = app.blueprints.get(endpoint.rpartition(".")[0])
    return any(getattr(one, PAGES, False) for one in (app.view_functions.get(endpoint), blueprint))


def guards_of(app: Flask, endpoint: str, method: str) -> list[Any]:
    """Return the guards of this endpoint and method, in the order of a call."""
    return [guard for _, guard in placed_guards(app, endpoint, method)]


def placed_guards(app: Flask, endpoint: str, method: str) -> Iterator[tuple[str, Any]]:
    """Yield the same guards, each with its place.

    Places are `application`, `blueprint ...`, `view`, `class` and `method`.
    """
    view = app.view_functions.get(endpoint)
    if is_preflight(app, view, method):
        yield from (("view", guard) for guard in guards_above(app, view))
        return
    if not is_exempt(app, endpoint, method):
        for name in (None, *_blueprint_names(endpoint)):
            for function in app.before_request_funcs.get(name, ()):
                for guard in getattr(function, GUARDS, ()):
                    yield "application" if name is None else f"blueprint {name}", guard
    yield from call_path(view, method).guards()


def has_seen_guard(app: Flask, endpoint: str, method: str) -> bool:
    """Return whether a call has a guard, as far as it can be seen; a positive result is cached."""
    view = app.view_functions.get(endpoint)
    seen: dict[tuple[str, str], Any] = app.extensions[KEY].guarded
    if view is None or seen.get((endpoint, method)) is not view:
        if not guards_of(app, endpoint, method):
            return False
        seen[endpoint, method] = view
    return True


def has_cache_above_guard(view: Any, method: str) -> bool:
    """Return whether there is a cache above a guard on the view, its class or its method.

    Such a cache (`cached` and `memoize` of Flask-Caching, `functools.lru_cache`) serves the
    response for one caller to all later callers, without calling the guard.
    """
    functions = [function for _, function in call_path(view, method).functions]
    return any(
        guards_on(below)
        for number, function in enumerate(functions, 1)  # each calls the next
        for cached in _cached_functions(function)
        for below in (cached, *functions[number:])
    )


def _cached_functions(function: Any) -> Iterator[Any]:
    """Yield the functions that caches around a function call on a miss, outermost first."""
    for each in followed(function):
        below = getattr(each, "__wrapped__", None)
        is_cache = isinstance(each, _LRUCache) or getattr(each, "uncached", each) is below
        if below is not None and is_cache:
            yield below


def left_out_guard(view: Any, method: str) -> tuple[str, str] | None:
    """Return what overrides a guarded part of a parent class without a guard, and that part.

    For example `("Child.get", "Parent.get")`; None if no guard is lost or the view is exempt.
    """
    view_class = class_of(view)
    if view_class is None or EXEMPT in vars(view_class):
        return None
    handler = method_of(view_class, method)
    names = ["dispatch_request"]
    if handler is not None:
        names.append("get" if handler is getattr(view_class, "get", None) else method.lower())
    if not any(True for _ in call_path(view, method).guards()):
        names += ["decorators", "method_decorators"]
    for name in names:
        holders = [kind for kind in view_class.__mro__ if name in vars(kind)]
        if not holders:
            continue
        of, *parents = holders
        if not (_is_guarded(vars(of)[name]) or getattr(handler, EXEMPT, False)):
            for parent in parents:
                if _is_guarded(vars(parent)[name]):
                    return f"{of.__name__}.{name}", f"{parent.__name__}.{name}"
    return None


def _is_guarded(part: Any) -> bool:
    """Return whether a function, or a list of decorators, has a guard."""
    if isinstance(part, Mapping):
        part = [decorator for decorators in part.values() for decorator in decorators]
    if isinstance(part, list | tuple):
        return any(getattr(getattr(d, "__self__", d), "is_guard", False) for d in part)
    return bool(guards_on(part))


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
    """Return whether the view of this request is a class with its own `head`."""
    view = app.view_functions.get(get_request().endpoint or "")
    return hasattr(class_of(view), "head")


def without_self(arguments: tuple[Any, ...], function: Any = None) -> tuple[Any, ...]:
    """Return a view's arguments without `self`: those from the URL, as for a function.

    `function` is what the guard wraps; if it is a method, its first argument is `self`.
    """
    if not arguments:
        return arguments
    first = arguments[0]
    if isinstance(first, FlaskView) or (function is not None and _is_method_of(function, first)):
        return arguments[1:]
    return arguments


def _is_method_of(function: Any, first: Any) -> bool:
    """Return whether a function is a method of its first argument, by where it was defined.

    A function that was assigned in a class is one if the class is a view of Flask-Classful.
    """
    names = getattr(function, "__qualname__", "").rpartition(".")
    kinds = first.__mro__ if isinstance(first, type) else type(first).__mro__
    return any(
        (kind.__qualname__ == names[0] and kind.__module__ == function.__module__)
        or kind.__module__ == "flask_classful"
        for kind in kinds
    )
