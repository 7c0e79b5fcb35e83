"""Run blocking work with a deadline, in a thread that can be abandoned."""

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
    """The caller has given up, so the work must be rolled back."""


class BoundedCall(Generic[_Result]):
    """A call that runs in its own thread and that the caller waits for until a deadline.

    A driver that waits for a server that does not answer cannot be interrupted. Its thread can be
    abandoned, and its connection can be closed: the work sets `cut` to a function that does so.
    The work calls `go_on()` before it commits, so that nothing is committed after the caller got
    an error. `owner` identifies the deadline that the call runs under.
    """

    def __init__(
        self, work: Callable[[BoundedCall[_Result]], _Result], owner: object = None
    ) -> None:
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
                if self._pauses:  # work off the clock has its own deadline
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
        """Stop the clock during a block; set `failed_off_the_clock` if the block raises.

        Raise Abandoned if the caller has given up.
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
        except BaseException as error:  # re-raised in the caller's thread
            self._error = error
        finally:
            with self._changed:
                self.is_done = True
                self._changed.notify()


_current: ContextVar[BoundedCall[Any] | None] = ContextVar("jwt_authz_bounded_call", default=None)


def current_call() -> BoundedCall[Any] | None:
    """Return the bounded call that this code runs in, or None."""
    attempt = _current.get()
    return None if attempt is None or attempt.is_done else attempt


@contextmanager
def off_the_clock() -> Iterator[None]:
    """Exclude a block that waits for something else (a hashing slot) from the current deadline."""
    attempt = current_call()
    if attempt is None:
        yield
        return
    with attempt.off_the_clock():
        yield


def shut_down(dbapi_connection: Any) -> None:
    """Shut down a database connection's socket, so that a driver waiting on it gets an error."""
    with suppress(Exception):  # some drivers do not expose their socket
        pymysql_socket = getattr(dbapi_connection, "_sock", None)
        if pymysql_socket is not None:
            pymysql_socket.shutdown(socket.SHUT_RDWR)
            return
        with socket.socket(fileno=os.dup(dbapi_connection.fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)
