"""Rows: which part of a report stands in which column of its table."""

from __future__ import annotations

from collections.abc import Iterable

from .access import NOT_IDENTIFIED, WITHOUT_ROLE, AccessMatrix
from .diff import Change
from .routes import Route
from .tables import Table

_MARKS = {
    "guarded": "",
    "not enforced": "NOT ENFORCED",
    "exempt": "exempt",
    "open": "NO GUARD",
    "denied": "NO GUARD, denied by default",
}


def table_of_routes(routes: Iterable[Route]) -> Table:
    """Method, rule, endpoint, where the guards stand with what is wrong, and the requirement."""
    header = ("method", "rule", "endpoint", "guards", "requirement")
    rows = [
        (route.method, route.rule, route.endpoint, marks_of(route), route.requirement)
        for route in routes
    ]
    return Table(header, rows)


def marks_of(route: Route) -> str:
    """Where a route's guards stand, or that there are none, and what else is to be said of it."""
    places = dict.fromkeys(place for place, _ in route.guards)
    said = [*places, _MARKS[route.state], *route.remarks]
    return "; ".join(text for text in said if text)


def table_of_access(matrix: AccessMatrix) -> Table:
    """Method, rule, the answer for each kind of caller, and the requirement."""
    header = ("method", "rule", NOT_IDENTIFIED, WITHOUT_ROLE, *matrix.roles, "requirement")
    rows = [
        (row.method, row.rule, *(v.value for _, v in row.answers()), row.requirement)
        for row in matrix.rows
    ]
    return Table(header, rows)


def table_of_changes(changes: Iterable[Change]) -> Table:
    """What happened, at which method and rule, to whom, and the answers before and after."""
    header = ("access", "method", "rule", "endpoint", "for", "before", "after")
    rows = [
        (one.access, one.method, one.rule, one.endpoint, one.caller, one.before, one.after)
        for one in changes
    ]
    return Table(header, rows)
