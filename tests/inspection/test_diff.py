"""What access a change gives or takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from jwt_authz import Authz, Role, Roles, exempt, has_role, has_scope, requires
from jwt_authz.inspection.access import AccessMatrix, Row, read_access
from jwt_authz.inspection.diff import AccessChange, compare
from jwt_authz.policy.decision import NO, YES
from tests.edge import bare_app
from tests.inspection.generated import Builder

ROLES = (Role("reader", "page:read"), Role("writer", "page:write", includes="reader"))


def matrix(view: Any, *roles: Role, endpoint: str = "page", rule: str = "/") -> AccessMatrix:
    """The matrix of an application with one route; none where the view is None."""
    app = bare_app()
    Authz(app, roles=Roles(*(roles or ROLES)))
    if view is not None:
        app.add_url_rule(rule, endpoint, view)
    with app.app_context():
        return read_access()


def guarded(*asked: Any, **options: Any) -> Callable[[], str]:
    return requires(*asked, **options)(lambda: "in")


def rows_of(changes: list[AccessChange]) -> list[tuple[str, str, str, str]]:
    return [(one.access, one.caller, one.before, one.after) for one in changes]


def test_a_guard_that_asks_less_gives_and_one_that_asks_more_takes() -> None:
    more, less = matrix(guarded("page:write")), matrix(guarded("page:read"))
    assert rows_of(compare(more, less)) == [("given", "reader", "no", "yes")]
    assert rows_of(compare(less, more)) == [("taken", "reader", "yes", "no")]
    assert [change.may_open for change in compare(less, more)] == [False]


def test_a_guard_that_any_identity_meets_gives_access_to_callers_without_a_role() -> None:
    before, after = matrix(guarded("page:read")), matrix(guarded())
    assert rows_of(compare(before, after)) == [("given", "no role", "no", "yes")]


def test_a_guard_that_goes_away_gives_access_to_unauthenticated_callers() -> None:
    before, after = matrix(guarded()), matrix(exempt(lambda: "in"))
    assert rows_of(compare(before, after)) == [("given", "not identified", "no", "yes")]


def test_a_condition_that_is_dropped_gives_and_one_that_is_added_takes() -> None:
    scoped, plain = matrix(guarded("page:read", has_scope("a"))), matrix(guarded("page:read"))
    given = [("given", role, "depends", "yes") for role in ("reader", "writer")]
    assert rows_of(compare(scoped, plain)) == given
    assert {change.access for change in compare(plain, scoped)} == {"taken"}


def test_another_condition_in_place_of_one_may_have_given() -> None:
    before = matrix(guarded("page:read", has_scope("a")))
    after = matrix(guarded("page:read", has_scope("b")))
    (change,) = compare(before, after)
    assert (change.access, change.caller, change.may_open) == ("changed", "reader, writer", True)
    assert change.before == "has the permission page:read and was granted the scope a"
    assert change.after == "has the permission page:read and was granted the scope b"


def test_other_words_for_the_same_answers_do_not_count_as_a_change() -> None:
    assert compare(matrix(guarded("page:write")), matrix(guarded(has_role("writer")))) == []


def test_a_new_route_gives_to_those_who_may_call_it_and_one_that_is_gone_takes() -> None:
    without, with_route = matrix(None), matrix(guarded("page:write"))
    assert rows_of(compare(without, with_route)) == [("given", "writer", "no route", "yes")]
    assert rows_of(compare(with_route, without)) == [("taken", "writer", "yes", "no route")]


def test_a_route_that_nobody_may_call_gives_nothing() -> None:
    assert compare(matrix(None), matrix(guarded({"POST": "page:read"}))) == []


def test_an_endpoint_that_is_renamed_is_the_same_route() -> None:
    before = matrix(guarded("page:write"), endpoint="old")
    assert compare(before, matrix(guarded("page:write"), endpoint="new")) == []
    (change,) = compare(before, matrix(guarded("page:read"), endpoint="new"))
    assert (change.access, change.endpoint, change.caller) == ("given", "new", "reader")


def test_another_rule_is_another_route() -> None:
    before, after = matrix(guarded("page:write")), matrix(guarded("page:write"), rule="/new")
    assert [(one.access, one.rule) for one in compare(before, after)] == [
        ("given", "/new"),
        ("taken", "/"),
    ]


def test_a_role_that_is_granted_more_is_given_what_it_may_call() -> None:
    before = matrix(guarded("page:write"))
    after = matrix(guarded("page:write"), Role("reader", "page:write"), Role("writer", "page:*"))
    assert rows_of(compare(before, after)) == [("given", "reader", "no", "yes")]


def test_a_role_that_is_new_is_given_what_someone_without_a_role_may_not_call() -> None:
    guarded_view = guarded("page:read")
    more = (*ROLES, Role("guest"), Role("boss", "*:*"))
    before, after = matrix(guarded_view), matrix(guarded_view, *more)
    assert rows_of(compare(before, after)) == [("given", "boss", "no", "yes")]
    assert rows_of(compare(after, before)) == [("taken", "boss", "yes", "no")]


def test_a_role_may_be_named_like_a_kind_of_caller() -> None:
    roles = (Role("no role", "page:read"), Role("not identified"))
    before, after = matrix(guarded("page:write"), *ROLES, *roles), matrix(guarded(), *ROLES, *roles)
    given = [one.caller for one in compare(before, after)]
    assert given == ["no role", "reader", "no role", "not identified"]


def test_a_route_that_stands_twice_is_compared_once() -> None:
    row = Row("page", "/", "GET", "everybody", YES, YES, {})
    twice = AccessMatrix((), (row, row))
    assert compare(twice, twice) == []
    closed = Row("page", "/", "GET", "nobody", NO, NO, {})
    assert len(compare(twice, AccessMatrix((), (closed,)))) == 2


def test_nothing_changes_between_a_generated_application_and_itself() -> None:
    for seed in range(20):
        found = [read(Builder(seed).build()) for _ in range(2)]
        assert compare(*found) == []


@pytest.mark.slow
def test_whatever_one_direction_gives_the_other_takes() -> None:
    opposite = {"given": "taken", "taken": "given", "changed": "changed"}
    changed = 0
    for seed in range(40):
        one, other = read(Builder(seed).build()), read(Builder(seed + 1).build())
        there = {(c.rule, c.method, c.caller, c.access) for c in compare(one, other)}
        back = {(c.rule, c.method, c.caller, opposite[c.access]) for c in compare(other, one)}
        assert {t[:2] + t[3:] for t in there} == {b[:2] + b[3:] for b in back}, seed
        changed += len(there)
    assert changed >= 200


def read(app: Flask) -> AccessMatrix:
    with app.app_context():
        return read_access()


@pytest.mark.parametrize("access", ["given", "changed"])
def test_what_may_have_opened_a_route_says_so(access: Any) -> None:
    assert AccessChange(access, "page", "/", "GET", "reader", "no", "yes").may_open
