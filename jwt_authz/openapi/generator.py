"""Generate an OpenAPI 3.1 document from an application's routes, guards and schemas."""

from __future__ import annotations

import inspect
from collections import Counter
from http import HTTPStatus
from typing import Any

from flask import Flask
from marshmallow import Schema

from .._extras import needs_extra
from ..application import current_state
from ..guards.call_path import class_of, method_of
from ..guards.placement import is_page
from ..inspection.matrix import Access, read_matrix
from .annotate import GENERATOR, annotate
from .blueprints import documentation_of_blueprints
from .documented import Shape, documentation_of
from .paths import shape_of, template_of

with needs_extra("generating an OpenAPI document", "apispec", "openapi"):
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin
    from apispec.ext.marshmallow.common import resolve_schema_cls


def generate(app: Flask, *, title: str | None = None, version: str = "1.0.0") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an application.

    Each path and method is an operation: named after its endpoint, summarized by the first line
    of its view's docstring, with the schemas from `documented` and with what `annotate` adds.
    `title` defaults to the application's name. Raise `MisuseError` if there is no Authz.
    """
    plugin = MarshmallowPlugin(schema_name_resolver=_name_of)
    spec = APISpec(title or app.name, version, "3.1.0", plugins=[plugin])
    with app.app_context():
        current_state()
        names, paths, made = Counter[str](), dict[str, str](), set[tuple[str, str]]()
        for access in (one for one in read_matrix(app) if not is_page(app, one.endpoint)):
            path = paths.setdefault(shape_of(access.rule), template_of(access.rule))
            if (path, access.method) in made:  # one path to OpenAPI, whatever its converters
                continue
            made.add((path, access.method))
            operation = _operation(access)
            names[operation["operationId"]] += 1
            if names[operation["operationId"]] > 1:  # a view at several rules
                operation["operationId"] += f".{names[operation['operationId']]}"
            spec.path(path, operations={access.method.lower(): operation})
    document = annotate(spec, app)
    head = {name: document[name] for name in ("openapi", "info")}
    return {**head, GENERATOR: "flask authz openapi", **document}


def _operation(access: Access) -> dict[str, Any]:
    view = _handler(access)
    documentation = documentation_of_blueprints(view) or documentation_of(view)
    summary, _, description = (inspect.getdoc(view) or "").partition("\n")
    blueprint, _, _ = access.endpoint.rpartition(".")
    made: dict[str, Any] = {"operationId": f"{access.endpoint}.{access.method.lower()}"}
    made |= {"summary": summary.rstrip(".")} if summary else {}
    made |= {"description": description.strip()} if description.strip() else {}
    made |= {"tags": [blueprint]} if blueprint else {}
    if documentation.query is not None:
        made["parameters"] = [{"in": "query", "schema": documentation.query}]
    if documentation.body is not None:
        made["requestBody"] = {"required": True, "content": _content(documentation.body)}
    made["responses"] = {
        str(status): _answer(status, shape)
        for status, shape in sorted(documentation.answers.items())
    } or {"default": {"description": "The responses of this view are not documented."}}
    return made


def _handler(access: Access) -> Any:
    """Return the function that handles the request: the view, or the method of its class."""
    found = method_of(class_of(access.view), access.method)
    return access.view if found is None else found


def _answer(status: int, shape: Shape) -> dict[str, Any]:
    made: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if shape is not None:
        made["content"] = _content(shape)
    return made


def _content(shape: Shape) -> dict[str, Any]:
    return {"application/json": {"schema": shape}}


def _name_of(schema: Schema | type[Schema]) -> str:
    """Return the component's name: the class name without `Schema`, plus `Change` if partial."""
    found: Any = resolve_schema_cls(schema)
    name: str = found.__name__
    short = name.removesuffix("Schema") or name
    return f"{short}Change" if isinstance(schema, Schema) and schema.partial else short
