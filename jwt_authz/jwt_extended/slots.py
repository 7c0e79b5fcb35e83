"""Flask-JWT-Extended's ("FJE's") four request slots, where `get_jwt()` and its siblings read.

They are written here and never read: by them FJE knows that the request's token is verified, and
`fill_slots` is the only function that fills them. They are on `flask.g`, which belongs to the
application context. A request that is made inside a view shares it; so the inner request takes the
slots over, and gives them back when it ends.
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
# Beside the slots stand what fills them, until one is read, and the request they are of.
_PENDING = "_jwt_authz_fills_slots"
_OWNER = "_jwt_authz_request"
_GIVEN_BACK = (*SLOTS, _OWNER, _PENDING)
_BEFORE = "_jwt_authz_slots_before"

Slots = tuple[dict[str, Any], dict[str, Any], Any, str | None]
"""A token's header and payload, what FJE keeps of the user, and where the token was found."""
Contents = Callable[[], Slots]


def fill_slots(request: Request, contents: Contents) -> None:
    """Have the slots filled by what `contents` returns: at once, or when one is first read.

    If they belong to an outer request, it gets them back when this one ends.
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
    """Return the slots as they are now, and what fills them, for another application context."""
    held = get_globals().__dict__
    return {name: held[name] for name in _GIVEN_BACK if name in held}


def _take_over(request: Request, slots: dict[str, Any]) -> None:
    """Empty the slots, and keep what an outer request has in them."""
    if slots.get(_OWNER) is not request:
        request.__dict__[_BEFORE] = {name: slots[name] for name in _GIVEN_BACK if name in slots}
        request_tearing_down.connect(_give_back, get_app())
    for name in _GIVEN_BACK:
        slots.pop(name, None)


def _fill(slots: dict[str, Any]) -> None:
    header, payload, user, location = slots.pop(_PENDING)()
    slots.update(zip(SLOTS, (payload, header, user, location), strict=True))


def _give_back(app: Flask, **keywords: Any) -> None:
    """At the end of an inner request, however it ends: the slots as the outer one had them."""
    if not has_request_context():
        return
    before = get_request().__dict__.pop(_BEFORE, None)
    if before is not None:
        slots = get_globals().__dict__
        for name in _GIVEN_BACK:
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
