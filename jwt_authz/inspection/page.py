"""Render the access matrix as one searchable, self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from .access import AccessMatrix, Row
from .routes import Route
from .rows import marks_of
from .tables import visible


def environment_of(package: str) -> Environment:
    """Return an environment for the templates of a package, which escapes all values."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["visible"] = visible
    return environment


def render_page(title: str, matrix: AccessMatrix, routes: Sequence[Route]) -> str:
    """Return the page of a matrix and its routes, which must be in the same order.

    The page loads no other files, is readable without JavaScript, and escapes all names. A search
    finds rows by words that they show and by answers such as `clerk:yes`.
    """
    environment = environment_of("jwt_authz.inspection")
    marked = [
        (row, route, marks_of(route), _searched(row, route))
        for row, route in zip(matrix.rows, routes, strict=True)
    ]
    template = environment.get_template("matrix.html")
    states = Counter(route.state for route in routes)
    return template.render(title=title, roles=matrix.roles, rows=marked, states=states)


def _searched(row: Row, route: Route) -> str:
    """Return the text that the page's search looks at."""
    shown = (row.method, row.rule, row.endpoint, row.requirement, marks_of(route))
    answers = (f"{caller}:{verdict.value}" for caller, verdict in row.answers())
    return " ".join((*shown, *answers)).lower()
