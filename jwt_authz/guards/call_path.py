"""Call path: the functions that a call of a view goes through, and the guards on them.

How it works. Decorators are followed by `__wrapped__`, partial functions, bound methods and
callable objects by what they call, and classes by their `dispatch_request`: to the method of the
class that answers, with the `method_decorators` of Flask-RESTful and Flask-RESTX around it. Where
a path cannot be followed although guards are near, the path is `unclear`: who may call is unknown.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from flask.views import MethodView
from werkzeug.local import LocalProxy

GUARDS = "__jwt_authz_guards__"  # on a wrapped view: the guards around it, outermost first
_LONGEST = 100
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class CallPath:
    """The outermost functions of a call, each with its place, and what they end in.

    Each of the `functions` calls the next one, through its decorators. `handler` is the function
    that the decorators of the last one are around. `unclear` says why guards may be asked that
    are not seen; it is empty if there are none.
    """

    functions: tuple[tuple[str, Any], ...]
    handler: Any
    unclear: str = ""

    def guards(self) -> Iterator[tuple[str, Any]]:
        """Yield the guards in the order in which they are asked, each with its place."""
        for place, function in self.functions:
            for guard in guards_on(function):
                yield place, guard


def call_path(view: Any, method: str) -> CallPath:
    """Return the path of a call of a view by an HTTP method."""
    view_class = class_of(view)
    if view_class is None:
        return _path((*_hooks_of(view), ("view", view)))
    functions: list[tuple[str, Any]] = [("class", view)]
    for dispatch in _dispatchers(view_class):
        functions.append(("class", dispatch))
        called = _called_by(view_class, innermost(dispatch))
        if called is _BY_METHOD:
            return _path_by_method(tuple(functions), view_class, method)
        if called is not _NEXT:
            if len(called) == 1:
                functions.append(("method", getattr(view_class, called[0])))
            return _path(tuple(functions), _unclear_methods(view_class, called))
    return _path(tuple(functions))


def _path_by_method(
    functions: tuple[tuple[str, Any], ...], view_class: type, method: str
) -> CallPath:
    handler = method_of(view_class, method)
    if handler is None:  # Flask answers OPTIONS
        return _path(functions)
    decorated = _decorated(view_class, handler, method)
    if decorated is None:
        return _path(functions, f"{view_class.__name__}.method_decorators cannot be applied")
    return _path((*functions, ("method", decorated)))


def class_of(view: Any) -> type | None:
    """Return the class of a view, if Flask made the view of one."""
    for function in followed(view):
        found = getattr(function, "view_class", None)
        if isinstance(found, type):
            return found
    return None


def owner_of(view: Any) -> type | None:
    """Return the class that a view is a part of, also that of Flask-Classful."""
    instance = _instance_of(view)
    return class_of(view) if instance is None else type(instance)


def method_of(view_class: type | None, method: str) -> Any:
    """Return the method of a class for an HTTP method; `get` answers HEAD where no `head` does."""
    if view_class is None or not is_dispatched_by_method(view_class):
        return None
    handler = getattr(view_class, method.lower(), None)
    if handler is None and method == "HEAD":
        handler = getattr(view_class, "get", None)
    return handler


def is_dispatched_by_method(view_class: type) -> bool:
    """Return whether the `get`, `post` ... of a class are called at all."""
    for dispatch in _dispatchers(view_class):
        called = _called_by(view_class, innermost(dispatch))
        if called is not _NEXT:
            return called is _BY_METHOD
    return False


def followed(function: Any) -> Iterator[Any]:
    """Yield a function and those that it calls, as far as decorators say: outermost first."""
    for _ in range(_LONGEST):
        if function is None:
            return
        yield function
        if is_object(function):
            branches = branches_of(function)
            yield from followed(_call_of(function))
            function = branches[0] if len(branches) == 1 else None
        else:
            function = _below(function)


def innermost(function: Any) -> Any:
    """Return the function below all decorators."""
    return list(followed(function))[-1] if function is not None else None


def guards_on(function: Any) -> tuple[Any, ...]:
    """Return the guards around a function, outermost first."""
    found: tuple[Any, ...] = ()
    for each in followed(function):
        own = getattr(each, GUARDS, ())
        if own and found[-len(own) :] != own:  # decorators copy what they find
            found += own
    return found


def is_object(function: Any) -> bool:
    """Return whether what is called is an object with a `__call__` of its own."""
    is_function = isinstance(function, FunctionType | MethodType | partial | type)
    is_decorator = getattr(function, "__wrapped__", None) is not None
    return not (is_function or is_decorator or inspect.isroutine(function))


def branches_of(callable_object: Any) -> list[Any]:
    """Return the attributes that an object may call, such as a view that is imported lazily."""
    call = innermost(_call_of(callable_object))
    found = []
    for name in dict.fromkeys(names_in(getattr(call, "__code__", None))):
        try:
            found.append(getattr(callable_object, name, None))
        except Exception:  # its module cannot be imported
            found.append(_MISSING)
    return [one for one in found if callable(one) or one is _MISSING]


def _call_of(callable_object: Any) -> Any:
    return vars(type(callable_object)).get("__call__") or type(callable_object).__call__


def _path(functions: tuple[tuple[str, Any], ...], unclear: str = "") -> CallPath:
    return CallPath(functions, innermost(functions[-1][1]), unclear)


def _below(function: Any) -> Any:
    """Return what a function calls, if it is a decorator."""
    if isinstance(function, partial):
        return function.func
    wrapped = getattr(function, "__wrapped__", None)
    return getattr(function, "__func__", None) if wrapped is None else wrapped


# --- classes -------------------------------------------------------------------------------------

_BY_METHOD, _NEXT = ("<method>",), ("<next>",)
"""What a `dispatch_request` calls: the method of the class, or that of the next base class."""


def _instance_of(view: Any) -> Any:
    """Return the `FlaskView` of Flask-Classful that a view calls, None for other views."""
    return next((vars(one)["class_"] for one in followed(view) if _has_instance(one)), None)


def _has_instance(function: Any) -> bool:
    return isinstance(function, FunctionType) and "class_" in vars(function)


def _hooks_of(view: Any) -> Iterator[tuple[str, Any]]:
    """Yield what Flask-Classful calls before a view: `before_request` and `before_index`."""
    instance = _instance_of(view)
    names = {"before_request": "class", f"before_{getattr(view, '__name__', '')}": "method"}
    for name, place in names.items():
        hook = getattr(instance, name, None)
        if hook is not None:
            yield place, hook


def _dispatchers(view_class: type) -> Iterator[Any]:
    """Yield the `dispatch_request` of a class and of its bases, most derived first."""
    for kind in view_class.__mro__:
        if "dispatch_request" in vars(kind):
            yield vars(kind)["dispatch_request"]


def _called_by(view_class: type, dispatch: Any) -> tuple[str, ...]:
    """Return what a `dispatch_request` calls: one of the marks above, or names of methods."""
    if dispatch is MethodView.dispatch_request:
        return _BY_METHOD
    names = set(names_in(getattr(dispatch, "__code__", None)))
    if "dispatch_request" in names:
        return _NEXT
    if {"getattr", "method"} <= names:
        return _BY_METHOD
    return tuple(sorted(n for n in names if inspect.isfunction(getattr(view_class, n, None))))


def _unclear_methods(view_class: type, called: tuple[str, ...]) -> str:
    """Return why it is unknown which methods a `dispatch_request` calls, if guards are on any."""
    if len(called) == 1:
        return ""
    guarded = [name for name, one in inspect.getmembers(view_class, callable) if guards_on(one)]
    if not set(guarded) - {"dispatch_request"}:
        return ""
    return f"{view_class.__name__}.dispatch_request decides which of its methods it calls"


def _decorated(view_class: type, handler: Any, method: str) -> Any:
    """Return the method of a class with the `method_decorators` around it; None if they fail."""
    decorators: Any = getattr(view_class, "method_decorators", ())
    if handler is None or not any(_uses_decorators(one) for one in _dispatchers(view_class)):
        return handler
    if isinstance(decorators, Mapping):
        decorators = decorators.get(method.lower(), ())
    try:
        for decorator in decorators:
            handler = decorator(handler)
    except Exception:
        return None
    return handler


def _uses_decorators(dispatch: Any) -> bool:
    return "method_decorators" in names_in(getattr(innermost(dispatch), "__code__", None))


def names_in(code: CodeType | None) -> Iterator[str]:
    """Yield the names of globals and attributes in a code object and those inside it."""
    if code is None:
        return
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def closure_of(function: FunctionType) -> list[Any]:
    """Return the values of the outer variables that a function uses, without proxies."""
    found = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # not assigned yet
            found.append(cell.cell_contents)
    return [one for one in found if not is_proxy(one)]


def is_proxy(value: object) -> bool:
    """Return whether a value is a proxy such as `current_identity`.

    `isinstance(value, FunctionType)` would look up what it stands for, and so authenticate.
    """
    return issubclass(type(value), LocalProxy)
