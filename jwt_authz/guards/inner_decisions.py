"""Inner decisions: whether a call may be refused by code that no guard shows.

How it works. The code of the functions that a call goes through is searched for the names of what
refuses: `authorize`, a `with requires(...)`, another guarded function, `verify_jwt_in_request`.
The application's functions and methods that they name are searched as well. Nothing is run, so
what is found may refuse, or not.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterable, Iterator
from dis import Instruction, get_instructions
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from flask import Flask

from .call_path import (
    CallPath,
    branches_of,
    closure_of,
    followed,
    guards_on,
    is_object,
    is_proxy,
    names_in,
    owner_of,
)

_REFUSING = frozenset({"authorize", "requires", "verify_jwt_in_request"})
_ASKING = frozenset({"allowed"})
_PACKAGES = ("jwt_authz", "flask_jwt_extended")
_LOGIN_DECORATORS = ("flask_jwt_extended", "flask_login", "flask_httpauth")
_REFUSALS = frozenset({401, 403, 404})
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_STANDARD = sysconfig.get_path("stdlib")
_DEEPEST = 3


def inner_decision(app: Flask, endpoint: str, path: CallPath) -> str:
    """Return what may refuse a call beside the guards that are seen; empty if nothing is found."""
    if path.unclear:
        return path.unclear
    has_guards = any(True for _ in path.guards())
    for _, function in path.functions:
        found = _near(function) or ("" if has_guards else _log_in(function))
        if found:
            return found
    owner = owner_of(path.functions[-1][1]) or owner_of(path.functions[0][1])
    called = [each for _, function in path.functions for each in followed(function)]
    seen = {id(each) for each in called}  # a decorator names what it calls
    for function in (*_before_request(app, endpoint), *called):
        seen.discard(id(function))
        found = _decides(function, owner, seen, _DEEPEST)
        if found:
            return found
    return ""


def _before_request(app: Flask, endpoint: str) -> Iterator[Any]:
    """Yield the functions that Flask calls before a request of an endpoint."""
    names = endpoint.split(".")[:-1]
    places = [None, *(".".join(names[: length + 1]) for length in range(len(names)))]
    for place in places:
        yield from app.before_request_funcs.get(place, ())


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


def _decides(function: Any, owner: type | None, seen: set[int], depth: int) -> str:
    """Return what in the body of a function, or of those that it names, may refuse.

    `owner` is the class whose methods it can call.
    """
    if not isinstance(function, FunctionType) or id(function) in seen or depth < 0:
        return ""
    seen.add(id(function))
    if _package_of(function) == "jwt_authz":  # its blueprints say what they ask for
        return ""
    if _imports_refusals(function.__code__):
        return f"decided in {function.__qualname__}"
    for found in _named_by(function, owner):
        if id(found) in seen:
            continue
        if _refuses(found) or (_is_ours(found, _ASKING) and _may_refuse(function.__code__)):
            return f"decided in {function.__qualname__}"
        if isinstance(found, FunctionType) and _is_of_application(found, function):
            inner = _decides(found, owner, seen, depth - 1)
            if inner:
                return inner
    return ""


def _named_by(function: FunctionType, owner: type | None) -> Iterator[Any]:
    """Yield what the names in the code of a function stand for, as far as can be seen."""
    held = function.__globals__
    named = (held[name] for name in dict.fromkeys(names_in(function.__code__)) if name in held)
    yield from (one for one in named if not is_proxy(one))
    yield from closure_of(function)
    first = function.__code__.co_varnames[:1] if _is_method(function) else ()
    for base, name in _attributes(function.__code__):
        if base.opname == "LOAD_GLOBAL":
            holder = held.get(base.argval)
        else:
            holder = owner if (base.argval,) == first else None
        yield from _attribute(holder, name)


def _is_method(function: FunctionType) -> bool:
    """Return whether a function is defined in a class, so that its first argument is `self`."""
    return "." in function.__qualname__.rpartition("<locals>.")[2]


def _attributes(code: CodeType) -> Iterator[tuple[Instruction, str]]:
    """Yield the attributes that code reads: the instruction that loads the object, and the name."""
    before: Instruction | None = None
    for one in get_instructions(code):
        is_loaded = before is not None and before.opname.startswith(("LOAD_FAST", "LOAD_GLOBAL"))
        if is_loaded and one.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            yield before, one.argval  # type: ignore[misc] # it is not None
        before = one
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _attributes(constant)


def _attribute(holder: Any, name: str) -> Iterator[Any]:
    """Yield an attribute of a module, a class or an object, without running any code for it."""
    if holder is None or is_proxy(holder):
        return
    if isinstance(holder, ModuleType):
        kinds: tuple[Any, ...] = (holder,)
    else:
        kinds = holder.__mro__ if isinstance(holder, type) else type(holder).__mro__
    for kind in kinds:
        if name in vars(kind):
            if not is_proxy(vars(kind)[name]):
                yield vars(kind)[name]
            return


def _refuses(found: Any) -> bool:
    """Return whether what a name stands for refuses when it is called or entered."""
    if isinstance(found, type):
        return False
    is_guarded = isinstance(found, FunctionType) and bool(guards_on(found))
    return _is_ours(found, _REFUSING) or is_guarded or getattr(found, "is_guard", False) is True


def _is_ours(found: Any, names: frozenset[str]) -> bool:
    if not isinstance(found, FunctionType):
        return False
    return _package_of(found) in _PACKAGES and found.__name__ in names


def _is_of_application(found: FunctionType, beside: FunctionType) -> bool:
    """Return whether a function is the application's own, and not a library's."""
    file = found.__code__.co_filename
    is_installed = not _INSTALLED.isdisjoint(Path(file).parts) or file.startswith(_STANDARD)
    return not is_installed or _package_of(found) == _package_of(beside)


def _imports_refusals(code: CodeType) -> bool:
    """Return whether code imports what refuses, inside the function."""
    names = set(names_in(code))
    imported = {name.partition(".")[0] for name in names if name.partition(".")[0] in _PACKAGES}
    return bool(imported) and bool(names & _REFUSING)


def _may_refuse(code: CodeType) -> bool:
    """Return whether code raises an HTTP error, or names the status of a refusal."""
    constants = set[Any]()
    for one in code.co_consts:
        constants |= set(one) if isinstance(one, tuple) else {one}
    return "abort" in names_in(code) or bool(constants & _REFUSALS)


def _package_of(function: Any) -> str:
    """Return the package in which a function, and not what it wraps, is defined."""
    return str(getattr(function, "__globals__", {}).get("__name__", "")).partition(".")[0]


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
