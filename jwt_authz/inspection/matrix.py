"""List the guards of each route and method, and where each guard is placed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask

from ..guards.call_path import CallPath, call_path, class_of, guards_on
from ..guards.guard import Guard
from ..guards.inner_decisions import inner_decision
from ..guards.placement import (
    WRAPPED,
    guards_of,
    has_cache_above_guard,
    is_exempt,
    is_static,
    left_out_guard,
    placed_guards,
)
from ..guards.preflight import is_preflight
from ..policy.requirements import And, Requirement

_ANSWERED_BY_FLASK = frozenset({"HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Access:
    """What one endpoint and method of an application requires.

    `places` says where each of the `guards` is placed: `application`, `blueprint shop`, `view`,
    `class` or `method`. `inner` says what may refuse a call besides the guards; it is empty if
    nothing is found.
    """

    endpoint: str
    rule: str
    method: str
    guards: tuple[Guard, ...]
    places: tuple[str, ...]
    exempt: bool
    view: Any
    has_head: bool
    arguments: frozenset[str]
    inner: str

    @property
    def path(self) -> CallPath:
        """The functions that a call goes through."""
        return call_path(self.view, self.method)

    @property
    def requirement(self) -> Requirement | None:
        """The combined requirement of all guards, None if there is no guard."""
        asked = [guard.requirement_for(self.method, self.has_head) for guard in self.guards]
        return None if not asked else asked[0] if len(asked) == 1 else And(*asked)

    @property
    def asks_for_fresh(self) -> bool:
        """Whether a guard requires a fresh token."""
        return any(guard.fresh for guard in self.guards)

    @property
    def is_bare(self) -> bool:
        """Whether the view has neither a guard nor `exempt`."""
        return not self.guards and not self.exempt

    @property
    def has_misplaced_guard(self) -> bool:
        """Whether the guard is above the route decorator, so the route has the unguarded view."""
        is_wrapped = bool(getattr(self.view, WRAPPED, False))
        return is_wrapped and not self.exempt and not guards_on(self.view)

    @property
    def has_cache_above_guard(self) -> bool:
        """Whether a cache answers before a guard of the view is checked."""
        return has_cache_above_guard(self.view, self.method)

    @property
    def lost_guard(self) -> tuple[str, str] | None:
        """The method of the view's class that lost a guard, and the parent's method that has it."""
        return left_out_guard(self.view, self.method)


def read_matrix(app: Flask) -> Iterator[Access]:
    """Yield an `Access` for each endpoint, rule and method; not static files, automatic methods."""
    for rule in app.url_map.iter_rules():
        if is_static(app, rule.endpoint):
            continue
        view = app.view_functions.get(rule.endpoint)
        view_class = class_of(view)
        for method in sorted(rule.methods or ()):
            placed = tuple(placed_guards(app, rule.endpoint, method))
            guards = tuple(guard for _, guard in placed)
            if not guards and is_preflight(app, view, method):
                continue
            is_own = method not in _ANSWERED_BY_FLASK or _has_own(view_class, rule, method, guards)
            if not is_own and not _is_other_head(app, rule, method, guards):
                continue
            yield Access(
                rule.endpoint,
                rule.rule,
                method,
                guards,
                tuple(place for place, _ in placed),
                is_exempt(app, rule.endpoint, method),
                view,
                hasattr(view_class, "head"),
                frozenset(rule.arguments),
                inner_decision(app, rule.endpoint, call_path(view, method)),
            )


def _has_own(view_class: type | None, rule: Any, method: str, guards: Iterable[Guard]) -> bool:
    """Return whether a view handles HEAD or OPTIONS itself, or has another requirement for HEAD."""
    if method == "OPTIONS":
        return not getattr(rule, "provide_automatic_options", False)
    has_head = "GET" not in rule.methods or hasattr(view_class, "head")
    return has_head or any("HEAD" in (guard.by_method or ()) for guard in guards)


def _is_other_head(app: Flask, rule: Any, method: str, guards: Iterable[Guard]) -> bool:
    """Return whether HEAD is guarded otherwise than GET, as `method_decorators` may have it."""
    if method != "HEAD":
        return False
    of_get = guards_of(app, rule.endpoint, "GET")
    one, other = ([guard.requirement_for("GET") for guard in each] for each in (guards, of_get))
    return one != other
