"""The decorators `documented` and `undocumented`: a view's schemas for generated documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Blueprint
from marshmallow import Schema

from ..errors import MisuseError
from ..guards.placement import PAGES, mark

Target = TypeVar("Target", bound=Callable[..., Any] | Blueprint)
View = TypeVar("View", bound=Callable[..., Any])
Shape = Schema | type[Schema] | None
_ATTRIBUTE = "_jwt_authz_documented"


@dataclass(frozen=True, slots=True)
class Documentation:
    """The schemas of a view's request body, its query and its responses by status."""

    body: Shape
    query: Shape
    answers: Mapping[int, Shape]


def documented(
    *,
    body: Shape = None,
    query: Shape = None,
    answers: Mapping[int, Shape] | None = None,
) -> Callable[[View], View]:
    """Document the request and responses of a view or of one method of a `MethodView`.

    Schemas are marshmallow schemas, `ArticleSchema` or `ArticleSchema(many=True)`; a response
    without a body is None, as in `answers={204: None}`. Nothing is validated with them. Put the
    decorator below the route decorator, before or after `requires`. Raise `MisuseError` for an
    invalid schema or status.
    """
    documentation = Documentation(body, query, dict(answers or {}))
    for shape in (body, query, *documentation.answers.values()):
        is_schema = isinstance(shape, Schema) or (
            isinstance(shape, type) and issubclass(shape, Schema)
        )
        if not (shape is None or is_schema):
            raise MisuseError(
                f"Invalid schema {shape!r}: expected a marshmallow schema, as in "
                "documented(body=Article)."
            )
    for status in documentation.answers:
        if status not in {known.value for known in HTTPStatus}:
            raise MisuseError(
                f"Invalid HTTP status {status!r}: expected one such as 200, as in "
                "answers={200: Article}."
            )

    def decorate(view: View) -> View:
        setattr(view, _ATTRIBUTE, documentation)
        return view

    return decorate


def undocumented(target: Target) -> Target:
    """Omit a view or a whole blueprint from documents, for example because it serves HTML pages.

    Use it as a decorator of a view, below the route decorator, or call it with a blueprint.
    """
    mark(target, PAGES)
    return target


def documentation_of(view: Any) -> Documentation:
    """Return the documentation of a view, which is empty if there is none."""
    found = getattr(view, _ATTRIBUTE, None)
    return found if isinstance(found, Documentation) else Documentation(None, None, {})
