"""LoginRate: who may try to log in now; counted in a store that all processes share, or here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from ..errors import MisuseError, StoreUnavailable
from ..revocation.breaker import Breaker
from .attempts import Attempts, Caller, Verdict
from .attempts_memory import AttemptsInMemory

try:
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:  # limits says so where it is needed
    Retry = None  # type: ignore[assignment, misc]

TIMEOUT = 0.25
PAUSE = 5.0
"""Seconds that Redis may take to answer, and for which it is left alone when it does not."""

_Answer = TypeVar("_Answer")
_log = logging.getLogger("jwt_authz")


class LoginRate:
    """Counts failed log-ins; while the shared store does not answer, each process counts alone.

    `store` is `memory:` or the URL of a Redis. Raises `MisuseError` for one that cannot be used.
    """

    def __init__(self, store: str, amount: int, seconds: int) -> None:
        self._here = Attempts(AttemptsInMemory(), amount, seconds)
        self._shared: Attempts | None = None
        self._breaker = Breaker(PAUSE)
        if store != "memory:":
            self._shared = Attempts(_open(store), amount, seconds)

    def look_at(self, caller: Caller) -> Verdict:
        """How long the caller has to wait, and whether they logged in from there lately."""
        return self._ask(lambda attempts: attempts.look_at(caller))

    def failed(self, caller: Caller, is_known: bool) -> None:
        """Count a wrong password."""
        self._ask(lambda attempts: attempts.failed(caller, is_known))

    def succeeded(self, caller: Caller) -> None:
        """Count a log-in, from whose address the owner is let in from now on."""
        self._ask(lambda attempts: attempts.succeeded(caller))

    def _ask(self, question: Callable[[Attempts], _Answer]) -> _Answer:
        if self._shared is not None:
            try:
                self._breaker.check()
                answer = question(self._shared)
            except StorageError as error:
                self._breaker.failed()
                kind = type(error.storage_error).__name__
                _log.error("failed log-ins are counted in each process alone: %s", kind)
            except StoreUnavailable:
                pass  # told a moment ago
            else:
                self._breaker.succeeded()
                return answer
        return question(self._here)


def _open(url: str) -> Any:
    options: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    if Retry is not None:
        options["retry"] = Retry(NoBackoff(), 0)
    try:
        return storage_from_string(url, wrap_exceptions=True, **options)
    except ConfigurationError:
        raise MisuseError(
            "AUTHZ_LOGIN_RATE_STORE needs a client of Redis, which is missing: "
            "pip install 'jwt_authz[redis,ratelimit]'"
        ) from None
    except ValueError:  # a port that is no number
        pass
    # Outside the handler: the error may quote the URL, and with it a password.
    raise MisuseError("AUTHZ_LOGIN_RATE_STORE is not valid: write redis://host:6379/0")
