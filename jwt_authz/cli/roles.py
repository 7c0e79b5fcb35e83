"""The commands `flask authz roles ...`: list and change roles."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from ..accounts import ManagedAccounts, User
from ..application import current_state
from ..errors import MisuseError
from ..inspection.tables import Table
from ..logins.changes import RoleChanges
from ..policy.permissions import Permission
from ..policy.role_sources import ManagedRoles
from ..policy.roles import Roles
from .common import Confirm, author, changing, complete_role, confirmed, example, say
from .output import show, wide_option


@click.group("roles", epilog=example("roles list"))
def roles() -> None:
    """List roles; change roles in a database, in all processes at once."""


def _command(name: str, *examples: str) -> Callable[[Callable[..., None]], click.Command]:
    def make() -> RoleChanges:
        return RoleChanges(current_state(), _managed(), author(), _users)

    return changing(roles, name, make, *examples)


def _look(name: str, *examples: str) -> Callable[[Callable[..., None]], click.Command]:
    return changing(roles, name, current_state, *examples)


_name = click.argument("name", shell_complete=complete_role)
_others = click.argument("others", nargs=-1, required=True, shell_complete=complete_role)


@_look("list", "roles list", "roles list --json")
@click.option("--json", "as_json", is_flag=True, help="Write JSON that RolesFile can read.")
@wide_option
def list_roles(_: object, as_json: bool, wide: bool) -> None:
    """Show each role with its permissions, the roles that it includes, and its level."""
    found = current_state().roles or Roles()
    if as_json:
        click.echo(json.dumps({"roles": {name: _shown(found, name) for name in found}}, indent=2))
        return
    rows = [
        (
            name,
            "" if role.level is None else str(role.level),
            " ".join(role.includes),
            " ".join(map(str, role.permissions)),
        )
        for name, role in found.items()
    ]
    show(Table(("role", "level", "includes", "permissions"), rows), wide=wide)


@_look("reload", "roles reload")
def reload_roles(_: object) -> None:
    """Make all processes reload the roles, after editing a file or rows by hand."""
    current_state().reload_roles()
    click.echo("all processes reload the roles")


@_command("add", "roles add clerk order:read order:list --includes reader")
@click.argument("name")
@click.argument("permissions", nargs=-1)
@click.option(
    "--includes",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_role,
    help="An included role; can be repeated.",
)
@click.option("--level", type=int, help="A number that orders roles.")
def add(
    managed: RoleChanges,
    name: str,
    permissions: tuple[str, ...],
    includes: tuple[str, ...],
    level: int | None,
) -> None:
    """Add a role with these permissions, each RESOURCE:ACTION."""
    managed.add(name, permissions, includes, level)
    say(f"{name} is added, {_grants(name)}")


@_command("remove", "roles remove clerk")
@_name
@confirmed
def remove(managed: RoleChanges, name: str, confirm: Confirm) -> None:
    """Remove a role, also from all users; no other role may include it."""
    found = current_state().roles or Roles()
    if name in found and not any(name in role.includes for role in found.values()):
        having = sum(name in user.roles for user in _users())
        has_it = "1 user has" if having == 1 else f"{having} users have"
        confirm(f"The role {name} will be removed ({has_it} it), and tokens with it will end.")
    managed.remove(name)
    say(f"{name} is removed, and access tokens issued until now that have it are ended")


@_command("grant", "roles grant clerk order:write")
@_name
@click.argument("permissions", nargs=-1, required=True)
def grant(managed: RoleChanges, name: str, permissions: tuple[str, ...]) -> None:
    """Give a role permissions."""
    managed.grant(name, permissions)
    say(f"{name} {_grants(name)}")


@_command("take", "roles take clerk order:write")
@_name
@click.argument("permissions", nargs=-1, required=True)
def take(managed: RoleChanges, name: str, permissions: tuple[str, ...]) -> None:
    """Take permissions from a role, and from all tokens that have it."""
    managed.take(name, permissions)
    say(f"{name} {_grants(name)}")
    held = (current_state().roles or Roles()).permissions_of([name])
    for permission in permissions:
        by = next((one for one in Permission.parse(permission).covered_by if one in held.held), "")
        if by:
            source = f"by {by}" if by != permission else "by a role that it includes"
            click.echo(f"but {name} still has {permission}, {source}", err=True)


@_command("include", "roles include manager clerk")
@_name
@_others
def include(managed: RoleChanges, name: str, others: tuple[str, ...]) -> None:
    """Make a role include others, with everything that they grant."""
    managed.include(name, others)
    say(f"{name} {_grants(name)}")


@_command("exclude", "roles exclude manager clerk")
@_name
@_others
def exclude(managed: RoleChanges, name: str, others: tuple[str, ...]) -> None:
    """Make a role no longer include others."""
    managed.exclude(name, others)
    say(f"{name} {_grants(name)}")


@_command("level", "roles level clerk 2")
@_name
@click.argument("level", type=int, required=False)
def set_level(managed: RoleChanges, name: str, level: int | None) -> None:
    """Set the level of a role; without a number, remove it."""
    managed.set_level(name, level)
    say(f"{name} has {'no level' if level is None else f'the level {level}'} now")


def _users() -> list[User]:
    """Return the users, if they can be listed."""
    accounts = current_state().accounts
    return accounts.users() if isinstance(accounts, ManagedAccounts) else []


def _managed() -> ManagedRoles:
    given = current_state().roles_given
    if isinstance(given, ManagedRoles):
        return current_state().deadline.bound(given)
    if given is None or isinstance(given, Roles):
        raise MisuseError("the roles are in code: change them there, or store them in a database")
    raise MisuseError(
        f"the roles come from {type(given).__name__} and cannot be changed here: change them "
        "there, and run `flask authz roles reload`"
    )


def _grants(name: str) -> str:
    """Return what the role grants now, including the roles that it includes."""
    held = (current_state().roles or Roles()).permissions_of([name])
    return f"grants {', '.join(sorted(held))}" if len(held) else "grants nothing"


def _shown(found: Roles, name: str) -> dict[str, object]:
    role = found[name]
    shown: dict[str, object] = {"permissions": [str(one) for one in role.permissions]}
    if role.includes:
        shown["includes"] = list(role.includes)
    if role.level is not None:
        shown["level"] = role.level
    return shown
