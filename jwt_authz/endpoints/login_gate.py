"""The gate before a log-in: it says who has to wait, and is told how each attempt ended.

It stands open where `AUTHZ_LOGIN_RATE` is empty, and where the extra `ratelimit` is missing and
nobody has set the rate: the check warns of that.
"""

from __future__ import annotations

import threading
from typing import Any

from flask import current_app, request

from ..errors import MisuseError
from ..parts import current_parts
from ..settings import rate_of, setting_name

try:
    from .attempts import Caller
    from .login_rate import LoginRate
except ImportError as error:  # the one that names the extra
    LoginRate = None  # type: ignore[assignment, misc]
    _MISSING = str(error)

_RATE = "jwt_authz.login_rate"
_making = threading.Lock()


class Attempt:
    """One attempt to log in, of one name from the current request's address.

    `wait` is the seconds after which to come again, 0 for now; `must_wait` whether the password
    is not even looked at.
    """

    def __init__(self, username: str) -> None:
        self._rate = login_rate()
        self._caller: Any = None
        self.wait, self._is_known = 0, False
        if self._rate is not None:
            self._caller = Caller.of(username, request.remote_addr)
            self.wait, self._is_known = self._rate.look_at(self._caller)

    @property
    def must_wait(self) -> bool:
        return self.wait > 0 and not self._is_known

    def failed(self) -> None:
        """Count it."""
        if self._rate is not None:
            self._rate.failed(self._caller, self._is_known)

    def succeeded(self) -> None:
        """Let the owner in from this address from now on."""
        if self._rate is not None:
            self._rate.succeeded(self._caller)


def login_rate() -> LoginRate | None:
    """The current application's counter of log-ins; None where there is no limit.

    Raises `MisuseError` for a rate or a store that was set and cannot be had.
    """
    found: LoginRate | None = current_app.extensions.get(_RATE)
    if found is not None:
        return found
    settings = current_parts().settings
    rate = rate_of(settings.login_rate)
    if rate is None:
        return None
    if LoginRate is None:
        _refuse_what_was_set()
        return None
    with _making:
        made: LoginRate = current_app.extensions.get(_RATE) or LoginRate(
            settings.login_rate_store, *rate
        )
        current_app.extensions[_RATE] = made
    return made


def _refuse_what_was_set() -> None:
    for name in map(setting_name, ("login_rate", "login_rate_store")):
        if name in current_app.config:
            raise MisuseError(f"{name} is set, but {_MISSING}")


def check_login_rate() -> list[str]:
    """Warnings of a log-in without a limit; `MisuseError` where what was set cannot be had."""
    has_limit = login_rate() is not None or not current_parts().settings.login_rate
    return [] if has_limit else [f"the log-in has no limit on guesses: {_MISSING}"]
