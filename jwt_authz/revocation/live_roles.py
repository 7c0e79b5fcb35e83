"""Live roles: the role catalog of an application whose roles change at run time.

How it works. The store of revocations notifies all processes of a change, and each reloads the
catalog from its source. The thread that follows the store does that: requests wait only for the
first load. Until a change is loaded, the old catalog is used, for `AUTHZ_REVOCATION_MAX_AGE` at
most. After that, requests try to load it themselves, and are answered 503 if that fails. While the
source does not answer, only the thread calls it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple

from .._concurrency.deadlines import SLOW, Deadline, is_thread_bound
from .._concurrency.forks import renew_after_fork
from ..errors import MisuseError, StoreUnavailable
from ..policy.role_sources import RolesSource
from ..policy.roles import Roles
from . import RevocationView

_log = logging.getLogger("jwt_authz")


class Loaded(NamedTuple):
    """A catalog, its copy that knows every permission, and the mark of its last change."""

    roles: Roles
    opened: Roles
    mark: tuple[object, ...]


class LiveCatalog:
    """The catalog in `source` as of the last change that `view` announced. Thread-safe.

    `max_age` is how long a known change may stay unloaded, and `timeout` how long the source may
    take to answer, both in seconds. `carried` returns the attributes of a request's `flask.g` that
    the source sees in its own thread.
    """

    def __init__(
        self,
        source: RolesSource,
        view: RevocationView,
        max_age: float,
        timeout: float,
        carried: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.loaded: Loaded | None = None
        self._source = source
        self._deadline = Deadline(
            "the source of roles", "check that it can be reached", lambda: timeout, carried
        )
        self._view = view
        self._max_age = max_age
        self._timeout = timeout
        self._behind_since: tuple[float, float] | None = None
        self._failures = 0
        self._is_silent = False
        self._is_followed = view.call_after_look(self._after_look)
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Drop a lock that another thread of the parent process may have held."""
        self._loading = Lock()

    def current(self) -> Loaded:
        """Return the current catalog; raise `StoreUnavailable` if it cannot be loaded."""
        self._view.check_age()
        loaded = self.loaded
        if loaded is not None and (
            loaded.mark == self._view.mark_of_catalogue() or not self._is_late()
        ):
            return loaded
        if self._is_silent and loaded is not None and self._is_followed:
            # The thread that follows the store tries again, without blocking a request.
            raise StoreUnavailable("the role catalog has changed, and its source does not answer")
        return self._load_in_turn()

    def reload(self) -> None:
        """Load the catalog in this thread after a change; raise `StoreUnavailable`."""
        self._load_in_turn()

    def _load_in_turn(self) -> Loaded:
        """Load the catalog once no other thread is loading it; raise `StoreUnavailable`.

        While the source is failing, callers do not wait for each other.
        """
        failures = self._failures
        if not self._loading.acquire(timeout=0 if failures else self._timeout):
            raise StoreUnavailable("the role catalog is still being loaded")
        try:
            if self._failures > failures:
                raise StoreUnavailable("the role catalog could not be loaded just now")
            return self._load()
        finally:
            self._loading.release()

    def _is_late(self) -> bool:
        """Return whether a known change has been unloaded for too long."""
        since = self._behind_since
        if since is None:
            return not self._is_followed  # no thread will load it
        return max(time.monotonic() - since[0], time.time() - since[1]) > self._max_age

    def _after_look(self, looked_before: tuple[float, float]) -> None:
        """Load the catalog if it has changed; the thread calls it, so errors are only logged."""
        loaded = self.loaded
        if loaded is None or loaded.mark == self._view.mark_of_catalogue():
            return
        if self._behind_since is None:
            self._behind_since = looked_before
        if self._loading.acquire(blocking=False):
            try:
                self._load()
            except StoreUnavailable:
                pass  # logged, and tried again at the next look
            except Exception:
                _log.exception("the role catalog cannot be loaded")
            finally:
                self._loading.release()

    def _load(self) -> Loaded:
        mark = self._view.mark_of_catalogue()  # first, so that later changes are noticed
        if self.loaded is not None and self.loaded.mark == mark:
            return self.loaded  # another thread was quicker
        began = time.monotonic()
        try:
            read = self._read
            roles = read() if is_thread_bound(self._source) else self._deadline.run(read)
        except StoreUnavailable as error:
            if not self._failures:
                _log.error("%s", error)
            self._failures += 1
            self._is_silent = self._is_silent or time.monotonic() - began >= SLOW
            raise
        if self._failures:
            _log.warning("the role catalog can be loaded again")
        self._failures, self._is_silent, self._behind_since = 0, False, None
        self.loaded = Loaded(roles, roles.open_ended(), mark)
        return self.loaded

    def _read(self) -> Roles:
        try:
            roles = self._source.load()
            if not isinstance(roles, Roles):
                raise MisuseError(f"load() must return Roles, not {type(roles).__name__}")
        except (MisuseError, StoreUnavailable) as error:
            raise StoreUnavailable(f"the role catalog cannot be loaded: {error}") from None
        return roles
