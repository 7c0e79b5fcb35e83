"""What the commands that change users and roles share: who says it, what is said, how it fails."""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable
from typing import Any

import click
from flask.cli import with_appcontext

from ..application import current_parts
from ..errors import MisuseError, StoreUnavailable
from ..inspection.tables import visible


def changing(
    group: click.Group, name: str, make: Callable[[], Any]
) -> Callable[[Callable[..., None]], click.Command]:
    """A command of the group that gets what `make` gives; misuse and a store are messages, and 1.

    Usage errors exit 2.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @with_appcontext
        @functools.wraps(function)
        def command(**given: Any) -> None:
            try:
                current_parts()  # no Authz: say so
                function(make(), **given)
            except (MisuseError, StoreUnavailable) as error:
                raise click.ClickException(str(error)) from None

        made: click.Command = group.command(name)(command)
        return made

    return decorate


def say(text: str) -> None:
    """Write a line, in which names from outside stand so that a terminal only shows them."""
    click.echo(visible(text))


def who() -> str:
    """Who makes the change, as the audit is told: the user of the operating system."""
    try:
        return f"{getpass.getuser()} at the command line"
    except (OSError, KeyError, ImportError):  # one without a name, as in a container
        return "somebody at the command line"
