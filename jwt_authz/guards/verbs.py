"""The verbs: `requires` and `guard` protect views, `authorize` and `allowed` check in code."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask, has_request_context, request
from werkzeug.local import LocalProxy

from .._context import get_app, get_request
from ..application import current_state
from ..errors import MisuseError, StoreUnavailable
from ..policy.functions import NO_RESOURCE
from .arguments import NOT_GIVEN, refuse_mappings
from .call_path import GUARDS
from .guard import PASSED, Guard
from .placement import passes_unguarded


def requires(
    *requirements: Any,
    on: Any = NO_RESOURCE,
    identity: Any = NOT_GIVEN,
    on_fail: Any = None,
    throws: Any = None,
    hide: bool = False,
    optional: bool = False,
    fresh: bool | timedelta = False,
    enforce: bool = True,
    into: str | None = None,
) -> Guard:
    """Return a guard that refuses a call unless the caller meets all requirements.

    Use it as a decorator of a view, in `decorators` of a `MethodView`, or in a `with` block.

    - `requirements`: each is a `Requirement`, the text of a permission, a function of the
      identity, or a mapping of HTTP methods to one of these. Without any, a valid token is enough.
    - `on`: the resource. In a decorator, a function of the view's arguments that returns it; in
      `with`, the resource itself. `into` names the argument that passes it on to the view.
    - `identity`: is checked in place of the caller.
    - `on_fail` (a response, or a function of the view's arguments) and `throws` (an exception)
      replace the response of a refusal; `hide` answers 404 instead of 403.
    - `optional`: lets a request without a token pass, with no identity.
    - `fresh`: requires a fresh token (the claim `fresh`), or, as a timedelta, a log-in no longer
      ago than that (the claim `auth_time`).
    - `enforce=False`: logs and counts what would have been refused, and lets it pass.

    Raise `MisuseError` for arguments that cannot work.

    >>> @app.get("/orders/<int:number>")
    ... @requires("orders:read")
    ... def order(number):
    ...     return {"number": number}
    >>> app.test_client().get("/orders/7").status_code
    401
    """
    return Guard(requirements, on, identity, on_fail, throws, hide, optional, fresh, enforce, into)


def authorize(
    *requirements: Any,
    on: Any = NO_RESOURCE,
    identity: Any = NOT_GIVEN,
    on_fail: Any = None,
    throws: Any = None,
    hide: bool = False,
    fresh: bool | timedelta = False,
) -> Any:
    """Refuse the request unless the caller meets the requirements; return `on`, or the identity.

    The arguments are those of `requires`; `on` is the resource itself. Raise what a guard would
    answer: `NotIdentified`, `NotAllowed`, a 404 with `hide`, `AuthorizationUnavailable`, or what
    `on_fail`, `throws` and the abort function make of it.

    >>> clerk = Identity("ann", permissions=["orders:read"])
    >>> authorize("orders:read", on="order 7", identity=clerk)
    'order 7'
    """
    refuse_mappings("authorize", requirements)
    guard = Guard(requirements, on, identity, on_fail, throws, hide, fresh=fresh)
    return guard.insist(current_state())


def allowed(*requirements: Any, on: Any = NO_RESOURCE, identity: Any = NOT_GIVEN) -> bool:
    """Return whether the caller meets the requirements; False without a valid token.

    Raise `AuthorizationUnavailable` if that cannot be known, so that `if not allowed(...)` never
    lets anyone pass. Raise `MisuseError` without an `Authz`, and outside a request unless
    `identity` is given.

    >>> clerk = Identity("ann", permissions=["orders:read"])
    >>> allowed("orders:read", identity=clerk), allowed("orders:delete", identity=clerk)
    (True, False)
    """
    refuse_mappings("allowed", requirements)
    return Guard(requirements, on, identity).is_met(current_state(), on)


def guard(
    target: Flask | Blueprint,
    *requirements: Any,
    on_fail: Any = None,
    throws: Any = None,
    enforce: bool = True,
) -> None:
    """Guard every view of a blueprint or an application that is not exempt.

    Views of nested blueprints are included. Routing errors, the `OPTIONS` that Flask answers
    itself, and static files pass. The other arguments are those of `requires`. Raise
    `MisuseError` for a blueprint that is already registered.

    >>> from flask import Blueprint
    >>> archive = Blueprint("archive", __name__)
    >>> guard(archive, "orders:read")
    >>> @archive.get("/archive")
    ... def index():
    ...     return []
    >>> app.register_blueprint(archive)
    >>> app.test_client().get("/archive").status_code
    401
    """
    if not isinstance(target, Flask | Blueprint):
        raise MisuseError(
            f"guard takes a blueprint or an application, not {type(target).__name__}: "
            "write guard(blueprint, ...), or requires(...) for a view."
        )
    made = Guard(requirements, on_fail=on_fail, throws=throws, enforce=enforce)
    made.refuse_without_resource()

    def ask_before_request() -> Any:
        if passes_unguarded(current_state()):
            return None
        return made.refused((), request.view_args or {})

    setattr(ask_before_request, GUARDS, (made,))
    try:
        target.before_request(ask_before_request)
    except AssertionError:
        raise MisuseError(
            f"{target.name!r} is already in use: call guard(...) before it is registered."
        ) from None


class _EndedIdentity:
    """The caller if the token expired or was revoked during the request.

    It is falsy, and each attribute raises the refusal of `authorize()`: a view that has passed its
    guard reads `current_identity.subject`, where an AttributeError would be a server error.
    """

    is_authenticated = False  # as `identity=` it is nobody

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # such as those that copying and escaping look up
            raise AttributeError(name)
        return getattr(authorize(), name)


def _current_identity() -> Any:
    if not has_request_context():
        return None
    try:
        found = current_state().authenticate(get_app())
        return _EndedIdentity() if found.has_ended else found.identity
    except StoreUnavailable:
        if PASSED in get_request().__dict__:
            return None
        raise


current_identity: Any = LocalProxy(_current_identity)
"""The caller's identity; falsy if there is none, or if the token is invalid.

>>> with app.test_request_context():
...     bool(current_identity)
False

If the token was valid earlier in this request, reading an attribute raises the 401."""
