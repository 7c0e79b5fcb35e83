"""Dialects: how strings and numbers are compared where databases differ from Python.

How it works. What each database compiles in its own way is an element or a type of this file. SQL
that is compiled without a database, to be printed, looks like SQLite's.
"""

from __future__ import annotations

import math
from decimal import Decimal
from operator import getitem
from typing import Any

from sqlalchemy import Dialect, and_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, Float, Numeric, String, TypeDecorator, TypeEngine

from ...errors import MisuseError

_MYSQL = ("mysql", "mariadb")
_KNOWN = ("postgresql", "sqlite", "default", *_MYSQL)
_SHORTEST_DOUBLE = 25  # bits; FLOAT(24) is a single
_WHOLE_DIGITS, _DECIMALS = 35, 30  # of the longest DECIMAL in MySQL


# --- the types that values are bound with --------------------------------------------------------


class ExactText(TypeDecorator[str]):
    """The type of strings; refuses databases of which it is not known how they compare."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in _KNOWN:
            raise MisuseError(_unknown_to(dialect))
        return dialect.type_descriptor(String())


class ExactFloat(TypeDecorator[float]):
    """The type of floats, for a column that is a double; MySQL's `Float()` is not."""

    impl = Float
    cache_ok = True

    def __init__(self, bits: int | None) -> None:
        super().__init__(53)
        self.bits = bits

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in _MYSQL and self.bits is None:
            raise MisuseError(_SINGLE)
        return dialect.type_descriptor(Float(53))

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        if dialect.name in _MYSQL and value is not None and math.isinf(value):
            raise MisuseError("infinity cannot be compared in MySQL: compare with a number")
        return value


class ExactDecimal(TypeDecorator[Decimal]):
    """The type of Decimals; MySQL would read a literal with an exponent as a double."""

    impl = Numeric
    cache_ok = True

    def bind_expression(self, bindvalue: Any) -> Any:
        return exact_decimal(bindvalue)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if dialect.name not in _MYSQL or value is None:
            return value
        exponent = value.normalize().as_tuple().exponent
        fits = isinstance(exponent, int) and -exponent <= _DECIMALS
        if not fits or value.copy_abs() >= Decimal(10) ** _WHOLE_DIGITS:
            raise MisuseError(
                f"{value} cannot be compared in MySQL: it has more than {_WHOLE_DIGITS} digits "
                f"before the point, or more than {_DECIMALS} after it"
            )
        return f"{value:f}"


# --- the elements --------------------------------------------------------------------------------


class by_code_points(FunctionElement[Any]):
    """A string compared by its code points, regardless of the collation of its column."""

    name = "by_code_points"
    type = String()
    inherit_cache = True


class whole_text(FunctionElement[Any]):
    """A string compared with `=` or `<>`, in which case, accents and trailing blanks count."""

    name = "whole_text"
    type = String()
    inherit_cache = True


class _Comparison(FunctionElement[Any]):
    """A comparison that a database without booleans is not asked to compare with 1."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        return self


class truth(FunctionElement[bool]):
    """A boolean; a number other than 0 and 1, which some databases store, is true as in Python."""

    name = "truth"
    type = Boolean()
    inherit_cache = True


class same_text(_Comparison):
    """Whether a column of strings is equal to a string, found by an index of the column."""

    name = "same_text"
    inherit_cache = True


class text_among(_Comparison):
    """Whether a column of strings is one of several strings, found by an index of the column."""

    name = "text_among"
    inherit_cache = True


class exact_decimal(FunctionElement[Any]):
    """A Decimal that is a parameter."""

    name = "exact_decimal"
    type = Numeric()
    inherit_cache = True


class is_number(_Comparison):
    """Whether a float or a Decimal is neither NULL nor NaN."""

    name = "is_number"
    inherit_cache = True


def _inner(element: Any, compiler: Any, keywords: Any) -> str:
    (inner,) = element.clauses
    return str(compiler.process(inner.self_group(against=getitem), **keywords))


def _refuse(element: ColumnElement[Any], compiler: Any, **keywords: Any) -> str:
    raise MisuseError(_unknown_to(compiler.dialect))


def _unknown_to(dialect: Dialect) -> str:
    return (
        f"Conditions cannot be compiled for {dialect.name}, which may compare differently from "
        "Python: use PostgreSQL, MySQL, MariaDB or SQLite."
    )


for _element in (
    by_code_points,
    whole_text,
    truth,
    same_text,
    text_among,
    exact_decimal,
    is_number,
):
    compiles(_element)(_refuse)


@compiles(whole_text, "postgresql", "sqlite", "default")
@compiles(exact_decimal, "postgresql", "sqlite", "default")
@compiles(truth, "postgresql", "default")
def _as_it_is(element: Any, compiler: Any, **keywords: Any) -> str:
    return _inner(element, compiler, keywords)


@compiles(truth, "sqlite", *_MYSQL)
def _not_zero(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"({_inner(element, compiler, keywords)} <> 0)"


@compiles(same_text, "postgresql", "sqlite", "default")
def _equal(element: Any, compiler: Any, **keywords: Any) -> str:
    column, value = element.clauses
    return str(compiler.process(column == value, **keywords))


@compiles(text_among, "postgresql", "sqlite", "default")
def _among(element: Any, compiler: Any, **keywords: Any) -> str:
    column, values = element.clauses
    return str(compiler.process(column.in_(values), **keywords))


@compiles(by_code_points, "postgresql")
def _in_postgresql(element: Any, compiler: Any, **keywords: Any) -> str:
    return f'({_inner(element, compiler, keywords)} COLLATE "C")'


@compiles(by_code_points, "default", "sqlite")
def _in_sqlite(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"({_inner(element, compiler, keywords)} COLLATE BINARY)"


@compiles(is_number, "postgresql")
def _no_nan(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"({_inner(element, compiler, keywords)} <> 'NaN')"


@compiles(is_number, "default", "sqlite")
def _not_null(element: Any, compiler: Any, **keywords: Any) -> str:
    return f"({_inner(element, compiler, keywords)} IS NOT NULL)"  # NaN is stored as NULL


# --- MySQL and MariaDB, whose collations ignore case, accents and trailing blanks ---------------

_SINGLE = (
    "A column of the type Float is a single in MySQL, which Python shows rounded: use Double or "
    "Float(53)."
)


@compiles(by_code_points, *_MYSQL)
@compiles(whole_text, *_MYSQL)
def _in_mysql(element: Any, compiler: Any, **keywords: Any) -> str:
    dialect = compiler.dialect
    is_mariadb = dialect.name == "mariadb" or getattr(dialect, "is_mariadb", False)
    collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
    text = _inner(element, compiler, keywords)
    return f"(CONVERT({text} USING utf8mb4) COLLATE {collation})"


@compiles(same_text, *_MYSQL)
def _equal_in_mysql(element: Any, compiler: Any, **keywords: Any) -> str:
    column, value = element.clauses
    both = and_(column == value, whole_text(column) == value)
    return f"({compiler.process(both, **keywords)})"


@compiles(text_among, *_MYSQL)
def _among_in_mysql(element: Any, compiler: Any, **keywords: Any) -> str:
    column, values = element.clauses
    both = and_(column.in_(values), whole_text(column).in_(values))
    return f"({compiler.process(both, **keywords)})"


@compiles(exact_decimal, *_MYSQL)
def _cast_in_mysql(element: Any, compiler: Any, **keywords: Any) -> str:
    digits = f"{_WHOLE_DIGITS + _DECIMALS}, {_DECIMALS}"
    return f"CAST({_inner(element, compiler, keywords)} AS DECIMAL({digits}))"


@compiles(is_number, *_MYSQL)
def _not_null_in_mysql(element: Any, compiler: Any, **keywords: Any) -> str:
    (number,) = element.clauses
    if is_single(number.type):
        raise MisuseError(_SINGLE)
    return f"({_inner(element, compiler, keywords)} IS NOT NULL)"  # there is no NaN


def is_single(kind: TypeEngine[Any]) -> bool:
    """Return whether a column of this type has less than double precision in MySQL."""
    return kind.__visit_name__ in ("float", "FLOAT") and (
        (getattr(kind, "precision", None) or 0) < _SHORTEST_DOUBLE
    )
