"""Store: where revocations and refresh families are kept, chosen by one URL."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast

from ..errors import MisuseError
from .families import Families
from .known import Known
from .log import TIMEOUT, LogEntry
from .sharing import Shared
from .statements import Target
from .stores.memory import MemoryStore


class Store(Families, Shared, Protocol):
    """What every store offers; one that processes share offers what `Log` names besides."""

    @property
    def known(self) -> Known | None:
        """The revocations themselves where the store is this process's memory, else None."""
        ...

    def prepare(self, *, is_new: bool = True) -> None:
        """Make the tables that the store needs and, if it is new, the mark that says so."""
        ...

    def revoke(self, target: Target, forget_at: float, not_before: float = 0.0) -> LogEntry:
        """Keep a statement, said at the store's time or at `not_before`, if that is later."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


def open_store(url: str, namespace: str = "", timeout: float = TIMEOUT) -> Store:
    """Return the store that the URL names; nothing is connected to yet.

    `memory:` is this process's memory; `redis://`, `rediss://` and `unix://` a Redis database
    (extra `redis`); any other scheme a database by SQLAlchemy's URL (extra `sqlalchemy`).
    Applications that share one are kept apart by the `namespace` of each. No call
    takes longer than `timeout` seconds. Raises MisuseError for a
    URL of another kind, ImportError if the extra is missing.
    """
    scheme, parting, _ = url.partition("://") if isinstance(url, str) else ("", "", "")
    if url == "memory:" or scheme == "memory":
        return MemoryStore()
    if parting and scheme in ("redis", "rediss", "unix"):
        return _from_url("redis", "RedisStore", url, namespace, timeout)
    if parting and scheme:
        return _from_url("sqlalchemy", "SQLAlchemyStore", url, namespace, timeout)
    raise MisuseError(
        "AUTHZ_STORE_URL names no store: write memory:, redis://host:6379/0, or a SQLAlchemy URL "
        "such as postgresql+psycopg://host/name"
    )


def _from_url(module: str, name: str, *arguments: Any) -> Store:
    # By name, so that only who asks for a store needs what it is built on.
    kind = getattr(import_module(f"{__package__}.stores.{module}"), name)
    return cast(Store, kind.from_url(*arguments))
