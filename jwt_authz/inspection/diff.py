"""Compare two access matrices: which access a change gives and takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..policy.decision import DEPENDS, NO, YES, Verdict
from .access import NOT_IDENTIFIED, WITHOUT_ROLE, AccessMatrix, Row

_ORDER = {NO: 0, DEPENDS: 1, YES: 2}
_NO_ROUTE = "no route"


@dataclass(frozen=True, slots=True)
class AccessChange:
    """One caller's access to one route that was given, taken or changed.

    `before` and `after` are the answers, or `no route`. If the answer still depends on more than
    roles but the requirement differs, `access` is `changed`, `caller` lists all these callers, and
    `before` and `after` are the requirements: access may have been given.
    """

    access: Literal["given", "taken", "changed"]
    endpoint: str
    rule: str
    method: str
    caller: str
    before: str
    after: str

    @property
    def may_open(self) -> bool:
        """Whether the change may allow a caller who was refused before."""
        return self.access != "taken"


def compare(before: AccessMatrix, after: AccessMatrix) -> list[AccessChange]:
    """Return the changes between two matrices: in the order of `after`, then removed routes.

    Routes are matched by endpoint, rule and method, or else by rule and method, since an endpoint
    may be renamed. On the side that does not have a role, the role counts as no role, since its
    name in a token grants nothing there.
    """
    roles = tuple(dict.fromkeys((*after.roles, *before.roles)))
    return [change for pair in _pairs(before, after) for change in _changes(*pair, roles)]


def _pairs(before: AccessMatrix, after: AccessMatrix) -> Iterator[tuple[Row | None, Row | None]]:
    gone, new = (
        {(row.endpoint, row.rule, row.method): row for row in matrix.rows}
        for matrix in (before, after)
    )
    same = {key: gone.pop(key) for key in new if key in gone}
    unnamed = {key[1:]: key for key in gone}
    for key, row in new.items():
        if key not in same and key[1:] in unnamed:
            same[key] = gone.pop(unnamed.pop(key[1:]))
        yield same.get(key), row
    for row in gone.values():
        yield row, None


def _changes(
    before: Row | None, after: Row | None, roles: tuple[str, ...]
) -> Iterator[AccessChange]:
    route = after or before
    if route is None:
        return
    place = (route.endpoint, route.rule, route.method)
    callers = (NOT_IDENTIFIED, WITHOUT_ROLE, *roles)
    unsettled = []
    for caller, old, new in zip(
        callers, _answers(before, roles), _answers(after, roles), strict=True
    ):
        if old is not new:
            access: Literal["given", "taken"] = "given" if _ORDER[new] > _ORDER[old] else "taken"
            yield AccessChange(access, *place, caller, _text(before, old), _text(after, new))
        elif old is DEPENDS:
            unsettled.append(caller)
    if unsettled and before and after and before.requirement != after.requirement:
        asked = (before.requirement, after.requirement)
        yield AccessChange("changed", *place, ", ".join(unsettled), *asked)


def _answers(row: Row | None, roles: tuple[str, ...]) -> Iterator[Verdict]:
    """Yield the answer for each caller; a role that the row does not have counts as no role."""
    if row is None:
        yield from [NO] * (2 + len(roles))
        return
    yield from (row.unidentified, row.without_role)
    yield from (row.access.get(role, row.without_role) for role in roles)


def _text(row: Row | None, verdict: Verdict) -> str:
    return verdict.value if row is not None else _NO_ROUTE
