"""Texts and numbers in SQL where a database's own idea of them differs from Python's.

What is compiled for no database, to be printed, looks like SQLite's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, String, TypeDecorator, TypeEngine

from ...errors import MisuseError


class ExactText(TypeDecorator[str]):
    """What a text is bound as: on a database of which it is known that `=` compares all of it."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in ("postgresql", "sqlite", "default"):
            raise MisuseError(_unknown_to(dialect))
        return dialect.type_descriptor(String())


class by_code_points(FunctionElement[Any]):
    """A text that is compared by its code points, whatever the collation of its column."""

    name = "by_code_points"
    type = String()
    inherit_cache = True


class is_number(FunctionElement[Any]):
    """Whether a float or a Decimal is neither NULL nor NaN."""

    name = "is_number"
    type = Boolean()
    inherit_cache = True


def _inner(element: Any, compiler: Any, keywords: Any) -> str:
    return str(compiler.process(element.clauses, **keywords))


def _refuse(element: ColumnElement[Any], compiler: Any, **keywords: Any) -> str:
    raise MisuseError(_unknown_to(compiler.dialect))


def _unknown_to(dialect: Dialect) -> str:
    return (
        f"conditions are compiled for PostgreSQL and SQLite, not for {dialect.name}, which may "
        "compare in another way than the item check does"
    )


for _element in (by_code_points, is_number):
    compiles(_element)(_refuse)


@compiles(by_code_points, "postgresql")
def _in_postgresql(element: Any, compiler: Any, **keywords: Any) -> str:
    return f'({_inner(element, compiler, keywords)} COLLATE "C")'


@compiles(by_code_points, "default")
@compiles(by_code_points, "sqlite")
def _in_sqlite(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"({_inner(element, compiler, keywords)} COLLATE BINARY)"


@compiles(is_number, "postgresql")
def _no_nan(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"{_inner(element, compiler, keywords)} <> 'NaN'"


@compiles(is_number, "default")
@compiles(is_number, "sqlite")
def _not_null(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"{_inner(element, compiler, keywords)} IS NOT NULL"  # NaN is stored as NULL
