"""Limit failed log-in attempts, and check the password.

There is no limit if `AUTHZ_LOGIN_RATE` is empty, or if the extra `ratelimit` is missing and the
rate is not set. The check warns about the second case.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, TypeGuard

from flask import current_app, request
from flask.sansio.app import App

from .._concurrency.slots import HASHING, place_reserved_for
from ..accounts import Accounts, NamedAccounts, User
from ..application import current_state
from ..errors import HashingBusy, MisuseError
from ..findings import Found, add_check, misuse_of
from ..settings import rate_of, setting_name
from .proxies import is_from_unconfigured_proxy, unconfigured_proxies

try:
    from .attempts import Caller, digest, network_of
    from .rate_limit import LoginRate
except ImportError as error:  # it names the extra
    LoginRate = None  # type: ignore[assignment, misc]
    _MISSING = str(error)

_RATE = "jwt_authz.login_rate"
_making = threading.Lock()


class Attempt:
    """One attempt to log in to an account by its name, from the current request's address.

    `wait` is the number of seconds to wait before the next attempt, or 0. If the attempt
    `must_wait`, do not check the password. At an address that is known for the account, it is
    checked anyway.
    """

    def __init__(self, accounts: Accounts, username: str) -> None:
        self._accounts = accounts
        self._username = username
        self._rate = login_rate()
        self._known_as: str | None = None
        self.wait = 0
        if self._rate is not None:
            self._caller: Any = Caller.of(username, request.remote_addr)
            waits = self._rate.wait_times(self._caller)
            self._known_as = self._known_owner(self._rate)
            self.wait = waits.here if self._known_as else max(waits)

    @property
    def must_wait(self) -> bool:
        return self.wait > 0 and self._known_as is None

    def authenticate(self, password: str) -> User | None:
        """Return the user if name and password match, else None.

        Raise `StoreUnavailable` if the accounts do not answer. Raise `HashingBusy`, and count it
        for the address, if too many passwords are being hashed. A known caller has a reserved
        place.
        """
        place = f"{self._known_as}@{self._caller.address}" if self._known_as else None
        try:
            with place_reserved_for(place):
                return self._accounts.authenticate(self._username, password)
        except HashingBusy:
            if self._rate is not None:
                self._rate.turned_away(self._caller.address)
            raise

    def failed(self) -> None:
        """Count a wrong password."""
        if self._rate is not None:
            self._rate.failed(self._caller, self._known_as is not None)

    def succeeded(self, user: User) -> None:
        """Make the address known for the user's account."""
        if self._rate is not None and _is_own(self._caller.address):
            owner = _owner(self._accounts, user, self._username)
            self._rate.succeeded(self._caller.address, owner)

    def _known_owner(self, rate: LoginRate) -> str | None:
        """Return the digest of the account if it is known at this address, else None."""
        address = self._caller.address
        if not _may_be_known(rate, address):
            return None
        user = self._accounts.named(self._username) if _has_names(self._accounts) else None
        owner = _owner(self._accounts, user, self._username)
        return owner if owner and rate.knows(address, owner) else None


def wait_of_address() -> int:
    """Return how long the current caller has to wait whatever the name, or 0 if the name decides.

    Call this before the body is read, so that rejecting a flood is cheap. Raise `HashingBusy` if no
    password can be hashed now, and count that for the address. At an address that is known for an
    account, the name decides.
    """
    rate = login_rate()
    if rate is None:
        if HASHING.is_full:
            raise HASHING.busy()
        return 0
    address = network_of(request.remote_addr)
    wait = rate.wait_here(address)
    if not (wait or HASHING.is_full) or _may_be_known(rate, address):
        return 0
    if not wait:
        rate.turned_away(address)
        raise HASHING.busy()
    return wait


def _may_be_known(rate: LoginRate, address: str) -> bool:
    return _is_own(address) and rate.may_be_known(address)


def _is_own(address: str) -> bool:
    """Return whether the address seems to be the caller's own."""
    return address != "" and not is_from_unconfigured_proxy()


def _owner(accounts: Accounts, user: User | None, username: str) -> str:
    """Return the digest of an account: of the subject if names can be looked up."""
    if not _has_names(accounts):
        return digest(f"name {username}")
    return "" if user is None else digest(f"subject {user.subject}")


def _has_names(accounts: Accounts) -> TypeGuard[NamedAccounts]:
    return hasattr(accounts, "named")


def login_rate() -> LoginRate | None:
    """Return the current application's counter of failed log-ins; None if there is no limit.

    Raise `MisuseError` for a rate or a store that is set but cannot be used.
    """
    found: LoginRate | None = current_app.extensions.get(_RATE)
    if found is not None:
        return found
    state = current_state()
    rate = rate_of(state.settings.login_rate)
    if rate is None:
        return None
    if LoginRate is None:
        _refuse_what_was_set()
        return None
    with _making:
        made: LoginRate = current_app.extensions.get(_RATE) or LoginRate(
            state.settings.login_rate_store, *rate, state.application_id
        )
        current_app.extensions[_RATE] = made
    return made


def _refuse_what_was_set() -> None:
    for name in _set_by_application():
        raise MisuseError(f"{name} is set, but {_MISSING}")


def _set_by_application() -> Iterator[str]:
    for name in map(setting_name, ("login_rate", "login_rate_store")):
        if name in current_app.config:
            yield name


def add_rate_checks(app: App) -> None:
    """Add the checks of the rate limit to an application that has a log-in."""
    add_check(app, "AZ506", unusable_rate)
    add_check(app, "AZ507", missing_rate)
    add_check(app, "AZ508", hidden_addresses)


def unusable_rate() -> Iterator[Found]:
    """Yield why the rate limit that is set cannot be used."""
    return misuse_of(login_rate)


def missing_rate() -> Iterator[Found]:
    """Yield a finding if log-ins have no limit although it was not turned off."""
    is_wanted = bool(current_state().settings.login_rate)
    if is_wanted and LoginRate is None and not any(_set_by_application()):
        yield Found(f"the log-in has no limit on guesses: {_MISSING}")


def hidden_addresses() -> Iterator[Found]:
    """Yield a finding if a proxy hides the addresses that the limit is for."""
    if LoginRate is not None and current_state().settings.login_rate:
        yield from unconfigured_proxies()
