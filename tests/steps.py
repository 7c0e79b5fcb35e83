"""Count the steps of an action: a measure of its work that does not depend on the machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps_of(action: Callable[[], Any]) -> int:
    """Return how many bytecode instructions an action executes in this thread.

    The work inside a function written in C counts as one step. The action runs twice, and the
    second run counts: Python 3.13 traces a function completely only from its second call on.
    """
    steps = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        steps += event == "opcode"
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
