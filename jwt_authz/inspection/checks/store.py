"""Checks of the store and the server: whether revocations reach all processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from flask import has_request_context, request

from ..._concurrency.patching import refuse_late_patching
from ...errors import MisuseError
from ...findings import Found, misuse_of
from ..inspected import Inspected


def late_patching(seen: Inspected) -> Iterator[Found]:
    """Yield a finding if gevent or eventlet replaced threads after the package was imported."""
    return misuse_of(refuse_late_patching)


def unusable_store(seen: Inspected) -> Iterator[Found]:
    """Yield why the store cannot be used; no connection is made."""
    if seen.settings is not None and seen.settings.store_url is not None:
        yield from misuse_of(seen.state.needed_revocations)


def memory_of_many(seen: Inspected) -> Iterator[Found]:
    """Yield a finding if the server runs several processes, each with its own store in memory.

    This is known only during a request.
    """
    if seen.settings is None or seen.settings.store_url != "memory:" or not has_request_context():
        return
    if request.environ.get("wsgi.multiprocess"):
        yield Found(
            "AUTHZ_STORE_URL='memory:' keeps revocations in one process, and the server runs "
            "several: set it to redis://... or a SQLAlchemy URL",
            {"setting": "AUTHZ_STORE_URL"},
        )


def shared_store(seen: Inspected) -> Iterator[Found]:
    """Yield the other applications that use the same store under the same namespace."""
    with suppress(MisuseError, ImportError):  # the store's, which are findings of their own
        yield from map(Found, seen.state.sharing_warnings())
