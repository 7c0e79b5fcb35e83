"""Rules and identities of hypothesis' making, over the models beside."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from jwt_authz import (
    Identity,
    Requirement,
    Role,
    Roles,
    attr,
    has_claim,
    has_level,
    has_permission,
    has_role,
)
from jwt_authz.conditions import claim, issuer, now, subject, tenant

from .models import DATES, DECIMALS, FLOATS, INTEGERS, KEYS, TEXTS, TIMES, Status

CATALOG = Roles(
    Role("reader", "article:read", level=1), Role("editor", "article:edit", includes="reader")
)
SIGNS = ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"]
CLAIMS = ["text", "number", "flag", "list", "none", "sub"]

texts = st.sampled_from(TEXTS)
claims = st.sampled_from(CLAIMS).map(claim)
integers = st.sampled_from(INTEGERS)
floats = st.sampled_from([*FLOATS, 1, 17])
decimals = st.sampled_from([*DECIMALS, 1, 17])
booleans = st.booleans()
times = st.sampled_from([*TIMES, *(time.replace(tzinfo=None) for time in TIMES)])


def attributes(*names: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(names).map(attr)


def compared(
    left: st.SearchStrategy[Any], right: st.SearchStrategy[Any], signs: list[str] = SIGNS
) -> st.SearchStrategy[Requirement]:
    return st.builds(
        lambda one, sign, other: getattr(one, sign)(other), left, st.sampled_from(signs), right
    )


def among(left: st.SearchStrategy[Any], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    listed = st.lists(values, max_size=3) | st.sampled_from(["list", "text", "none"]).map(claim)
    return st.builds(lambda one, choices: one.in_(choices), left, listed)


strings = attributes("owner", "editor", "team.name", "team.parent.name")
numbers = attributes("number", "large", "team.size", "team.id", "team.parent.id")
reals = attributes("score", "weight")
moments = attributes("starts", "ends", "noted")
of_identity = st.sampled_from([subject, tenant, issuer])
converted = st.sampled_from([subject.as_(int), tenant.as_(int), claim("text").as_(int)])
equal = SIGNS[:2]
conditions = st.one_of(
    compared(strings, texts | of_identity | claims | strings),
    compared(numbers, integers | converted | claims | numbers),
    compared(reals, floats | claims | reals),
    compared(attributes("price"), decimals | claims),
    compared(attributes("open", "locked"), booleans | claims | attributes("open"), equal),
    compared(moments, times | st.just(now)),
    compared(attributes("starts"), attributes("ends")),
    compared(attributes("day"), st.sampled_from(DATES)),
    compared(attributes("key"), st.sampled_from([*KEYS, claim("text").as_(UUID)]), equal),
    compared(attributes("status"), st.sampled_from(Status), equal),
    compared(attributes("colour"), st.sampled_from(["red", "blue"]), equal),
    among(strings, texts),
    among(numbers, integers),
    among(reals, floats),
    st.builds(lambda one, listed: one.in_(listed), moments, st.lists(times, max_size=2)),
    st.builds(
        lambda one, all: one.in_(all), attributes("status"), st.lists(st.sampled_from(Status))
    ),
    st.builds(lambda one: one.is_(None), strings | numbers | reals | attributes("key", "status")),
)
expressed = st.one_of(
    compared(attributes("named"), st.sampled_from(["ada/ada", "Ada/ada", "ada/", ""])),
    compared(attributes("gap", "doubled"), integers | claims),
    among(attributes("named"), st.sampled_from(["ada/ada", "bob/Ada"])),
    st.builds(lambda one: one.is_(None), attributes("named", "gap", "doubled")),
)


def combined(leaves: st.SearchStrategy[Requirement], most: int) -> st.SearchStrategy[Requirement]:
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.builds(lambda one, other: one & other, parts, parts),
            st.builds(lambda one, other: one | other, parts, parts),
            parts.map(lambda part: ~part),
        ),
        max_leaves=most,
    )


def related(
    paths: st.SearchStrategy[Any], inner: st.SearchStrategy[Requirement]
) -> st.SearchStrategy[Requirement]:
    return st.builds(lambda path, part: path.any(part), paths, inner)


of_identity_alone = st.one_of(
    st.sampled_from(["reader", "editor", "unknown"]).map(has_role),
    st.sampled_from(["article:read", "article:edit", "unknown:read"]).map(has_permission),
    st.sampled_from([0, 1, 2, "reader", "unknown"]).map(has_level),
    st.builds(has_claim, st.sampled_from(CLAIMS), st.sampled_from(["ada", 17, True])),
    compared(of_identity, texts),
    compared(st.sampled_from([claim("number")]), integers | st.sampled_from([0.5, 17.0])),
    compared(st.just(now), times),
)
of_members = st.one_of(
    compared(attributes("name", "team.name"), texts | of_identity | claims),
    compared(attributes("number"), integers | converted | claims),
    compared(attributes("score"), floats | claims),
    among(attributes("name"), texts),
    st.builds(lambda one: one.is_(None), attributes("name", "team.id")),
    related(attributes("team.children"), compared(attributes("size"), integers)),
    of_identity_alone,
)
of_teams = st.one_of(
    compared(attributes("name", "parent.name"), texts | claims),
    compared(attributes("size", "id"), integers | claims),
    related(attributes("children"), compared(attributes("name"), texts)),
)
of_relations = st.one_of(
    related(attributes("members"), combined(of_members, 3)),
    related(attributes("tags"), combined(compared(attributes("text"), texts | claims), 2)),
    related(attributes("team.children", "team.parent.children"), combined(of_teams, 2)),
)
requirements = combined(
    st.one_of(conditions, conditions, expressed, of_relations, of_identity_alone), 7
)
json_values = st.one_of(
    st.none(),
    texts,
    integers,
    floats,
    booleans,
    st.sampled_from([2**70, "x\0y", "\ud800", float("nan"), str(KEYS[0]), "017", " 17"]),
    st.lists(st.none() | texts | integers, max_size=3),
    st.lists(texts, max_size=3),
    st.lists(integers, max_size=3),
)
identities = st.builds(
    lambda subject, issuer, tenant, roles, claims, is_foreign: Identity(
        subject,
        issuer,
        tenant,
        roles,
        claims={**claims, "sub": subject},
        catalogue=CATALOG,
        subject_is_foreign=is_foreign,
    ),
    st.sampled_from(["ada", "17", "017", "é", "x\0y", str(2**70)]),
    st.none() | st.just("Ada"),
    st.none() | st.sampled_from(["ada", "18"]),
    st.lists(st.sampled_from(["reader", "editor"]), max_size=1),
    st.dictionaries(st.sampled_from(CLAIMS), json_values),
    st.booleans(),
)
