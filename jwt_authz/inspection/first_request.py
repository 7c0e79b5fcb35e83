"""Run the check before the first request; its modules are not imported earlier."""

from __future__ import annotations

import logging
import threading
from importlib import import_module
from typing import Any

from flask import Flask, request, request_started
from werkzeug.exceptions import InternalServerError

from ..application import current_state
from ..errors import MisuseError, StoreUnavailable
from ..guards.error_handlers import keep_refusals
from ..guards.placement import is_static

LONGEST_CHECK = 5.0
"""How many seconds a request waits for a check that another request started."""

_CHECK = "jwt_authz.inspection.check"
_log = logging.getLogger("jwt_authz")


class FirstRequest:
    """Checks the application before its first request; until the check passes, all are refused.

    It uses Flask's signal instead of `before_request`, to leave no overhead for later requests.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passed = False
        self._misuse = ""

    def __call__(self, app: Flask, **keywords: Any) -> None:
        keep_refusals(app)
        if request.endpoint is not None and is_static(app, request.endpoint):
            return
        if not self._lock.acquire(timeout=LONGEST_CHECK):
            raise StoreUnavailable("the check before the first request is still running")
        try:
            if not self._passed and not self._misuse:
                self._check(app)
        finally:
            self._lock.release()
        if self._misuse:
            # In development, the error page shows what was logged.
            raise InternalServerError(self._misuse if app.debug or app.testing else None)

    def _check(self, app: Flask) -> None:
        try:
            for warning in import_module(_CHECK).check(current_state()):
                _log.warning("%s", warning)
        except MisuseError as error:
            self._misuse = str(error)
            _log.error(
                "every request is refused until this misuse of jwt_authz is fixed:\n%s",
                self._misuse,
            )
        else:
            self._passed = True
            request_started.disconnect(self, app)
