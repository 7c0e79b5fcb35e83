"""Limit how many threads hash passwords at once, and how many callers wait and for how long.

How it works. The work runs in separate threads with a lower priority than the threads that handle
requests. A waiting caller occupies a server thread, so only a few may wait. Known callers have
reserved places in the queue and go first: others cannot keep them out.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from ..errors import HashingBusy
from .bounded import off_the_clock

LONGEST_WAIT = 5.0
NICENESS = 10

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_known_caller: ContextVar[str | None] = ContextVar("jwt_authz.known_caller", default=None)


@contextmanager
def place_reserved_for(caller: str | None) -> Iterator[None]:
    """Allow a known caller to wait in a reserved place during the block; None reserves nothing."""
    token = _known_caller.set(caller)
    try:
        yield
    finally:
        _known_caller.reset(token)


class Slots:
    """Run work in `at_once` threads, while up to `waiting` more callers wait.

    Another `reserved` callers may wait if they are known, each in one place at a time. Further
    callers immediately get HashingBusy, as do callers who have waited for `longest_wait` seconds.
    The order is first come, first served, with known callers before others.
    """

    def __init__(
        self, at_once: int, waiting: int, reserved: int = 0, longest_wait: float = LONGEST_WAIT
    ) -> None:
        self.longest_wait = longest_wait
        self.resize(at_once, waiting, reserved)

    def resize(self, at_once: int, waiting: int, reserved: int) -> None:
        """Change the limits; must be called before the first caller."""
        self.at_once = at_once
        self.waiting = waiting
        self.reserved = reserved
        self.renew()

    def renew(self) -> None:
        """Forget all callers and threads, which do not exist in a forked process."""
        self._lock = threading.Lock()
        self._free = self.at_once
        self._first: deque[threading.Event] = deque()
        self._others: deque[threading.Event] = deque()
        self._known: set[str] = set()
        self._threads = ThreadPoolExecutor(self.at_once, "jwt_authz-hashing", _lower_priority)

    @property
    def is_full(self) -> bool:
        """Whether a caller who is not known would get HashingBusy now."""
        return not self._free and len(self._others) >= self.waiting

    @property
    def queued(self) -> int:
        """The number of waiting callers."""
        return len(self._first) + len(self._others)

    def run(
        self,
        work: Callable[_Arguments, _Result],
        *arguments: _Arguments.args,
        **keywords: _Arguments.kwargs,
    ) -> _Result:
        """Return what the work returns, or raise what it raises; HashingBusy if it cannot run.

        The deadline of a call to the accounts is paused meanwhile.
        """
        with off_the_clock(), self._place():
            return self._threads.submit(work, *arguments, **keywords).result()

    def busy(self) -> HashingBusy:
        """Return the error for a caller when the queue is full."""
        return HashingBusy(
            f"{self.at_once} passwords are being hashed and {self.queued} are queued: "
            "try again later"
        )

    @contextmanager
    def _place(self) -> Iterator[None]:
        caller = _known_caller.get()
        with self._lock:
            is_known = caller is not None and caller not in self._known
            ticket = self._enter(is_known)
            if is_known:
                self._known.add(str(caller))
        try:
            if ticket is not None:
                self._await(ticket)
            try:
                yield
            finally:
                self._leave()
        finally:
            if is_known:
                with self._lock:
                    self._known.discard(str(caller))

    def _enter(self, is_known: bool) -> threading.Event | None:
        """Take a free place, or return a ticket that is set when it is the caller's turn."""
        if self._free:
            self._free -= 1
            return None
        ticket = threading.Event()
        if is_known and len(self._first) < self.reserved:
            self._first.append(ticket)
        elif len(self._others) < self.waiting:
            self._others.append(ticket)
        else:
            raise self.busy()
        return ticket

    def _await(self, ticket: threading.Event) -> None:
        try:
            has_turn = ticket.wait(self.longest_wait)
        except BaseException:  # for example a server's request timeout
            if not self._withdraw(ticket):
                self._leave()
            raise
        if not has_turn and self._withdraw(ticket):
            raise HashingBusy(
                f"no slot for hashing became free within {self.longest_wait:g} seconds: "
                "try again later"
            )

    def _withdraw(self, ticket: threading.Event) -> bool:
        """Leave the queue; return False if the caller's turn has come in the meantime."""
        with self._lock:
            for queue in (self._first, self._others):
                if ticket in queue:
                    queue.remove(ticket)
                    return True
        return False

    def _leave(self) -> None:
        """Hand the place over to the next caller, or free it."""
        with self._lock:
            queue = self._first or self._others
            if queue:
                queue.popleft().set()
            else:
                self._free += 1


def _lower_priority() -> None:
    """Lower the priority of this thread below that of request threads, on Linux."""
    is_main = threading.get_native_id() == os.getpid()  # gevent runs everything in one thread
    if sys.platform == "linux" and not is_main:
        with suppress(OSError):  # a sandbox may forbid it
            lower = max(os.getpriority(os.PRIO_PROCESS, 0), NICENESS)  # 0 is this thread
            os.setpriority(os.PRIO_PROCESS, 0, lower)


# Log-ins hold at most three of a worker's four threads: one is left for other requests.
HASHING = Slots(at_once=1, waiting=1, reserved=1)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HASHING.renew)
