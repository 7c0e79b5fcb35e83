"""Fill the slots on `flask.g` that Flask-JWT-Extended's `get_jwt()` and its siblings read.

A filled slot means to Flask-JWT-Extended ("FJE") that the token is verified. This package only
writes them, and only in `fill_slots`. `flask.g` belongs to the application context, which a request
made inside a view shares: the inner request saves the slots, and restores them when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, has_request_context, request_tearing_down

from .._context import get_app, get_globals, get_request

SLOTS = (
    "_jwt_extended_jwt",
    "_jwt_extended_jwt_header",
    "_jwt_extended_jwt_user",
    "_jwt_extended_jwt_location",
)
# Also on `flask.g`: the function that fills the slots, until one is read, and their request.
_PENDING = "_jwt_authz_fills_slots"
_OWNER = "_jwt_authz_request"
_SAVED = (*SLOTS, _OWNER, _PENDING)
_BEFORE = "_jwt_authz_slots_before"

Slots = tuple[dict[str, Any], dict[str, Any], Any, str | None]
"""A token's header and payload, FJE's user, and the location of the token."""
Contents = Callable[[], Slots]


def fill_slots(request: Request, contents: Contents) -> None:
    """Fill the slots with what `contents` returns: immediately, or when one is first read.

    If they belong to an outer request, they are restored when this one ends.
    """
    held = get_globals()
    slots = held.__dict__
    if _OWNER in slots or SLOTS[0] in slots:
        _take_over(request, slots)
    slots[_OWNER] = request
    slots[_PENDING] = contents
    if not isinstance(held, LazySlots):
        _fill(slots)


def filled_slots() -> dict[str, Any]:
    """Return the slots, and the function that fills them, for another application context."""
    held = get_globals().__dict__
    return {name: held[name] for name in _SAVED if name in held}


def _take_over(request: Request, slots: dict[str, Any]) -> None:
    """Empty the slots, and save those of an outer request."""
    if slots.get(_OWNER) is not request:
        request.__dict__[_BEFORE] = {name: slots[name] for name in _SAVED if name in slots}
        request_tearing_down.connect(_restore, get_app())
    for name in _SAVED:
        slots.pop(name, None)


def _fill(slots: dict[str, Any]) -> None:
    header, payload, user, location = slots.pop(_PENDING)()
    slots.update(zip(SLOTS, (payload, header, user, location), strict=True))


def _restore(app: Flask, **keywords: Any) -> None:
    """Restore the slots of the outer request at the end of an inner one, also after an error."""
    if not has_request_context():
        return
    before = get_request().__dict__.pop(_BEFORE, None)
    if before is not None:
        slots = get_globals().__dict__
        for name in _SAVED:
            slots.pop(name, None)
        slots.update(before)


class LazySlots:
    """A `flask.g` whose slots are filled when one is first read, since few views read them."""

    def get(self, name: str, default: Any = None) -> Any:
        self._fill(name)
        return super().get(name, default)  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        if self._fill(name):
            return self.__dict__[name]
        return super().__getattr__(name)  # type: ignore[misc]

    def _fill(self, name: str) -> bool:
        held = self.__dict__
        if _PENDING not in held or name not in SLOTS or name in held:
            return False
        _fill(held)
        return True


def make_slots_lazy(app: Flask) -> None:
    """Let the application's `flask.g` fill the slots lazily, whatever class of it is used."""
    base = app.app_ctx_globals_class
    if not issubclass(base, LazySlots):
        lazy: Any = type("LazyGlobals", (LazySlots, base), {})
        app.app_ctx_globals_class = lazy
