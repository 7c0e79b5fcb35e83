"""The members of a user or a role that the API, the page, the trail and versions show."""

from __future__ import annotations

from ..accounts import User
from ..accounts.sqlalchemy.trail import State
from ..policy.roles import Role


def shown(user: User) -> State:
    """Return the members of a user that are shown, and no other column."""
    return {
        "subject": user.subject,
        "username": user.username,
        "roles": sorted(user.roles),
        "disabled": user.disabled,
    }


def shown_role(role: Role) -> State:
    """Return the members of a role that are shown."""
    return {"name": role.name, **state_of(role)}


def state_of(role: Role) -> State:
    """Return what a role grants and includes."""
    return {
        "permissions": [str(one) for one in role.permissions],
        "includes": [*role.includes],
        "level": role.level,
    }
