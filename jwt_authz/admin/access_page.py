"""The access page: show a filtered part of the access matrix, or download it as a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, abort

from ..application import current_state
from ..endpoints.bodies import load
from ..inspection.access import AccessMatrix
from ..inspection.documents import access_as_json
from ..inspection.rows import table_of_access
from ..inspection.selection import Selection
from ..policy.decision import Verdict
from .paging import ListPage, page_of
from .schemas import AccessQuery, read_query

_ROUTES, _ROLES = 50, 12
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _as_csv(matrix: AccessMatrix) -> str:
    return table_of_access(matrix).as_csv()


_FILES: dict[str, tuple[str, Callable[[AccessMatrix], str]]] = {
    "csv": ("text/csv", _as_csv),
    "json": ("application/json", access_as_json),
}


def access_shown() -> dict[str, Any]:
    """Return what the template shows: the filters, the matrix, and the pages of both sides."""
    given = {name: value for name, value in read_query().items() if value}
    query = load(AccessQuery(), given)
    roles = page_of(_roles(query["role"]), query["roles_page"], _ROLES)
    matrix = _selection(query, tuple(roles.items)).read()
    routes: ListPage = page_of(matrix.rows, query["page"], _ROUTES)
    return {
        "given": {k: v for k, v in given.items() if k not in ("page", "roles_page")},
        "query": query,
        "roles": roles,
        "routes": routes,
        "methods": _METHODS,
    }


def access_file(form: str) -> Response:
    """Return all of the matrix that the filters select, as a file: `csv` or `json`."""
    if form not in _FILES:
        abort(404)
    given = {name: value for name, value in read_query().items() if value}
    query = load(AccessQuery(), given)
    mimetype, write = _FILES[form]
    text = write(_selection(query, tuple(_roles(query["role"]))).read())
    answer = Response(text, mimetype=mimetype)
    answer.headers["Content-Disposition"] = f"attachment; filename=access.{form}"
    return answer


def _roles(part: str) -> list[str]:
    return [name for name in current_state().catalog or () if part in name]


def _selection(query: dict[str, Any], roles: tuple[str, ...]) -> Selection:
    only = Verdict(query["answer"]) if query["answer"] else None
    return Selection(query["route"] or None, query["method"] or None, roles, only)
