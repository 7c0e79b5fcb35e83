"""Count failed log-ins, in a store that all processes share, or in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from limits.errors import ConfigurationError, StorageError
from limits.storage import RedisClusterStorage, storage_from_string

from .._concurrency.breaker import Breaker
from ..errors import MisuseError, StoreUnavailable
from .attempts import Attempts, Caller, WaitTimes, digest
from .attempts_in_memory import AttemptsInMemory

try:
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisClusterException, RedisError
    from redis.retry import Retry
except ImportError:  # limits reports it if it is needed
    Retry = None  # type: ignore[assignment, misc]
    _FAILURES: tuple[type[Exception], ...] = (StorageError,)
else:
    _FAILURES = (StorageError, RedisError, RedisClusterException)

TIMEOUT = 0.25
PAUSE = 5.0
"""The timeout of Redis in seconds, and how long not to use it after a failure."""

REMEMBERED = 5.0
MOST_REMEMBERED = 1_024
"""How long to remember that no account is known at an address, and for how many addresses."""

_Answer = TypeVar("_Answer")
_log = logging.getLogger("jwt_authz")


class LoginRate:
    """Count failed log-ins; while the shared store does not answer, each process counts its own.

    `store` is `memory:` or the URL of a Redis. Known addresses belong to one `application`, since
    others may share the store. Raise `MisuseError` for a store that cannot be used.
    """

    def __init__(self, store: str, amount: int, seconds: int, application: str) -> None:
        self._application = digest(application)
        self._here = Attempts(AttemptsInMemory(), amount, seconds)
        self._shared: Callable[[], Attempts] | None = None
        self._homes_of_nobody: dict[str, float] = {}
        self._breaker = Breaker(PAUSE)
        if store != "memory:":
            opened = _open(store)
            self._shared = cache(lambda: Attempts(opened(), amount, seconds))

    def wait_times(self, caller: Caller) -> WaitTimes:
        """Return how long the caller has to wait."""
        here, elsewhere = self._ask(lambda attempts: attempts.wait_times(caller))
        return WaitTimes(max(here, self.wait_here(caller.address)), elsewhere)

    def wait_here(self, address: str) -> int:
        """Return how long callers at the address have to wait, as counted by this process.

        Does not query the shared store.
        """
        return self._here.wait_at(address)

    def failed(self, caller: Caller, is_known: bool) -> None:
        """Count a wrong password."""
        self._ask(lambda attempts: attempts.failed(caller, is_known))

    def turned_away(self, address: str) -> None:
        """Count an attempt only for the address: this process had no capacity for it.

        Each process counts its own, since the capacity is that of the process.
        """
        self._here.turned_away(address)

    def may_be_known(self, address: str) -> bool:
        """Return whether any account may be known at the address.

        A negative answer is cached for a moment, so that a flood does not query the shared store.
        """
        if self._homes_of_nobody.get(address, 0.0) > time.monotonic():
            return False
        may_be_known = self._ask(lambda attempts: attempts.may_be_known(address, self._application))
        if not may_be_known and self._shared is not None:
            if len(self._homes_of_nobody) >= MOST_REMEMBERED:
                self._homes_of_nobody.clear()
            self._homes_of_nobody[address] = time.monotonic() + REMEMBERED
        return may_be_known

    def knows(self, address: str, owner: str) -> bool:
        """Return whether the owner of an account has logged in from the address lately."""
        return self._ask(lambda attempts: attempts.knows(address, owner, self._application))

    def succeeded(self, address: str, owner: str) -> None:
        """Make the address known for the account."""
        self._ask(lambda attempts: attempts.succeeded(address, owner, self._application))
        self._homes_of_nobody.pop(address, None)

    def _ask(self, question: Callable[[Attempts], _Answer]) -> _Answer:
        if self._shared is not None:
            try:
                self._breaker.check()
                answer = question(self._shared())
            except _FAILURES as error:
                self._breaker.failed()
                kind = type(getattr(error, "storage_error", error)).__name__
                _log.error("failed log-ins are counted in each process separately: %s", kind)
            except StoreUnavailable:
                pass  # already logged
            else:
                self._breaker.succeeded()
                return answer
        return question(self._here)


def _open(url: str) -> Callable[[], Any]:
    """Return a function that returns the storage: that of a cluster connects when it is made."""
    scheme = url.partition("://")[0]
    try:
        if scheme.endswith("+sentinel"):
            pool = _clients().open_redis(url, TIMEOUT).connection_pool
            found = storage_from_string("redis://", wrap_exceptions=True, connection_pool=pool)
            return lambda: found
        if scheme.endswith("+cluster"):
            options = _clients().cluster_options(url, TIMEOUT)
            any_url = "redis+cluster://startup-nodes:6379"  # the options name them
            return lambda: RedisClusterStorage(any_url, wrap_exceptions=True, **options)
        found = _storage(url)
        return lambda: found
    except (ConfigurationError, ImportError):
        raise MisuseError(
            "AUTHZ_LOGIN_RATE_STORE needs the Redis client, which is missing: "
            "pip install 'jwt_authz[redis,ratelimit]'"
        ) from None
    except ValueError:  # for example a port that is not a number
        pass
    # Outside the handler, since the error may quote the URL with its password.
    raise MisuseError("AUTHZ_LOGIN_RATE_STORE is not valid: write redis://host:6379/0")


def _clients() -> Any:
    return import_module("jwt_authz.revocation.stores.redis_clients")


def _storage(url: str) -> Any:
    options: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    if Retry is not None:
        options["retry"] = Retry(NoBackoff(), 0)
    return storage_from_string(url, wrap_exceptions=True, **options)
