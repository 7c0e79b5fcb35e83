"""Checks of routes: views without a guard, and routes that refuse everyone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

from ...findings import Found
from ...guards.preflight import is_preflight
from ..inspected import Inspected, named, place_of
from ..matrix import Access

_INSTALLED = frozenset({"site-packages", "dist-packages"})


def denied_views(seen: Inspected) -> Iterator[Found]:
    """Yield the views without a guard that the default refuses."""
    if seen.state.denies_unguarded:
        yield from _bare_views(seen)


def open_views(seen: Inspected) -> Iterator[Found]:
    """Yield the views without a guard that are open."""
    if not seen.state.denies_unguarded:
        yield from _bare_views(seen)


def misplaced_guards(seen: Inspected) -> Iterator[Found]:
    """Yield the views whose guard is above the route decorator, and so is never called."""
    for access in seen.accesses:
        if access.has_misplaced_guard:
            yield _found(
                access,
                "is open: its guard stands above the route decorator, so write @requires(...) "
                "below @app.route(...)",
            )


def unknown_endpoints(seen: Inspected) -> Iterator[Found]:
    """Yield the endpoints that `exempt` names and the application does not have."""
    for endpoint in sorted(seen.state.exempt_endpoints - seen.app.view_functions.keys()):
        yield Found(
            f"exempt({endpoint!r}) names an endpoint that the application does not have",
            {"endpoint": endpoint},
        )


def missing_arguments(seen: Inspected) -> Iterator[Found]:
    """Yield the requirements that need a URL argument the route does not have."""
    for access in seen.accesses:
        for guard in access.guards:
            for asked in guard.requirement_for(access.method, access.has_head).walk():
                name = asked.view_argument
                if name is not None and name not in access.arguments:
                    yield _found(
                        access,
                        f"is always refused: {asked!r} needs the argument {name}, so write "
                        f"<{name}> in the rule, or @exempt on the view",
                    )


def never_fresh(seen: Inspected) -> Iterator[Found]:
    """Yield the routes that ask for a fresh token although the identity loader reads none."""
    for access in seen.accesses if not seen.takes_token else ():
        if access.asks_for_fresh:
            yield _found(
                access,
                "is always refused: fresh=True looks at a token, and the identity loader takes "
                "the identity from elsewhere",
            )


def lost_guards(seen: Inspected) -> Iterator[Found]:
    """Yield the methods without a guard that override a guarded method."""
    for access in seen.accesses:
        if access.lost_guard is not None:
            part, parent = access.lost_guard
            yield _found(
                access,
                f"lost a guard: {part} overrides {parent} without one, so write @requires(...) "
                f"for {part}, or @exempt if anyone may call it",
            )


def missing_methods(seen: Inspected) -> Iterator[Found]:
    """Yield the methods that are missing in a mapping of requirements."""
    for access in seen.accesses:
        for guard in access.guards:
            if guard.lacks(access.method, access.has_head):
                refused = "is always refused" if guard.enforce else "would always be refused"
                yield _found(
                    access, f"{refused}: requires({{...}}) has no entry for {access.method}"
                )


def refused_preflights(seen: Inspected) -> Iterator[Found]:
    """Yield the views whose guard refuses the preflights that a decorator below it would answer."""
    for access in seen.accesses:
        refusing = [guard for guard in access.guards if guard.enforce and not guard.optional]
        if refusing and is_preflight(seen.app, access.view, access.method):
            yield _found(
                access,
                "refuses preflights, which carry no token: write @cross_origin() above "
                f"@{refusing[0]!r}",
            )


def _bare_views(seen: Inspected) -> Iterator[Found]:
    for access in seen.accesses:
        if access.is_bare:
            yield _found(access, _unguarded(access, seen.app))


def _unguarded(access: Access, app: Flask) -> str:
    """Return what is wrong with a view without a guard, and what to write."""
    exempt = f"exempt({json.dumps(access.endpoint)}, app)"
    if access.inner:
        return (
            f"has no guard that can be seen ({access.inner}): write @requires(...) on the view, "
            f"or {exempt} if the guards inside it are enough"
        )
    package = _package_of(access, app)
    if package:
        return f"has no guard, and belongs to {package}: write {exempt} if anyone may call it"
    return (
        "has no guard: write @requires(...) on the view, guard(...) on its blueprint, or @exempt "
        "if anyone may call it"
    )


def _package_of(access: Access, app: Flask) -> str:
    """Return the installed package that a view comes from; empty if it is the application's."""
    held = getattr(access.path.handler, "__globals__", {})
    package = str(held.get("__name__", "")).partition(".")[0]
    is_installed = not _INSTALLED.isdisjoint(Path(str(held.get("__file__", ""))).parts)
    return package if is_installed and package != app.import_name.partition(".")[0] else ""


def _found(access: Access, message: str) -> Found:
    return Found(f"{named(access)} {message}", place_of(access))
