"""Selection: choose routes and roles of the reports by what they are called and answer."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ..errors import MisuseError
from ..policy.decision import NO, Verdict
from .access import AccessMatrix, Row
from .routes import Route

_MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows and columns of a report to keep; None or empty keeps everything.

    `route` is a part of the rule or of the endpoint. `only` is the answer that one of the callers
    shown has to get: of `roles`, or without them of all.
    """

    route: str | None = None
    method: str | None = None
    roles: tuple[str, ...] = ()
    only: Verdict | None = None

    def __bool__(self) -> bool:
        return any((self.route, self.method, self.roles, self.only))

    def of_matrix(self, matrix: AccessMatrix) -> AccessMatrix:
        """Return the matrix with the rows and the roles selected; raise `MisuseError` for none."""
        for role in self.roles:
            check_role(role, matrix.roles)
        roles = self.roles or matrix.roles
        rows = (
            replace(row, access={role: row.access[role] for role in roles}) for row in matrix.rows
        )
        return AccessMatrix(roles, tuple(row for row in rows if self._has_row(row)))

    def of_routes(
        self, routes: Iterable[Route], read_access: Callable[[], AccessMatrix]
    ) -> list[Route]:
        """Return the routes selected: with roles, those that let one of them in, or may.

        `read_access` returns the matrix, which is only needed to select by answers.
        """
        found = [one for one in routes if self._is_named(one.rule, one.endpoint, one.method)]
        if not self.roles and self.only is None:
            return found
        matrix = read_access()
        for role in self.roles:
            check_role(role, matrix.roles)
        wanted = {(row.endpoint, row.rule, row.method) for row in matrix.rows if self._lets_in(row)}
        return [one for one in found if (one.endpoint, one.rule, one.method) in wanted]

    def _has_row(self, row: Row) -> bool:
        is_answered = self.only is None or self.only in self._answers(row)
        return is_answered and self._is_named(row.rule, row.endpoint, row.method)

    def _lets_in(self, row: Row) -> bool:
        answers = set(self._answers(row))
        return self.only in answers if self.only is not None else bool(answers - {NO})

    def _answers(self, row: Row) -> Iterator[Verdict]:
        if self.roles:
            yield from (row.access[role] for role in self.roles)
        else:
            yield from (verdict for _, verdict in row.answers())

    def _is_named(self, rule: str, endpoint: str, method: str) -> bool:
        if self.method is not None and method != self.method.upper():
            return False
        return self.route is None or self.route in rule or self.route in endpoint


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
