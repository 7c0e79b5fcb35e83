"""Documented: what a view takes and answers, said of it for the documents made of the routes."""

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
_SAID = "_jwt_authz_documented"


@dataclass(frozen=True, slots=True)
class Documentation:
    """The schemas of a view's body, of its query and of each answer by status."""

    body: Shape
    query: Shape
    answers: Mapping[int, Shape]


def documented(
    *,
    body: Shape = None,
    query: Shape = None,
    answers: Mapping[int, Shape] | None = None,
) -> Callable[[View], View]:
    """Say of a view, or of one method of a `MethodView`, what it takes and answers.

    Schemas are marshmallow's, `ArticleSchema` or `ArticleSchema(many=True)`; an answer without a
    body is None, as in `answers={204: None}`. Nothing is validated by it. In any order with
    `requires`, below the route decorator. Raises `MisuseError` for what is no schema or status.
    """
    said = Documentation(body, query, dict(answers or {}))
    for shape in (body, query, *said.answers.values()):
        is_schema = isinstance(shape, Schema) or (
            isinstance(shape, type) and issubclass(shape, Schema)
        )
        if not (shape is None or is_schema):
            raise MisuseError(f"{shape!r} is no marshmallow schema: write documented(body=Article)")
    for status in said.answers:
        if status not in {known.value for known in HTTPStatus}:
            raise MisuseError(f"{status!r} is no HTTP status: write answers={{200: Article}}")

    def say(view: View) -> View:
        setattr(view, _SAID, said)
        return view

    return say


def undocumented(target: Target) -> Target:
    """Leave a view, or all of a blueprint, out of documents: it answers with pages for people.

    A decorator for a view, below the route decorator, or called with a blueprint.
    """
    mark(target, PAGES)
    return target


def documentation_of(view: Any) -> Documentation:
    """What was said of a view; empty where nothing was."""
    found = getattr(view, _SAID, None)
    return found if isinstance(found, Documentation) else Documentation(None, None, {})
