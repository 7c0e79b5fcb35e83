"""Shared by commands that change users and roles: the author, the output and the errors."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable
from typing import Any

import click
from flask.cli import with_appcontext

from ..application import current_state
from ..errors import MisuseError, StoreUnavailable
from ..inspection.tables import visible


def changing(
    group: click.Group, name: str, make: Callable[[], Any]
) -> Callable[[Callable[..., None]], click.Command]:
    """Return a decorator that adds a command to the group; it receives the result of `make`.

    Exit with 1 and a message for `MisuseError` and `StoreUnavailable`, and with 2 for wrong usage.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @with_appcontext
        @functools.wraps(function)
        def command(**given: Any) -> None:
            try:
                current_state()  # raises without an Authz
                function(make(), **given)
            except (MisuseError, StoreUnavailable) as error:
                raise click.ClickException(str(error)) from None

        made: click.Command = group.command(name)(command)
        return made

    return decorate


def say(text: str) -> None:
    """Print a line; names from outside are escaped, so that a terminal only shows them."""
    click.echo(visible(text))


def who() -> str:
    """Return the author of a change for the audit: the user of the operating system."""
    try:
        return f"{getpass.getuser()} at the command line"
    except (OSError, KeyError, ImportError):  # a user without a name, as in a container
        return "unknown user at the command line"
