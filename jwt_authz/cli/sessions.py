"""The commands `flask authz sessions ...` and `revoke`: see and end log-ins and tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from .._context import get_app
from ..accounts import ManagedAccounts
from ..application import AppState, current_state
from ..audit import tell_change
from ..errors import MisuseError
from ..extension import Authz
from ..inspection.tables import Table
from ..logins.revoking import end_family, families_of, revoke
from ..revocation import Family, Target
from .common import (
    Confirm,
    author,
    changing,
    complete_role,
    complete_user,
    confirmed,
    example,
    say,
)
from .output import show, wide_option


@click.group("sessions", epilog=example("sessions list ann"))
def sessions() -> None:
    """List and end the log-ins of a user that can still be refreshed."""


def _command(name: str, *examples: str) -> Callable[[Callable[..., None]], click.Command]:
    return changing(sessions, name, current_state, *examples)


def _user_arguments(command: Callable[..., None]) -> Callable[..., None]:
    """Add the arguments that name the user."""
    for option in (
        click.option(
            "--issuer", metavar="ISS", help="The issuer of --subject, if it is a foreign one."
        ),
        click.option(
            "--subject", metavar="SUB", help="The `sub` of the tokens, instead of USERNAME."
        ),
    ):
        command = option(command)
    return command


@_command("list", "sessions list ann", "sessions list --subject 4711 --json")
@click.argument("username", required=False, shell_complete=complete_user)
@_user_arguments
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")
@wide_option
def list_sessions(
    state: AppState,
    username: str | None,
    subject: str | None,
    issuer: str | None,
    as_json: bool,
    wide: bool,
) -> None:
    """Show the log-ins of a user, the most recently used first; times are in UTC."""
    found = families_of(state, _subject(state, username, subject, issuer), issuer)
    if as_json:
        click.echo(json.dumps([_shown(family) for family in found], indent=2))
    elif not found:
        click.echo("no log-in can be refreshed")
    else:
        rows = [tuple("" if v is None else str(v) for v in _shown(one).values()) for one in found]
        show(Table(tuple(_shown(found[0])), rows), wide=wide)


@_command("end", "sessions end ann", "sessions end ann --id 5lqDcSyOUg-SmcHH5HZUlA --yes")
@click.argument("username", required=False, shell_complete=complete_user)
@_user_arguments
@click.option("--id", "family", metavar="ID", help="End only this log-in.")
@confirmed
def end_sessions(
    state: AppState,
    username: str | None,
    subject: str | None,
    issuer: str | None,
    family: str | None,
    confirm: Confirm,
) -> None:
    """End all log-ins and tokens of a user, or one log-in and its tokens."""
    wanted = _subject(state, username, subject, issuer)
    named = username or wanted
    if family is None:
        confirm(f"All log-ins and tokens of {named} will end.")
        revoke(state, Target("subject", wanted, issuer))
        said = f"all log-ins and tokens of {named} are ended"
    else:
        if all(one.id != family for one in families_of(state, wanted, issuer)):
            raise MisuseError(
                f"{named} has no log-in {family!r}: flask authz sessions list shows them"
            )
        confirm(f"The log-in {family} of {named} and its tokens will end.")
        end_family(state, family)
        said = f"the log-in {family} of {named} is ended"
    tell_change(get_app(), author(), "sessions end", named, wanted)
    say(said)


@click.command(
    "revoke",
    epilog=example("revoke --subject 4711", "revoke --role clerk --yes", "revoke --everything"),
)
@click.option("--jti", metavar="ID", help="The token with this `jti`.")
@click.option("--subject", metavar="SUB", help="The tokens and log-ins of this `sub`.")
@click.option("--role", metavar="NAME", shell_complete=complete_role, help="Tokens with this role.")
@click.option("--tenant", metavar="NAME", help="The tokens and log-ins of this tenant.")
@click.option("--family", metavar="ID", help="One log-in, and the tokens that came with it.")
@click.option("--everything", is_flag=True, help="All tokens and log-ins.")
@click.option("--issuer", metavar="ISS", help="The foreign issuer of --jti or --subject.")
@click.option("--keeps-families", is_flag=True, help="With --subject: keep the log-ins.")
@confirmed
@with_appcontext
def revoke_tokens(confirm: Confirm, **criteria: Any) -> None:
    """Revoke the tokens issued until now that match one criterion, in all processes."""
    state = current_state()
    chosen = {name: criteria[name] for name in _CRITERIA if criteria[name]}
    if len(chosen) != 1:
        names = ", ".join(f"--{name}" for name in _CRITERIA)
        raise click.UsageError(f"give exactly one of {names}")
    ((kind, value),) = chosen.items()
    matching = "All tokens" if kind == "everything" else f"Tokens with the {kind} {value!r}"
    state.needed_revocations()  # without a store there is nothing to confirm
    confirm(f"{matching} that were issued until now will be refused.")
    extension: Authz = current_app.extensions["jwt_authz"]
    extension.revoke(**criteria)
    name = kind if kind == "everything" else f"{kind} {value}"
    tell_change(get_app(), author(), "revoke", name, criteria["subject"])
    say(f"{matching[0].lower()}{matching[1:]} that were issued until now are refused")


_CRITERIA = ("jti", "subject", "role", "tenant", "family", "everything")


def _subject(state: AppState, username: str | None, subject: str | None, issuer: str | None) -> str:
    """Return the subject of a user of the accounts, or the one that is given."""
    if (username is None) is (subject is None):
        raise click.UsageError("give either USERNAME or --subject")
    if subject is not None:
        return subject
    if issuer is not None:
        raise click.UsageError("--issuer needs --subject: the users here have no other issuer")
    if not isinstance(state.accounts, ManagedAccounts):
        raise click.UsageError("the accounts of this application have no usernames: give --subject")
    found = state.deadline.bound(state.accounts).named(str(username))
    if found is None:
        raise MisuseError(f"no user is named {username!r}: fix the spelling, or give --subject")
    return found.subject


def _shown(family: Family) -> dict[str, str | None]:
    return {
        "id": family.id,
        "client": family.client,
        "tenant": family.tenant,
        "created": _time(family.created_at),
        "used": _time(family.used_at),
        "expires": _time(family.expires_at),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
