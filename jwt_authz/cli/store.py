"""The commands `flask authz init` and `store check`: prepare and test the store."""

from __future__ import annotations

from time import perf_counter, time

import click
from flask import current_app
from flask.cli import with_appcontext

from ..application import current_state
from ..errors import StoreUnavailable
from ..extension import Authz
from .common import example

_CLOCKS_DIFFER = 1.0  # seconds that are worth a warning


@click.command("init", epilog=example("init"))
@with_appcontext
def init() -> None:
    """Prepare a new store of revocations: create its tables and mark it as complete."""
    state = current_state()  # raises without an Authz
    extension: Authz = current_app.extensions["jwt_authz"]
    extension.prepare_store()
    click.echo("the store of revocations is prepared")
    for text in state.sharing_warnings():
        click.echo(f"warning: {text}")


@click.group("store", epilog=example("store check"))
def store() -> None:
    """Test the store of revocations and log-ins, AUTHZ_STORE_URL."""


@store.command("check", epilog=example("store check"))
@with_appcontext
def check_store() -> None:
    """Report whether the store answers, is prepared, and has the same time; exit 1 if not."""
    state = current_state()
    view = state.needed_revocations()
    started = perf_counter()
    try:
        view.check_age()
        view.ask_families(lambda families: families.families("", None))
    except StoreUnavailable as error:
        raise click.ClickException(f"the store cannot be used: {error}") from None
    took = perf_counter() - started
    click.echo(f"the store answers, in {took * 1000:.0f} ms including the connection")
    ahead = view.now() - time()
    if abs(ahead) >= _CLOCKS_DIFFER:
        side = "ahead of" if ahead > 0 else "behind"
        click.echo(f"warning: its clock is {abs(ahead):.0f} seconds {side} this machine's")
    for text in state.sharing_warnings():
        click.echo(f"warning: {text}")
