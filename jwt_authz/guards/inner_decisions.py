"""Inner decisions: whether a view may refuse callers by code that no guard shows.

How it works. The code of a function is searched for the names of what refuses: `authorize`, a
`with requires(...)`, another guarded function, `verify_jwt_in_request`. Functions of the same
module that it calls are searched as well. Nothing is run, so what is found may refuse, or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from werkzeug.local import LocalProxy

from .call_path import CallPath, branches_of, closure_of, followed, guards_on, is_object, names_in

_REFUSING = frozenset({"authorize", "requires", "verify_jwt_in_request"})
_ASKING = frozenset({"allowed"})
_PACKAGES = ("jwt_authz", "flask_jwt_extended")
_LOGIN_DECORATORS = ("flask_jwt_extended", "flask_login", "flask_httpauth")
_REFUSALS = frozenset({401, 403, 404})
_DEEPEST = 3


def inner_decision(path: CallPath) -> str:
    """Return what may refuse a call beside the guards that are seen; empty if nothing is found."""
    if path.unclear:
        return path.unclear
    has_guards = any(True for _ in path.guards())
    for _, function in path.functions:
        found = _near(function) or ("" if has_guards else _log_in(function))
        if found:
            return found
    if not isinstance(path.handler, FunctionType) or _package_of(path.handler) == "jwt_authz":
        return ""  # the blueprints of this package say what they ask for
    return _decides(path.handler, _DEEPEST)


def _near(function: Any) -> str:
    """Return which decorator or object hides a guard."""
    for each in followed(function):
        if is_object(each) and any(map(guards_on, branches_of(each))) and not guards_on(each):
            return f"{type(each).__name__} decides what it calls"
    chain = list(followed(function))
    last = chain[-1]
    if not isinstance(last, FunctionType):
        return f"{_name(chain[0])} cannot be followed"
    contents = _contents(closure_of(last))
    others = [one for one in contents if not any(one is each for each in chain)]
    if any(guards_on(one) for one in others if callable(one) and not isinstance(one, type)):
        return f"{last.__qualname__} hides what it calls"
    return ""


def _log_in(function: Any) -> str:
    """Return which decorator of another library asks for a log-in."""
    for each in followed(function):
        package = _package_of(each)
        if package in _LOGIN_DECORATORS:
            return f"decided by a decorator of {package}"
    return ""


def _contents(closure: Iterable[Any]) -> Iterator[Any]:
    """Yield what a closure holds, and what its lists and mappings hold."""
    for content in closure:
        if isinstance(content, dict):
            yield from content.values()
        elif isinstance(content, list | tuple | set):
            yield from content
        else:
            yield content


def _decides(function: FunctionType, depth: int) -> str:
    """Return what in the body of a function may refuse."""
    names = set(names_in(function.__code__))
    for name in names & function.__globals__.keys():
        found = function.__globals__[name]
        if type(found) is LocalProxy:  # which may stand for nothing here
            continue
        if isinstance(found, ModuleType):
            if found.__name__.partition(".")[0] in _PACKAGES and names & _REFUSING:
                return f"decided in {function.__qualname__}"
        elif _refuses(found) or (_is_ours(found, _ASKING) and _may_refuse(function.__code__)):
            return f"decided in {function.__qualname__}"
        elif isinstance(found, FunctionType) and depth and found is not function:
            is_near = found.__globals__ is function.__globals__
            inner = _decides(found, depth - 1) if is_near else ""
            if inner:
                return inner
    return ""


def _refuses(found: Any) -> bool:
    """Return whether a global refuses when it is called or entered."""
    if isinstance(found, type):
        return False
    return (
        _is_ours(found, _REFUSING)
        or getattr(found, "is_guard", False) is True
        or (callable(found) and isinstance(found, FunctionType) and bool(guards_on(found)))
    )


def _is_ours(found: Any, names: frozenset[str]) -> bool:
    package = str(getattr(found, "__module__", "")).partition(".")[0]
    return package in _PACKAGES and getattr(found, "__name__", "") in names


def _may_refuse(code: CodeType) -> bool:
    """Return whether code raises an HTTP error, or names the status of a refusal."""
    constants = {one for one in code.co_consts if isinstance(one, int)}
    return "abort" in names_in(code) or bool(constants & _REFUSALS)


def _package_of(function: Any) -> str:
    """Return the package in which a function, and not what it wraps, is defined."""
    return str(getattr(function, "__globals__", {}).get("__name__", "")).partition(".")[0]


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
