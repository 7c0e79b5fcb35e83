"""The fixtures of jwt_authz for pytest, which loads this file in every run where it is installed.

It stands beside the package, and imports it when a test asks for a fixture: not before, so that
a run without one pays nothing.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture
def authz_client(app: Any) -> Any:
    """Makes clients of your `app` fixture: `authz_client(roles=["editor"]).get("/articles")`.

    See `jwt_authz.testing.authz_client`.
    """
    return functools.partial(import_module("jwt_authz.testing").authz_client, app)


@pytest.fixture
def acting_as(app: Any) -> Any:
    """Makes blocks in which requests to your `app` fixture are somebody's.

    As in `with acting_as(roles=["editor"]): ...`; see `jwt_authz.testing.acting_as`.
    """
    return functools.partial(import_module("jwt_authz.testing").acting_as, app)
