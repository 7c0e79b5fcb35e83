"""Work that may wait for a server without an end, given an end."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Abandoned(Exception):
    """The caller has given up; whatever was begun is to be undone."""


class Attempt(Generic[_Result]):
    """Work in a thread of its own, which its caller waits for only so long.

    A driver that waits for a stopped server cannot be interrupted. It can be left behind, and
    what it waits on can be cut off: `cut` is what the work sets for that. The work asks `go_on()`
    before it makes anything last, so that nothing that its caller was told had failed happens
    after all when the server comes back.
    """

    def __init__(self, work: Callable[[Attempt[_Result]], _Result]) -> None:
        self.cut: Callable[[], object] | None = None
        self._work = work
        self._done = Event()
        self._abandoned = False
        self._result: list[_Result] = []
        self._error: BaseException | None = None

    def go_on(self) -> None:
        """Raises Abandoned where the caller has given up."""
        if self._abandoned:
            raise Abandoned

    def wait(self, seconds: float) -> _Result:
        """What the work returns or raises; TimeoutError where it takes longer."""
        Thread(target=self._run, name="jwt_authz-store", daemon=True).start()
        if not self._done.wait(seconds):
            self._abandoned = True
            if self.cut is not None:
                self.cut()
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._work(self))
        except BaseException as error:  # handed to the caller, whatever it is
            self._error = error
        finally:
            self._done.set()
