"""The fixtures of jwt_authz for pytest, which loads this file in every run where it is installed.

It is next to the package and imports it only when a test uses a fixture, so that a test run that
uses none pays nothing.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture
def authz_client(app: Any) -> Any:
    """Make clients of your `app` fixture: `authz_client(roles=["editor"]).get("/articles")`.

    See `jwt_authz.testing.authz_client`.
    """
    return functools.partial(import_module("jwt_authz.testing").authz_client, app)


@pytest.fixture
def acting_as(app: Any) -> Any:
    """Make blocks in which requests to your `app` fixture have an identity.

    As in `with acting_as(roles=["editor"]): ...`; see `jwt_authz.testing.acting_as`.
    """
    return functools.partial(import_module("jwt_authz.testing").acting_as, app)
