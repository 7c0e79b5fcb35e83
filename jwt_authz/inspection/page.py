"""Page: the access matrix as one HTML page that needs nothing beside it, to read and to search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from .access import AccessMatrix, Row
from .routes import Route
from .rows import marks_of
from .tables import visible


def render_page(title: str, matrix: AccessMatrix, routes: Sequence[Route]) -> str:
    """The page of a matrix and of its routes, which stand in the same order.

    It loads nothing, is readable without a script, and escapes whatever the names hold. A row is
    found by words of what it shows, and by an answer: `clerk:yes`.
    """
    environment = Environment(
        loader=PackageLoader("jwt_authz.inspection"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["visible"] = visible
    marked = [
        (row, route, marks_of(route), _searched(row, route))
        for row, route in zip(matrix.rows, routes, strict=True)
    ]
    template = environment.get_template("matrix.html")
    states = Counter(route.state for route in routes)
    return template.render(title=title, roles=matrix.roles, rows=marked, states=states)


def _searched(row: Row, route: Route) -> str:
    """The text in which the page looks for words."""
    shown = (row.method, row.rule, row.endpoint, row.requirement, marks_of(route))
    answers = (f"{caller}:{verdict.value}" for caller, verdict in row.answers())
    return " ".join((*shown, *answers)).lower()
