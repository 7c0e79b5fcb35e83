"""The commands `flask authz users ...`: who may log in, and as what."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from typing import Any

import click

from ..accounts import ManagedAccounts, User
from ..application import current_parts
from ..errors import MisuseError
from ..inspection.tables import Table, visible
from ..logins.changes import Users
from .common import changing, say, who

_RANDOM_BYTES = 16
_LONGEST_LINE = 65_536

_METHODS = (
    *("is_shared", "named", "users", "add", "remove", "grant_roles", "take_roles"),
    *("check_new_password", "set_password", "disable", "enable"),
)


@click.group("users")
def users() -> None:
    """Add, list and remove users, give and take their roles and passwords."""


def _command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    return changing(users, name, lambda: Users(current_parts(), _accounts(), who()))


@_command("add")
@click.argument("username")
@click.option("--role", "roles", multiple=True, metavar="NAME", help="A role; may be repeated.")
@click.option("--tenant", metavar="NAME", help="The tenant that they belong to.")
@click.option("--random", "is_random", is_flag=True, help="Make a password up, and print it once.")
@click.option("--no-password", is_flag=True, help="They cannot log in by a password.")
def add(
    managed: Users,
    username: str,
    roles: tuple[str, ...],
    tenant: str | None,
    is_random: bool,
    no_password: bool,
) -> None:
    """Add a user; the password is asked for, or read from standard input."""
    if is_random and no_password:
        raise click.UsageError("a password is made up, or there is none: not both")
    password = None if no_password else _password(username, is_random)
    user = managed.add(username, password, roles, tenant)
    say(f"{username} is added, {_roles_of(user)}; subject {user.subject}")
    _show(username, password if is_random else None)


@_command("list")
@click.option("--json", "as_json", is_flag=True, help="Write JSON in place of a text.")
def list_users(_: Users, as_json: bool) -> None:
    """Show all users, in the order of their names; nothing secret."""
    found = _accounts().users()
    if as_json:
        click.echo(json.dumps([_shown(user) for user in found], indent=2))
        return
    rows = [
        (user.username, " ".join(user.roles), user.tenant or "", _state(user), user.subject)
        for user in found
    ]
    click.echo(Table(("user", "roles", "tenant", "state", "subject"), rows).as_text(), nl=False)


@_command("remove")
@click.argument("username")
def remove(managed: Users, username: str) -> None:
    """Remove a user, and end their log-ins and tokens."""
    managed.remove(username)
    say(f"{username} is removed, {_ended()}")


@_command("grant")
@click.argument("username")
@click.argument("roles", nargs=-1, required=True)
@click.option("--tenant", metavar="NAME", help="In this tenant, by default in their own.")
def grant(managed: Users, username: str, roles: tuple[str, ...], tenant: str | None) -> None:
    """Give a user roles."""
    user = managed.grant(username, roles, tenant)
    say(f"{username} is {_roles_of(user)}, from the next log-in or refresh on")


@_command("take")
@click.argument("username")
@click.argument("roles", nargs=-1, required=True)
@click.option("--tenant", metavar="NAME", help="In this tenant, by default in their own.")
def take(managed: Users, username: str, roles: tuple[str, ...], tenant: str | None) -> None:
    """Take roles from a user, and end the access tokens that have them."""
    user = managed.take(username, roles, tenant)
    say(f"{username} is {_roles_of(user)}, {_ended('access tokens')}")


@_command("disable")
@click.argument("username")
def disable(managed: Users, username: str) -> None:
    """Let a user log in no more, and end their log-ins and tokens."""
    managed.disable(username)
    say(f"{username} is disabled, {_ended()}")


@_command("enable")
@click.argument("username")
def enable(managed: Users, username: str) -> None:
    """Let a user log in again."""
    managed.enable(username)
    say(f"{username} is enabled")


@_command("reset-password")
@click.argument("username")
@click.option("--random", "is_random", is_flag=True, help="Make one up, and print it once.")
def reset_password(managed: Users, username: str, is_random: bool) -> None:
    """Give a user another password, asked for or read from standard input; end their log-ins."""
    user = managed.find(username)  # before anybody types a password
    password = _password(username, is_random)
    managed.set_password(user, password)
    say(f"{username} has another password, {_ended()}")
    _show(username, password if is_random else None)


def _accounts() -> ManagedAccounts:
    accounts = current_parts().accounts
    if accounts is None:
        raise MisuseError("there are no users: write Authz(app, accounts=...)")
    if not isinstance(accounts, ManagedAccounts):
        lacking = [name for name in _METHODS if not hasattr(accounts, name)]
        raise MisuseError(
            f"these users cannot be changed here: {type(accounts).__name__} lacks "
            f"{', '.join(lacking)} of ManagedAccounts"
        )
    if not accounts.is_shared:
        click.echo("warning: these users are in the memory of this process alone", err=True)
    return current_parts().deadline.bound(accounts)


def _password(username: str, is_random: bool) -> str:
    """A password that never stood among the arguments, where other users of a machine see it."""
    if is_random:
        return secrets.token_urlsafe(_RANDOM_BYTES)
    if sys.stdin.isatty():
        asked = f"Password of {visible(username)}"
        return str(click.prompt(asked, hide_input=True, confirmation_prompt=True, err=True))
    try:
        return sys.stdin.readline(_LONGEST_LINE).removesuffix("\n").removesuffix("\r")
    except ValueError:
        raise click.UsageError("the password on standard input is no text of UTF-8") from None


def _show(username: str, password: str | None) -> None:
    if password is not None:
        click.echo(f"password of {visible(username)}: {password}")


def _roles_of(user: User) -> str:
    return f"now {', '.join(user.roles)}" if user.roles else "now without a role"


def _state(user: User) -> str:
    return "disabled" if user.disabled else "enabled"


def _shown(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "subject": user.subject,
        "roles": list(user.roles),
        "tenant": user.tenant,
        "disabled": user.disabled,
    }


def _ended(what: str = "log-ins and tokens") -> str:
    """What became of the tokens issued until now."""
    url = current_parts().settings.store_url
    if url is None or url == "memory:":
        return f"but {what} go on until they expire: no AUTHZ_STORE_URL tells the processes"
    return f"and {what} issued until now are ended"
