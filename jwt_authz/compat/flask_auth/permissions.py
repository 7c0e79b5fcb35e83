"""What `flaskext.auth.permissions` held: permissions of a resource and an action, and roles.

Unlike jwt_authz's own, these match exactly (a `*` is a `*`), take any values, and are mixins for
an ORM's models, too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from flask import current_app

from .auth import View, current_auth, get_current_user_data, not_logged_in

__all__ = ["Permission", "Role", "has_permission", "permission_required"]


class Permission:
    """An action that can be taken on a resource; equal to whatever has an equal pair of them."""

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
    """A name, and the permissions that go with it."""

    def __init__(self, name: Any, permissions: Iterable[Any]) -> None:
        self.name = name
        self.permissions = permissions

    def has_permission(self, resource: Any, action: Any) -> bool:
        """Whether one of the permissions is of just this resource and action."""
        return any(
            bool(held.resource == resource and held.action == action) for held in self.permissions
        )


def has_permission(role: Any, resource: Any, action: Any) -> bool:
    """Whether the role, or one of several in a list, has the permission.

    `Auth.load_role` makes a `Role` of each; one of which it makes nothing has no permission.
    """
    names = role if isinstance(role, list | tuple | set | frozenset) else (role,)
    loaded = map(current_auth().load_role, names)
    return any(bool(found.has_permission(resource, action)) for found in loaded if found)


def permission_required(
    resource: Any, action: Any, callback: Callable[..., Any] | None = None
) -> Callable[[View], View]:
    """A decorator: the view is for whoever is logged in with a role that has the permission.

    Others get what `callback` answers, or else the application's `not_logged_in_callback` or
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
