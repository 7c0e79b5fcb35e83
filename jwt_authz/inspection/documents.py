"""Write reports as JSON, and read a matrix back with strict validation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ..errors import MisuseError
from ..policy.decision import Verdict
from .access import AccessMatrix, Row
from .diff import AccessChange
from .routes import Route

_ROW = ("endpoint", "rule", "method", "requirement", "unidentified", "without_role", "access")


def routes_as_json(routes: Iterable[Route]) -> str:
    """Return `{"routes": [...]}`, with a route's guards as `{"place", "requirement"}`."""
    return _written({"routes": [_route(route) for route in routes]})


def changes_as_json(changes: Iterable[AccessChange]) -> str:
    """Return `{"changes": [...]}` with the fields of `AccessChange`."""
    return _written({"changes": [asdict(change) for change in changes]})


def access_as_json(matrix: AccessMatrix) -> str:
    """Return `access_document` as JSON text."""
    return _written(access_document(matrix))


def access_document(matrix: AccessMatrix) -> dict[str, Any]:
    """Return `{"roles": [...], "routes": [...]}`; the answers are "yes", "no" and "depends".

    A route has `endpoint`, `rule`, `method`, `requirement`, and the answers `unidentified`,
    `without_role`, and `access` by role.
    """
    routes = [
        {
            "endpoint": row.endpoint,
            "rule": row.rule,
            "method": row.method,
            "requirement": row.requirement,
            "unidentified": row.unidentified.value,
            "without_role": row.without_role.value,
            "access": {role: verdict.value for role, verdict in row.access.items()},
        }
        for row in matrix.rows
    ]
    return {"roles": matrix.roles, "routes": routes}


def access_from_json(text: str | bytes, source: str) -> AccessMatrix:
    """Return the matrix that `access_as_json` wrote.

    Raise `MisuseError`, which names `source`, for any other text.
    """
    try:
        document = json.loads(text)
        roles = tuple(map(_text, document["roles"]))
        return AccessMatrix(roles, tuple(_row(route, roles) for route in document["routes"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise MisuseError(
            f"{source} is not an access matrix: expected the output of flask authz matrix --json"
        ) from None


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _route(route: Route) -> dict[str, Any]:
    guards = [{"place": place, "requirement": asked} for place, asked in route.guards]
    return {**asdict(route), "guards": guards}


def _row(route: dict[str, Any], roles: tuple[str, ...]) -> Row:
    endpoint, rule, method, requirement, unidentified, without_role, access = (
        route[name] for name in _ROW
    )
    if set(access) != set(roles):
        raise ValueError("expected one answer for each role")
    return Row(
        _text(endpoint),
        _text(rule),
        _text(method),
        _text(requirement),
        Verdict(unidentified),
        Verdict(without_role),
        {role: Verdict(access[role]) for role in roles},
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a string")
    return value
