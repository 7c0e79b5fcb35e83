"""The effect of a change of roles: which routes it would open and close, and for whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .._context import get_app
from ..inspection.access import WITHOUT_ROLE, answer, caller_with
from ..inspection.matrix import Access, read_matrix
from ..policy.decision import NO, YES, Verdict
from ..policy.identity import Identity
from ..policy.roles import Roles


@dataclass(frozen=True, slots=True)
class Effect:
    """One route whose answer differs after a change, for the holders of `roles` if given."""

    method: str
    rule: str
    before: str
    after: str
    opens: bool
    roles: tuple[str, ...] = ()


def effect_of(before: Iterable[str], after: Iterable[str]) -> list[Effect]:
    """Return the routes whose answer differs for a user with the roles `after`."""
    return _effects({"": (caller_with(*before), caller_with(*after))})


def effect_of_catalog(before: Roles, after: Roles) -> list[Effect]:
    """Return the routes whose answer differs with another catalog, for a role or without one."""
    old, new = before.open_ended(), after.open_ended()
    callers = {role: (_with(role, old), _with(role, new)) for role in (*before, *after)}
    return _effects({WITHOUT_ROLE: (_with("", old), _with("", new)), **callers})


def _effects(callers: Mapping[str, tuple[Identity, Identity]]) -> list[Effect]:
    return [effect for access in read_matrix(get_app()) for effect in _of(access, callers)]


def _of(access: Access, callers: Mapping[str, tuple[Identity, Identity]]) -> Iterator[Effect]:
    found: dict[tuple[Verdict, Verdict], list[str]] = {}
    for role, (before, after) in callers.items():
        found.setdefault((answer(access, before), answer(access, after)), []).append(role)
    for (was, will), roles in found.items():
        if was is not will:
            opens = was is NO or will is YES
            named = tuple(filter(None, roles))
            yield Effect(access.method, access.rule, was.value, will.value, opens, named)


def _with(role: str, catalog: Roles) -> Identity:
    """Return a caller who has only this role, or none if it is not in the catalog."""
    return Identity("anybody", roles=[role] if role in catalog else [], catalogue=catalog)
