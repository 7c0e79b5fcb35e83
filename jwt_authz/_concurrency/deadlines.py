"""Deadlines: calls of what an application keeps its users and roles in, with an end.

How it works. The call runs in a thread that can be left behind when its server is silent. It sees
the request, its verified token and all context variables, but has an application context of its
own, which it tears down itself: a session of Flask-SQLAlchemy, or a connection on `g`, is opened
and closed by one thread, and the end of a request never waits for one that a silent server holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar, cast

from flask import has_app_context

from .._context import get_app, get_globals
from ..errors import StoreUnavailable
from .bounded import Attempt, current_attempt
from .breaker import Breaker
from .forks import renew_after_fork

SLOW = 1.0
"""Seconds after which the error of a server that is down counts for the breaker."""
MOST_LEFT_BEHIND = 16
"""Threads that silent calls may leave behind before further calls are held back at once."""
LONGEST_PAUSE = 600.0
"""Seconds for which calls are held back at most while threads are left behind."""

_Result = TypeVar("_Result")
_Asked = TypeVar("_Asked")


class Deadline:
    """Runs calls of one thing with a deadline and a breaker; thread-safe.

    `what` names the thing in messages, and `advice` says what to look at when it is silent.
    `read_seconds` gives the deadline when it is first needed, and `carried` the attributes of the
    caller's `flask.g` that the call sees on its own.
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
        self._left_behind: set[Attempt[Any]] = set()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the threads of the parent process."""
        self._left_behind = set()

    @cached_property
    def seconds(self) -> float:
        """The seconds that a call may take."""
        return self._read_seconds()

    @cached_property
    def _breaker(self) -> Breaker:
        return Breaker(longest=self.seconds, what=self._what)

    def bound(self, asked: _Asked) -> _Asked:
        """Return an object whose methods are those of `asked`, each call with the deadline."""
        return cast(_Asked, _Bounded(self, asked))

    def run(self, call: Callable[[], _Result]) -> _Result:
        """Return what the call returns; raise StoreUnavailable if there is no answer in time."""
        outer = current_attempt()
        if outer is not None and outer.owner is self:
            return call()  # part of a call that has this deadline already
        self._breaker.check()
        attempt: Attempt[_Result] = Attempt(_in_own_context(call, self._carried), self)
        began = time.monotonic()
        try:
            result = attempt.wait(self.seconds)
        except BaseException as error:
            self._count(attempt, error, time.monotonic() - began)
            if attempt.is_abandoned and isinstance(error, TimeoutError):
                raise self._silent() from None
            raise
        self._breaker.succeeded()
        return result

    def _count(self, attempt: Attempt[Any], error: BaseException, took: float) -> None:
        """Have the breaker count how a call failed: one that fails at once holds nobody up."""
        if attempt.is_abandoned:
            self._left_behind.add(attempt)
            self._breaker.failed(self._pause())
        elif not isinstance(error, StoreUnavailable):
            self._breaker.succeeded()
        elif took >= SLOW and not attempt.failed_off_the_clock:
            self._breaker.failed()

    def _pause(self) -> float | None:
        """Return how long to hold calls back: the longer, the more threads are left behind."""
        for attempt in list(self._left_behind):
            if attempt.is_done:
                self._left_behind.discard(attempt)
        beyond = len(self._left_behind) - MOST_LEFT_BEHIND
        return None if beyond < 0 else min(LONGEST_PAUSE, 2.0**beyond)

    def _silent(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._what} did not answer within {self.seconds:g} seconds: {self._advice}"
        )


def of_accounts(
    read_seconds: Callable[[], float], carried: Callable[[], Mapping[str, Any]]
) -> Deadline:
    """Return the deadline for the calls of an application's accounts."""
    advice = "check that the users' database runs and can be reached"
    return Deadline("the accounts", advice, read_seconds, carried)


class _Bounded:
    """The methods of an object, each call with a deadline; its other attributes as they are."""

    def __init__(self, deadline: Deadline, asked: Any) -> None:
        self._deadline = deadline
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._asked, name)
        if not callable(found) or is_thread_bound(self._asked):
            return found

        def bounded(*arguments: Any, **keywords: Any) -> Any:
            return self._deadline.run(lambda: found(*arguments, **keywords))

        return bounded


def is_thread_bound(asked: object) -> bool:
    """Return whether calls must stay in the thread of the caller, and never wait for a server."""
    return bool(getattr(asked, "is_thread_bound", False))


def _in_own_context(
    call: Callable[[], _Result], carried: Callable[[], Mapping[str, Any]]
) -> Callable[[Attempt[_Result]], _Result]:
    """Return the call as work that has an application context of its own, if the caller has one."""
    if not has_app_context():
        return lambda _: call()
    app, attributes = get_app(), carried()

    def work(_: Attempt[_Result]) -> _Result:
        with app.app_context():
            get_globals().__dict__.update(attributes)
            return call()

    return work
