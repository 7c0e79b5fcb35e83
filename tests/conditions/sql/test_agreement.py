"""What a filter returns is what the item check would have let through, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import false, func, not_, select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import aliased

from jwt_authz import Identity, MisuseError, Requirement, attr
from jwt_authz.conditions import claim, now, one_instant, subject, tenant
from jwt_authz.conditions.sql import Plan
from jwt_authz.conditions.sql import plan as plans

from .conftest import Rows
from .generated import CATALOG, identities, requirements
from .models import DATES, KEYS, MANY_ROWS, NOON, ROWS, Article, Status, gap_in_sql

EXPRESSIONS = {(Article, "named"): attrgetter("named"), (Article, "gap"): gap_in_sql}
SAMPLES = [
    attr("owner") == tenant,
    attr("owner") < "b",
    attr("owner") > attr("editor"),
    attr("owner").in_(claim("list")),
    attr("number") == subject.as_(int),
    attr("large") <= 2**31,
    attr("large") != claim("number"),
    attr("score") > 1,
    attr("score") != attr("weight"),
    attr("score") == float("inf"),
    attr("price") <= Decimal("1.00"),
    attr("open") == attr("locked"),
    attr("starts") <= now,
    attr("noted") <= now,
    attr("starts") < attr("ends"),
    attr("day").in_(DATES[:2]),
    attr("key") == KEYS[0],
    attr("status") != Status.DRAFT,
    attr("colour") == "red",
    attr("team.name") != "ada",
    attr("team.parent.id").is_(None),
    attr("team.parent.size") == 1,
    attr("named") == "ada/Ada",
    attr("named") < "ada/Ada",
    attr("gap") > 0,
    attr("gap").is_(None),
    attr("doubled") == 34,
    attr("doubled").in_([0, 2]),
    attr("members").any(attr("name") == tenant),
    attr("members").any(attr("score") > 1),
    attr("members").any(attr("name").is_(None)),
    attr("members").any((attr("name") == "Ada") | (attr("number") == subject.as_(int))),
    attr("members").any(~(attr("name") == "Ada")),
    ~attr("members").any(attr("name") == tenant),
    attr("members").any(attr("team.size") == 1) & (attr("number") > 0),
    attr("members").any(attr("team.children").any(attr("size") == 1)),
    attr("tags").any(attr("text").in_(claim("list"))),
    attr("team.children").any(attr("size") == 1),
    ~attr("team.children").any(attr("size") == 1),
    attr("team.parent.children").any(attr("parent.size") == 1),
]
pytestmark = [
    pytest.mark.versions,
    pytest.mark.filterwarnings("ignore:Dialect sqlite.*does \\*not\\* support Decimal"),
]
AT = NOON + timedelta(minutes=30)
WINDOW = 500


def compare(rows: Rows, requirement: Requirement, identity: Identity, first: int, size: int) -> int:
    """How many rows were let through, by the database and by the item check alike."""
    last = first + size - 1
    with one_instant(AT):
        asked = Plan(requirement, Article, EXPRESSIONS).fill(Article, identity)
        found = rows.ids_where(asked, first, last)
        let_through = {
            id for id in range(first, last + 1) if requirement.evaluate(identity, rows.articles[id])
        }
    assert found == let_through
    return len(found)


@contextmanager
def infinity_is_refused_by_mysql(rows: Rows) -> Iterator[None]:
    try:
        yield
    except StatementError as error:
        assert rows.is_mysql
        assert isinstance(error.orig, MisuseError)
        assert "infinity cannot be compared in MySQL" in str(error.orig)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(requirements, identities, st.integers(0, ROWS // WINDOW - 1))
def test_a_filter_lets_through_the_rows_that_the_item_check_does(
    rows: Rows, requirement: Requirement, identity: Identity, window: int
) -> None:
    with infinity_is_refused_by_mysql(rows):
        compare(rows, requirement, identity, window * WINDOW + 1, WINDOW)


@pytest.mark.slow
def test_a_compiler_that_takes_null_for_a_no_is_found_out(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turned(self: Any, call: Any) -> Any:
        where = self._node.yes(call)
        return not where if isinstance(where, bool) else not_(func.coalesce(where, false()))

    requirement = ~(attr("owner") == subject)
    assert compare(rows, requirement, Identity("ada"), 1, ROWS)
    monkeypatch.setattr(plans._Turned, "yes", turned)
    with pytest.raises(AssertionError):
        compare(rows, requirement, Identity("ada"), 1, ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("requirement", SAMPLES, ids=repr)
def test_every_kind_of_condition_lets_some_rows_through_and_agrees(
    rows: Rows, requirement: Requirement
) -> None:
    if rows.is_mysql and requirement == (attr("score") == float("inf")):
        with pytest.raises(StatementError, match="infinity cannot be compared in MySQL"):
            compare(rows, requirement, Identity("17"), 1, ROWS)
        return
    claims = {"text": "ada", "number": 17, "list": ["ada", None, "17"]}
    identity = Identity("17", tenant="ada", claims=claims, catalogue=CATALOG)
    assert 0 < compare(rows, requirement, identity, 1, ROWS) < ROWS
    compare(rows, ~requirement, identity, 1, ROWS)


@pytest.mark.slow
def test_an_error_of_one_related_object_is_one_of_the_whole(rows: Rows) -> None:
    """A name is never compared with a number; without a name, or a member, there is no error."""
    requirement = attr("members").any(attr("name") == claim("number"))
    identity = Identity("17", claims={"number": 17})
    assert compare(rows, requirement, identity, 1, ROWS) == 0
    without_members = compare(rows, ~requirement, identity, 1, ROWS)
    assert 0 < without_members < ROWS


OF_SUBJECT = [
    attr("owner") == subject,
    attr("owner") != subject,
    attr("owner") < subject,
    attr("owner") == claim("sub"),
    attr("number") == subject.as_(int),
    attr("number") != subject.as_(int),
    attr("number") > claim("sub").as_(int),
    subject == "17",
    subject != "18",
    subject.in_(["17", "18"]),
]


@pytest.mark.slow
@pytest.mark.parametrize("requirement", OF_SUBJECT, ids=repr)
def test_no_row_is_let_through_by_a_foreign_subject_whatever_the_sign(
    rows: Rows, requirement: Requirement
) -> None:
    def who(is_foreign: bool) -> Identity:
        return Identity(
            "17", "https://id.example", claims={"sub": "17"}, subject_is_foreign=is_foreign
        )

    own = [compare(rows, asked, who(False), 1, ROWS) for asked in (requirement, ~requirement)]
    assert any(own)
    for asked in (requirement, ~requirement, ~~requirement):
        assert compare(rows, asked, who(True), 1, ROWS) == 0


@pytest.mark.long
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(requirements, identities)
def test_a_filter_agrees_with_the_item_check_on_all_rows(
    many_rows: Rows, requirement: Requirement, identity: Identity
) -> None:
    with infinity_is_refused_by_mysql(many_rows):
        compare(many_rows, requirement, identity, 1, MANY_ROWS)


@pytest.mark.slow
def test_an_alias_of_the_model_is_filtered_as_the_model_is(rows: Rows) -> None:
    requirement = (
        attr("members").any((attr("name") == tenant) | attr("team.children").any(attr("size") == 1))
        | ~attr("team.children").any(attr("size") == 1)
        | (attr("named") == "ada/Ada")
        | (attr("gap") == -16)
    )
    identity, other = Identity("17", tenant="ada"), aliased(Article)
    plan = Plan(requirement, Article, EXPRESSIONS)
    beside = select(other.id).join(Article, Article.id == other.id).where(Article.id <= ROWS)
    found = set(rows.session.scalars(beside.where(plan.fill(other, identity))))
    assert found == rows.ids_where(plan.fill(Article, identity), 1, ROWS)
    assert 0 < len(found) < ROWS
