"""What has to be made anew in a process that was forked: locks, threads, connections."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """Something that a forked process cannot go on using as it is."""

    def after_fork(self) -> None:
        """Make it usable; called in the child, before anything else runs there."""
        ...


_kept: WeakSet[Renewable] = WeakSet()


def renew_after_fork(thing: Renewable) -> None:
    """Have `thing.after_fork()` called in each process that is forked while the thing lives."""
    _kept.add(thing)


def _renew_all() -> None:
    for thing in list(_kept):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to renew
    os.register_at_fork(after_in_child=_renew_all)
