"""The pytest plugin of jwt_authz: fixtures, available in every test run after installation.

This file is outside the package and imports it only when a test uses a fixture, so other test runs
are not slowed down.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture
def authz_client(app: Any) -> Any:
    """Return a function that makes clients: `authz_client(roles=["editor"]).get("/articles")`.

    The clients are for your fixture `app`.

    See `jwt_authz.testing.authz_client`.
    """
    return functools.partial(import_module("jwt_authz.testing").authz_client, app)


@pytest.fixture
def acting_as(app: Any) -> Any:
    """Return a function for blocks that act as a caller: `with acting_as(roles=["editor"]): ...`.

    The caller applies to requests to your fixture `app`. See `jwt_authz.testing.acting_as`.
    """
    return functools.partial(import_module("jwt_authz.testing").acting_as, app)
