"""Convert guards to OpenAPI security schemes and security requirements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from flask import Flask

from ..application import KEY, AppState
from ..guards.arguments import NOT_GIVEN
from ..guards.guard import Guard
from ..inspection.matrix import Access
from ..inspection.routes import enforced_guards
from ..policy.requirements import And, Or, Requirement, has_permission

BEARER = "bearerAuth"
_MOST_WAYS = 16

Names = frozenset[str]


def schemes_of(app: Flask) -> dict[str, dict[str, Any]]:
    """Return the security schemes with which the application authenticates, in its order."""
    state: AppState = app.extensions[KEY]
    config = app.config
    if state.source is not None and not state.source.takes_token:
        return {"sessionAuth": _key("cookie", config["SESSION_COOKIE_NAME"])}
    locations = config["JWT_TOKEN_LOCATION"]
    found: dict[str, dict[str, Any]] = {}
    for location in (locations,) if isinstance(locations, str) else locations:
        if location == "headers":
            found[BEARER] = _in_header(config["JWT_HEADER_NAME"], config["JWT_HEADER_TYPE"])
        elif location == "cookies":
            found["cookieAuth"] = _key("cookie", config["JWT_ACCESS_COOKIE_NAME"])
        elif location == "query_string":
            found["queryAuth"] = _key("query", config["JWT_QUERY_STRING_NAME"])
    return found  # OpenAPI cannot describe a token in a JSON body


def security_of(
    accesses: Sequence[Access], schemes: dict[str, Any], names_permissions: bool
) -> list[Any]:
    """Return the `security` of an operation: alternatives, or nothing if it is open to everyone.

    The names after a scheme are the required permissions, of all routes that serve it. Other
    requirements are only in `x-authz`. OpenAPI allows names after a bearer scheme since 3.1.
    """
    asking = [(access, list(_asking(access))) for access in accesses]
    is_open = any(all(guard.optional for guard in guards) for _, guards in asking)
    if not any(guards for _, guards in asking):
        is_unknown = any(access.inner for access in accesses)
        return [*({scheme: []} for scheme in schemes), {}] if is_unknown else []
    ways = [
        _ways(guard.requirement_for(access.method, access.has_head))
        for access, guards in asking
        for guard in guards
    ]
    found = _joined(ways) if names_permissions else {frozenset[str]()}
    entries = [{scheme: sorted(names)} for names in sorted(found, key=sorted) for scheme in schemes]
    return [*entries, {}] if is_open else entries


def _asking(access: Access) -> Iterator[Guard]:
    """Yield the guards that look at a token."""
    yield from (guard for guard in enforced_guards(access) if guard.identity is NOT_GIVEN)


def may_refuse_the_identified(guards: list[Guard], access: Access) -> bool:
    """Return whether an authenticated caller may get a 403."""
    visible = (guard for guard in guards if not guard.hide)
    asked = [guard.requirement_for(access.method, access.has_head) for guard in visible]
    return any(not isinstance(one, And) or one.parts for one in asked)


def _ways(requirement: Requirement) -> set[Names]:
    """Return the alternative sets of permissions that are required; an empty set needs none."""
    if isinstance(requirement, has_permission):
        return {frozenset([requirement.value])}
    if isinstance(requirement, And):
        return _joined([_ways(part) for part in requirement.parts])
    if isinstance(requirement, Or):
        return _least({names for part in requirement.parts for names in _ways(part)})
    return {frozenset()}


def _joined(each: list[set[Names]]) -> set[Names]:
    count = 1
    for ways in each:
        count *= len(ways)
    if count > _MOST_WAYS:
        return {frozenset()}
    return _least({frozenset[str]().union(*chosen) for chosen in product(*each)})


def _least(ways: set[Names]) -> set[Names]:
    """Return the alternatives without those that require more than another one."""
    return {names for names in ways if not any(other < names for other in ways)}


def _in_header(name: str, kind: str) -> dict[str, Any]:
    if name.lower() == "authorization" and kind.lower() == "bearer":
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return _key("header", name)


def _key(place: str, name: str) -> dict[str, Any]:
    return {"type": "apiKey", "in": place, "name": name}
