"""The command `flask authz explain`: why a call is allowed or refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from werkzeug.exceptions import HTTPException

from .._context import get_app, get_request
from ..application import current_state
from ..errors import InvalidToken, MisuseError
from ..extension import Authz
from ..inspection.explain import explain_call
from ..jwt_extended.own_claims import own_claims
from .common import example, permission_option, role_option

_LONGEST_FILE = 65_536


@click.command(
    "explain",
    epilog=example(
        "explain GET /articles/1 --role editor", "explain --needs article:edit --role editor"
    ),
)
@click.argument("call", nargs=-1, metavar="[METHOD PATH]")
@click.option(
    "--needs", multiple=True, metavar="PERMISSION", help="Explain a permission instead of a call."
)
@click.option("--token-file", metavar="FILE", help="A file with a token; - is standard input.")
@role_option
@permission_option
@click.option("--scope", "scopes", multiple=True, metavar="NAME", help="A scope; can be repeated.")
@click.option(
    "--claim", "claims", multiple=True, metavar="NAME=JSON", help="A claim; can be repeated."
)
@click.option("--tenant", metavar="NAME", help="The tenant.")
@click.option("--subject", metavar="NAME", help="The subject.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def explain(
    call: tuple[str, ...],
    needs: tuple[str, ...],
    token_file: str | None,
    as_json: bool,
    **caller: Any,
) -> None:
    """Explain why a call, such as GET /articles/1, or a permission is granted or refused.

    The caller is given by a token, or by roles, permissions, scopes and claims. Without any of
    these, the request has no token. Exit with 1 if it is refused.
    """
    words = " ".join(call).split(" ") if call else []
    if bool(words) == bool(needs) or len(words) not in (0, 2):
        raise click.UsageError("give either METHOD PATH or --needs PERMISSION")
    supposed = {name: value for name, value in caller.items() if value}
    if token_file is not None and supposed:
        raise click.UsageError(
            "--token-file cannot be combined with --role, --permission, --scope, --claim, "
            "--tenant or --subject"
        )
    method, path = words or ("GET", "/")
    try:
        current_state()  # raises without an Authz
        with current_app.test_request_context(path, method=method.upper()):
            _say_who_calls(token_file, supposed)
            allowed = _print_call(as_json) if words else _print_needs(needs, as_json)
    except HTTPException as error:
        raise click.ClickException(
            f"no view answers this call: {error.code} {error.name}"
        ) from None
    if not allowed:
        sys.exit(1)


def _print_call(as_json: bool) -> bool:
    found = explain_call(get_app(), denies_unguarded=current_state().denies_unguarded)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else "\n".join(found.lines()))
    return bool(found)


def _print_needs(needs: tuple[str, ...], as_json: bool) -> bool:
    extension: Authz = current_app.extensions["jwt_authz"]
    decision = extension.explain(*needs)
    tree = decision.as_dict(with_errors=True)
    click.echo(json.dumps(tree, indent=2) if as_json else str(decision))
    return bool(decision)


def _say_who_calls(token_file: str | None, supposed: dict[str, Any]) -> None:
    app, state = get_app(), current_state()
    authenticator = state.authenticator(app)
    if token_file is not None:
        authenticator.take(get_request(), _read_token(token_file))
    elif supposed:
        authenticator.suppose(get_request(), _identity(**supposed))


def _identity(
    subject: str = "someone",
    roles: tuple[str, ...] = (),
    permissions: tuple[str, ...] | None = None,
    scopes: tuple[str, ...] | None = None,
    claims: tuple[str, ...] = (),
    tenant: str | None = None,
) -> Any:
    """Return the identity of a hypothetical caller, as it would be read from their token."""
    extension: Authz = current_app.extensions["jwt_authz"]
    payload = {
        **own_claims(current_state().settings),
        "type": "access",
        "fresh": False,
        **extension.claims(roles=roles, permissions=permissions, tenant=tenant, scope=scopes),
        **dict(map(_claim, claims)),
        current_app.config["JWT_IDENTITY_CLAIM"]: subject,
    }
    try:
        return extension.read_identity(subject, payload)
    except InvalidToken as error:
        raise MisuseError(f"this token would be refused, {error.name}: {error}") from None


def _claim(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    try:
        if name and sign:
            return name, json.loads(value)
    except ValueError:
        pass
    raise click.UsageError("a claim is NAME=JSON, as in --claim 'plan=\"gold\"'")


def _read_token(file: str) -> str:
    """Return the token in a file or on standard input; errors never contain its text or name."""
    if file == "-" and sys.stdin.isatty():
        return str(click.prompt("Token", hide_input=True, err=True)).strip()
    try:
        if file == "-":
            return sys.stdin.read(_LONGEST_FILE).strip()
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(_LONGEST_FILE).strip()
    except (OSError, ValueError):  # the name may be a token, given by mistake
        raise click.UsageError(
            "the token cannot be read: --token-file must be a file, or - for standard input"
        ) from None
