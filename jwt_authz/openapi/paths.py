"""Paths: a rule of the URL map as a path template of a document, and its parameters."""

from __future__ import annotations

import re
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
    """The path template of a rule: `/articles/<int:id>` is `/articles/{id}`."""
    return _PARAMETER.sub(r"{\1}", rule)


def shape_of(path: str) -> str:
    """A path without the names of its parameters, whichever way they are written."""
    return re.sub(r"\{[^{}]*\}", "{}", template_of(path))


def names_in(path: str) -> list[str]:
    """The names of a path's parameters, in their order."""
    return re.findall(r"\{([^{}]*)\}", template_of(path))


def rules_of(app: Flask) -> dict[tuple[str, str], Rule]:
    """The rules of an application by endpoint and text."""
    return {(rule.endpoint, rule.rule): rule for rule in app.url_map.iter_rules()}


def parameters_of(rule: Rule) -> list[dict[str, Any]]:
    """The path parameters of a rule, as OpenAPI 3.1 describes them (section 4.8.12)."""
    return [
        {"name": name, "in": "path", "required": True, "schema": _schema(rule._converters[name])}
        for name in _PARAMETER.findall(rule.rule)
    ]


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
