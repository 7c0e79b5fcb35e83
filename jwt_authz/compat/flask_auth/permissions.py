"""The API of `flaskext.auth.permissions`: permissions of a resource and an action, and roles.

Unlike native permissions, these have no wildcards, accept any values, and can be mixins for ORM
models.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from flask import current_app

from .auth import View, current_auth, get_current_user_data, not_logged_in

__all__ = ["Permission", "Role", "has_permission", "permission_required"]


class Permission:
    """An action on a resource; equal to any object with an equal resource and action."""

    def __init__(self, resource: Any, action: Any) -> None:
        self.resource = resource
        self.action = action

    def __eq__(self, other: object) -> bool:
        if not (hasattr(other, "resource") and hasattr(other, "action")):
            return NotImplemented
        return bool(self.resource == other.resource and self.action == other.action)

    def __hash__(self) -> int:
        return hash((self.resource, self.action))


class Role:
    """A name and its permissions."""

    def __init__(self, name: Any, permissions: Iterable[Any]) -> None:
        self.name = name
        self.permissions = permissions

    def has_permission(self, resource: Any, action: Any) -> bool:
        """Return whether one of the permissions has exactly this resource and action."""
        return any(
            bool(held.resource == resource and held.action == action) for held in self.permissions
        )


def has_permission(role: Any, resource: Any, action: Any) -> bool:
    """Return whether the role, or one of a list of roles, has the permission.

    Each is loaded with `Auth.load_role`; a role that it does not find has no permissions.
    """
    names = role if isinstance(role, list | tuple | set | frozenset) else (role,)
    loaded = map(current_auth().load_role, names)
    return any(bool(found.has_permission(resource, action)) for found in loaded if found)


def permission_required(
    resource: Any, action: Any, callback: Callable[..., Any] | None = None
) -> Callable[[View], View]:
    """Return a decorator that restricts a view to users with a role that has the permission.

    Others get the response of `callback`, by default the application's `not_logged_in_callback` or
    `not_permitted_callback`; all are called with the view's arguments.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            user = get_current_user_data()
            if user is None:
                return not_logged_in(callback, *arguments, **keywords)
            if not has_permission(user.get("role"), resource, action):
                answer = current_auth().not_permitted_callback if callback is None else callback
                return current_app.ensure_sync(answer)(*arguments, **keywords)
            return current_app.ensure_sync(view)(*arguments, **keywords)

        return guarded  # type: ignore[return-value]

    return decorate
