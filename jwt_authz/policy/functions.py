"""Requirement functions: their parameters, and how their errors are logged."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..errors import MisuseError


class _Nothing:
    def __repr__(self) -> str:
        return "NO_RESOURCE"


NO_RESOURCE: Any = _Nothing()
"""Stands for "no resource was given". None cannot: it may be a resource."""


class Undecided(MisuseError):
    """One of our own requirements cannot be evaluated; the message quotes nothing of a token."""


class Parameters:
    """What a function takes: an identity, and a resource never, optionally or always."""

    __slots__ = ("name", "needed", "resource")

    def __init__(self, name: str, resource: bool, needed: bool) -> None:
        self.name, self.resource, self.needed = name, resource, needed

    @classmethod
    def read(cls, predicate: Callable[..., Any], name: str, skip: int = 0) -> Parameters:
        """Return the parameters of a function; read once, when the requirement is built.

        Raises `MisuseError` for an async function, and for one with other parameters than an
        identity and a resource.
        """
        if is_async(predicate):
            raise MisuseError(
                f"{name} is async, but a requirement must be a plain function: load what it needs "
                "in the view or with on=..., and write def instead of async def"
            )
        try:
            parameters = list(_signature(predicate).parameters.values())[skip:]
        except (TypeError, ValueError):  # a builtin without a signature
            return cls(name, resource=False, needed=False)
        places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        many = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        unfilled = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
        needed = [p for p in places if p.default is p.empty]
        if (not places and not many) or len(needed) > 2 or unfilled:
            raise MisuseError(
                f"{name} takes {inspect.signature(predicate)}, expected (identity) or (identity, "
                "resource); to guard a view, write @requires() above it"
            )
        return cls(name, resource=len(places) > 1 or many, needed=len(needed) == 2)

    def call(self, predicate: Callable[..., Any], identity: Any, on: Any) -> Any:
        if not self.resource:
            return predicate(identity)
        if on is not NO_RESOURCE:
            return predicate(identity, on)
        if self.needed:
            raise Undecided(f"{self.name} needs a resource, but none was given: write on=...")
        return predicate(identity)


def _signature(predicate: Callable[..., Any]) -> inspect.Signature:
    """Return a wrapper's own signature, unless it passes on `*args`: then the wrapped one."""
    own = inspect.signature(predicate, follow_wrapped=False)
    passes_on = any(p.kind is p.VAR_POSITIONAL for p in own.parameters.values())
    return inspect.signature(predicate) if passes_on else own


def is_async(predicate: Callable[..., Any]) -> bool:
    while isinstance(predicate, functools.partial):
        predicate = predicate.func
    functions = [inspect.unwrap(predicate), type(predicate).__call__]
    return any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in functions)


_LIBRARY = __name__.partition(".")[0]


def _is_ours(frame: FrameType) -> bool:
    package = frame.f_globals.get("__package__") or ""
    return package.partition(".")[0] == _LIBRARY


def describe_error(error: Exception) -> str:
    """Return what the log may contain of an exception: its type and place.

    Its text may contain a claim's value, and is left out unless it is our own.
    """
    if isinstance(error, Undecided):
        return str(error)
    trace, last = error.__traceback__, None
    while trace is not None:
        if last is None or not _is_ours(trace.tb_frame):
            last = trace  # the innermost frame outside this library
        trace = trace.tb_next
    if last is None:
        return type(error).__name__
    code = last.tb_frame.f_code
    file = code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{type(error).__name__} in {code.co_name} ({file}, line {last.tb_lineno})"
