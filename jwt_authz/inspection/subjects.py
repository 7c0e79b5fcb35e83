"""Find the rules, guards and views that compare the caller's subject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..conditions.comparisons import Operand
from ..conditions.rules import Rules
from ..policy.requirements import Requirement
from .matrix import Access
from .unused import named_by_view


def places_of_subject(accesses: Iterable[Access], rules: Rules) -> list[str]:
    """Return the places where the caller's subject is compared, as far as known, in words.

    Requirements that are functions, and the code of functions that a view calls, are not examined.
    """
    return list(dict.fromkeys((*_in_rules(rules), *_in_accesses(accesses))))


def _in_rules(rules: Rules) -> Iterator[str]:
    for action, model, rule in rules:
        if _is_compared_in(rule):
            yield f"the rule of {action!r} for {model.__name__}"


def _in_accesses(accesses: Iterable[Access]) -> Iterator[str]:
    for access in accesses:
        asked = access.requirement
        if asked is not None and _is_compared_in(asked):
            yield f"the guard of {access.method} {access.rule} ({access.endpoint})"
        if any(map(_is_named_by, named_by_view(access))):
            yield f"the view {access.endpoint}"


def _is_compared_in(requirement: Requirement) -> bool:
    return any(part.looks_at_subject for part in requirement.walk())


def _is_named_by(named: object) -> bool:
    if isinstance(named, Requirement):
        return _is_compared_in(named)
    return isinstance(named, Operand) and named.is_subject
