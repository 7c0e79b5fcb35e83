"""The command `flask authz token`: issue an access token for trying the API out."""

from __future__ import annotations

from datetime import timedelta

import click
from flask import current_app
from flask.cli import with_appcontext

from .._context import get_app
from ..application import current_state
from ..audit import tell_change
from ..errors import MisuseError
from ..extension import Authz
from .common import author, example, permission_option, role_option

_LONGEST = 24 * 60


@click.command(
    "token", epilog=example("token --role editor", "token --subject 4711 --role clerk --fresh")
)
@click.option("--subject", metavar="SUB", default="developer", show_default=True, help="Its `sub`.")
@role_option
@permission_option
@click.option("--scope", "scopes", multiple=True, metavar="NAME", help="A scope; can be repeated.")
@click.option("--tenant", metavar="NAME", help="The tenant.")
@click.option("--fresh", is_flag=True, help="Mark it as fresh, as after a log-in.")
@click.option(
    "--minutes",
    type=click.IntRange(1, _LONGEST),
    default=60,
    show_default=True,
    help="Minutes until it expires.",
)
@click.option(
    "--force", is_flag=True, help="Issue it although the application is not in debug mode."
)
@with_appcontext
def token(
    subject: str,
    roles: tuple[str, ...],
    permissions: tuple[str, ...],
    scopes: tuple[str, ...],
    tenant: str | None,
    fresh: bool,
    minutes: int,
    force: bool,
) -> None:
    """Print an access token with these roles, for development.

    The user need not exist. Outside debug mode this needs --force, since the token is as good as
    any other. The audit records who issued it.
    """
    current_state()  # raises without an Authz
    if not (current_app.debug or force):
        raise MisuseError(
            "a token for development needs debug mode: run flask --debug authz token, or --force"
        )
    extension: Authz = current_app.extensions["jwt_authz"]
    issued = extension.issue(
        subject,
        roles=roles,
        permissions=permissions or None,
        scope=scopes or None,
        tenant=tenant,
        fresh=fresh,
        expires=timedelta(minutes=minutes),
    )
    tell_change(get_app(), author(), "token", subject, subject)
    click.echo(issued)
