"""Overrides and additions: requirements that count as met, or are asked beside, for a while.

How they are bound. What is pushed lies in a ContextVar, so that threads, greenlets and tasks have
their own; each frame carries the request that it was pushed in and counts in that request alone,
so that nothing outlives it, whatever was forgotten or raised. Outside a request (a command, a
worker) frames last until they are popped.
"""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, ClassVar, Generic, NamedTuple, TypeGuard, TypeVar

from flask import Request, has_request_context
from werkzeug.local import LocalProxy

from .._context import get_request
from ..errors import MisuseError
from ..policy.requirements import And, Requirement, as_requirement

Self = TypeVar("Self", bound="RequirementBag")


class RequirementBag:
    """A mutable collection of requirements, each once, in the order in which they were added.

    `+` and `-` make a new one, `+=` and `-=` change this one. Strings and functions are taken
    for the requirements that they stand for.
    """

    def __init__(self, *requirements: Any) -> None:
        self._held: dict[Any, None] = dict.fromkeys(map(self._read, requirements))

    @staticmethod
    def _read(value: Any) -> Any:
        return as_requirement(value)

    def add(self, requirement: Any, *requirements: Any) -> None:
        """Add one requirement or several."""
        self._held.update(dict.fromkeys(map(self._read, (requirement, *requirements))))
        _remember_caller()

    def remove(self, requirement: Any, *requirements: Any) -> None:
        """Remove one requirement or several; one that is not held is ignored."""
        for each in (requirement, *requirements):
            self._held.pop(self._read(each), None)

    def __contains__(self, requirement: object) -> bool:
        return self._read(requirement) in self._held

    def __iter__(self) -> Iterator[Any]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __add__(self: Self, other: object) -> Self:
        if not self._is_like(other):
            return NotImplemented
        return type(self)(*self, *other)

    def __iadd__(self: Self, other: object) -> Self:
        if not self._is_like(other):
            return NotImplemented
        if other:
            self.add(*other)
        return self

    def __sub__(self: Self, other: object) -> Self:
        if not self._is_like(other):
            return NotImplemented
        return type(self)(*(held for held in self if held not in other))

    def __isub__(self: Self, other: object) -> Self:
        if not self._is_like(other):
            return NotImplemented
        if other:
            self.remove(*other)
        return self

    def __eq__(self, other: object) -> bool:
        if not self._is_like(other):
            return NotImplemented
        return len(self) == len(other) and all(held in other for held in self)

    def _is_like(self, other: object) -> TypeGuard[RequirementBag]:
        """Whether both are overrides, or both additions; one may be of a class derived from it."""
        if not isinstance(other, RequirementBag):
            return False
        return isinstance(other, type(self)) or isinstance(self, other.__class__)

    __hash__ = None  # type: ignore[assignment] # it can be changed

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._held))})"


class Override(RequirementBag):
    """Requirements that count as met, wherever they stand in a guard's tree."""

    def is_overridden(self, requirement: Any) -> bool:
        """Whether the requirement counts as met; also `requirement in override`."""
        return requirement in self


class Additional(RequirementBag):
    """Requirements that every guard asks beside its own; one that it asks already runs once."""

    def is_added(self, requirement: Any) -> bool:
        """Whether the requirement is asked; also `requirement in additional`."""
        return requirement in self


Bag = TypeVar("Bag", bound=RequirementBag)


class _Frame(NamedTuple):
    place: weakref.ref[Request] | None
    manager: Any
    bag: Any


_NO_FRAMES: tuple[_Frame, ...] = ()
_overrides = ContextVar("jwt_authz_overrides", default=_NO_FRAMES)
_additions = ContextVar("jwt_authz_additions", default=_NO_FRAMES)


class InUse:
    """Whether anything was ever pushed in this process, and where; guards look here first."""

    anything = False
    pushed_at: ClassVar[set[str]] = set()


class Manager(Generic[Bag]):
    """Pushes and pops what counts from here on, in this request or else in this context."""

    def __init__(self, frames: ContextVar[tuple[_Frame, ...]], kind: type[Bag]) -> None:
        self._frames = frames
        self._kind = kind

    def push(self, bag: Bag, use_parent: bool = False) -> None:
        """Let `bag` count from now on, in place of what counted, or with `use_parent` beside it.

        Raises `MisuseError` for an override where an addition belongs, and the other way round.
        """
        if not isinstance(bag, self._kind):
            kind = self._kind.__name__
            raise MisuseError(f"{type(self).__name__} pushes {kind}(...), not {bag!r}")
        current = self.current
        if use_parent and current is not None:
            bag = current + bag
        place = _place()
        made_for = None if place is None else weakref.ref(place)
        kept = (frame for frame in self._frames.get() if not _has_ended(frame))
        self._frames.set((*kept, _Frame(made_for, self, bag)))
        InUse.anything = True
        if bag:
            _remember_caller()

    def pop(self) -> None:
        """End what was pushed last; raises `MisuseError` if that is not this manager's."""
        last = self._last()
        if last is None:
            raise MisuseError("nothing is pushed here: pop() once for each push()")
        if last.manager is not self:
            raise MisuseError("another manager pushed this: pop it by the manager that pushed it")
        self.drop()

    def drop(self) -> Any:
        """End what was pushed last; return its manager, None if nothing was pushed."""
        last = self._last()
        if last is None:
            return None
        self._frames.set(tuple(frame for frame in self._frames.get() if frame is not last))
        return last.manager

    @property
    def current(self) -> Bag | None:
        """What counts now, None where nothing was pushed."""
        last = self._last()
        return None if last is None else last.bag

    def _last(self) -> _Frame | None:
        frames = self._frames.get()
        if not frames:
            return None
        place = _place()
        return next((frame for frame in reversed(frames) if _holds(frame, place)), None)

    @contextmanager
    def _pushed(self, bag: Bag, use_parent: bool) -> Iterator[Bag]:
        self.push(bag, use_parent)
        mine = self._frames.get()[-1]
        try:
            yield mine.bag
        finally:  # which may run in another context, where a generator is closed, say
            frames = self._frames.get()
            until = next((n for n, frame in enumerate(frames) if frame is mine), len(frames))
            self._frames.set(frames[:until])


class OverrideManager(Manager[Override]):
    """Pushes and pops overrides."""

    def __init__(self) -> None:
        super().__init__(_overrides, Override)

    def override(
        self, override: Override, use_parent: bool = False
    ) -> AbstractContextManager[Override]:
        """Let an override count inside a `with` block, whatever is raised in it; yields it."""
        return self._pushed(override, use_parent)


class AdditionalManager(Manager[Additional]):
    """Pushes and pops additions."""

    def __init__(self) -> None:
        super().__init__(_additions, Additional)

    def additional(
        self, additional: Additional, use_parent: bool = False
    ) -> AbstractContextManager[Additional]:
        """Ask an addition inside a `with` block, whatever is raised in it; yields it."""
        return self._pushed(additional, use_parent)


overrides = OverrideManager()
additions = AdditionalManager()

current_overrides: Any = LocalProxy(lambda: overrides.current)
current_additions: Any = LocalProxy(lambda: additions.current)


def applied(
    requirement: Requirement, read: Callable[[Any], Requirement] = as_requirement
) -> tuple[Requirement, Any]:
    """A guard's requirement with the additions of now, and the requirements that count as met.

    `read` makes a requirement of what was added.
    """
    added = additions.current
    if added:
        asked = requirement.parts if isinstance(requirement, And) else (requirement,)
        wanted = map(read, added)
        requirement = And(*(each for each in wanted if each not in asked), requirement)
    return requirement, overrides.current or ()


def _place() -> Request | None:
    return get_request() if has_request_context() else None


def _holds(frame: _Frame, place: Request | None) -> bool:
    if place is None or frame.place is None:
        return place is None and frame.place is None
    return frame.place() is place


def _has_ended(frame: _Frame) -> bool:
    """Whether the request is gone; that of a view which makes another one is not."""
    return frame.place is not None and frame.place() is None


def _remember_caller() -> None:
    """Where something was pushed or added, for `check()` to tell: the line outside this library."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _PASSED_THROUGH.match(_module_of(frame)):
        frame = frame.f_back
    if len(InUse.pushed_at) < 1_000:
        InUse.pushed_at.add(f"{_module_of(frame)}, line {frame.f_lineno}")


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


_PASSED_THROUGH = re.compile(r"(jwt_authz(\..*)?|contextlib|werkzeug\.local)$")
