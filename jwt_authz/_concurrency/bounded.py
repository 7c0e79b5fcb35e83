"""Run blocking work with a deadline, in a thread that can be left behind."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from threading import Condition, Thread
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")


class Abandoned(Exception):
    """The caller has given up, and what was begun must be undone."""


class Attempt(Generic[_Result]):
    """Work in a thread of its own, for which the caller waits a limited time.

    A driver that waits for a silent server cannot be interrupted. It can be left behind, and what
    it waits on can be cut off: the work sets `cut` to a function that does that. The work calls
    `go_on()` before it commits, so that nothing is committed after the caller was given an error.
    `owner` is whatever the caller wants to know it by.
    """

    def __init__(self, work: Callable[[Attempt[_Result]], _Result], owner: object = None) -> None:
        self.owner = owner
        self.cut: Callable[[], object] | None = None
        self.is_abandoned = False
        self.is_done = False
        self.failed_off_the_clock = False
        self._work = work
        self._changed = Condition()
        self._pauses = 0
        self._until = 0.0
        self._result: list[_Result] = []
        self._error: BaseException | None = None

    def go_on(self) -> None:
        """Raise Abandoned if the caller has given up."""
        if self.is_abandoned:
            raise Abandoned

    def wait(self, seconds: float) -> _Result:
        """Return what the work returns, or raise what it raises; TimeoutError after `seconds`.

        The work sees the caller's context variables. TimeoutError also if no thread can be started.
        """
        self._until = time.monotonic() + seconds
        run = copy_context().run
        thread = Thread(target=run, args=(self._run,), name="jwt_authz-call", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process has no thread left
            self.is_abandoned = self.is_done = True
            raise TimeoutError from None
        try:
            self._wait()
        except BaseException:  # also where the caller is interrupted
            self.is_abandoned = True
            raise
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _wait(self) -> None:
        with self._changed:
            while not self.is_done:
                left = self._until - time.monotonic()
                if self._pauses:  # work off the clock has a deadline of its own
                    self._changed.wait()
                elif left > 0:
                    self._changed.wait(left)
                else:
                    self.is_abandoned = True  # before the cut, so that nothing is committed
                    break
        if not self.is_done:
            if self.cut is not None:
                self.cut()
            raise TimeoutError

    @contextmanager
    def off_the_clock(self) -> Iterator[None]:
        """Stop the clock for a block; `failed_off_the_clock` says whether the block raised.

        Raises Abandoned if the caller has given up.
        """
        self.go_on()
        began = time.monotonic()
        with self._changed:
            self._pauses += 1
            self._changed.notify()
        try:
            yield
        except BaseException:
            self.failed_off_the_clock = True
            raise
        finally:
            with self._changed:
                self._pauses -= 1
                self._until += time.monotonic() - began
                self._changed.notify()

    def _run(self) -> None:
        _current.set(self)
        try:
            self._result.append(self._work(self))
        except BaseException as error:  # handed to the caller, whatever it is
            self._error = error
        finally:
            with self._changed:
                self.is_done = True
                self._changed.notify()


_current: ContextVar[Attempt[Any] | None] = ContextVar("jwt_authz_attempt", default=None)


def current_attempt() -> Attempt[Any] | None:
    """Return the attempt that the calling code is the work of, None if there is none."""
    attempt = _current.get()
    return None if attempt is None or attempt.is_done else attempt


@contextmanager
def off_the_clock() -> Iterator[None]:
    """Keep a block that waits for something else (a turn to hash) out of the current deadline."""
    attempt = current_attempt()
    if attempt is None:
        yield
        return
    with attempt.off_the_clock():
        yield


def shut_down(dbapi_connection: Any) -> None:
    """Shut a database connection's socket down, so that a driver waiting on it gets an error."""
    with suppress(Exception):  # there are drivers whose socket cannot be reached
        own = getattr(dbapi_connection, "_sock", None)  # PyMySQL's
        if own is not None:
            own.shutdown(socket.SHUT_RDWR)
            return
        with socket.socket(fileno=os.dup(dbapi_connection.fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)
