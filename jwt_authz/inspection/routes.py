"""Describe each route and method in words: its guards, its requirement and any defects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .._context import get_app
from ..application import current_state
from ..guards.arguments import NOT_GIVEN
from ..guards.guard import Guard
from ..policy.requirements import Or
from .matrix import Access, read_matrix

State = Literal["guarded", "not enforced", "exempt", "open", "denied", "unknown"]

_EVERYBODY, _NOBODY, _ANY_IDENTITY = "everybody", "nobody", "is identified"


@dataclass(frozen=True, slots=True)
class Route:
    """What one route and method requires.

    `state` is `guarded`, `not enforced` (no guard refuses anyone), `exempt`, `open` (neither
    guarded nor exempt: everyone may call it), `unknown` (the same, but something that is not seen
    may refuse) or `denied` (neither, with `default="deny"`).
    `guards` are pairs of a place and its guard's requirement, in the order in which they are
    checked. `requirement` combines them, as the end of a sentence that starts with "a caller who".
    `remarks` are short notes on what is wrong.
    """

    endpoint: str
    rule: str
    method: str
    state: State
    guards: tuple[tuple[str, str], ...]
    requirement: str
    remarks: tuple[str, ...]


def read_routes() -> list[Route]:
    """Return the routes of the current application without static files and automatic methods.

    Raise `MisuseError` if the application has no Authz.
    """
    current_state()
    return [describe(access) for access in read_matrix(get_app())]


def describe(access: Access) -> Route:
    """Describe one route of the current application in words."""
    words = [_asked(guard, access) for guard in access.guards]
    return Route(
        access.endpoint,
        access.rule,
        access.method,
        _state(access),
        tuple(zip(access.places, words, strict=True)),
        requirement_of(access),
        tuple(_remarks(access)),
    )


def requirement_of(access: Access) -> str:
    """Return a route's combined requirement in words; `everybody` or `nobody` if unguarded.

    What may refuse besides the guards follows after `unknown` or `and more`.
    """
    if not access.guards:
        if is_denied(access):
            return _NOBODY
        return f"unknown: {access.inner}" if access.inner else _EVERYBODY
    enforced = enforced_guards(access)
    if any(guard.lacks(access.method, access.has_head) for guard in enforced):
        return f"{_NOBODY}: no entry for {access.method}"
    others = [guard for guard in access.guards if guard not in enforced]
    several = len(access.guards) > 1
    words = dict.fromkeys(_asked(guard, access, bracketed=several) for guard in enforced)
    if len(words) > 1:
        words.pop(_ANY_IDENTITY, None)
    words.update(dict.fromkeys(_asked(guard, access) for guard in others))
    more = f" and more: {access.inner}" if access.inner else ""
    return ("" if enforced else f"{_EVERYBODY}: ") + " and ".join(words) + more


def is_denied(access: Access) -> bool:
    """Return whether a route without guards or `exempt` is refused because of the default."""
    state = current_state()
    return access.is_bare and state.denies_unguarded and state.settings.enforce


def enforced_guards(access: Access) -> list[Guard]:
    """Return the guards of a route that refuse; the others only log what they would refuse."""
    state = current_state()
    return [guard for guard in access.guards if guard.is_enforced(state)]


def _state(access: Access) -> State:
    if access.guards:
        return "guarded" if enforced_guards(access) else "not enforced"
    if access.exempt:
        return "exempt"
    if is_denied(access):
        return "denied"
    return "unknown" if access.inner else "open"


def _asked(guard: Guard, access: Access, bracketed: bool = False) -> str:
    """Return a guard's requirement with its options, in words; bracket an "or" if asked to."""
    requirement = guard.requirement_for(access.method, access.has_head)
    words = requirement.sentence
    is_choice = isinstance(requirement, Or) and len(requirement.parts) > 1
    if guard.identity is not NOT_GIVEN:
        words, is_choice = f"meets this by the identity given in code: {words}", False
    if guard.fresh:
        asked = f"({words})" if is_choice else words
        words, is_choice = f"{asked} and brings a fresh token", False
    if guard.optional:
        words, is_choice = f"brings no token or {words}", True
    if not guard.is_enforced(current_state()):
        return f"not enforced ({words})"
    return f"({words})" if bracketed and is_choice else words


def _remarks(access: Access) -> list[str]:
    remarks = []
    enforced, placed = enforced_guards(access), zip(access.places, access.guards, strict=True)
    if enforced:
        remarks += [f"not enforced: {place}" for place, guard in placed if guard not in enforced]
    if access.guards and access.exempt:
        remarks.append("exempt from outer guards")
    if access.has_misplaced_guard:
        remarks.append("guard above its route decorator")
    if access.lost_guard is not None:
        part, parent = access.lost_guard
        remarks.append(f"{part} lost the guard of {parent}")
    return remarks
