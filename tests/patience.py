"""How long tests wait for what must happen: a safety net that a sound machine never reaches.

A test waits for an event, never for a time. A busy machine may be slow without failing a test;
what fails one is an event that never comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which a test gives up."""


def eventually(question: Callable[[], bool]) -> None:
    """Wait until the question is answered with yes; fail the test if it never is."""
    until = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.002)
