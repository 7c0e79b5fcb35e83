"""Shared by all commands: errors in one line, examples, confirmations, completion, the author."""

from __future__ import annotations

import errno
import functools
import getpass
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem
from flask.cli import AppGroup, ScriptInfo, with_appcontext

from ..accounts import ManagedAccounts
from ..application import current_state
from ..errors import InvalidToken, MisuseError, StoreUnavailable
from ..inspection.tables import visible

_MOST_COMPLETED = 100


class Commands(AppGroup):
    """A group whose commands report misuse as an error message, without a traceback, and exit 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (MisuseError, StoreUnavailable, InvalidToken) as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of a pipe has gone: click exits
                raise
            raise click.ClickException(str(error)) from None


def example(*commands: str) -> str:
    """Return the end of a command's `--help`, which shows how to use it."""
    lines = "\n".join(f"  flask authz {command}" for command in commands)
    return f"\b\n{'Examples' if len(commands) > 1 else 'Example'}:\n{lines}"


def changing(
    group: click.Group, name: str, make: Callable[[], Any], *examples: str
) -> Callable[[Callable[..., None]], click.Command]:
    """Return a decorator that adds a command to the group; it receives the result of `make`."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @with_appcontext
        @functools.wraps(function)
        def command(**given: Any) -> None:
            current_state()  # raises without an Authz
            function(make(), **given)

        made: click.Command = group.command(name, epilog=example(*examples))(command)
        return made

    return decorate


def confirmed(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option `--yes` to a command; it receives a function that asks for confirmation."""

    @functools.wraps(command)
    def asks(*arguments: Any, yes: bool, **given: Any) -> None:
        command(*arguments, confirm=functools.partial(_confirm, yes), **given)

    said = "Do not ask for confirmation."
    made: Callable[..., None] = click.option("--yes", "-y", is_flag=True, help=said)(asks)
    return made


Confirm = Callable[[str], None]
"""Asks for confirmation of what is going to happen; raises unless the answer is yes."""


def _confirm(yes: bool, what: str) -> None:
    if yes:
        return
    try:
        click.confirm(f"{visible(what)} Continue?", abort=True, err=True)
    except click.Abort:
        click.echo(err=True)
        raise click.ClickException("nothing was changed: answer y, or add --yes") from None


def say(text: str) -> None:
    """Print a line; names from outside are escaped, so that a terminal only shows them."""
    click.echo(visible(text))


def author() -> str:
    """Return the author of a change for the audit: the user of the operating system."""
    try:
        return f"{getpass.getuser()} at the command line"
    except (OSError, KeyError, ImportError):  # a user without a name, as in a container
        return "unknown user at the command line"


def role_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option `--role`, which can be repeated; the command receives `roles`."""
    made: Callable[..., None] = click.option(
        "--role",
        "roles",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_role,
        help="A role; can be repeated.",
    )(command)
    return made


def permission_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option `--permission`, which can be repeated; the command receives `permissions`."""
    made: Callable[..., None] = click.option(
        "--permission",
        "permissions",
        multiple=True,
        metavar="RESOURCE:ACTION",
        help="A permission, instead of those of the roles; can be repeated.",
    )(command)
    return made


# --- completion in the shell ---------------------------------------------------------------------


def complete_role(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the roles whose names begin so."""
    return _completed(context, incomplete, lambda: current_state().roles or ())


def complete_user(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the users whose names begin so."""
    return _completed(context, incomplete, _usernames)


def _usernames() -> Iterable[str]:
    accounts = current_state().accounts
    if not isinstance(accounts, ManagedAccounts):
        return ()
    return sorted(user.username for user in current_state().deadline.bound(accounts).users())


def _completed(
    context: click.Context, incomplete: str, names: Callable[[], Iterable[str]]
) -> list[CompletionItem]:
    try:
        with context.ensure_object(ScriptInfo).load_app().app_context():
            found = [name for name in names() if name.startswith(incomplete)]
    except Exception:  # an application that cannot be loaded completes nothing
        return []
    return [CompletionItem(name) for name in found[:_MOST_COMPLETED] if name.isprintable()]
