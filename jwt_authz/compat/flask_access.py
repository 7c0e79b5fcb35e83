"""Flask-Access 0.1.2 by its old names: `import jwt_authz.compat.flask_access as flask_access`.

Needs no Authz on the application: the user and the way of refusing stand in its config, under
`CURRENT_USER` and `ABORT_FN`.
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
    """The application's config does not say who the current user is; a KeyError, as it was."""

    __str__ = Exception.__str__


def require(*rights: Any, **named_rights: Any) -> Callable[[View], View]:
    """A decorator: the view is for users whose `has_access(*rights, **named_rights)` is True.

    For everybody, where the user is True itself. Any other user, and any other answer, is
    refused as `app.config[ABORT_FN]` does it, by default with `flask.abort(403)`.
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
            f"the application {current_app.name!r} does not say who the current user is: write "
            "app.config[flask_access.CURRENT_USER] = a function, or flask_login.current_user"
        )
    user = current_app.config[CURRENT_USER]
    # A proxy says that it is whatever it stands for, and a user may well be callable.
    if not isinstance(user, LocalProxy) and _is_loader(user):
        user = current_app.ensure_sync(user)()
    return resolved(user)


def _is_loader(user: Any) -> bool:
    return inspect.isroutine(user) or isinstance(user, functools.partial)


def _abort() -> Any:
    abort = current_app.config.get(ABORT_FN)
    answer = flask.abort(403) if abort is None else current_app.ensure_sync(abort)()
    # An abort function that neither raises nor answers has refused all the same.
    return Forbidden() if answer is None else answer
