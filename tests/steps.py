"""Count the steps of an action: a measure of its work that does not depend on the machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps_of(action: Callable[[], Any]) -> int:
    """Return how many lines of Python an action executes in this thread.

    Each pass of a loop counts; the work inside a function written in C does not. The action runs
    twice, and the second run counts: Python 3.13 traces a function completely only from its second
    call on. Lines, not bytecode instructions, since tracing those can crash Python 3.12.
    """
    steps = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
        steps = 0
        action()
    finally:
        sys.settrace(before)
    return steps
