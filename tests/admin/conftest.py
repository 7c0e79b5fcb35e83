"""An application that is administered, and the token of its administrator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.kinds import NEW_DATABASES

from .application import STORED, ask, close, make_app, tokens


@pytest.fixture
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The application on SQLite, or on the database that the parameter names."""
    if new := NEW_DATABASES.get(getattr(request, "param", "sqlite")):
        url = request.getfixturevalue(new)()
    else:
        url = f"sqlite:///{tmp_path / 'users.sqlite'}"
    made = make_app(url)
    yield made
    close(made)


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Flask]:
    """The same with its roles in the database."""
    made = make_app(f"sqlite:///{tmp_path / 'stored.sqlite'}", STORED)
    yield made
    close(made)


@pytest.fixture
def as_ann(app: Flask) -> Callable[..., Any]:
    """Asks as the administrator."""
    token = tokens(app, "ann")["access_token"]
    return lambda method, path, **keywords: ask(app, token, method, path, **keywords)
