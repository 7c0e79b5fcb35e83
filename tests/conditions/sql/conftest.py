"""The rows in a database of each kind, and the same rows as objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import ColumnElement, create_engine, select
from sqlalchemy.orm import Session, joinedload, selectinload

from .models import MANY_ROWS, ROWS, Article, Base, Member, Team, fill


@dataclass(repr=False)
class Rows:
    """The articles of a database, as objects by their id, and an open session."""

    session: Session
    articles: dict[int, Article]

    @property
    def is_mysql(self) -> bool:
        return self.session.get_bind().dialect.name == "mysql"

    def ids_where(self, criterion: ColumnElement[bool], first: int, last: int) -> set[int]:
        """The ids, of those from first to last, of the rows that the database lets through."""
        asked = select(Article.id).where(Article.id.between(first, last), criterion)
        return set(self.session.scalars(asked))


DATABASES = ["sqlite", "postgresql", "mariadb"]
NEW = {"postgresql": "new_schema", "mariadb": "new_mariadb"}


@pytest.fixture(scope="session", params=DATABASES)
def rows(request: pytest.FixtureRequest) -> Iterator[Rows]:
    yield from rows_in(request, ROWS)


@pytest.fixture(scope="session", params=DATABASES)
def many_rows(request: pytest.FixtureRequest) -> Iterator[Rows]:
    yield from rows_in(request, MANY_ROWS)


def rows_in(request: pytest.FixtureRequest, count: int) -> Iterator[Rows]:
    new = NEW.get(request.param)
    engine = create_engine("sqlite://" if new is None else request.getfixturevalue(new)())
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session, count)
        session.commit()
        loaded = select(Article).options(
            joinedload(Article.team).joinedload(Team.parent),
            selectinload(Article.members).joinedload(Member.team),
            selectinload(Article.tags),
        )
        whole = select(Team).options(joinedload(Team.parent), selectinload(Team.children))
        teams = list(session.scalars(whole))
        assert teams
        articles = {article.id: article for article in session.scalars(loaded)}
        yield Rows(session, articles)
    engine.dispose()
