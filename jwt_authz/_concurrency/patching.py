"""Patching: whether gevent or eventlet replaced threads after this package was imported."""

from __future__ import annotations

import threading

from ..errors import MisuseError

_LOCK = threading.Lock


def refuse_late_patching() -> None:
    """Raise `MisuseError` if the locks of this package are older than the patched ones.

    A greenlet that waits for such a lock stops all others, and with them the one that holds it.
    """
    if threading.Lock is not _LOCK:
        raise MisuseError(
            "gevent or eventlet patched threads after jwt_authz was imported, so that requests "
            "would wait forever: run gunicorn without --preload, or call monkey.patch_all() "
            "before anything else is imported"
        )
