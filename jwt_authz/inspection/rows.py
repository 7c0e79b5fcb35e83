"""Turn routes, matrices and changes into tables: the columns of each report."""

from __future__ import annotations

from collections.abc import Iterable

from .access import NOT_IDENTIFIED, WITHOUT_ROLE, AccessMatrix
from .diff import AccessChange
from .routes import Route
from .tables import Table

_MARKS = {
    "guarded": "",
    "not enforced": "NOT ENFORCED",
    "exempt": "exempt",
    "open": "NO GUARD",
    "denied": "NO GUARD, denied by default",
    "unknown": "UNKNOWN",
}


def table_of_routes(routes: Iterable[Route]) -> Table:
    """Return a table of method, rule, endpoint, places of guards with remarks, and requirement."""
    header = ("method", "rule", "endpoint", "guards", "requirement")
    rows = [
        (route.method, route.rule, route.endpoint, marks_of(route), route.requirement)
        for route in routes
    ]
    return Table(header, rows)


def marks_of(route: Route) -> str:
    """Return the places of a route's guards, or its state without any, and the remarks."""
    places = dict.fromkeys(place for place, _ in route.guards)
    texts = [*places, _MARKS[route.state], *route.remarks]
    return "; ".join(text for text in texts if text)


def table_of_access(matrix: AccessMatrix) -> Table:
    """Return a table of method, rule, the answer for each kind of caller, and requirement."""
    header = ("method", "rule", NOT_IDENTIFIED, WITHOUT_ROLE, *matrix.roles, "requirement")
    rows = [
        (row.method, row.rule, *(v.value for _, v in row.answers()), row.requirement)
        for row in matrix.rows
    ]
    return Table(header, rows)


def table_of_changes(changes: Iterable[AccessChange]) -> Table:
    """Return a table of changes: access, method, rule, endpoint, caller, and the two answers."""
    header = ("access", "method", "rule", "endpoint", "for", "before", "after")
    rows = [
        (one.access, one.method, one.rule, one.endpoint, one.caller, one.before, one.after)
        for one in changes
    ]
    return Table(header, rows)
