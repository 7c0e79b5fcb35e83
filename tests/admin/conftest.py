"""An application that is administered, and the token of its administrator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask

from jwt_authz.accounts import passwords

from .application import ask, close, make_app, tokens


def hash_cheaply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost next to nothing."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "_DUMMY", hasher.hash(token_hex()))


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application on SQLite, with hashes that cost next to nothing."""
    hash_cheaply(monkeypatch)
    made = make_app(f"sqlite:///{tmp_path / 'users.sqlite'}")
    yield made
    close(made)


@pytest.fixture
def as_ann(app: Flask) -> Callable[..., Any]:
    """Asks as the administrator."""
    token = tokens(app, "ann")["access_token"]
    return lambda method, path, **keywords: ask(app, token, method, path, **keywords)
