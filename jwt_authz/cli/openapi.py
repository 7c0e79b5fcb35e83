"""The command `flask authz openapi`: generate, annotate or check an OpenAPI document."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from .._context import get_app
from ..application import current_state
from ..errors import MisuseError
from ..guards.placement import is_page
from ..inspection.matrix import read_matrix
from ..openapi.annotate import GENERATOR, annotate, operations_of
from ..openapi.paths import template_of
from .common import example


@click.command("openapi", epilog=example("openapi > openapi.json", "openapi --check openapi.json"))
@click.option(
    "--annotate", "source", metavar="FILE", help="Annotate this document instead of generating one."
)
@click.option(
    "--check", "checked", metavar="FILE", help="Compare this document; exit 1 if it differs."
)
@with_appcontext
def openapi(source: str | None, checked: str | None) -> None:
    """Print the OpenAPI document of the application, or compare one with its routes and guards.

    Without an option, generate it from the routes, the guards and the `documented` views.
    """
    if source is not None and checked is not None:
        raise click.UsageError("--annotate and --check cannot be combined")
    current_state()  # raises without an Authz
    if checked is not None:
        _check(checked)
        return
    try:
        made = _generated() if source is None else annotate(_read(source), get_app())
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    click.echo(_written(made))


def _check(file: str) -> None:
    held = _read(file)
    lines = list(_drift(held, file))
    for line in lines:
        click.echo(line, err=True)
    if lines:
        sys.exit(1)
    click.echo(f"{file} matches the routes and their guards")


def _drift(held: dict[str, Any], file: str) -> Iterator[str]:
    """Yield the differences between a document and the application."""
    app = get_app()
    annotated = annotate(held, app)
    wanted = _generated() if GENERATOR in held else annotated
    operations = list(operations_of(held, app))
    for one in operations:
        if not one.accesses:
            yield f"{one.method} {one.path} in {file} does not match exactly one route"
    answered = {(access.rule, access.method) for one in operations for access in one.accesses}
    for access in read_matrix(app):
        is_listed = (access.rule, access.method) in answered or is_page(app, access.endpoint)
        if not is_listed:
            yield f"{access.method} {template_of(access.rule)} is a route that is missing in {file}"
    before, after = _written(held).splitlines(), _written(wanted).splitlines()
    yield from difflib.unified_diff(before, after, file, "the application", lineterm="", n=2)


def _generated() -> dict[str, Any]:
    # Imported here, since it needs an extra that the other commands do not.
    made: dict[str, Any] = import_module("jwt_authz.openapi.generator").generate(get_app())
    return made


def _read(file: str) -> dict[str, Any]:
    try:
        document = json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError:
        raise MisuseError(f"{file} is not JSON: give an OpenAPI document as JSON") from None
    made: dict[str, Any] = document
    return made


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
