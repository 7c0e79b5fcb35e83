"""What a filter returns is what the item check would have let through, row by row."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jwt_authz import Identity, Requirement
from jwt_authz.conditions import one_instant
from jwt_authz.filters import criterion

from .conftest import Rows
from .generated import identities, requirements
from .models import NOON, ROWS, Article

pytestmark = pytest.mark.filterwarnings("ignore:Dialect sqlite.*does \\*not\\* support Decimal")
AT = NOON + timedelta(minutes=30)
WINDOW = 500


def compare(rows: Rows, requirement: Requirement, identity: Identity, first: int, size: int) -> int:
    """How many rows were let through, by the database and by the item check alike."""
    last = first + size - 1
    with one_instant(AT):
        found = rows.ids_where(criterion(requirement, Article, identity), first, last)
        let_through = {
            id for id in range(first, last + 1) if requirement.evaluate(identity, rows.articles[id])
        }
    assert found == let_through
    return len(found)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(requirements, identities, st.integers(0, ROWS // WINDOW - 1))
def test_a_filter_lets_through_the_rows_that_the_item_check_does(
    rows: Rows, requirement: Requirement, identity: Identity, window: int
) -> None:
    compare(rows, requirement, identity, window * WINDOW + 1, WINDOW)


@pytest.mark.long
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(requirements, identities)
def test_a_filter_agrees_with_the_item_check_on_all_rows(
    rows: Rows, requirement: Requirement, identity: Identity
) -> None:
    compare(rows, requirement, identity, 1, ROWS)
