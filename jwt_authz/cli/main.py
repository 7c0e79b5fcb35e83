"""The commands `flask authz ...`."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from flask.cli import ScriptInfo

from .._context import get_app
from ..application import AppState, current_state
from ..errors import MisuseError
from ..inspection.check import find
from ..inspection.matrix import read_matrix
from ..tokens import KeySet
from . import reports
from .common import Commands, Confirm, confirmed, example
from .explain import explain
from .openapi import openapi
from .output import show_findings
from .roles import roles
from .sessions import revoke_tokens, sessions
from .store import init, store
from .token import token
from .users import users

authz = Commands(
    "authz", help="Manage and inspect who may do what.", epilog=example("check", "routes")
)
_COMMANDS = (
    reports.routes,
    reports.matrix,
    reports.who,
    reports.can,
    explain,
    openapi,
    users,
    roles,
    sessions,
    revoke_tokens,
    token,
    init,
    store,
)
for _command in _COMMANDS:
    authz.add_command(_command)


@authz.command("check", epilog=example("check --strict", "check --json"))
@click.option("--json", "as_json", is_flag=True, help="Write the findings as a JSON array.")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings, too.")
def check(as_json: bool, strict: bool) -> None:
    """Report misuse, and views without a guard.

    Exits 0 if there is no error, 1 if there is one (with --strict also for a warning), and 2 for
    wrong arguments. Each code is explained in docs/checking.md.
    """
    state = current_state()  # no Authz: say so
    found = find(state, by_command=True)
    if as_json:
        click.echo(json.dumps([one.as_dict() for one in found], indent=2))
    else:
        show_findings(found)
    if any(strict or one.severity == "error" for one in found):
        sys.exit(1)
    if not as_json:
        _write_summary(state)


def _write_summary(state: AppState) -> None:
    accesses = list(read_matrix(get_app()))
    is_bare = any(one.is_bare for one in accesses)
    said = "no errors found" if is_bare else "every view has a guard, or is exempt"
    if not all(guard.is_enforced(state) for one in accesses for guard in one.guards):
        said += ", but not every guard is enforced"
    if state.settings.silence:
        said += f"; silenced: {', '.join(sorted(state.settings.silence))}"
    click.echo(said)


@authz.group("keys", epilog=example("keys new --file keys.json"))
def keys() -> None:
    """Create, list, rotate and retire the keys that sign and verify tokens."""


def _key_command(name: str, *examples: str) -> Callable[[Callable[..., None]], click.Command]:
    """Return a decorator for a command that receives the path of the key file."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def command(file: Path | None, **options: Any) -> None:
            function(file or _configured_file(), **options)

        asked = click.option(
            "--file",
            type=click.Path(dir_okay=False, path_type=Path),
            help="The file, by default AUTHZ_KEYS_FILE of the application.",
        )
        # The application is needed only for its setting, and may not start without keys.
        add = keys.command(name, with_appcontext=False, epilog=example(*examples))
        made: click.Command = add(asked(command))
        return made

    return decorate


def _configured_file() -> Path:
    app = click.get_current_context().ensure_object(ScriptInfo).load_app()
    with app.app_context():
        file = current_state().settings.keys_file
    if file is None:
        raise MisuseError("the application has no key file: set AUTHZ_KEYS_FILE, or use --file")
    return Path(file)


@_key_command("new", "keys new --algorithm ES256")
@click.option("--algorithm", help="Default: that of the signing key; ES256 for the first.")
def new_key(path: Path, algorithm: str | None) -> None:
    """Create the file with a first key, or add a key that only verifies."""
    if not path.exists():
        made = KeySet.new(algorithm or "ES256")
        made.write(path)
        click.echo(f"{made.active} signs")
        return
    more = KeySet.read(path).with_new_key(algorithm)
    more.write(path)
    click.echo(f"{more.kids[-1]} verifies; once it is known everywhere: flask authz keys rotate")


@_key_command("list", "keys list")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")
def list_keys(path: Path, as_json: bool) -> None:
    """Show the id, algorithm and use of each key, oldest first; nothing secret."""
    held = KeySet.read(path)
    rows = [
        (kid, held.verifying[kid].name, "active" if kid == held.active else "verifying")
        for kid in held.kids
    ]
    if as_json:
        names = ("kid", "algorithm", "use")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
        return
    for kid, algorithm, use in rows:
        click.echo(f"{kid}  {algorithm:5}  {use}")


@_key_command("rotate", "keys rotate")
@click.argument("kid", required=False)
def rotate_keys(path: Path, kid: str | None) -> None:
    """Make the newest key sign, or the given one; create one if the newest already signs."""
    before = KeySet.read(path)
    ready = before if kid is not None or before.kids[-1] != before.active else before.with_new_key()
    after = ready.rotated(kid)
    after.write(path)
    click.echo(f"{after.active} signs; {before.active} verifies until it is retired")


@_key_command("retire", "keys retire 4uHrXtqPBBk --yes")
@click.argument("kid")
@confirmed
def retire_key(path: Path, kid: str, confirm: Confirm) -> None:
    """Remove a key: tokens that it signed are refused from now on."""
    after = KeySet.read(path).retired(kid)
    confirm(f"Tokens that were signed with {kid} will be refused.")
    after.write(path)
    click.echo(f"{kid} is removed")
