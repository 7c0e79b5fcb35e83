"""The access matrix: which callers each route allows, derived from guards without any call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from .._context import get_app
from ..application import current_state
from ..errors import MisuseError
from ..guards.arguments import NOT_GIVEN
from ..guards.guard import Guard
from ..policy.decision import DEPENDS, NO, YES, Verdict
from ..policy.functions import NO_RESOURCE
from ..policy.identity import Identity
from ..policy.requirements import Requirement
from .matrix import Access, read_matrix
from .routes import enforced_guards, is_denied, requirement_of


@dataclass(frozen=True, slots=True)
class Row:
    """Who may call one route and method.

    `requirement` is the requirement in words. The answers are `unidentified` for an unauthenticated
    caller, `without_role` for a token without roles, and `access` by role, for a caller who has
    only that role and the roles it includes.
    """

    endpoint: str
    rule: str
    method: str
    requirement: str
    unidentified: Verdict
    without_role: Verdict
    access: Mapping[str, Verdict]

    def answers(self) -> Iterator[tuple[str, Verdict]]:
        """Yield each kind of caller, in words, with the answer."""
        yield NOT_IDENTIFIED, self.unidentified
        yield WITHOUT_ROLE, self.without_role
        yield from self.access.items()


NOT_IDENTIFIED, WITHOUT_ROLE = "not identified", "no role"


@dataclass(frozen=True, slots=True)
class AccessMatrix:
    """The roles of an application in the order of its catalog, and a row for each route."""

    roles: tuple[str, ...]
    rows: tuple[Row, ...]


def read_access(
    roles: Iterable[str] | None = None, wanted: Callable[[Access], bool] | None = None
) -> AccessMatrix:
    """Return the access matrix of the current application; raise `MisuseError` without an Authz.

    By default it has all roles of the catalog and all routes; `roles` and `wanted` choose some.
    `YES` and `NO` are independent of the rest of a caller's token; `DEPENDS` means that the answer
    needs a resource, a claim, a scope, a fresh token, the result of a function, or is decided in
    the view. A requirement that raises an error refuses, even if the answer is `YES`. Guards that
    are not enforced allow everyone.
    """
    names = tuple((current_state().catalog or ()) if roles is None else roles)
    callers = {name: caller_with(name) for name in names}
    without_role = caller_with()
    accesses = (one for one in read_matrix(get_app()) if wanted is None or wanted(one))
    return AccessMatrix(names, tuple(_row(one, without_role, callers) for one in accesses))


def caller_with(*roles: str) -> Identity:
    """Return an identity with these roles of the current application's catalog."""
    return Identity("anybody", roles=roles, catalogue=current_state().catalog)


def answer(access: Access, identity: Identity | None) -> Verdict:
    """Return whether a route allows a caller; None is an unauthenticated caller."""
    if not access.guards:
        return NO if is_denied(access) else DEPENDS if access.inner else YES
    verdicts = {_answer(guard, access, identity) for guard in enforced_guards(access)}
    if access.inner:
        verdicts.add(DEPENDS)
    return NO if NO in verdicts else DEPENDS if DEPENDS in verdicts else YES


def depends_on(access: Access, identity: Identity | None) -> list[str]:
    """Return what the answer for a caller depends on, in words; empty unless it is `DEPENDS`."""
    if answer(access, identity) is not DEPENDS:
        return []
    found: dict[str, None] = {}
    for guard in enforced_guards(access):
        requirement = _asked_by(guard, access)
        if guard.identity is not NOT_GIVEN:
            found[f"is answered by the identity given in code: {requirement.sentence}"] = None
        elif identity is not None:
            found.update(dict.fromkeys(_open_parts(requirement, identity)))
            if guard.fresh:
                found["brings a fresh token"] = None
    if access.inner:
        found[f"is let in: {access.inner}"] = None
    return list(found)


def _row(access: Access, without_role: Identity, callers: Mapping[str, Identity]) -> Row:
    return Row(
        access.endpoint,
        access.rule,
        access.method,
        requirement_of(access),
        answer(access, None),
        answer(access, without_role),
        {role: answer(access, caller) for role, caller in callers.items()},
    )


def _answer(guard: Guard, access: Access, identity: Identity | None) -> Verdict:
    if guard.identity is not NOT_GIVEN:
        is_missing = guard.lacks(access.method, access.has_head) and not guard.optional
        return NO if is_missing else DEPENDS
    if identity is None:
        return YES if guard.optional else NO
    verdict = _analysed(_asked_by(guard, access), identity)
    return DEPENDS if guard.fresh and verdict is YES else verdict


def _asked_by(guard: Guard, access: Access) -> Requirement:
    """Return a guard's requirement; for a resource, with the rules that could apply to it."""
    requirement = guard.requirement_for(access.method, access.has_head)
    if guard.on is NO_RESOURCE:
        return requirement
    return current_state().rules.applied_to_some(requirement)


def _analysed(requirement: Requirement, identity: Identity) -> Verdict:
    try:
        return requirement.analyse(identity)
    except MisuseError:  # a name that is not in the catalog: everyone is refused
        return NO


def _open_parts(requirement: Requirement, identity: Identity) -> list[str]:
    """Return the sentences of the parts that do not depend on roles alone."""
    if _analysed(requirement, identity) is not DEPENDS:
        return []
    if requirement.parts_are_about_related:
        return [requirement.sentence]
    inner = [text for part in requirement.parts for text in _open_parts(part, identity)]
    return inner or [requirement.sentence]
