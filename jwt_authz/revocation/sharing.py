"""Sharing: finds another application that uses the store under the same namespace.

How it works. Each process writes a record of its application to the store, and renews it every
minute. A record that was not renewed for five minutes is gone. All processes of an application, and
services that accept its tokens, have the same issuer and a key in common; a record with another
issuer, or with none of the keys, is another application's. Keys are recorded by their ids, and a
secret by a short digest.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from hmac import digest
from typing import NamedTuple, Protocol

from ..errors import MisuseError, StoreUnavailable

RENEW_EVERY = 60.0
KEPT = 300.0

_log = logging.getLogger("jwt_authz.revocation")


class Application(NamedTuple):
    """An application as other applications see it in the store."""

    issuer: str
    keys: frozenset[str]

    def is_same(self, other: Application) -> bool:
        """Return whether both can be processes of one application."""
        has_common_key = not self.keys or not other.keys or bool(self.keys & other.keys)
        return self.issuer == other.issuer and has_common_key

    def to_json(self) -> str:
        """Return the record as JSON, the same for the same application."""
        return json.dumps([self.issuer, sorted(self.keys)])

    @classmethod
    def from_json(cls, text: str) -> Application:
        """Return the application of a record; raise ValueError for anything else."""
        issuer, keys = json.loads(text)
        return cls(str(issuer), frozenset(map(str, keys)))


class Shared(Protocol):
    """What a store offers to distinguish its applications."""

    def record(self, application: str) -> list[str]:
        """Keep the record of an application for `KEPT` seconds; return all that are kept."""
        ...


class Sharing:
    """Records this application in a store, and finds the others; any thread may call it."""

    def __init__(self, store: Shared, this: Callable[[], Application]) -> None:
        self._store = store
        self._this = this
        self._recorded_at: float | None = None
        self._logged: set[Application] = set()

    def warnings(self) -> list[str]:
        """Return a warning for each other application; none if the store does not answer."""
        return list(self._warnings().values())

    def renew_now_and_then(self) -> None:
        """Renew the record once a minute, and log a warning of each application that is new."""
        now = time.monotonic()
        if self._recorded_at is not None and now - self._recorded_at < RENEW_EVERY:
            return
        self._recorded_at = now
        for other, warning in self._warnings().items():
            if other not in self._logged:
                self._logged.add(other)
                _log.warning(warning)

    def _warnings(self) -> dict[Application, str]:
        try:
            this, others = self._this(), list[Application]()
            records = self._store.record(this.to_json())
        except (StoreUnavailable, MisuseError, OSError):  # the store's, or those of a key file
            return {}
        for text in records:
            with suppress(ValueError, TypeError):
                others.append(Application.from_json(text))
        return {other: _warning(other, this) for other in others if not this.is_same(other)}


def id_of_secret(secret: str | bytes) -> str:
    """Return a short digest of a secret, which distinguishes secrets without revealing one."""
    key = secret.encode() if isinstance(secret, str) else secret
    return "secret-" + digest(key, b"jwt_authz.revocation.sharing", "sha256").hex()[:8]


def _warning(other: Application, this: Application) -> str:
    keys = " and other keys" if other.issuer == this.issuer else ""
    return (
        f"an application with the issuer {other.issuer!r}{keys} also uses the store of "
        "AUTHZ_STORE_URL, so that each lists and ends the log-ins of the other: set "
        "AUTHZ_STORE_NAMESPACE to a different name in each"
    )
