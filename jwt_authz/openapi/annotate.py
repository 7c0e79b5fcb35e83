"""Annotate: what the guards ask for, written into a finished document."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.routing import Rule

from ..application import current_parts
from ..errors import MisuseError
from ..inspection.matrix import Access, read_matrix
from ..inspection.routes import enforced_guards, requirement_of
from .answers import components_for, refer_to
from .paths import names_in, parameters_of, rules_of, shape_of, template_of
from .security import may_refuse_the_identified, schemes_of, security_of

WORDS = "x-authz"
GENERATOR = "x-generator"
"""The member by which a document is known that was made here, and not by somebody else."""
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

Routes = dict[tuple[str, str], list[Access]]
"""The routes by the shape of their path and their method."""

_log = logging.getLogger("jwt_authz")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a document and the route that answers it, None where none does."""

    method: str
    path: str
    access: Access | None
    members: dict[str, Any]
    item: dict[str, Any]


def annotate(spec: Any, app: Flask) -> dict[str, Any]:
    """A copy of a finished OpenAPI document that says of each operation what guards it.

    `spec` is a document as a mapping, or an object with `to_dict()` such as apispec's. An
    operation that a route answers gets `security` (in place of what it has), `x-authz` with the
    requirement in words, its path parameters and, where it is guarded, the answers 401, 403 and
    503, as far as they are missing. What no route answers is left alone, and the log warns of it.
    Raises `MisuseError` for what is no OpenAPI 3 document, or without an Authz.
    """
    document = _copied(spec)
    with app.app_context():
        current_parts()
        schemes = schemes_of(app)
        names = not document["openapi"].startswith("3.0")
        refusals: set[str] = set()
        rules = rules_of(app)
        for operation in operations_of(document, app):
            if operation.access is None:
                place = f"{operation.method} {operation.path}"
                _log.warning("%s in the document is answered by no one route", ascii(place))
                continue
            security = security_of(operation.access, schemes, names)
            operation.members["security"] = security
            operation.members[WORDS] = requirement_of(operation.access)
            _add_parameters(operation, rules[operation.access.endpoint, operation.access.rule])
            refusals |= _add_refusals(operation)
    added = {"securitySchemes": schemes, **components_for(sorted(refusals))}
    components = document["components"] = document.get("components") or {}
    for kind, named in added.items():
        if named:
            components[kind] = {**named, **(components.get(kind) or {})}
    return document


def operations_of(document: Mapping[str, Any], app: Flask) -> Iterator[Operation]:
    """The operations of a document, each with the route of the application that answers it."""
    routes: Routes = {}
    for access in read_matrix(app):
        routes.setdefault((shape_of(access.rule), access.method), []).append(access)
    bases = _bases(document)
    for path, item in document["paths"].items():
        for method in _METHODS:
            if item.get(method):
                found = _route(routes, bases, path, method.upper())
                yield Operation(method.upper(), path, found, item[method], item)


def _route(routes: Routes, bases: list[str], path: str, method: str) -> Access | None:
    """The route at a path, as it is written or with another end; HEAD is answered by GET's.

    None where several may be meant, by converters or hosts that the path does not tell.
    """
    other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
    methods = (method, "GET") if method == "HEAD" else (method,)
    for asked in methods:
        for base in bases:
            for one in (base + path, base + other):
                found = routes.get((shape_of(one), asked), [])
                named = [access for access in found if template_of(access.rule) == template_of(one)]
                if found:
                    meant = named or found
                    return meant[0] if len(meant) == 1 else None
    return None


def _bases(document: Mapping[str, Any]) -> list[str]:
    """What may stand before the paths: nothing, and the paths of the servers."""
    urls = (server.get("url", "") for server in document.get("servers") or ())
    return list(dict.fromkeys(["", *(urlsplit(url).path.rstrip("/") for url in urls)]))


def _add_parameters(operation: Operation, rule: Rule) -> None:
    """Add the path parameters of the rule that are missing, by the names that the path has."""
    own = operation.members.get("parameters") or []
    held = [*(operation.item.get("parameters") or ()), *own]
    names = names_in(operation.path)
    needed = parameters_of(rule)
    if any("$ref" in one for one in held) or len(names) != len(needed):
        return
    told = {one.get("name") for one in held if one.get("in") == "path"}
    missing = [
        {**one, "name": name} for name, one in zip(names, needed, strict=True) if name not in told
    ]
    if missing:
        operation.members["parameters"] = [*own, *missing]


def _add_refusals(operation: Operation) -> set[str]:
    """Add the refusals that are missing to a guarded operation; the statuses of those added."""
    access = operation.access
    guards = [] if access is None else enforced_guards(access)
    statuses = {"401", "503"} if guards else set()
    if access is not None and may_refuse_the_identified(guards, access):
        statuses.add("403")
    responses = operation.members["responses"] = operation.members.get("responses") or {}
    held = {str(status) for status in responses}
    missing = sorted(statuses - held)
    responses.update(refer_to(missing))
    return set(missing) | _referred(responses)


def _referred(responses: Mapping[Any, Any]) -> set[str]:
    """The statuses whose answers refer to ours, from an earlier annotation."""
    ours = refer_to(("401", "403", "503"))
    return {status for status, reference in ours.items() if responses.get(status) == reference}


def _copied(spec: Any) -> dict[str, Any]:
    document = spec.to_dict() if hasattr(spec, "to_dict") else spec
    version = document.get("openapi") if isinstance(document, Mapping) else None
    is_ours = isinstance(version, str) and version.startswith("3.")
    if not is_ours or not isinstance(document.get("paths"), Mapping):
        raise MisuseError(
            "this is no finished OpenAPI 3 document: give annotate(spec, app) the whole of it, "
            "with its `openapi` and `paths`"
        )
    return copy.deepcopy(dict(document))
