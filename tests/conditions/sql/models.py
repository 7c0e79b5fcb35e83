"""Models of every kind of column that conditions compare, and rows of them with every odd value."""

from __future__ import annotations

import enum
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    Numeric,
    String,
    Table,
    cast,
    literal,
    select,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    mapped_column,
    relationship,
)

ROWS = 1_000
MANY_ROWS = 10_000
NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
KEYS = [UUID(int=n) for n in range(1, 5)]
# Strings that collations, case and Unicode order differently from code points, and a few numbers.
TEXTS = ["ada", "Ada", "ADA", "bob", "", "17", "18", "Z", "a b", "ab", "é", "e\u0301", "ß", "ss"]
TEXTS += ["\uffff", "\U0001f600", "published", "draft", "ada ", "a\tb"]
INTEGERS = [-1, 0, 1, 2, 17, 18, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.5, 0.1, 1.0, 2.5, 17.0, 1e300, float("inf"), float("-inf")]
DECIMALS = [Decimal(text) for text in ("0.00", "0.10", "1.00", "17.00", "-2.50", "99999.99")]
TIMES = [NOON + timedelta(hours=n) for n in (-2, -1, 0, 1, 2)]
DATES = [date(2026, 5, 1) + timedelta(days=n) for n in (-1, 0, 1)]


class Status(enum.Enum):
    DRAFT = "draft"
    PUBLISHED = "published"


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "filter_teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(80))
    size: Mapped[int | None]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("filter_teams.id"))
    parent: Mapped[Team | None] = relationship(remote_side=[id], back_populates="children")
    children: Mapped[list[Team]] = relationship(back_populates="parent")
    articles: Mapped[list[Article]] = relationship(back_populates="team")


article_tags = Table(
    "filter_article_tags",
    Base.metadata,
    Column("article_id", ForeignKey("filter_articles.id"), primary_key=True),
    Column("tag_id", ForeignKey("filter_tags.id"), primary_key=True),
)


class Tag(Base):
    __tablename__ = "filter_tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str | None] = mapped_column(String(80))


class Member(Base):
    __tablename__ = "filter_members"

    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("filter_articles.id"), index=True)
    name: Mapped[str | None] = mapped_column(String(80))
    number: Mapped[int | None]
    score: Mapped[float | None] = mapped_column(Double)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("filter_teams.id"))
    team: Mapped[Team | None] = relationship()


class Article(Base):
    __tablename__ = "filter_articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str | None] = mapped_column(String(80), index=True)
    editor: Mapped[str | None] = mapped_column(String(80))
    number: Mapped[int | None] = mapped_column()
    large: Mapped[int | None] = mapped_column(BigInteger)
    score: Mapped[float | None] = mapped_column(Double)
    weight: Mapped[float | None] = mapped_column(Double)
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    open: Mapped[bool | None]
    locked: Mapped[bool | None]
    starts: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ends: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    noted: Mapped[datetime | None]
    day: Mapped[date | None]
    key: Mapped[UUID | None]
    status: Mapped[Status | None]
    colour: Mapped[str | None] = mapped_column(Enum("red", "blue", name="filter_colour"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("filter_teams.id"))
    team: Mapped[Team | None] = relationship(back_populates="articles")
    members: Mapped[list[Member]] = relationship()
    tags: Mapped[list[Tag]] = relationship(secondary=article_tags)
    doubled: Mapped[int | None] = column_property(number.column * literal(2, BigInteger))

    @hybrid_property
    def named(self) -> str | None:
        return None if None in (self.owner, self.editor) else f"{self.owner}/{self.editor}"

    @named.inplace.expression
    @classmethod
    def _named(cls) -> ColumnElement[str | None]:
        return cls.owner + "/" + cls.editor

    @property
    def gap(self) -> int | None:
        return None if self.number is None else self.number * self.number - 17


def gap_in_sql(article: Any) -> ColumnElement[int]:
    """The SQL of `Article.gap`."""
    return cast(article.number, BigInteger) * article.number - 17


def fill(session: Session, count: int) -> None:
    """The tables' first rows, the same at each call."""
    chance = random.Random(20260501)
    database = session.get_bind().dialect.name
    floats = {
        "postgresql": [*FLOATS, float("nan")],
        "mysql": [number for number in FLOATS if isfinite(number)],
    }.get(database, FLOATS)
    pick = chance.choice
    for n in range(1, 9):
        parent = pick([None, *range(1, n)])
        session.add(Team(id=n, name=pick([None, *TEXTS]), size=pick([None, 1]), parent_id=parent))
        session.flush()
    session.add_all([Tag(id=n, text=text) for n, text in enumerate([None, *TEXTS], start=1)])
    session.flush()
    tags = list(session.scalars(select(Tag)))
    for n in range(1, count + 1):
        members = [
            Member(
                name=pick([None, *TEXTS]),
                number=pick([None, -1, 0, 17]),
                score=pick([None, *floats]),
                team_id=pick([None, *range(1, 9)]),
            )
            for _ in range(pick([0, 0, 1, 2, 3]))
        ]
        session.add(
            Article(
                id=n,
                owner=pick([None, *TEXTS]),
                editor=pick([None, *TEXTS]),
                number=pick([None, *(one for one in INTEGERS if abs(one) < 2**31)]),
                large=pick([None, *INTEGERS]),
                score=pick([None, *floats]),
                weight=pick([None, *floats]),
                price=pick([None, *DECIMALS]),
                open=pick([None, True, False]),
                locked=pick([None, True, False]),
                starts=pick([None, *TIMES]),
                ends=pick([None, *TIMES]),
                noted=pick([None, *(time.replace(tzinfo=None) for time in TIMES)]),
                day=pick([None, *DATES]),
                key=pick([None, *KEYS]),
                status=pick([None, *Status]),
                colour=pick([None, "red", "blue"]),
                team_id=pick([None, *range(1, 9)]),
                members=members,
                tags=chance.sample(tags, pick([0, 0, 1, 2])),
            )
        )
