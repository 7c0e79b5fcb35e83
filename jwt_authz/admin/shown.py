"""Shown: what the API, the page, the trail and a version tell of a user or a role, and no more."""

from __future__ import annotations

from ..accounts import User
from ..accounts.trail import State
from ..roles import Role


def shown(user: User) -> State:
    """Return what is told of a user: these members, and no column besides."""
    return {
        "subject": user.subject,
        "username": user.username,
        "roles": sorted(user.roles),
        "disabled": user.disabled,
    }


def shown_role(role: Role) -> State:
    """Return what is told of a role."""
    return {"name": role.name, **state_of(role)}


def state_of(role: Role) -> State:
    """Return what a role grants and includes."""
    return {
        "permissions": [str(one) for one in role.permissions],
        "includes": [*role.includes],
        "level": role.level,
    }
