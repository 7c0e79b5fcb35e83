"""Remote keys: fetches, caches and refreshes the published keys of an issuer.

How it works. The last fetched keys are kept whole and immutable, so that a known key is found
without a lock. A caller that finds them too old, or misses a key, starts a thread that fetches
them. There is at most one such thread at a time, and one in 30 seconds. Only callers that miss a
key wait for it, at most two at a time and briefly, so that a slow issuer never blocks all threads.
A fetch that fails only changes the time of the next one; keys that could not be confirmed for a day
are no longer used.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

from .._concurrency.forks import renew_after_fork
from ..errors import KeyUnknown, MisuseError, StoreUnavailable
from ..tokens.jws import Key
from .egress import check_url, is_plain_http, is_plain_loopback
from .jwk_set import PublicKeys, read_jwk_set

FRESH = 300.0
"""How long fetched keys are used before they are fetched again, in seconds."""
KEPT = 86_400.0
"""How long the last valid keys are used while fetching fails, in seconds."""
APART = 30.0
"""The minimum time between the starts of two fetches, in seconds."""
LONGEST_FETCH = 5.0
"""The maximum duration of a fetch, from the connection to the last byte, in seconds."""
PATIENCE = 2.0
"""The maximum time that a request waits for a fetch, in seconds."""
MOST_WAITING = 2
"""How many requests may wait for an issuer's keys at once; others get a 503 immediately."""

_log = logging.getLogger("jwt_authz.tokens")


class Lease(NamedTuple):
    """A key, and the time in which it need not be looked up again, in seconds since the epoch."""

    key: Key
    since: float
    until: float


class KeySource(Protocol):
    """A source of an issuer's keys."""

    def key_for(self, header: Mapping[str, Any], issuer: str) -> Lease:
        """Return the key that a token's header names; raise `KeyUnknown` or `StoreUnavailable`."""
        ...


class FixedKeys:
    """Keys that were given and do not change."""

    def __init__(self, keys: PublicKeys) -> None:
        self._keys = keys

    def key_for(self, header: Mapping[str, Any], issuer: str) -> Lease:
        key = self._keys.find(header, issuer)
        if key is None:
            raise KeyUnknown
        return Lease(key, -math.inf, math.inf)


class _Held(NamedTuple):
    """The last fetched keys, the time of the fetch, and how long they are fresh."""

    keys: PublicKeys
    fetched: float
    since: float
    until: float

    def is_fresh(self, now: float) -> bool:
        return self.since <= now < self.until  # false if the clock was set back

    def is_good(self, now: float) -> bool:
        return abs(now - self.fetched) <= KEPT


class RemoteKeys:
    """The keys of one issuer at `jwks_uri`, or at the address in its `metadata`.

    `fetch` returns the JSON object at a URL until a deadline. `algorithms` are those that keys are
    used for, and `template` is the issuer of several tenants. `plain_http` permits http without TLS
    inside a private network. `clock` replaces the time in tests. Raises `MisuseError` for a URL
    that keys must not be fetched from.
    """

    def __init__(
        self,
        issuer: str,
        algorithms: Collection[str],
        fetch: Callable[[str, float], dict[str, Any]],
        *,
        jwks_uri: str | None = None,
        metadata: str | None = None,
        template: str | None = None,
        plain_http: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._issuer, self._algorithms, self._template = issuer, algorithms, template
        check = partial(check_url, plain_http=plain_http)
        self._jwks_uri = check(jwks_uri) if jwks_uri is not None else None
        self._metadata = check(metadata) if metadata is not None else ""
        self._may_be_plain = plain_http and is_plain_http(self._metadata)
        self._clock, self._fetch = clock or _now, fetch
        self._held: _Held | None = None
        self._began = -math.inf
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Reset the locks and threads in a forked process, which keeps the keys."""
        self._lock = threading.Lock()
        self._fetching: threading.Event | None = None
        self._waiting = 0

    def key_for(self, header: Mapping[str, Any], issuer: str) -> Lease:
        """Return the key that a token's header names, for the token's `iss`.

        A known key is returned at once. Raises `KeyUnknown` for a key that the issuer does not
        have, and `StoreUnavailable` if that cannot be found out now.
        """
        now = self._clock()
        held = self._held if self._held is not None and self._held.is_good(now) else None
        key = held.keys.find(header, issuer) if held is not None else None
        if held is None or key is None:
            return self._missed(header, issuer, now)
        if not held.is_fresh(now):
            self._begin(now)
        return Lease(key, held.since, held.until)

    def _missed(self, header: Mapping[str, Any], issuer: str, now: float) -> Lease:
        fetch = self._begin(now)
        if fetch is not None and not self._has_ended(fetch):
            raise StoreUnavailable(f"the keys of {self._issuer} are being fetched")
        held = self._held
        if held is None or not held.is_good(self._clock()):
            raise StoreUnavailable(f"no keys of {self._issuer} are available")
        key = held.keys.find(header, issuer)
        if key is None:
            raise KeyUnknown("the issuer has no such key")
        return Lease(key, held.since, held.until)

    def _begin(self, now: float) -> threading.Event | None:
        """Return the current fetch, started now if one is due; None if there is none."""
        with self._lock:
            if self._fetching is None and not 0 <= now - self._began < APART:
                self._began = now
                fetch = threading.Event()
                thread = threading.Thread(target=self._run_fetch, args=(fetch,), daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no thread can be started, or the process is shutting down
                    _log.warning("the keys of %s cannot be fetched: no thread", self._issuer)
                else:
                    self._fetching = fetch
            return self._fetching

    def _has_ended(self, fetch: threading.Event) -> bool:
        """Wait for a fetch, unless enough callers already wait for it."""
        with self._lock:
            if self._waiting >= MOST_WAITING:
                return False
            self._waiting += 1
        try:
            return fetch.wait(PATIENCE)
        finally:
            with self._lock:
                self._waiting -= 1

    def _run_fetch(self, fetch: threading.Event) -> None:
        """Fetch the keys, in a separate thread."""
        try:
            keys = self._fetched_keys(time.monotonic() + LONGEST_FETCH)
            now = self._clock()
            self._held = _Held(keys, now, now, now + FRESH)
        except StoreUnavailable as error:
            _log.warning("the keys of %s could not be fetched: %s", self._issuer, error)
            self._keep_using()
        except Exception:
            _log.exception("the keys of %s could not be fetched", self._issuer)
            self._keep_using()
        finally:
            with self._lock:
                if self._fetching is fetch:
                    self._fetching = None
            fetch.set()

    def _keep_using(self) -> None:
        """Use the last valid keys until the next fetch may start, if they are not too old."""
        if self._held is not None:
            now = self._clock()
            until = min(now + APART, self._held.fetched + KEPT)
            self._held = self._held._replace(since=now, until=until)

    def _fetched_keys(self, until: float) -> PublicKeys:
        document = self._fetch(self._jwks_uri or self._named_uri(until), until)
        try:
            keys = read_jwk_set(document.get("keys"), self._algorithms, self._template)
        except MisuseError as error:
            raise StoreUnavailable(str(error)) from None
        if keys.left_out:
            _log.debug("some keys of %s are not used: %s", self._issuer, "; ".join(keys.left_out))
        if not keys:
            raise StoreUnavailable("; ".join(["the set has no usable key", *set(keys.left_out)]))
        return keys

    def _named_uri(self, until: float) -> str:
        """Return the `jwks_uri` of the metadata (OpenID Connect Discovery sections 3 and 4.3)."""
        metadata = self._fetch(self._metadata, until)
        if metadata.get("issuer") != self._issuer:
            raise StoreUnavailable("the metadata is that of another issuer")
        try:
            uri = check_url(metadata.get("jwks_uri"), plain_http=self._may_be_plain)
        except MisuseError:
            raise StoreUnavailable("the metadata has no jwks_uri") from None
        if is_plain_loopback(uri) and not is_plain_loopback(self._metadata):
            raise StoreUnavailable("the jwks_uri in the metadata is an address of this machine")
        return uri


def _now() -> float:
    return time.time()
