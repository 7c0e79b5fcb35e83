"""An application whose users refresh their tokens, on each kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.kinds import NEW_DATABASES

from .refreshing import close, make_app

STORES = ("memory", "redis", "sqlite", "postgres", "mariadb")


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Gives the URL of an empty store of a kind."""

    def url_of(kind: str) -> str:
        if kind == "memory":
            return "memory:"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / 'store.sqlite'}"
        if kind == "redis":
            redis_url: str = request.getfixturevalue("redis_url")
            return redis_url
        made: str = request.getfixturevalue(NEW_DATABASES[kind])()
        return made

    return url_of


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
