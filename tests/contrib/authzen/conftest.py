"""The policy server that the tests ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import PolicyServer


@pytest.fixture
def server() -> Iterator[PolicyServer]:
    with PolicyServer() as made:
        yield made
