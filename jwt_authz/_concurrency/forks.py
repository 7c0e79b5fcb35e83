"""Recreate locks, threads and connections in a forked process."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """An object that must be reset in a forked process before it is used there."""

    def after_fork(self) -> None:
        """Reset the object; called in the child process before any other code."""
        ...


_kept: WeakSet[Renewable] = WeakSet()


def renew_after_fork(thing: Renewable) -> None:
    """Call `thing.after_fork()` in each process that is forked while the object exists."""
    _kept.add(thing)


def _renew_all() -> None:
    for thing in list(_kept):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_all)
