"""Selection: filter the routes and roles of a report by name and answer."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..application import current_state
from ..errors import MisuseError
from ..policy.decision import NO, Verdict
from .access import AccessMatrix, Row, read_access
from .matrix import Access
from .routes import Route

_MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows and columns of a report to keep; None or empty keeps everything.

    `route` is a part of the rule or of the endpoint. `only` keeps routes that give this
    answer to one of the `roles`, or to any caller if there are none.
    """

    route: str | None = None
    method: str | None = None
    roles: tuple[str, ...] = ()
    only: Verdict | None = None

    def __bool__(self) -> bool:
        return any((self.route, self.method, self.roles, self.only))

    def read(self) -> AccessMatrix:
        """Return the access matrix with the rows and the roles selected.

        Raise `MisuseError` for a role that does not exist.
        """
        for role in self.roles:
            check_role(role, current_state().catalog or ())
        matrix = read_access(self.roles or None, self._names)
        return replace(matrix, rows=tuple(row for row in matrix.rows if self._has_row(row)))

    def of_routes(self, routes: Iterable[Route]) -> list[Route]:
        """Return the selected routes; with roles, those that allow or may allow one of them."""
        found = [one for one in routes if self._names(one)]
        if not self.roles and self.only is None:
            return found
        matrix = replace(self, only=None).read()
        wanted = {(row.endpoint, row.rule, row.method) for row in matrix.rows if self._lets_in(row)}
        return [one for one in found if (one.endpoint, one.rule, one.method) in wanted]

    def _has_row(self, row: Row) -> bool:
        return self.only is None or self.only in self._answers(row)

    def _lets_in(self, row: Row) -> bool:
        answers = set(self._answers(row))
        return self.only in answers if self.only is not None else bool(answers - {NO})

    def _answers(self, row: Row) -> Iterator[Verdict]:
        if self.roles:
            yield from (row.access[role] for role in self.roles)
        else:
            yield from (verdict for _, verdict in row.answers())

    def _names(self, one: Access | Route) -> bool:
        if self.method is not None and one.method != self.method.upper():
            return False
        return self.route is None or self.route in one.rule or self.route in one.endpoint


def check_role(role: str, roles: Iterable[str]) -> None:
    """Raise `MisuseError` for a role that does not exist, with the names of some that do."""
    known = list(roles)
    if role in known:
        return
    if not known:
        raise MisuseError(f"no role is named {role!r}: write Authz(app, roles=Roles(...))")
    if len(known) <= _MOST_LISTED:
        raise MisuseError(f"no role is named {role!r}: the roles are {', '.join(known)}")
    near = difflib.get_close_matches(role, known)
    advice = f"did you mean {' or '.join(near)}?" if near else "flask authz roles list shows them"
    raise MisuseError(f"no role is named {role!r}: {advice}")
