"""Dialects: how strings and numbers are compared where databases differ from Python.

SQL that is compiled without a database, to be printed, looks like SQLite's.
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
    """The type that strings are bound with, on databases whose `=` compares the whole string."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in ("postgresql", "sqlite", "default"):
            raise MisuseError(_unknown_to(dialect))
        return dialect.type_descriptor(String())


class by_code_points(FunctionElement[Any]):
    """A string compared by its code points, regardless of the collation of its column."""

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
        f"Conditions cannot be compiled for {dialect.name}, which may compare differently from "
        "Python: use PostgreSQL or SQLite."
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
