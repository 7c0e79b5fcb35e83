"""Generated catalogs, callers and requirement trees, and what each is in the library's words."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from jwt_authz import (
    Identity,
    Requirement,
    Role,
    Roles,
    has_claim,
    has_level,
    has_permission,
    has_role,
    has_scope,
    requirement,
)
from jwt_authz.policy.functions import NO_RESOURCE
from jwt_authz.policy.requirements import And, Not, Or
from jwt_authz.tokens.encodings import IdentityReader
from tests.model import Catalog, Person, PlainRole, Tree

NAMES = ("reader", "writer", "editor", "owner", "root")
SCOPES = ("profile", "payments")
PERMISSIONS = tuple(f"{thing}:{act}" for thing in ("page", "file", "*") for act in ("read", "*"))
JUNK = ("page", "page:read:now", "", "*", ":")
CLAIMS: dict[str, tuple[Any, ...]] = {
    "tier": (0, 1, 2, 2.0),
    "plan": ("free", "gold"),
    "beta": (True, False),
    "groups": (["gold"], ["free", "gold"], []),
}
ODD_VALUES = (None, True, 1, "1", "gold", ["gold", 1, True], {"gold": 1})
ANSWERS = (True, False, "resource")
WRONG_ANSWERS = (None, 0, 1, "yes", "raises", ())


@dataclass(frozen=True)
class Case:
    """Who asks for what, and about which resource: True, False, or None for none."""

    catalog: Catalog
    person: Person
    tree: Tree
    resource: bool | None


class Dice:
    """Draws cases at random, the same from the same seed.

    From `clean` dice nothing comes that is an error: names are known, claims have the type that
    is wanted of them, a resource is there. With `negated` false no tree has a `not` in it.
    """

    def __init__(self, seed: int, clean: bool = False, negated: bool = True) -> None:
        self.random = Random(seed)
        self.clean = clean
        self.negated = negated

    def some(self, values: Iterable[Any], most: int) -> list[Any]:
        """Some of the values, none twice."""
        pool = list(values)
        return self.random.sample(pool, self.random.randint(0, min(most, len(pool))))

    def case(self) -> Case:
        catalog = self.catalog()
        resources = (True, False) if self.clean else (True, False, None)
        return Case(catalog, self.person(), self.tree(catalog), self.random.choice(resources))

    def catalog(self) -> Catalog:
        """Up to five roles, each including some of those before it: no cycles."""
        roles: dict[str, PlainRole] = {}
        for name in NAMES[: self.random.randint(0, len(NAMES))]:
            roles[name] = PlainRole(
                permissions=tuple(self.some(PERMISSIONS, 2)),
                includes=tuple(self.some(roles, 2)),
                level=self.random.choice((None, 0, 1, 2)),
            )
        return Catalog(roles)

    def person(self) -> Person:
        """A person whose roles need not be in the catalog."""
        odd = () if self.clean else ODD_VALUES
        permissions = self.some((*PERMISSIONS, *JUNK), 3) if self.random.random() < 0.5 else None
        return person_with(
            {n: self.random.choice((*CLAIMS[n] * 2, *odd)) for n in self.some(CLAIMS, 3)},
            self.some((*NAMES, "stranger"), 3),
            permissions,
            self.some(SCOPES, 2),
        )

    def tree(self, catalog: Catalog, depth: int = 3) -> Tree:
        kind = self.random.choice(("leaf", "and", "or", "not", "not")[: 5 if self.negated else 3])
        if kind == "leaf" or depth == 0:
            return self.leaf(catalog)
        count = 1 if kind == "not" else self.random.randint(1, 3)
        return (kind, *(self.tree(catalog, depth - 1) for _ in range(count)))

    def leaf(self, catalog: Catalog) -> Tree:
        """A requirement without parts."""
        wrong = 0 if self.clean or self.random.random() < 0.7 else 1
        levelled = [name for name, role in catalog.roles.items() if role.level is not None]
        values: dict[str, Any] = {
            "permission": (*filter(catalog.knows, PERMISSIONS), *PERMISSIONS * wrong),
            "role": (*catalog.roles, *NAMES * wrong),
            "level": (0, 1, 2, 3, *levelled, *NAMES * wrong),
            "scope": SCOPES,
            "opaque": WRONG_ANSWERS if wrong else ANSWERS,
            "claim": CLAIMS,
        }
        kind = self.random.choice((*(k for k, some in values.items() if some), "claim"))
        value = self.random.choice(list(values[kind]))
        if kind == "claim" and self.random.random() < 0.7:
            members = ("gold",) if value == "groups" else ()
            return (kind, value, self.random.choice((*CLAIMS[value], *members)))
        return (kind, value)


def size(tree: Tree) -> int:
    """How many requirements a tree has."""
    return 1 + sum(size(part) for part in tree[1:] if isinstance(part, tuple) and part)


def person_with(
    claims: dict[str, Any],
    roles: Collection[str],
    permissions: Collection[str] | None,
    scopes: Collection[str],
) -> Person:
    """A person with a whole payload, in which these claims stand beside those of the library."""
    payload = {**claims, "roles": list(roles), "scope": " ".join(scopes)}
    if permissions is not None:
        payload["permissions"] = list(permissions)
    return Person(roles, permissions, scopes, payload)


def library_roles(catalog: Catalog) -> Roles:
    return Roles(
        *(
            Role(name, *role.permissions, includes=role.includes, level=role.level)
            for name, role in catalog.roles.items()
        )
    )


def library_identity(catalog: Catalog, person: Person) -> Identity:
    """The identity that is read from the person's payload."""
    encoding = "roles" if person.permissions is None else "full"
    reader = IdentityReader(encoding, library_roles(catalog))
    return reader.read("anyone", person.claims)


def library_resource(resource: bool | None) -> Any:
    return NO_RESOURCE if resource is None else resource


def library_requirement(tree: Tree) -> Requirement:
    """The tree in the library's classes."""
    kind, *parts = tree
    combined = {"and": And, "or": Or, "not": Not}.get(kind)
    if combined is not None:
        return combined(*map(library_requirement, parts))
    return LEAVES[kind](*parts)


def written_with_operators(tree: Tree) -> Requirement:
    """The tree as a user writes it, with `&`, `|`, `~`."""
    kind, *parts = tree
    if kind == "not":
        return ~written_with_operators(parts[0])
    if kind in ("and", "or"):
        join = operator.and_ if kind == "and" else operator.or_
        return functools.reduce(join, map(written_with_operators, parts))
    return LEAVES[kind](*parts)


def predicate(answer: Any) -> Requirement:
    """A function of the application that gives this answer."""

    def raises(identity: Identity) -> bool:
        raise LookupError("nothing found")

    def of_the_resource(identity: Identity, resource: Any) -> Any:
        return resource

    def answers(identity: Identity) -> Any:
        return answer

    named: dict[Any, Callable[..., Any]] = {"raises": raises, "resource": of_the_resource}
    return requirement(named.get(answer, answers))


LEAVES: dict[str, Callable[..., Requirement]] = {
    "permission": has_permission,
    "role": has_role,
    "scope": has_scope,
    "level": has_level,
    "claim": has_claim,
    "opaque": predicate,
}
