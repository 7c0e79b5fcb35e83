"""Checks of guards: caches, settings and overrides that keep a guard from refusing."""

from __future__ import annotations

from collections.abc import Iterator

from ...findings import Found
from ...guards.overrides import InUse
from ..inspected import Inspected, named, place_of


def caches_above_guards(seen: Inspected) -> Iterator[Found]:
    """Yield the routes where a cache answers before the guard is asked."""
    for access in seen.accesses:
        if access.has_cache_above_guard:
            yield Found(
                f"{named(access)} has a cache above its guard, which gives one caller's answer to "
                "everyone: write the cache below @requires(...), and cache only what all callers "
                "may see",
                place_of(access),
            )


def unenforced_guards(seen: Inspected) -> Iterator[Found]:
    """Yield the guards that refuse no one, since they have `enforce=False`."""
    for access in seen.accesses:
        for guard in access.guards:
            if not guard.enforce:
                yield Found(
                    f"{named(access)} refuses no one: {guard!r} has enforce=False, so remove that "
                    "once the log shows no unexpected 'would have been refused'",
                    place_of(access),
                )


def unenforced_application(seen: Inspected) -> Iterator[Found]:
    """Yield a finding if `AUTHZ_ENFORCE` is False, so that no guard refuses."""
    if seen.settings is not None and not seen.settings.enforce:
        yield Found(
            "AUTHZ_ENFORCE=False: no guard of the application refuses anyone, so set it to True "
            "once the log shows no unexpected 'would have been refused'",
            {"setting": "AUTHZ_ENFORCE"},
        )


def pushed_overrides(seen: Inspected) -> Iterator[Found]:
    """Yield the lines that pushed an override or addition in this process."""
    for where in sorted(InUse.pushed_at):
        yield Found(f"an override or addition was pushed in {where}", {"line": where})
