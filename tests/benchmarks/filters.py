"""A page of a list, filtered by a rule and by a criterion written by hand.

    python -m tests.benchmarks.filters [--rows 1000000] [--rounds 500] [--postgres URL]

Both ask for the same page of 50 by the same index, in turn; identities follow each other, so that
nothing is kept of one. The two are first shown to find the same rows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from sqlalchemy import Engine, ForeignKey, create_engine, func, insert, or_, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column, relationship

from jwt_authz import Authz, Identity, Role, Roles, attr, has_role
from jwt_authz.conditions import subject, tenant

PAGE = 50
CALLERS = 1_000
BATCH = 20_000
LIMIT = 1.2
ROLES = Roles(Role("reader", "post:read"), Role("editor", includes="reader"))


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "benchmark_teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]


class Post(Base):
    __tablename__ = "benchmark_posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    status: Mapped[str]
    title: Mapped[str]
    team_id: Mapped[int | None] = mapped_column(ForeignKey(Team.id))
    team: Mapped[Team | None] = relationship()


def own(identity: Identity) -> Any:
    return Post.owner == identity.subject


def readable(identity: Identity) -> Any:
    return or_(
        Post.owner == identity.subject,
        (Post.status == "published") & (Post.status != "withdrawn"),
    )


def of_team(identity: Identity) -> Any:
    team = aliased(Team)
    of = select(team.tenant).where(Post.team_id == team.id).correlate(Post).scalar_subquery()
    return or_(Post.owner == identity.subject, of == identity.tenant)


AUTHZ = Authz(roles=ROLES)
OWN = AUTHZ.rule("post:own", Post, (attr("owner") == subject) | has_role("editor"))
READABLE = AUTHZ.rule(
    "post:read",
    Post,
    (attr("owner") == subject)
    | (attr("status") == "published") & ~(attr("status") == "withdrawn")
    | has_role("editor"),
)
OF_TEAM = AUTHZ.rule(
    "post:team", Post, (attr("owner") == subject) | (attr("team.tenant") == tenant)
)
CASES: dict[str, tuple[str, Callable[[Identity], Any]]] = {
    "own rows": ("post:own", own),
    "own or published rows": ("post:read", readable),
    "own rows or the tenant's teams'": ("post:team", of_team),
}


def fill(engine: Engine, rows: int) -> None:
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        teams = [{"id": n, "tenant": f"tenant{n % 10}"} for n in range(1, 101)]
        connection.execute(insert(Team), teams)
        for start in range(1, rows + 1, BATCH):
            numbers = range(start, min(start + BATCH, rows + 1))
            connection.execute(insert(Post), [row(n) for n in numbers])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def row(n: int) -> dict[str, Any]:
    status = ("draft", "published", "withdrawn")[n % 3]
    team = None if n % 7 == 0 else n % 100 + 1
    return {"id": n, "owner": f"user{n % CALLERS}", "status": status, "title": "x", "team_id": team}


def callers() -> Iterator[Identity]:
    for n in range(CALLERS):
        yield Identity(f"user{n}", roles=["reader"], tenant=f"tenant{n % 10}", catalogue=ROLES)


def page(session: Session, criterion: Any) -> list[int]:
    asked = select(Post).where(criterion).order_by(Post.id).limit(PAGE)
    found = [post.id for post in session.scalars(asked)]
    session.expunge_all()
    return found


def measure(
    session: Session, action: str, by_hand: Callable[[Identity], Any], rounds: int
) -> tuple[float, float]:
    """Two medians in microseconds, of the filter and of what is written by hand."""
    taken: tuple[list[float], list[float]] = [], []
    ways = (lambda who: AUTHZ.filter(action, Post, identity=who), by_hand)
    people = list(callers())
    for n in range(rounds + 20):
        who = people[n * 37 % CALLERS]
        found = []
        for which in (0, 1) if n % 2 else (1, 0):
            began = time.perf_counter()
            found.append(page(session, ways[which](who)))
            if n >= 20:
                taken[which].append(time.perf_counter() - began)
        assert found[0] == found[1] and found[0], (who, found)
    return statistics.median(taken[0]) * 1e6, statistics.median(taken[1]) * 1e6


def compare(engine: Engine, name: str, rounds: int) -> float:
    worst = 0.0
    with Session(engine) as session:
        count = session.scalar(select(func.count()).select_from(Post))
        for said, (action, by_hand) in CASES.items():
            filtered, written = measure(session, action, by_hand, rounds)
            ratio = filtered / written
            worst = max(worst, ratio)
            figures = f"{written:.0f} us | {filtered:.0f} us | {ratio:.2f}x"
            print(f"| {name}, {count:,} rows | {said} | {figures} |")
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--postgres", default=os.environ.get("TEST_POSTGRES_URL"))
    options = parser.parse_args()
    app = Flask(__name__)
    app.config["JWT_SECRET_KEY"] = 64 * "x"
    AUTHZ.init_app(app)
    print("| database | rule | by hand | filter | ratio |\n| --- | --- | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as folder, app.app_context():
        urls = {"SQLite": f"sqlite:///{folder}/filters.db", "PostgreSQL": options.postgres}
        worst = [run(name, url, options) for name, url in urls.items() if url]
    raise SystemExit(max(worst) > LIMIT)


def run(name: str, url: str, options: argparse.Namespace) -> float:
    engine = create_engine(url)
    try:
        fill(engine, options.rows)
        return compare(engine, name, options.rounds)
    finally:
        Base.metadata.drop_all(engine)
        engine.dispose()


if __name__ == "__main__":
    main()
