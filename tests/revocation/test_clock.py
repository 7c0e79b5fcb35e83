"""The store's clock, as a process knows it: between two bounds, whatever the wall clock says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_authz.revocation import clock as clock_module
from jwt_authz.revocation.clock import StoreClock

from .conftest import Clock, set_clocks


@given(
    offset=st.floats(-1e6, 1e6),
    there=st.floats(0, 5),
    back=st.floats(0, 5),
    later=st.floats(0, 5_000),
)
def test_the_stores_time_lies_between_the_bounds(
    offset: float, there: float, back: float, later: float
) -> None:
    true = Clock()
    with pytest.MonkeyPatch.context() as patch:
        set_clocks(patch, clock_module, wall=lambda: 0.0, monotonic=true)
        known = StoreClock()
        asked = true.now
        true.step(there)
        store_time = true.now + offset  # what the store's clock said
        true.step(back)
        known.answered(store_time, asked, true.now)
        true.step(later)

        latest = known.latest()
        assert latest is not None
        assert known.earliest() - 1e-3 <= true.now + offset <= latest + 1e-3
        assert latest - known.earliest() == pytest.approx(there + back, abs=1e-3)


def test_before_the_first_answer_the_machines_own_clock_must_do(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    set_clocks(monkeypatch, clock_module, wall=clock)

    assert StoreClock().earliest() == clock.now
    assert StoreClock().latest() is None
