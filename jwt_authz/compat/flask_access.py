"""The API of Flask-Access 0.1.2: `import jwt_authz.compat.flask_access as flask_access`.

It works without an Authz: the application's config has the current user (`CURRENT_USER`) and the
function that refuses (`ABORT_FN`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import flask
from flask import current_app
from werkzeug.exceptions import Forbidden
from werkzeug.local import LocalProxy

from ..authentication.identity_loader import resolved
from ..errors import MisuseError

__all__ = ["ABORT_FN", "CURRENT_USER", "CurrentUserMissing", "require"]

View = TypeVar("View", bound=Callable[..., Any])

ABORT_FN = "flask_access_abort_fn"
CURRENT_USER = "flask_access_current_user"


class CurrentUserMissing(MisuseError, KeyError):
    """`CURRENT_USER` is missing in the application's config; a KeyError, as in Flask-Access."""

    __str__ = Exception.__str__


def require(*rights: Any, **named_rights: Any) -> Callable[[View], View]:
    """Restrict a view to users whose `has_access(*rights, **named_rights)` returns True.

    If the user is True itself, everyone is allowed. Any other user or return value is refused with
    `app.config[ABORT_FN]`, by default `flask.abort(403)`.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            if not _may_pass(_current_user(), rights, named_rights):
                return _abort()
            return current_app.ensure_sync(view)(*arguments, **keywords)

        return guarded  # type: ignore[return-value]

    return decorate


def _may_pass(user: Any, rights: tuple[Any, ...], named_rights: dict[str, Any]) -> bool:
    if user is True:
        return True
    return hasattr(user, "has_access") and user.has_access(*rights, **named_rights) is True


def _current_user() -> Any:
    if CURRENT_USER not in current_app.config:
        raise CurrentUserMissing(
            f"the application {current_app.name!r} has no current user: set "
            "app.config[flask_access.CURRENT_USER] to a function or to flask_login.current_user"
        )
    user = current_app.config[CURRENT_USER]
    # A proxy imitates its object, and a user object may be callable.
    if not isinstance(user, LocalProxy) and _is_loader(user):
        user = current_app.ensure_sync(user)()
    return resolved(user)


def _is_loader(user: Any) -> bool:
    return inspect.isroutine(user) or isinstance(user, functools.partial)


def _abort() -> Any:
    abort = current_app.config.get(ABORT_FN)
    answer = flask.abort(403) if abort is None else current_app.ensure_sync(abort)()
    # An abort function that neither raises nor returns a response still refuses.
    return Forbidden() if answer is None else answer
