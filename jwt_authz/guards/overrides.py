"""Overrides and additions: requirements that temporarily count as met, or apply to every guard.

How it works. They are in a ContextVar, so that threads, greenlets and tasks each have their own.
Each frame has the request that it was pushed in and only applies in that request, so it ends with
it, even if it was never popped. Outside requests (in commands and workers), frames last until they
are popped.
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
    """A mutable, ordered set of requirements.

    `+` and `-` return a new one, `+=` and `-=` change this one. Strings and functions are converted
    to requirements.
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
        """Remove one requirement or several; missing ones are ignored."""
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
        """Return whether both are overrides or both additions; one may be of a subclass."""
        if not isinstance(other, RequirementBag):
            return False
        return isinstance(other, type(self)) or isinstance(self, other.__class__)

    __hash__ = None  # type: ignore[assignment] # it can be changed

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._held))})"


class Override(RequirementBag):
    """Requirements that count as met, anywhere in a guard's tree."""

    def is_overridden(self, requirement: Any) -> bool:
        """Return whether the requirement counts as met; the same as `requirement in override`."""
        return requirement in self


class Additional(RequirementBag):
    """Requirements that every guard requires in addition to its own; none is evaluated twice."""

    def is_added(self, requirement: Any) -> bool:
        """Return whether the requirement applies; the same as `requirement in additional`."""
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
    """Whether anything was ever pushed in this process, and where; guards check it first."""

    anything = False
    pushed_at: ClassVar[set[str]] = set()


class Manager(Generic[Bag]):
    """Pushes and pops overrides or additions for this request, or outside requests this context."""

    def __init__(self, frames: ContextVar[tuple[_Frame, ...]], kind: type[Bag]) -> None:
        self._frames = frames
        self._kind = kind

    def push(self, bag: Bag, use_parent: bool = False) -> None:
        """Apply `bag` from now on, instead of the current one or, with `use_parent`, as well.

        Raise `MisuseError` for an override in place of an addition, or the reverse.
        """
        if not isinstance(bag, self._kind):
            kind = self._kind.__name__
            raise MisuseError(f"{type(self).__name__} pushes {kind}(...), not {bag!r}.")
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
        """Pop what was pushed last; raise `MisuseError` if another manager pushed it."""
        last = self._last()
        if last is None:
            raise MisuseError("There is nothing to pop: call pop() once for each push().")
        if last.manager is not self:
            raise MisuseError("Another manager pushed this: pop it with that manager.")
        self.drop()

    def drop(self) -> Any:
        """Pop what was pushed last; return its manager, None if there is nothing to pop."""
        last = self._last()
        if last is None:
            return None
        self._frames.set(tuple(frame for frame in self._frames.get() if frame is not last))
        return last.manager

    @property
    def current(self) -> Bag | None:
        """What applies now; None if nothing was pushed."""
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
        finally:  # may run in another context, such as when a generator is closed
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
        """Return a context manager that applies an override, which ends also after an exception."""
        return self._pushed(override, use_parent)


class AdditionalManager(Manager[Additional]):
    """Pushes and pops additions."""

    def __init__(self) -> None:
        super().__init__(_additions, Additional)

    def additional(
        self, additional: Additional, use_parent: bool = False
    ) -> AbstractContextManager[Additional]:
        """Return a context manager that applies an addition, which ends also after an exception."""
        return self._pushed(additional, use_parent)


overrides = OverrideManager()
additions = AdditionalManager()

current_overrides: Any = LocalProxy(lambda: overrides.current)
current_additions: Any = LocalProxy(lambda: additions.current)


def applied(
    requirement: Requirement, read: Callable[[Any], Requirement] = as_requirement
) -> tuple[Requirement, Any]:
    """Return a guard's requirement with the current additions, and the overrides.

    `read` converts an addition to a requirement.
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
    """Return whether the request has ended; an outer request of the current one has not."""
    return frame.place is not None and frame.place() is None


def _remember_caller() -> None:
    """Remember the line outside this library that pushed or added something, for `check()`."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _PASSED_THROUGH.match(_module_of(frame)):
        frame = frame.f_back
    if len(InUse.pushed_at) < 1_000:
        InUse.pushed_at.add(f"{_module_of(frame)}, line {frame.f_lineno}")


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


_PASSED_THROUGH = re.compile(r"(jwt_authz(\..*)?|contextlib|werkzeug\.local)$")
