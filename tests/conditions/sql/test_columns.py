"""Which columns conditions compare, and what is said of the others where a rule is registered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    CHAR,
    JSON,
    REAL,
    BigInteger,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Table,
    Time,
    TypeDecorator,
    Uuid,
    func,
    literal,
    literal_column,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    aliased,
    column_property,
    mapped_column,
    registry,
    relationship,
    synonym,
)

from jwt_authz import Authz, MisuseError, Requirement, attr
from jwt_authz.conditions import claim, now, subject, tenant

from . import models

pytestmark = pytest.mark.versions


class Base(DeclarativeBase):
    pass


class Upper(TypeDecorator[str]):
    impl = String
    cache_ok = True


class Tag(Base):
    __tablename__ = "column_tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    thing_id: Mapped[int] = mapped_column(ForeignKey("column_things.id"))


class Thing(Base):
    __tablename__ = "column_things"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    renamed: Mapped[str] = mapped_column("another_name")
    short: Mapped[str] = mapped_column(CHAR(5))
    words: Mapped[str] = mapped_column(TSVECTOR())
    single: Mapped[float] = mapped_column(Float(24))
    real: Mapped[float] = mapped_column(REAL())
    exact_float: Mapped[Any] = mapped_column(Float(asdecimal=True))
    float_number: Mapped[float] = mapped_column(Numeric(10, 2, asdecimal=False))
    upper: Mapped[str] = mapped_column(Upper())
    data: Mapped[Any] = mapped_column(JSON)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    span: Mapped[Any] = mapped_column(Interval)
    hour: Mapped[Any] = mapped_column(Time)
    listed: Mapped[Any] = mapped_column(ARRAY(Integer))
    text_key: Mapped[str] = mapped_column(Uuid(as_uuid=False))
    colour: Mapped[str] = mapped_column(Enum("red", "blue", name="column_colour"))
    status: Mapped[models.Status]
    made: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    noted: Mapped[datetime]
    tags: Mapped[list[Tag]] = relationship()
    other = synonym("text")
    twice: Mapped[str] = column_property(literal("x") + literal("y"))
    untyped: Mapped[Any] = column_property(literal_column("17"))

    @hybrid_property
    def is_long(self) -> bool:
        return len(self.text) > 5

    @property
    def plain(self) -> str:
        return self.text


def registered(requirement: Requirement, model: type = Thing) -> Requirement:
    return Authz().rule("thing:read", model, requirement)


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        (attr("nope") == "x", "Thing has no nope. Its columns are"),
        (attr("another_name") == "x", "Thing has no another_name"),
        (attr("short") == "x", "Use a column of strings"),
        (attr("words") == "x", "Use a column of strings"),
        (attr("single") == 1.0, "Use a column of"),
        (attr("real") == 1.0, "Use a column of"),
        (attr("exact_float") == 1.0, "Use a column of"),
        (attr("float_number") == 1.0, "Use a column of"),
        (attr("upper") == "x", "Use a column of"),
        (attr("data") == "x", "Use a column of"),
        (attr("raw") == "x", "Use a column of"),
        (attr("span") == 1, "Use a column of"),
        (attr("hour") == 1, "Use a column of"),
        (attr("listed") == 1, "Use a column of"),
        (attr("text_key") == "x", "Use a column of"),
        (attr("tags.id") == 1, "is a relation to many"),
        (attr("text.id") == 1, "is not a relation to another model"),
        (attr("tags") == "x", "Write attr('tags.id')"),
        (attr("is_long") == True, "is not a column of a table"),  # noqa: E712
        (attr("plain") == "x", "is not a column of a table"),
        (attr("other") == "x", "is not a column of a table"),
        (attr("untyped") == "x", "the type of the expression Thing.untyped is not known"),
        (attr("tags").any(attr("nope") == 1), "Tag has no nope"),
        (attr("text").any(attr("id") == 1), "Thing.text is not a relation to another model"),
        (attr("tags.thing").any(attr("id") == 1), "is a relation to many"),
    ],
)
def test_an_attribute_that_cannot_be_compared_alike_is_refused(
    requirement: Requirement, message: str
) -> None:
    with pytest.raises(MisuseError) as raised:
        registered(requirement)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        (attr("id") == "x", "attr('id') is an integer, but 'x' is a string"),
        (attr("id") == 1.5, "is an integer, but 1.5 is a float"),
        (attr("id") == subject, "write subject.as_(int)"),
        (attr("id") == tenant, "write tenant.as_(int)"),
        (attr("text") == subject.as_(int), "attr('text') is a string"),
        (attr("id").in_(["x"]), "is an integer, but 'x' is a string"),
        (attr("text") == attr("id"), "attr('text') is a string, but attr('id') is an integer"),
        (attr("made") == attr("noted"), "only one of them has a time zone"),
        (attr("made") == claim("x"), "which a claim cannot be"),
        (attr("text") < now, "a string"),
        (attr("colour") == "green", "has no such value"),
        (attr("colour") == subject, "a literal value"),
        (attr("colour") == attr("text"), "a literal value"),
        (attr("colour").in_(claim("x")), "a literal value"),
        (attr("status") == "draft", "write a member of Status"),
        (attr("status") == claim("x"), "a literal value"),
        (attr("status") < claim("x"), "has no order"),
        (attr("text") == UUID(int=1), "a string"),
        (~(attr("id") == "x"), "is an integer, but 'x' is a string"),
        ((attr("text") == "x") | (attr("id") == "x"), "is an integer, but 'x' is a string"),
    ],
)
def test_types_that_do_not_match_are_refused(requirement: Requirement, message: str) -> None:
    with pytest.raises(MisuseError) as raised:
        registered(requirement)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "requirement",
    [
        attr("renamed") == "x",
        attr("colour") == "red",
        attr("colour").in_(["red"]),
        attr("status") == models.Status.DRAFT,
        attr("made") < now,
        attr("noted") < now,
        attr("noted") < datetime(2026, 1, 1, tzinfo=UTC),
        attr("id") == claim("x"),
        attr("id") == subject.as_(int),
        attr("text") < subject,
    ],
)
def test_types_that_match_are_registered(requirement: Requirement) -> None:
    assert registered(requirement) == requirement


def test_a_whole_number_that_a_float_cannot_hold_is_refused() -> None:
    with pytest.raises(MisuseError, match="cannot hold"):
        registered(attr("score") == 2**53 + 1, models.Article)


def test_a_rule_before_its_models_are_complete_says_when_to_register_it() -> None:
    class Early(DeclarativeBase):
        pass

    class Post(Early):
        __tablename__ = "early_posts"
        id: Mapped[int] = mapped_column(primary_key=True)
        team_id: Mapped[int] = mapped_column(ForeignKey("early_teams.id"))
        team: Mapped[Any] = relationship("Missing")

    registered(attr("id") == 1, Post)  # its own columns can be known before
    for requirement in (attr("team_id") == 1, attr("team.id") == 1):
        with pytest.raises(MisuseError, match="after all models are defined"):
            registered(requirement, Post)
    Early.registry.dispose()


def test_a_class_that_is_mapped_imperatively_is_checked_too() -> None:
    class Note:
        pass

    table = Table(
        "imperative_notes",
        Base.metadata,
        mapped_column("id", BigInteger, primary_key=True).column,
        mapped_column("owner", String).column,
    )
    registry().map_imperatively(Note, table)
    registered(attr("owner") == subject, Note)
    with pytest.raises(MisuseError, match="write subject"):
        Authz().rule("note:edit", Note, attr("id") == subject)


def test_an_alias_is_not_a_model_of_a_rule() -> None:
    with pytest.raises(MisuseError, match="pass the class"):
        Authz().rule("thing:read", aliased(Thing), attr("text") == "x")


# --- expressions ---------------------------------------------------------------------------------


def test_a_column_property_and_a_registered_expression_are_compared() -> None:
    authz = Authz()
    authz.expression(Thing, "is_long", lambda thing: func.length(thing.text) > 5)
    authz.expression(Thing, "other")
    rule = (attr("is_long") == True) & (attr("other") == "x") & (attr("twice") == "xy")  # noqa: E712
    authz.rule("thing:read", Thing, rule)


def test_an_expression_counts_in_a_rule_of_a_model_that_refers_to_it() -> None:
    authz = Authz()
    with pytest.raises(MisuseError, match=r"Write authz.expression\(Thing, 'is_long'\)"):
        authz.rule("thing:read", Thing, attr("is_long") == True)  # noqa: E712
    authz.expression(Thing, "is_long", lambda thing: func.length(thing.text) > 5)
    authz.rule("thing:read", Thing, attr("is_long") == True)  # noqa: E712


@pytest.mark.parametrize(
    ("model", "name", "sql", "message"),
    [
        (object, "x", None, "is not mapped by SQLAlchemy"),
        (Thing, "text", lambda thing: thing.other, "Thing.text is a column"),
        (Thing, "nope", None, "Thing.nope: type object 'Thing' has no attribute 'nope'"),
        (Thing, "plain", None, "Thing.plain is property, expected an expression"),
        (Thing, "x", lambda thing: 17, "Thing.x is int, expected an expression"),
        (Thing, "x", lambda thing: literal_column("1"), "put type_coerce"),
        (Thing, "x", lambda thing: func.now() - thing.made, "Use a column of"),
    ],
)
def test_an_expression_that_cannot_be_compared_is_refused_when_it_is_registered(
    model: type, name: str, sql: Any, message: str
) -> None:
    with pytest.raises(MisuseError) as raised:
        Authz().expression(model, name, sql)
    assert message in str(raised.value)
