"""Convert a rule of the URL map to an OpenAPI path template with parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flask import Flask
from werkzeug.routing import BaseConverter, Rule
from werkzeug.routing.converters import (
    AnyConverter,
    FloatConverter,
    IntegerConverter,
    UnicodeConverter,
    UUIDConverter,
)

_PARAMETER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_LENGTHS = re.compile(r"\{(\d+)(,?)(\d*)\}$")


def template_of(rule: str) -> str:
    """Return the path template of a rule: `/articles/{id}` for `/articles/<int:id>`."""
    return _PARAMETER.sub(r"{\1}", rule)


def shape_of(path: str) -> str:
    """Return a rule or path template without the names of its parameters."""
    return re.sub(r"\{[^{}]*\}", "{}", template_of(path))


def names_in(path: str) -> list[str]:
    """Return the names of a path's parameters, in order."""
    return re.findall(r"\{([^{}]*)\}", template_of(path))


def rules_of(app: Flask) -> dict[tuple[str, str], Rule]:
    """Return the rules of an application by endpoint and text."""
    return {(rule.endpoint, rule.rule): rule for rule in app.url_map.iter_rules()}


def parameters_of(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return the path parameters of rules of one shape, with the names of the first.

    They have the form of OpenAPI 3.1 (section 4.8.12); a value fits one of the rules.
    """
    return [
        {"name": name, "in": "path", "required": True, "schema": _joined(schemas)}
        for name, *schemas in zip(
            _PARAMETER.findall(rules[0].rule), *map(_schemas, rules), strict=True
        )
    ]


def _schemas(rule: Rule) -> list[dict[str, Any]]:
    return [_schema(rule._converters[name]) for name in _PARAMETER.findall(rule.rule)]


def _joined(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    different = [one for number, one in enumerate(schemas) if one not in schemas[:number]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def _schema(converter: BaseConverter) -> dict[str, Any]:
    if isinstance(converter, IntegerConverter | FloatConverter):
        low = converter.min if converter.min is not None else None if converter.signed else 0
        bounds = {"minimum": low, "maximum": converter.max}
        known = {name: bound for name, bound in bounds.items() if bound is not None}
        return {"type": "integer" if isinstance(converter, IntegerConverter) else "number", **known}
    if isinstance(converter, UUIDConverter):
        return {"type": "string", "format": "uuid"}
    if isinstance(converter, AnyConverter):
        return {"type": "string", "enum": sorted(converter.items)}
    found = _LENGTHS.search(converter.regex) if isinstance(converter, UnicodeConverter) else None
    if found is None:
        return {"type": "string"}
    least, is_range, most = found.groups()
    longest = most if is_range else least
    return {"type": "string", "minLength": int(least)} | (
        {"maxLength": int(longest)} if longest else {}
    )
