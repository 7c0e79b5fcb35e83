"""A decision, said once more in plain words and apart from the library, to compare it with.

A tree is a tuple: its kind, then its parts. A truth is True, False or None (not known); an
error is raised, and ends the whole decision wherever in the tree it was looked at.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

Tree = tuple[Any, ...]


class Ended(Exception):
    """An error was looked at: nothing around it, `not` least of all, can make it an allow."""


@dataclass(frozen=True)
class PlainRole:
    permissions: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    level: int | None = None


@dataclass(frozen=True)
class Catalog:
    roles: Mapping[str, PlainRole]

    def held(self, names: Collection[str]) -> set[str]:
        """The roles that someone with these names has: included ones too, unknown ones not."""
        found: set[str] = set()
        waiting = [name for name in names if name in self.roles]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(self.roles[name].includes)
        return found

    def granted(self, names: Collection[str]) -> set[str]:
        return {grant for name in self.held(names) for grant in self.roles[name].permissions}

    def level(self, names: Collection[str]) -> int:
        levels = [self.roles[name].level for name in self.held(names)]
        return max([level for level in levels if level is not None], default=0)

    def knows(self, asked: str) -> bool:
        return covered(self.granted(self.roles), asked)


@dataclass(frozen=True)
class Person:
    """Who asks. `permissions` is None where they come from the roles."""

    roles: Collection[str] = ()
    permissions: Collection[str] | None = None
    scopes: Collection[str] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)


def covers(grant: str, asked: str) -> bool:
    mine, theirs = grant.split(":"), asked.split(":")
    return len(mine) == 2 and all(m in ("*", t) for m, t in zip(mine, theirs, strict=True))


def covered(grants: Collection[str], asked: str) -> bool:
    return any(covers(grant, asked) for grant in grants)


def json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def truth(tree: Tree, catalog: Catalog, person: Person, resource: Any = None) -> bool | None:
    """True, False, or None where it is not known; raises Ended at the first error looked at."""
    kind, *parts = tree
    if kind not in ("and", "or", "not"):
        return leaf(tree, catalog, person, resource)
    decides, known = kind == "or", True
    for part in parts:
        answer = truth(part, catalog, person, resource)
        if kind == "not":
            return None if answer is None else not answer
        if answer is decides:
            return decides
        known = known and answer is not None
    return (not decides) if known else None


def leaf(tree: Tree, catalog: Catalog, person: Person, resource: Any) -> bool | None:
    kind, asked, *rest = tree
    if kind == "permission":
        if not catalog.knows(asked):
            raise Ended
        grants = person.permissions
        return covered(catalog.granted(person.roles) if grants is None else grants, asked)
    if kind == "role":
        if asked not in catalog.roles:
            raise Ended
        return asked in catalog.held(person.roles)
    if kind == "scope":
        return asked in person.scopes
    if kind == "level":
        return catalog.level(person.roles) >= least(asked, catalog)
    if kind == "claim":
        return claim(person.claims, asked, *rest)
    assert kind == "opaque"
    return opaque(asked, resource)


def least(asked: int | str, catalog: Catalog) -> int:
    if not isinstance(asked, str):
        return asked
    role = catalog.roles.get(asked)
    if role is None or role.level is None:
        raise Ended
    return role.level


def claim(claims: Mapping[str, Any], name: str, *wanted: Any) -> bool | None:
    value = claims.get(name)
    if not wanted:
        return value is not None and value is not False
    if value is None:
        return None
    if isinstance(value, list) and not isinstance(wanted[0], list):
        return any(json_type(one) == json_type(wanted[0]) and one == wanted[0] for one in value)
    if json_type(value) != json_type(wanted[0]):
        raise Ended
    return bool(value == wanted[0])


def opaque(answer: Any, resource: Any) -> bool:
    """A predicate of the application: what it answers, "raises", or "resource" to ask for one."""
    if answer == "resource":
        answer = resource
    if answer is not True and answer is not False:
        raise Ended
    return bool(answer)


def allows(tree: Tree, catalog: Catalog, person: Person, resource: Any = None) -> bool:
    """The verdict: only what is known to be true allows."""
    try:
        return truth(tree, catalog, person, resource) is True
    except Ended:
        return False
