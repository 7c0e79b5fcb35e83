"""The verbs: `requires` and `guard` bind requirements to places, `allowed` and `authorize` ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask, has_request_context, request
from werkzeug.local import LocalProxy

from .._context import get_app, get_request
from ..application import current_parts
from ..errors import MisuseError, StoreUnavailable
from ..policy.functions import NO_RESOURCE
from .arguments import NOT_GIVEN, refuse_mappings
from .guard import PASSED, Guard
from .placement import GUARDS, passes_unguarded


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
    """A guard: all `requirements` must be met, or the call is refused; a decorator, or `with`.

    Each is a `Requirement`, a permission's string, a function of the identity, or a mapping of
    HTTP methods to one of these. `requires()` asks for any identity. In a decorator `on` is a
    callable of the view's arguments that returns the resource, which reaches the view as the
    argument that `into` names; in `with` it is the resource itself.
    `identity` stands in for the caller. On a refusal `on_fail` (a response, or a callable of the
    view's arguments) or `throws` (an exception) is used; `hide` answers 404 in place of 403.
    `optional` lets a request without a token pass, with no identity; a request with one must meet
    the requirements. `fresh` asks for a fresh token (FJE's claim `fresh`) or, as a timedelta, for a
    log-in that is at most so long ago (`auth_time`). Without `enforce` nobody is refused: who would
    have been is logged and counted, and the call goes on; in a decorator alone. Raises
    `MisuseError` for what cannot work.
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
    """Insist that the caller meets the requirements for `on`; returns `on`, else the identity.

    Raises what a guard would have answered: `NotIdentified`, `NotAllowed`, a 404 with `hide`,
    `AuthorizationUnavailable`, or what `on_fail`, `throws` and the abort function make of it.
    """
    refuse_mappings("authorize", requirements)
    guard = Guard(requirements, on, identity, on_fail, throws, hide, fresh=fresh)
    return guard.insist(current_parts())


def allowed(*requirements: Any, on: Any = NO_RESOURCE, identity: Any = NOT_GIVEN) -> bool:
    """Whether the caller meets the requirements for `on`: False without a token or with a bad one.

    Raises `MisuseError` without an Authz or, lacking `identity`, outside a request; and
    `AuthorizationUnavailable` where it cannot be known: `if not allowed(...)` must not open.
    """
    refuse_mappings("allowed", requirements)
    return Guard(requirements, on, identity).is_met(current_parts(), on)


def guard(
    target: Flask | Blueprint,
    *requirements: Any,
    on_fail: Any = None,
    throws: Any = None,
    enforce: bool = True,
) -> None:
    """Guard every view of a blueprint (nested ones included) or application, but for exempt ones.

    Routing errors, the `OPTIONS` that Flask answers itself and static files pass. `enforce` is
    that of `requires`. Raises `MisuseError` for a blueprint that is already registered.
    """
    if not isinstance(target, Flask | Blueprint):
        raise MisuseError(
            f"guard takes a blueprint or an application, not {type(target).__name__}: "
            "write guard(blueprint, ...), or requires(...) for a view"
        )
    made = Guard(requirements, on_fail=on_fail, throws=throws, enforce=enforce)
    made.refuse_without_resource()

    def ask_before_request() -> Any:
        if passes_unguarded(current_parts()):
            return None
        return made.refused((), request.view_args or {})

    setattr(ask_before_request, GUARDS, (made,))
    try:
        target.before_request(ask_before_request)
    except AssertionError:
        raise MisuseError(
            f"{target.name!r} is in use already: write guard(...) before it is registered"
        ) from None


class _EndedIdentity:
    """The caller of a request whose token has ended: falsy, and each attribute raises the refusal.

    A view reads `current_identity.subject` below a guard that it passed, so that an AttributeError
    would be an error of the server. The refusal is that of `authorize()`.
    """

    is_authenticated = False  # nobody, where it is given as `identity=`

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what copying, escaping and the like look for
            raise AttributeError(name)
        return getattr(authorize(), name)


def _current_identity() -> Any:
    if not has_request_context():
        return None
    try:
        found = current_parts().authenticate(get_app())
        return _EndedIdentity() if found.has_ended else found.identity
    except StoreUnavailable:
        if PASSED in get_request().__dict__:
            return None
        raise


current_identity: Any = LocalProxy(_current_identity)
"""The caller's identity; falsy if there is none, or if the token is invalid.

If the token was valid earlier in this request, reading an attribute raises the 401."""
