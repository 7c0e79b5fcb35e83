"""What MySQL and MariaDB compare in their own way: filters are exact all the same, or refused."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Double, Enum, Float, Numeric, String, create_engine, select, text
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from jwt_authz import Identity, MisuseError, Requirement, attr
from jwt_authz.conditions import claim, subject
from jwt_authz.conditions.sql import criterion

NAMES = ["ada", "Ada", "ada ", "adä", "ada\t", "bob"]
LONG = Decimal("1" + 30 * "0" + "." + 19 * "0" + "1")
COLLATIONS = ["utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_unicode_nopad_ci", "latin1_swedish_ci"]


class Shade(enum.Enum):
    red = 1
    Red = 2


class Base(DeclarativeBase):
    pass


class Paper(Base):
    __tablename__ = "papers"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(40), index=True)
    price: Mapped[Decimal] = mapped_column(Numeric(60, 25))
    single: Mapped[float] = mapped_column(Float)
    double: Mapped[float] = mapped_column(Double)
    size: Mapped[str] = mapped_column(Enum("a", "A", "á", native_enum=False, length=4))
    shade: Mapped[Shade] = mapped_column(Enum(Shade, native_enum=False, length=4))
    is_hidden: Mapped[bool]


@pytest.fixture(scope="module", params=COLLATIONS)
def session(request: pytest.FixtureRequest, new_mariadb: Callable[[], str]) -> Iterator[Session]:
    engine = create_engine(new_mariadb())
    Base.metadata.create_all(engine)
    charset = request.param.partition("_")[0]
    with Session(engine) as opened:
        change = f"ALTER TABLE papers CONVERT TO CHARACTER SET {charset} COLLATE {request.param}"
        opened.execute(text(change))
        for number in range(600):
            name = NAMES[number] if number < len(NAMES) else f"user-{number}"
            price = LONG if number == 0 else Decimal(number)
            opened.add(
                Paper(
                    id=number + 1,
                    owner=name,
                    price=price,
                    single=0.1,
                    double=0.1,
                    size=["a", "A", "á"][number % 3],
                    shade=[*Shade][number % 2],
                    is_hidden=number % 2 == 0,
                )
            )
            opened.flush()
        opened.execute(text("UPDATE papers SET is_hidden = 2 WHERE id = 1"))
        opened.commit()
        yield opened
    engine.dispose()


def owners(session: Session, requirement: Requirement, **claims: Any) -> list[str]:
    asked = criterion(requirement, Paper, Identity("ada", claims=claims))
    return list(session.scalars(select(Paper.owner).where(asked).order_by(Paper.id)))


def test_names_that_a_collation_takes_for_the_same_are_different(session: Session) -> None:
    others = [name for name in NAMES if name != "ada"]
    assert owners(session, attr("owner") == subject) == ["ada"]
    assert owners(session, attr("owner").in_(["ada", "x"])) == ["ada"]
    assert owners(session, attr("owner").in_(claim("names")), names=["ada "]) == ["ada "]
    assert owners(session, ~(attr("owner") == subject))[: len(others)] == others
    assert owners(session, ~attr("owner").in_(["ada"]))[: len(others)] == others


@pytest.mark.parametrize("rule", [attr("owner") == subject, attr("owner").in_(["ada", "bob"])])
def test_an_equal_name_is_found_by_the_index(session: Session, rule: Requirement) -> None:
    asked = select(Paper.id).where(criterion(rule, Paper, Identity("ada")))
    written = asked.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
    ((_, _, _, kind, _, key, *_),) = session.execute(text(f"EXPLAIN {written}"))
    assert (kind, key) == ("ref" if "==" in repr(rule) else "range", "ix_papers_owner")


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (attr("price") == LONG, ["ada"]),
        (attr("price") == Decimal(10) ** 30, []),
        (attr("price") > Decimal("597.9999999999999999"), ["ada", "user-598"]),
        (attr("price").in_([Decimal("1E+0"), Decimal("1E-20")]), ["Ada"]),
    ],
    ids=repr,
)
def test_decimals_are_compared_exactly(
    session: Session, rule: Requirement, found: list[str]
) -> None:
    assert owners(session, rule)[:2] == found


@pytest.mark.parametrize(
    "rule",
    [
        attr("size") == "a",
        attr("size") != "A",
        attr("size").in_(["á"]),
        attr("shade") == Shade.red,
        attr("shade").in_([Shade.Red]),
        attr("is_hidden") == True,  # noqa: E712
        attr("is_hidden") == False,  # noqa: E712
        attr("is_hidden").in_([True]),
    ],
    ids=repr,
)
def test_enums_that_differ_in_case_and_booleans_that_are_2_agree_with_the_item_check(
    session: Session, rule: Requirement
) -> None:
    for asked in (rule, ~rule):
        papers = session.scalars(select(Paper).order_by(Paper.id))
        met = [paper.owner for paper in papers if asked.evaluate(Identity("ada"), paper)]
        assert owners(session, asked) == met
        assert 0 < len(met) < 600


@pytest.mark.parametrize("number", [Decimal("1E+35"), Decimal("1E-31")])
def test_a_decimal_that_mysql_would_round_is_refused(session: Session, number: Decimal) -> None:
    with pytest.raises(StatementError, match="cannot be compared in MySQL: it has more than"):
        owners(session, attr("price") == number)


@pytest.mark.parametrize(
    "rule",
    [attr("single") == 0.1, attr("single") > claim("n"), attr("single") == attr("double")],
    ids=repr,
)
def test_a_single_is_refused_with_what_to_write(rule: Requirement) -> None:
    asked = select(Paper.id).where(criterion(rule, Paper, Identity("ada", claims={"n": 0.5})))
    with pytest.raises(MisuseError, match=r"single in MySQL.* use Double or Float\(53\)"):
        asked.compile(dialect=mysql.dialect())


def test_a_double_is_compared_exactly(session: Session) -> None:
    assert len(owners(session, attr("double") == 0.1)) == 600
    assert owners(session, attr("double") > 0.1) == []


def test_the_collation_is_the_one_that_the_server_has() -> None:
    asked = criterion(attr("owner") < "x", Paper, Identity("ada"))
    dialect = mysql.dialect()
    assert "COLLATE utf8mb4_0900_bin" in str(asked.compile(dialect=dialect))
    dialect.is_mariadb = True
    assert "COLLATE utf8mb4_nopad_bin" in str(asked.compile(dialect=dialect))
