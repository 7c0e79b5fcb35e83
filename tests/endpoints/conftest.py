"""An application whose users refresh their tokens, on each kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import redis
import sqlalchemy
from flask import Flask
from sqlalchemy.schema import CreateSchema, DropSchema

from .refreshing import close, make_app

STORES = ("memory", "redis", "sqlite", "postgres")


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Gives the URL of an empty store of a kind; what it holds is gone after the test."""
    undo: list[Callable[[], object]] = []

    def url_of(kind: str) -> str:
        if kind == "memory":
            return "memory:"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / 'store.sqlite'}"
        if kind == "redis":
            url = f"{request.getfixturevalue('redis_url').rpartition('/')[0]}/13"
            client = redis.Redis.from_url(url)
            client.flushdb()
            undo.extend((client.close, client.flushdb))
            return f"{url}?socket_timeout=2&socket_connect_timeout=2"  # a machine that is busy
        return _schema(request.getfixturevalue("postgres_url"), undo)

    yield url_of
    while undo:
        undo.pop()()


def _schema(url: str, undo: list[Callable[[], object]]) -> str:
    name = f"endpoints_{token_hex(6)}"
    admin = sqlalchemy.create_engine(url)

    def drop() -> None:
        with admin.begin() as connection:
            connection.execute(DropSchema(name, cascade=True))
        admin.dispose()

    with admin.begin() as connection:
        connection.execute(CreateSchema(name))
    undo.append(drop)
    return f"{url}?options=-csearch_path%3D{name}"


@pytest.fixture
def start(store_url: Callable[[str], str], cheap_argon2: object) -> Iterator[Callable[..., Flask]]:
    """Makes applications with the settings given, by default with a store in memory."""
    made: list[Flask] = []

    def make(kind: str = "memory", **settings: Any) -> Flask:
        url = settings.pop("AUTHZ_STORE_URL", None) or store_url(kind)
        made.append(make_app(url, **settings))
        return made[-1]

    yield make
    for app in made:
        close(app)


@pytest.fixture(params=STORES)
def app(request: pytest.FixtureRequest, start: Callable[..., Flask]) -> Flask:
    """The application on each kind of store."""
    return start(request.param)
