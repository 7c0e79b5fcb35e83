"""The commands `flask authz routes`, `matrix`, `who` and `can`."""

from __future__ import annotations

import functools
import json
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
from ..inspection.selection import Selection, check_role
from ..inspection.tables import Table, visible
from ..policy.decision import DEPENDS, NO, YES, Verdict
from ..policy.identity import Identity
from .common import complete_role, example
from .output import show, wide_option


class _Failed(click.ClickException):
    """An error with exit code 2, since with `--diff` 1 means that access was given."""

    exit_code = 2


def _command(
    name: str, *forms: str, examples: tuple[str, ...]
) -> Callable[[Callable[..., None]], click.Command]:
    """Return a decorator for a command with a flag for each output form.

    The chosen form is the argument `form`; None means text. Errors are printed as messages.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @with_appcontext
        @functools.wraps(function)
        def command(**given: Any) -> None:
            chosen = [form for form in forms if given.pop(f"as_{form}")]
            if len(chosen) > 1:
                raise click.UsageError(f"--{chosen[0]} and --{chosen[1]} cannot be combined")
            try:
                current_state()  # raises without an Authz
                function(form=chosen[0] if chosen else None, **given)
            except (MisuseError, StoreUnavailable, OSError) as error:
                raise _Failed(str(error)) from None

        made: Any = wide_option(command) if "csv" in forms else command
        for form in reversed(forms):
            said = f"Write {_FORM_NAMES[form]} instead of text."
            made = click.option(f"--{form}", f"as_{form}", is_flag=True, help=said)(made)
        return click.command(name, epilog=example(*examples))(made)

    return decorate


_FORM_NAMES = {"json": "JSON", "markdown": "Markdown", "csv": "CSV", "html": "an HTML page"}


def _filtering(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose rows and columns; the command receives a `Selection`."""

    @functools.wraps(command)
    def filters(
        route: str | None,
        method: str | None,
        roles: tuple[str, ...],
        only: str | None,
        **given: Any,
    ) -> None:
        verdict = None if only is None else Verdict(only)
        command(selection=Selection(route, method, roles, verdict), **given)

    options = (
        click.option(
            "--route", metavar="TEXT", help="Only routes with this text in the rule or endpoint."
        ),
        click.option("--method", metavar="NAME", help="Only routes for this method, such as GET."),
        click.option(
            "--role",
            "roles",
            multiple=True,
            metavar="NAME",
            shell_complete=complete_role,
            help="Only this role; can be repeated.",
        ),
        click.option(
            "--only",
            type=click.Choice([verdict.value for verdict in (YES, NO, DEPENDS)]),
            help="Only routes with this answer for one of the callers.",
        ),
    )
    made: Callable[..., None] = filters
    for option in reversed(options):
        made = option(made)
    return made


@_command(
    "routes", "json", "markdown", "csv", examples=("routes", "routes --role editor --only no")
)
@_filtering
def routes(form: str | None, selection: Selection, wide: bool) -> None:
    """Show what each route requires, where its guards are, and which routes have none.

    With --role, show the routes that the role may call, or with --only those that answer it so.
    """
    found = selection.of_routes(read_routes())
    if form == "json":
        click.echo(routes_as_json(found), nl=False)
    else:
        show(table_of_routes(found), form, wide=wide)


@_command(
    "matrix",
    *("json", "markdown", "csv", "html"),
    examples=("matrix --role editor --only yes", "matrix --diff main"),
)
@click.option(
    "--diff", metavar="FILE|REV", help="Compare with an earlier --json, or a git revision."
)
@_filtering
def matrix(form: str | None, diff: str | None, selection: Selection, wide: bool) -> None:
    """Show which role may call which route.

    With --diff, show who was given access and who lost it. The exit code is 1 if access was, or
    may have been, given, and 2 if the comparison failed.
    """
    if diff is not None:
        if selection:
            raise click.UsageError("--diff compares everything: leave out the filters")
        _show_changes(compare(_earlier(diff), read_access()), form, wide)
        return
    found = selection.read()
    if form == "json":
        click.echo(access_as_json(found), nl=False)
    elif form == "html":
        shown = {(row.endpoint, row.rule, row.method) for row in found.rows}
        rows = [one for one in read_routes() if (one.endpoint, one.rule, one.method) in shown]
        click.echo(render_page(get_app().name, found, rows), nl=False)
    else:
        show(table_of_access(found), form, wide=wide, repeated=2)


@_command("who", "json", examples=("who POST /articles",))
@click.argument("method")
@click.argument("path")
def who(method: str, path: str, form: str | None) -> None:
    """Show which roles may call a route, and what it depends on."""
    answering = _answering(method.upper(), path)
    if form == "json":
        click.echo(json.dumps([_as_object(access) for access in answering], indent=2))
        return
    for access in answering:
        route = describe(access)
        marks = marks_of(route)
        title = f"{route.method} {route.rule} ({route.endpoint}): {route.requirement} [{marks}]"
        click.echo(visible(title))
        for line in _callers(access):
            click.echo(visible(line))


@_command("can", "json", "csv", examples=("can editor",))
@click.argument("role", shell_complete=complete_role)
def can(role: str, form: str | None, wide: bool) -> None:
    """Show which routes a role may call, and what it depends on."""
    check_role(role, current_state().catalog or ())
    caller = caller_with(role)
    rows = [
        (found.value, one.method, one.rule, one.endpoint, "; ".join(depends_on(one, caller)))
        for one in read_matrix(get_app())
        if (found := answer(one, caller)) is not NO
    ]
    names = ("answer", "method", "rule", "endpoint", "depends on")
    if form == "json":
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    elif rows or form == "csv":
        show(Table(names, rows), form, wide=wide)
    else:
        click.echo(f"{visible(role)} may call no route")


def _show_changes(changes: list[AccessChange], form: str | None, wide: bool) -> None:
    if form == "html":
        raise MisuseError("--diff cannot be written as HTML: use text, --markdown, --csv or --json")
    if form == "json":
        click.echo(changes_as_json(changes), nl=False)
    elif changes or form == "csv":
        show(table_of_changes(changes), form, wide=wide)
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


def _answers(access: Access) -> list[tuple[str, Identity | None, Verdict]]:
    callers: list[tuple[str, Identity | None]] = [
        (NOT_IDENTIFIED, None),
        (WITHOUT_ROLE, caller_with()),
        *((role, caller_with(role)) for role in current_state().catalog or ()),
    ]
    return [(name, caller, answer(access, caller)) for name, caller in callers]


def _as_object(access: Access) -> dict[str, Any]:
    route = describe(access)
    answers = [
        {"caller": name, "answer": found.value, "depends on": list(depends_on(access, caller))}
        for name, caller, found in _answers(access)
    ]
    return {
        "method": route.method,
        "rule": route.rule,
        "endpoint": route.endpoint,
        "requirement": route.requirement,
        "callers": answers,
    }


def _callers(access: Access) -> Iterator[str]:
    """Yield the callers by answer, with one line for each caller whose answer depends."""
    answers = _answers(access)
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
