"""Detect whether gevent or eventlet patched threading after this package was imported."""

from __future__ import annotations

import threading

from ..errors import MisuseError

_LOCK = threading.Lock


def refuse_late_patching() -> None:
    """Raise `MisuseError` if `threading` was patched after this package created its locks.

    A greenlet that waits for an unpatched lock blocks all others, including the one that holds it.
    """
    if threading.Lock is not _LOCK:
        raise MisuseError(
            "gevent or eventlet patched threading after jwt_authz was imported, so requests can "
            "deadlock: run gunicorn without --preload, or call monkey.patch_all() before any "
            "other import"
        )
