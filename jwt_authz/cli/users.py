"""The commands `flask authz users ...`: manage users, their roles and passwords."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from typing import Any

import click

from ..accounts import ManagedAccounts, User
from ..application import current_state
from ..errors import MisuseError
from ..inspection.tables import Table, visible
from ..logins.changes import Users
from .common import (
    Confirm,
    author,
    changing,
    complete_role,
    complete_user,
    confirmed,
    example,
    role_option,
    say,
)
from .output import show, wide_option

_RANDOM_BYTES = 16
_LONGEST_LINE = 65_536

_METHODS = (
    *("is_shared", "named", "users", "add", "remove", "grant_roles", "take_roles"),
    *("check_new_password", "set_password", "disable", "enable"),
)


@click.group("users", epilog=example("users list"))
def users() -> None:
    """Add, list and remove users, and change their roles and passwords."""


def _command(name: str, *examples: str) -> Callable[[Callable[..., None]], click.Command]:
    return changing(users, name, lambda: Users(current_state(), _accounts(), author()), *examples)


_username = click.argument("username", shell_complete=complete_user)
_roles = click.argument("roles", nargs=-1, required=True, shell_complete=complete_role)


@_command("add", "users add ann --role editor")
@click.argument("username")
@role_option
@click.option("--tenant", metavar="NAME", help="The tenant of the user.")
@click.option("--random", "is_random", is_flag=True, help="Generate a password, and print it once.")
@click.option("--no-password", is_flag=True, help="The user cannot log in with a password.")
def add(
    managed: Users,
    username: str,
    roles: tuple[str, ...],
    tenant: str | None,
    is_random: bool,
    no_password: bool,
) -> None:
    """Add a user; prompt for the password, or read it from standard input."""
    if is_random and no_password:
        raise click.UsageError("--random and --no-password cannot be combined")
    password = None if no_password else _password(username, is_random)
    user = managed.add(username, password, roles, tenant)
    say(f"{username} is added, {_roles_of(user)}; subject {user.subject}")
    _show(username, password if is_random else None)


@_command("list", "users list", "users list --json")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")
@wide_option
def list_users(_: Users, as_json: bool, wide: bool) -> None:
    """Show all users, sorted by name; nothing secret."""
    found = _accounts().users()
    if as_json:
        click.echo(json.dumps([_shown(user) for user in found], indent=2))
        return
    rows = [
        (user.username, " ".join(user.roles), user.tenant or "", _state(user), user.subject)
        for user in found
    ]
    show(Table(("user", "roles", "tenant", "state", "subject"), rows), wide=wide)


@_command("remove", "users remove ann")
@_username
@confirmed
def remove(managed: Users, username: str, confirm: Confirm) -> None:
    """Remove a user, and end their log-ins and tokens."""
    user = managed.find(username)
    confirm(
        f"The user {username} ({_roles_of(user)}) will be removed; log-ins and tokens will end."
    )
    managed.remove(username)
    say(f"{username} is removed, {_ended()}")


@_command("grant", "users grant ann editor")
@_username
@_roles
@click.option(
    "--tenant", metavar="NAME", help="The tenant of the roles, by default the user's own."
)
def grant(managed: Users, username: str, roles: tuple[str, ...], tenant: str | None) -> None:
    """Give a user roles."""
    user = managed.grant(username, roles, tenant)
    say(f"{username} is {_roles_of(user)}, from the next log-in or refresh")


@_command("take", "users take ann editor")
@_username
@_roles
@click.option(
    "--tenant", metavar="NAME", help="The tenant of the roles, by default the user's own."
)
def take(managed: Users, username: str, roles: tuple[str, ...], tenant: str | None) -> None:
    """Take roles from a user, and end the access tokens that have them."""
    user = managed.take(username, roles, tenant)
    say(f"{username} is {_roles_of(user)}, {_ended('access tokens')}")


@_command("disable", "users disable ann --yes")
@_username
@confirmed
def disable(managed: Users, username: str, confirm: Confirm) -> None:
    """Disable a user, and end their log-ins and tokens."""
    managed.find(username)
    confirm(f"The user {username} will be disabled; log-ins and tokens will end.")
    managed.disable(username)
    say(f"{username} is disabled, {_ended()}")


@_command("enable", "users enable ann")
@_username
def enable(managed: Users, username: str) -> None:
    """Let a user log in again."""
    managed.enable(username)
    say(f"{username} is enabled")


@_command("reset-password", "users reset-password ann --random")
@_username
@click.option("--random", "is_random", is_flag=True, help="Generate a password, and print it once.")
def reset_password(managed: Users, username: str, is_random: bool) -> None:
    """Set a user's password, from a prompt or standard input, and end their log-ins."""
    user = managed.find(username)  # before the prompt for a password
    password = _password(username, is_random)
    managed.set_password(user, password)
    say(f"{username} has a new password, {_ended()}")
    _show(username, password if is_random else None)


def _accounts() -> ManagedAccounts:
    accounts = current_state().accounts
    if accounts is None:
        raise MisuseError("the application has no accounts: write Authz(app, accounts=...)")
    if not isinstance(accounts, ManagedAccounts):
        lacking = [name for name in _METHODS if not hasattr(accounts, name)]
        raise MisuseError(
            f"these users cannot be changed here: {type(accounts).__name__} does not have "
            f"{', '.join(lacking)} of ManagedAccounts"
        )
    if not accounts.is_shared:
        click.echo("warning: these users exist only in the memory of this process", err=True)
    return current_state().deadline.bound(accounts)


def _password(username: str, is_random: bool) -> str:
    """Return a password; never from an argument, which other users of the machine can see."""
    if is_random:
        return secrets.token_urlsafe(_RANDOM_BYTES)
    if sys.stdin.isatty():
        asked = f"Password of {visible(username)}"
        return str(click.prompt(asked, hide_input=True, confirmation_prompt=True, err=True))
    try:
        return sys.stdin.readline(_LONGEST_LINE).removesuffix("\n").removesuffix("\r")
    except ValueError:
        raise click.UsageError("the password on standard input is not valid UTF-8") from None


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
    """Return what happened to the tokens issued so far."""
    url = current_state().settings.store_url
    if url is None or url == "memory:":
        return f"but {what} stay valid until they expire: AUTHZ_STORE_URL is not set"
    return f"and {what} issued until now are ended"
