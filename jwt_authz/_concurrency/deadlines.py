"""Run calls to the application's accounts and role tables with a deadline.

How it works. Each call runs in a thread that can be abandoned when its server does not answer. The
call sees the request, its verified token and all context variables, but has its own application
context, which it also tears down: one thread opens and closes a Flask-SQLAlchemy session or a
connection on `g`, so the end of a request never waits for a server that does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar, cast

from flask import has_app_context

from .._context import get_app, get_globals
from ..errors import StoreUnavailable
from .bounded import BoundedCall, current_call
from .breaker import Breaker
from .forks import renew_after_fork

SLOW = 1.0
"""A call that fails after this many seconds counts as a failure for the breaker."""
MOST_ABANDONED = 16
"""Number of abandoned threads at which a further one opens the breaker immediately."""
LONGEST_PAUSE = 600.0
"""Maximum number of seconds that the breaker stays open because of abandoned threads."""

_Result = TypeVar("_Result")
_Backend = TypeVar("_Backend")


class Deadline:
    """Run calls to one backend with a deadline and a breaker; thread-safe.

    `what` is the name of the backend in error messages, and `advice` says what to check when it
    does not answer. `read_seconds` returns the deadline when it is first needed. `carried` returns
    the attributes of the caller's `flask.g` that are copied to the `flask.g` of the call.
    """

    def __init__(
        self,
        what: str,
        advice: str,
        read_seconds: Callable[[], float],
        carried: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._carried = carried
        self._what, self._advice = what, advice
        self._read_seconds = read_seconds
        self._abandoned: set[BoundedCall[Any]] = set()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the threads of the parent process."""
        self._abandoned = set()

    @cached_property
    def seconds(self) -> float:
        """The deadline of a call, in seconds."""
        return self._read_seconds()

    @cached_property
    def _breaker(self) -> Breaker:
        return Breaker(longest=self.seconds, what=self._what)

    def bound(self, backend: _Backend) -> _Backend:
        """Return a proxy for an object that runs each of its methods with the deadline."""
        return cast(_Backend, _Bounded(self, backend))

    def run(self, call: Callable[[], _Result]) -> _Result:
        """Return the result of a call; raise StoreUnavailable if it misses the deadline."""
        outer = current_call()
        if outer is not None and outer.owner is self:
            return call()  # part of a call that already has this deadline
        self._breaker.check()
        attempt: BoundedCall[_Result] = BoundedCall(_in_own_context(call, self._carried), self)
        began = time.monotonic()
        try:
            result = attempt.wait(self.seconds)
        except BaseException as error:
            self._count(attempt, error, time.monotonic() - began)
            if attempt.is_abandoned and isinstance(error, TimeoutError):
                raise self._timed_out() from None
            raise
        self._breaker.succeeded()
        return result

    def _count(self, attempt: BoundedCall[Any], error: BaseException, took: float) -> None:
        """Report a failed call to the breaker, unless it failed quickly."""
        if attempt.is_abandoned:
            self._abandoned.add(attempt)
            self._breaker.failed(self._pause())
        elif not isinstance(error, StoreUnavailable):
            self._breaker.succeeded()
        elif took >= SLOW and not attempt.failed_off_the_clock:
            self._breaker.failed()

    def _pause(self) -> float | None:
        """Return how long the breaker stays open: the more abandoned threads, the longer."""
        for attempt in list(self._abandoned):
            if attempt.is_done:
                self._abandoned.discard(attempt)
        beyond = len(self._abandoned) - MOST_ABANDONED
        return None if beyond < 0 else min(LONGEST_PAUSE, 2.0**beyond)

    def _timed_out(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._what} did not answer within {self.seconds:g} seconds: {self._advice}"
        )


def of_accounts(
    read_seconds: Callable[[], float], carried: Callable[[], Mapping[str, Any]]
) -> Deadline:
    """Return the deadline for calls to an application's accounts."""
    advice = "check that the users' database is running and reachable"
    return Deadline("the accounts", advice, read_seconds, carried)


class _Bounded:
    """A proxy that runs the methods of an object with a deadline and passes on the rest."""

    def __init__(self, deadline: Deadline, backend: Any) -> None:
        self._deadline = deadline
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if not callable(found) or is_thread_bound(self._backend):
            return found

        def bounded(*arguments: Any, **keywords: Any) -> Any:
            return self._deadline.run(lambda: found(*arguments, **keywords))

        return bounded


def is_thread_bound(backend: object) -> bool:
    """Return whether calls must run in the caller's thread and never wait for a server."""
    return bool(getattr(backend, "is_thread_bound", False))


def _in_own_context(
    call: Callable[[], _Result], carried: Callable[[], Mapping[str, Any]]
) -> Callable[[BoundedCall[_Result]], _Result]:
    """Wrap a call in a new application context if the caller has one."""
    if not has_app_context():
        return lambda _: call()
    app, attributes = get_app(), carried()

    def work(_: BoundedCall[_Result]) -> _Result:
        with app.app_context():
            get_globals().__dict__.update(attributes)
            return call()

    return work
