"""Count failed log-ins by account and address over a moving window.

How it works. Three windows count failures: of one account from one address (tight), of one account
from all addresses that are not known for it, and of one address at all accounts (both ten times as
wide). A guesser at one address is stopped soon; one with many names or many addresses is stopped
later. A successful log-in makes its address known for the account for at least two weeks. There
the password is checked even above the limits, so that an attacker cannot lock out the owner.

Failures are counted by the normalized name, since a database may treat two spellings as one
account. A known address is stored by subject, so it is not known for an account with a similar
name. An address known for more than five accounts (an office, a proxy) is known for none.
"""

from __future__ import annotations

import math
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from .._extras import needs_extra
from .spelling import folded

with needs_extra("counting log-ins", "limits", "ratelimit"):
    from limits import RateLimitItemPerSecond
    from limits.storage import Storage
    from limits.strategies import MovingWindowRateLimiter

WIDER = 10
"""How many times more failures an account or an address may have than both together."""

KNOWN_SECONDS = 14 * 86_400
"""The minimum time that an address stays known after a log-in; the maximum is twice as long."""

MOST_ACCOUNTS = 5
"""If more accounts than this log in from an address, it is shared, and known for none of them."""

_NAMESPACE = "jwt_authz"


class Caller(NamedTuple):
    """A caller who tries to log in, as counted: no name leaves the process."""

    account: str
    address: str

    @classmethod
    def of(cls, username: str, address: str | None) -> Caller:
        """Return the caller for a name in any spelling, and an address or IPv6 network."""
        return cls(digest(folded(username)), network_of(address))

    @property
    def both(self) -> str:
        return f"{self.account}@{self.address}"


class WaitTimes(NamedTuple):
    """How long to wait, in seconds, or 0.

    `here` results from failures at the caller's address, `elsewhere` from the account's failures at
    all addresses, which do not apply to a known address.
    """

    here: int
    elsewhere: int


class Attempts:
    """The failed log-ins in one storage of `limits`: at most `amount` in `seconds`."""

    def __init__(self, storage: Storage, amount: int, seconds: int) -> None:
        self._storage = storage
        self._windows = MovingWindowRateLimiter(storage)
        self._tight = RateLimitItemPerSecond(amount, seconds, _NAMESPACE)
        self._wide = RateLimitItemPerSecond(WIDER * amount, seconds, _NAMESPACE)

    def wait_times(self, caller: Caller) -> WaitTimes:
        """Return how long the caller has to wait; nothing is counted."""
        tight = self._wait(self._tight, "both", caller.both)
        elsewhere = self._wait(self._wide, "account", caller.account)
        return WaitTimes(max(tight, self.wait_at(caller.address)), elsewhere)

    def wait_at(self, address: str) -> int:
        """Return how long callers at the address have to wait, whatever the account."""
        return self._wait(self._wide, "address", address) if address else 0

    def failed(self, caller: Caller, is_known: bool) -> None:
        """Count a wrong password."""
        self._windows.hit(self._tight, "both", caller.both)
        self.turned_away(caller.address)
        if not is_known:
            self._windows.hit(self._wide, "account", caller.account)

    def turned_away(self, address: str) -> None:
        """Count an attempt only for the address: the password was not checked."""
        if address:
            self._windows.hit(self._wide, "address", address)

    def may_be_known(self, address: str, application: str) -> bool:
        """Return whether any account of the application may be known at the address."""
        counts = [self._storage.get(mark) for mark in _marks(application, address)]
        return 0 < max(counts) <= MOST_ACCOUNTS

    def knows(self, address: str, owner: str, application: str) -> bool:
        """Return whether the owner of an account has logged in from the address lately.

        Call `may_be_known` first: at a shared address, no account is known.
        """
        marks = _marks(application, f"{owner}@{address}")
        return any(self._storage.get(mark) for mark in marks)

    def succeeded(self, address: str, owner: str, application: str) -> None:
        """Make the address known for the account, from now on."""
        mark, _ = _marks(application, f"{owner}@{address}")
        if self._storage.incr(mark, 2 * KNOWN_SECONDS) == 1:
            self._storage.incr(_marks(application, address)[0], 2 * KNOWN_SECONDS)

    def _wait(self, window: RateLimitItemPerSecond, *names: str) -> int:
        if self._windows.test(window, *names):
            return 0
        return max(1, math.ceil(self._windows.get_window_stats(window, *names)[0] - time.time()))


def digest(text: str) -> str:
    """Return a short digest, used to count a name or a subject."""
    hashed = sha256(text.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(hashed[:15]).decode()


def _marks(application: str, what: str) -> tuple[str, str]:
    """Return the keys of a mark in this period and the one before."""
    period = int(time.time() // KNOWN_SECONDS)
    return (
        f"{_NAMESPACE}/known/{application}/{period}/{what}",
        f"{_NAMESPACE}/known/{application}/{period - 1}/{what}",
    )


def network_of(address: str | None) -> str:
    """Return the address without a port; for IPv6 the /64 network, which belongs to one host.

    Empty if it is not an IP address.
    """
    address = address or ""
    parsed = _parsed(address) or _parsed(address.rpartition(":")[0].strip("[]"))
    if parsed is None:
        return ""
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), 64), strict=False))


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None
