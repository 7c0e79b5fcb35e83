"""Attempts: failed log-ins, counted by account and address over a moving window.

How it works. Three windows are looked at: of one account from one address, which is tight; of one
account from all addresses that have not logged in to it lately, and of one address to all
accounts, both ten times as wide. So a guesser at one address is stopped soon, one who tries many
accounts or has many addresses later, and neither can lock the owner out of an address from which
they have logged in within two weeks: a right password is never refused there.
"""

from __future__ import annotations

import math
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple
from unicodedata import normalize

try:
    from limits import RateLimitItemPerSecond
    from limits.storage import Storage
    from limits.strategies import MovingWindowRateLimiter
except ImportError as error:
    raise ImportError(
        "log-ins are counted with limits, which is missing: pip install 'jwt_authz[ratelimit]'",
        name=error.name,
    ) from error

WIDER = 10
"""How much wider the windows of an account and of an address are than that of both together."""

KNOWN_SECONDS = 14 * 86_400
"""How long an address is known at least after a log-in; at most it is twice as long."""

_NAMESPACE = "jwt_authz"


class Caller(NamedTuple):
    """Who tries to log in, in the form in which they are counted: no name leaves the process."""

    account: str
    address: str

    @classmethod
    def of(cls, username: str, address: str | None) -> Caller:
        """The caller with a name, however it is spelled, and an address or a network of IPv6."""
        name = normalize("NFKC", normalize("NFKC", username).casefold()).strip()
        return cls(_digest(name), _network(address or ""))

    @property
    def both(self) -> str:
        return f"{self.account}@{self.address}"


class Verdict(NamedTuple):
    """Whether a caller has to wait, in seconds, and whether their address is known."""

    wait: int
    is_known: bool


class Attempts:
    """The failed log-ins in one storage of limits, at `amount` in `seconds`."""

    def __init__(self, storage: Storage, amount: int, seconds: int) -> None:
        self._storage = storage
        self._windows = MovingWindowRateLimiter(storage)
        self._tight = RateLimitItemPerSecond(amount, seconds, _NAMESPACE)
        self._wide = RateLimitItemPerSecond(WIDER * amount, seconds, _NAMESPACE)

    def look_at(self, caller: Caller) -> Verdict:
        """How long the caller has to wait, 0 for not at all; nothing is counted."""
        is_known = self._is_known(caller)
        waits = [self._wait(self._tight, "both", caller.both)]
        if caller.address:
            waits.append(self._wait(self._wide, "address", caller.address))
        if not is_known:
            waits.append(self._wait(self._wide, "account", caller.account))
        return Verdict(max(waits), is_known)

    def failed(self, caller: Caller, is_known: bool) -> None:
        """Count a wrong password."""
        self._windows.hit(self._tight, "both", caller.both)
        if caller.address:
            self._windows.hit(self._wide, "address", caller.address)
        if not is_known:
            self._windows.hit(self._wide, "account", caller.account)

    def succeeded(self, caller: Caller) -> None:
        """Know the caller's address from now on, and forget what failed from there."""
        self._storage.incr(self._mark(caller, 0), 2 * KNOWN_SECONDS)
        self._windows.clear(self._tight, "both", caller.both)

    def _is_known(self, caller: Caller) -> bool:
        return any(self._storage.get(self._mark(caller, ago)) for ago in (0, 1))

    def _mark(self, caller: Caller, ago: int) -> str:
        period = int(time.time() // KNOWN_SECONDS) - ago
        return f"{_NAMESPACE}/known/{period}/{caller.both}"

    def _wait(self, window: RateLimitItemPerSecond, *names: str) -> int:
        if self._windows.test(window, *names):
            return 0
        return max(1, math.ceil(self._windows.get_window_stats(window, *names)[0] - time.time()))


def _digest(text: str) -> str:
    digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest[:15]).decode()


def _network(address: str) -> str:
    """An address, of IPv6 the /64 network in which one host has all addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), 64), strict=False))
