"""Texts and numbers in SQL where a database's own idea of them differs from Python's."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import CompileError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, String


class by_code_points(FunctionElement[Any]):
    """A text that is compared by its code points, whatever the collation of its column."""

    name = "by_code_points"
    type = String()
    inherit_cache = True


class as_stored(FunctionElement[Any]):
    """A text as it stands, where the database compares all of it; an index on it is used."""

    name = "as_stored"
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
    raise CompileError(
        f"conditions are compiled for PostgreSQL and SQLite, not for {compiler.dialect.name}, "
        "which may compare in another way than the item check does"
    )


for _element in (by_code_points, as_stored, is_number):
    compiles(_element)(_refuse)


@compiles(by_code_points, "postgresql")
def _in_postgresql(element: Any, compiler: Any, **keywords: Any) -> str:
    return f'({_inner(element, compiler, keywords)} COLLATE "C")'


@compiles(by_code_points, "sqlite")
def _in_sqlite(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"({_inner(element, compiler, keywords)} COLLATE BINARY)"


@compiles(as_stored, "postgresql")
@compiles(as_stored, "sqlite")
def _as_it_is(element: Any, compiler: Any, **keywords: Any) -> str:
    return _inner(element, compiler, keywords)


@compiles(is_number, "postgresql")
def _no_nan(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"{_inner(element, compiler, keywords)} <> 'NaN'"


@compiles(is_number, "sqlite")
def _not_null(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"{_inner(element, compiler, keywords)} IS NOT NULL"  # NaN is stored as NULL
