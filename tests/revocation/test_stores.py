"""Choosing a store by its URL, and what the stores have in common."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jwt_authz import revocation
from jwt_authz.errors import MisuseError
from jwt_authz.revocation import MemoryStore, open_store
from jwt_authz.revocation.families import Families
from jwt_authz.revocation.log import Log
from jwt_authz.revocation.store import Store
from jwt_authz.revocation.stores.redis import RedisStore
from jwt_authz.revocation.stores.sqlalchemy import SQLAlchemyStore

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory:", MemoryStore),
        ("memory://", MemoryStore),
        ("redis://127.0.0.1:1/0", RedisStore),
        ("redis://user:secret@127.0.0.1:1/0?socket_timeout=0.2", RedisStore),
        ("rediss://127.0.0.1:1/0", RedisStore),
        ("unix:///run/redis.sock?db=3", RedisStore),
        ("sqlite:///x.db", SQLAlchemyStore),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/x", SQLAlchemyStore),
    ],
)
def test_a_url_names_a_store_and_nothing_is_connected_to_yet(url: str, kind: type) -> None:
    store = open_store(url)

    assert type(store) is kind
    assert (store.known is None) == (kind is not MemoryStore)
    store.close()


@pytest.mark.parametrize(
    "url", ["", "memory:x", "://x", "redis", "redis:6379", "/var/x.db", "localhost:6379", None, 6]
)
def test_a_url_of_nothing_is_a_misuse_that_says_what_to_write(url: Any) -> None:
    with pytest.raises(
        MisuseError, match=r"expected memory:, redis://host:6379/0, or a SQLAlchemy URL"
    ):
        open_store(url)


@pytest.mark.parametrize("url", ["http://u:secret@host/", "ftp://secret", "valkey://secret"])
def test_an_unknown_scheme_is_a_misuse_without_what_is_in_the_url(url: str) -> None:
    with pytest.raises(MisuseError, match="write") as refused:
        open_store(url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("blocked", "url", "message"),
    [
        ("redis", "redis://127.0.0.1/0", "pip install 'jwt_authz[redis]'"),
        ("sqlalchemy", "sqlite:///x.db", "pip install 'jwt_authz[sqlalchemy]'"),
    ],
)
def test_a_missing_extra_is_reported_by_its_name(blocked: str, url: str, message: str) -> None:
    script = (
        f"import sys; sys.modules[{blocked!r}] = None\n"
        "from jwt_authz.revocation import *\n"
        f"open_store('memory:')\nopen_store({url!r})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )

    assert ran.returncode == 1
    assert message in ran.stderr.splitlines()[-1]


@pytest.mark.slow
def test_the_package_needs_neither_redis_nor_sqlalchemy_nor_flask_of_its_own() -> None:
    script = (
        "import sys, jwt_authz\n"
        "before = set(sys.modules)\n"
        "import jwt_authz.revocation\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert not new & {'redis', 'sqlalchemy', 'flask', 'werkzeug', 'jwt'}, new\n"
        "assert not {'redis', 'sqlalchemy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=ROOT).returncode == 0


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert revocation.__all__ == sorted(revocation.__all__)
    assert all(hasattr(revocation, name) for name in revocation.__all__)


@pytest.mark.parametrize("kind", [MemoryStore, RedisStore, SQLAlchemyStore])
def test_every_store_has_the_methods_that_the_protocols_name(kind: type) -> None:
    protocols: list[Any] = [Families, Store] if kind is MemoryStore else [Families, Store, Log]
    for protocol in protocols:
        for name, method in inspect.getmembers(protocol, inspect.isfunction):
            if name.startswith("_"):
                continue
            wanted = inspect.signature(method).parameters
            offered = inspect.signature(getattr(kind, name)).parameters
            assert list(wanted) == list(offered), f"{kind.__name__}.{name}"
