"""Find permissions that a role grants but that no guard, rule or view uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dis import get_instructions
from types import CodeType
from typing import Any

from ..conditions.rules import Rules
from ..errors import MisuseError
from ..guards.call_path import innermost
from ..policy.permissions import Permission
from ..policy.requirements import Requirement, has_permission
from ..policy.roles import Roles
from .matrix import Access


def unused(accesses: Iterable[Access], roles: Roles, rules: Rules) -> list[str]:
    """Return the permissions that a role grants and nothing requires, in alphabetical order.

    A wildcard is required if anything that it covers is required. This looks at guards, rules, and
    the strings and requirements in the code of views; the functions that a view calls are not
    examined.
    """
    of_views = (permission for access in accesses for permission in _asked_for(access))
    of_rules = (permission for _, _, rule in rules for permission in _permissions_of(rule))
    asked = {text for each in (*of_views, *of_rules) for text in each.covered_by}
    return [permission for permission in roles.ordered_permissions if permission not in asked]


def named_by_view(access: Access) -> Iterator[object]:
    """Yield the constants in the code of a view, and the values of its global names."""
    for _, function in access.path.functions:
        yield from _named_in(innermost(function))


def _asked_for(access: Access) -> Iterator[Permission]:
    if access.requirement is not None:
        yield from _permissions_of(access.requirement)
    for named in named_by_view(access):
        if isinstance(named, Requirement):
            yield from _permissions_of(named)
        elif isinstance(named, str):
            with contextlib.suppress(MisuseError):  # any other text
                yield Permission.parse(named)


def _named_in(function: Any) -> Iterator[object]:
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return
    held = getattr(function, "__globals__", {})
    for inner in _codes(code):
        yield from inner.co_consts
        # Not co_names, among which are the names of attributes.
        names = {one.argval for one in get_instructions(inner) if one.opname == "LOAD_GLOBAL"}
        yield from (held[name] for name in names if name in held)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a function's code and that of nested functions and comprehensions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _permissions_of(requirement: Requirement) -> Iterator[Permission]:
    for part in requirement.walk():
        if isinstance(part, has_permission):
            yield part.permission
