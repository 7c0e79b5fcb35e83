"""The commands `flask authz routes`, `matrix`, `who` and `can`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from flask.cli import ScriptInfo, with_appcontext
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from .._context import get_app
from ..application import current_state
from ..errors import MisuseError, StoreUnavailable
from ..inspection.access import (
    NOT_IDENTIFIED,
    WITHOUT_ROLE,
    AccessMatrix,
    answer,
    caller_with,
    depends_on,
    read_access,
)
from ..inspection.diff import AccessChange, compare
from ..inspection.documents import access_as_json, access_from_json, changes_as_json, routes_as_json
from ..inspection.matrix import Access, read_matrix
from ..inspection.page import render_page
from ..inspection.revision import matrix_at
from ..inspection.routes import describe, read_routes
from ..inspection.rows import marks_of, table_of_access, table_of_changes, table_of_routes
from ..inspection.tables import FORMS, Table, visible
from ..policy.decision import DEPENDS, NO, YES
from ..policy.identity import Identity


class _Failed(click.ClickException):
    """An error with exit code 2, since 1 means access that was given, with `--diff`."""

    exit_code = 2


def _command(name: str, *forms: str) -> Callable[[Callable[..., None]], click.Command]:
    """Return a decorator for a command with a flag for each output form.

    The chosen form is the argument `form`; None means text. Errors are printed as messages.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @with_appcontext
        @functools.wraps(function)
        def command(**given: Any) -> None:
            try:
                current_state()  # raises without an Authz
                function(**given)
            except (MisuseError, StoreUnavailable, OSError) as error:
                raise _Failed(str(error)) from None

        made: Any = command
        for form in forms:
            said = f"Write {_FORM_NAMES[form]} instead of text."
            made = click.option(f"--{form}", "form", flag_value=form, help=said)(made)
        return click.command(name)(made)

    return decorate


_FORM_NAMES = {"json": "JSON", "markdown": "Markdown", "csv": "CSV", "html": "an HTML page"}


@_command("routes", "json", "markdown", "csv")
def routes(form: str | None) -> None:
    """Show what each route requires, where its guards are, and which routes have none."""
    found = read_routes()
    if form == "json":
        click.echo(routes_as_json(found), nl=False)
    else:
        _show(table_of_routes(found), form)


@_command("matrix", "json", "markdown", "csv", "html")
@click.option(
    "--diff", metavar="FILE|REV", help="Compare with an earlier --json, or a git revision."
)
def matrix(form: str | None, diff: str | None) -> None:
    """Show which role may call which route.

    With --diff, show who was given access and who lost it. The exit code is 1 if access was, or
    may have been, given, and 2 if the comparison failed.
    """
    found = read_access()
    if diff is not None:
        _show_changes(compare(_earlier(diff), found), form)
    elif form == "json":
        click.echo(access_as_json(found), nl=False)
    elif form == "html":
        click.echo(render_page(get_app().name, found, read_routes()), nl=False)
    else:
        _show(table_of_access(found), form)


@_command("who")
@click.argument("method")
@click.argument("path")
def who(method: str, path: str) -> None:
    """Show which roles may call a route, and what it depends on: who POST /articles."""
    for access in _answering(method.upper(), path):
        route = describe(access)
        marks = marks_of(route)
        title = f"{route.method} {route.rule} ({route.endpoint}): {route.requirement} [{marks}]"
        click.echo(visible(title))
        for line in _callers(access):
            click.echo(visible(line))


@_command("can")
@click.argument("role")
def can(role: str) -> None:
    """Show which routes a role may call, and what it depends on."""
    catalogue = current_state().catalogue or ()
    if role not in catalogue:
        known = f"the roles are {', '.join(catalogue)}"
        advice = known if catalogue else "write Authz(app, roles=Roles(...))"
        raise MisuseError(f"no role is named {role!r}: {advice}")
    caller = caller_with(role)
    rows = [
        (found.value, one.method, one.rule, one.endpoint, "; ".join(depends_on(one, caller)))
        for one in read_matrix(get_app())
        if (found := answer(one, caller)) is not NO
    ]
    if rows:
        _show(Table(("answer", "method", "rule", "endpoint", "depends on"), rows))
    else:
        click.echo(f"{visible(role)} may call no route")


def _show(table: Table, form: str | None = None) -> None:
    click.echo(FORMS[form or "text"](table), nl=False)


def _show_changes(changes: list[AccessChange], form: str | None) -> None:
    if form == "html":
        raise MisuseError("--diff cannot be written as HTML: use text, --markdown, --csv or --json")
    if form == "json":
        click.echo(changes_as_json(changes), nl=False)
    elif changes or form == "csv":
        _show(table_of_changes(changes), form)
    else:
        click.echo("no access was given or taken")
    if any(change.may_open for change in changes):
        sys.exit(1)


def _earlier(named: str) -> AccessMatrix:
    """Return the matrix in a file, or else that of the application at a git revision."""
    if Path(named).is_file():
        return access_from_json(Path(named).read_bytes(), named)
    script = click.get_current_context().ensure_object(ScriptInfo)
    if script.create_app is not None:
        raise MisuseError(
            f"there is no file {named}, and only `flask --app ...` can load the application of a "
            "git revision: give the FILE of an earlier --json"
        )
    return matrix_at(named, script.app_import_path)


def _callers(access: Access) -> Iterator[str]:
    """Yield the callers by answer, with one line for each caller whose answer depends."""
    callers: list[tuple[str, Identity | None]] = [
        (NOT_IDENTIFIED, None),
        (WITHOUT_ROLE, caller_with()),
        *((role, caller_with(role)) for role in current_state().catalogue or ()),
    ]
    answers = [(name, caller, answer(access, caller)) for name, caller in callers]
    for verdict in (YES, DEPENDS, NO):
        named = [(name, caller) for name, caller, found in answers if found is verdict]
        if verdict is DEPENDS:
            reasons = ((name, "; ".join(depends_on(access, caller))) for name, caller in named)
            yield from (f"depends  {name}, on: {reason}" for name, reason in reasons)
        elif named:
            yield f"{verdict.value:7}  {', '.join(name for name, _ in named)}"


def _answering(method: str, path: str) -> list[Access]:
    """Return what answers a method at a path or rule; HEAD falls back to GET."""
    found = list(read_matrix(get_app()))
    rule = path if any(access.rule == path for access in found) else _rule_at(method, path)
    methods = (method, "GET") if method == "HEAD" else (method,)
    for asked in methods:
        answering = [one for one in found if (one.rule, one.method) == (rule, asked)]
        if answering:
            return answering
    taken = ", ".join(dict.fromkeys(access.method for access in found if access.rule == rule))
    raise MisuseError(f"no view answers {method} {path}" + (f", only {taken}" if taken else ""))


def _rule_at(method: str, path: str) -> str:
    """Return the rule that matches a path."""
    app = get_app()
    adapter = app.url_map.bind(app.config.get("SERVER_NAME") or "localhost")
    try:
        rule, _ = adapter.match(path, method, return_rule=True)
    except RequestRedirect as redirect:
        raise MisuseError(f"{path} is redirected to {redirect.new_url}: ask for that") from None
    except MethodNotAllowed as refused:
        taken = ", ".join(sorted(refused.valid_methods or ()))
        raise MisuseError(f"no view answers {method} {path}, only {taken}") from None
    except HTTPException:
        raise MisuseError(
            f"no route has the path {path}: flask authz routes lists the routes"
        ) from None
    return rule.rule
