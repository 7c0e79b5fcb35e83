"""RedisServer: runs the scripts of the Redis store with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha1
from threading import Event
from typing import Any, TypeVar

from ..._concurrency.bounded import BoundedCall
from ..._concurrency.breaker import Breaker
from ..._extras import needs_extra
from ...errors import AuthzError, StoreUnavailable
from ..clock import StoreClock
from ..log import MICROSECONDS, MarkMissing

with needs_extra(__name__, "redis-py", "redis"):
    from redis.exceptions import (
        ConnectionError,
        NoScriptError,
        ReadOnlyError,
        ResponseError,
        TimeoutError,
    )

LATEST_BEGIN = 0.8
"""The part of a call's time in which a script may begin: the rest is for its answer to arrive."""

_Result = TypeVar("_Result")


class RedisServer:
    """Runs scripts on a client; `mark` is the key that they all work on.

    A call takes at most `timeout` seconds, connecting and a second try included, whatever time-outs
    the client has. It tries again if the connection breaks or is silent for half of that time.
    `clock` is the server's own, as far as its answers tell. All methods raise StoreUnavailable
    if the server does not answer, or answers that it cannot (READONLY, OOM, LOADING, NOAUTH).
    """

    def __init__(
        self, client: Any, mark: str, timeout: float, test_clock: Callable[[], float] | None
    ) -> None:
        self.client = client
        self.clock = StoreClock()
        self._mark = mark
        self._timeout = timeout
        self._test_clock = test_clock
        self._breaker = Breaker()
        self._digests: dict[str, str] = {}

    def run(
        self,
        script: str,
        *args: Any,
        read: Callable[[Any], _Result],
        always: bool = False,
        seconds: float | None = None,
    ) -> _Result:
        """Return what `read` makes of the answer of a script, which may run twice.

        `always` is for callers that may wait: they ask even while others fail at once because the
        server did not answer, and so find out for all that it does again. `seconds` is what is left
        of the time-out.
        """
        if not always:
            self._breaker.check()
        now = "" if self._test_clock is None else to_us(self._test_clock())
        try:
            attempt = BoundedCall(lambda attempt: self._answer(attempt, script, [now, *args]))
            found = read(attempt.wait(self._timeout if seconds is None else seconds))
            self._breaker.succeeded()
            return found
        except AuthzError:
            raise
        except Exception as error:  # there are answers that neither client nor reader expect
            kind = type(error).__name__
            if not isinstance(error, ResponseError):
                self._breaker.failed()
        # Outside the handler: the client's error may quote the command, and would come along.
        raise StoreUnavailable(
            f"Redis did not answer as expected ({kind}): check that it runs, that AUTHZ_STORE_URL "
            "is correct, and that it can write and has memory left"
        )

    def run_in_time(self, script: str, *args: Any, read: Callable[[Any], _Result]) -> _Result:
        """Return what `read` makes of the answer of a script that does nothing if it runs too late.

        A server that was stopped reads what it was sent when it goes on. A call that was reported
        as failed must not be made then: its caller may have done something else since. The answer's
        first items are an outcome and the server's time. Raises MarkMissing if there is no mark.
        """
        until = time.monotonic() + self._timeout
        for _ in range(2):
            asked = time.monotonic()
            # The earliest time that it can be at the server: the script then never begins later.
            now = None if self._test_clock or self.clock.latest() is None else self.clock.earliest()
            begins = "" if now is None else to_us(now + LATEST_BEGIN * (until - asked))

            def read_in_time(answer: Any, asked: float = asked) -> _Result | None:
                self.clock.answered(from_us(answer[1]), asked, time.monotonic())
                outcome = to_text(answer[0])
                if outcome == "no mark":
                    raise MarkMissing
                return None if outcome == "late" else read(answer)

            found = self.run(script, begins, *args, read=read_in_time, seconds=until - asked)
            if found is not None:  # else the server's clock was set: by now it is known
                return found
        raise StoreUnavailable("Redis answered too late: look what keeps it busy")

    def _answer(self, attempt: BoundedCall[Any], script: str, args: list[Any]) -> Any:
        try:
            return self._evaluate(script, args)
        except ReadOnlyError:  # the primary is another server by now
            if hasattr(self.client, "connection_pool"):  # a cluster redirects instead
                self.client.connection_pool.disconnect(inuse_connections=False)
        except (ConnectionError, TimeoutError):
            pass
        attempt.go_on()
        return self._evaluate(script, args)

    def _evaluate(self, script: str, args: list[Any]) -> Any:
        if script not in self._digests:
            self._digests[script] = sha1(script.encode(), usedforsecurity=False).hexdigest()
        try:
            return self.client.evalsha(self._digests[script], 1, self._mark, *args)
        except NoScriptError:  # a server that was restarted, or the new primary
            return self.client.eval(script, 1, self._mark, *args)


class RedisListener:
    """Hears on a subscription of its own that something was written; else it only sleeps."""

    def __init__(self, client: Any, channel: str) -> None:
        self._client = client
        self._channel = channel
        self._subscription: Any = None

    def wait(self, timeout: float, stop: Event) -> bool:
        """Whether something was written; comes back after `timeout` seconds at the latest."""
        began = time.monotonic()
        try:
            if self._subscription is None:
                self._subscription = self._client.pubsub(ignore_subscribe_messages=True)
                self._subscription.subscribe(self._channel)
            heard = self._subscription.get_message(timeout=timeout)
            while heard is not None and self._subscription.get_message(timeout=0):
                pass  # one read of the log serves all messages so far
            return heard is not None
        except Exception:  # a client whose connections are closed meanwhile raises what it likes
            self.close()
        stop.wait(max(0.0, timeout - (time.monotonic() - began)))
        return False

    def close(self) -> None:
        """End the subscription."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(Exception):
                subscription.close()


def to_us(seconds: float) -> str:
    """Whole microseconds, as the scripts count."""
    return str(round(seconds * MICROSECONDS))


def from_us(microseconds: Any) -> float:
    """Seconds from what a script answers."""
    return int(microseconds) / MICROSECONDS


def to_text(value: Any) -> str:
    """The text of an answer, whether or not the client decodes it."""
    return value.decode() if isinstance(value, bytes) else str(value)
