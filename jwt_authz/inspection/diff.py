"""Changes: what access one matrix gives or takes that another does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..policy.decision import DEPENDS, NO, YES, Verdict
from .access import NOT_IDENTIFIED, WITHOUT_ROLE, AccessMatrix, Row

_ORDER = {NO: 0, DEPENDS: 1, YES: 2}
_NO_ROUTE = "no route"


@dataclass(frozen=True, slots=True)
class Change:
    """One caller's access to one route, which was given, taken or changed.

    `before` and `after` are the answers, `no route` where there is none. Where it depends on
    something else than before, `access` is `changed`, for these callers together, and `before`
    and `after` are the requirements: it may have been given.
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
        """Whether somebody may be let in who was not before."""
        return self.access != "taken"


def compare(before: AccessMatrix, after: AccessMatrix) -> list[Change]:
    """The changes between two matrices, in the order of the later one, then what is gone.

    A route is the same if its endpoint, rule and method are, else if rule and method are: an
    endpoint may be renamed. A role that one side lacks is there what no role is, since its name
    in a token grants nothing.
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


def _changes(before: Row | None, after: Row | None, roles: tuple[str, ...]) -> Iterator[Change]:
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
            yield Change(access, *place, caller, _told(before, old), _told(after, new))
        elif old is DEPENDS:
            unsettled.append(caller)
    if unsettled and before and after and before.requirement != after.requirement:
        asked = (before.requirement, after.requirement)
        yield Change("changed", *place, ", ".join(unsettled), *asked)


def _answers(row: Row | None, roles: tuple[str, ...]) -> Iterator[Verdict]:
    """The answer for each caller; a role that the row does not know counts as none."""
    if row is None:
        yield from [NO] * (2 + len(roles))
        return
    yield from (row.unidentified, row.without_role)
    yield from (row.access.get(role, row.without_role) for role in roles)


def _told(row: Row | None, verdict: Verdict) -> str:
    return verdict.value if row is not None else _NO_ROUTE
