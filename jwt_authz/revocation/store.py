"""Store: where revocations and token families are stored, selected by a URL."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast

from ..errors import MisuseError
from .families import Families
from .known import KnownRevocations
from .log import TIMEOUT, LogEntry
from .sharing import Shared
from .statements import Target
from .stores.memory import MemoryStore


class Store(Families, Shared, Protocol):
    """What every store offers; a shared store also offers `Log`."""

    @property
    def known(self) -> KnownRevocations | None:
        """The revocations themselves if the store is in this process's memory, else None."""
        ...

    def prepare(self, *, is_new: bool = True) -> None:
        """Create the store's tables and, if it is new, its mark."""
        ...

    def revoke(self, target: Target, forget_at: float, not_before: float = 0.0) -> LogEntry:
        """Store a statement with the store's time, or `not_before` if that is later."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


REDIS_SCHEMES = (
    *("redis", "rediss", "unix"),
    *("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
)


def open_store(url: str, namespace: str = "", timeout: float = TIMEOUT) -> Store:
    """Return the store with this URL, without connecting to it.

    `memory:` is this process's memory; `redis://`, `rediss://`, `unix://`, `redis+sentinel://` and
    `redis+cluster://` are Redis (extra `redis`); any other URL is one of SQLAlchemy (extra
    `sqlalchemy`). Applications that share a store need a `namespace` each. No call takes longer
    than `timeout` seconds. Raise `MisuseError` for another kind of URL, `ImportError` if the extra
    is missing.
    """
    scheme, parting, _ = url.partition("://") if isinstance(url, str) else ("", "", "")
    if url == "memory:" or scheme == "memory":
        return MemoryStore()
    if parting and scheme in REDIS_SCHEMES:
        return _from_url("redis", "RedisStore", url, namespace, timeout)
    if parting and scheme:
        return _from_url("sqlalchemy", "SQLAlchemyStore", url, namespace, timeout)
    raise MisuseError(
        "Invalid AUTHZ_STORE_URL: expected memory:, redis://host:6379/0, or a SQLAlchemy URL such "
        "as postgresql+psycopg://host/name."
    )


def _from_url(module: str, name: str, *arguments: Any) -> Store:
    # By name, so that each store's extra is only needed if that store is used.
    kind = getattr(import_module(f"{__package__}.stores.{module}"), name)
    return cast(Store, kind.from_url(*arguments))
