"""Columns: the kind and the SQL expression of an attribute on a mapped class."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum as EnumClass
from typing import Any
from uuid import UUID

from sqlalchemy import Column as TableColumn
from sqlalchemy import ColumnElement, inspect, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapper, RelationshipDirection, aliased
from sqlalchemy.types import BigInteger, DateTime, Enum, NullType, TypeEngine

from ...errors import MisuseError
from ..operands import attr
from ..rules import Expression
from .dialects import (
    ExactDecimal,
    ExactFloat,
    ExactText,
    by_code_points,
    is_single,
    truth,
    whole_text,
)

_KINDS: dict[str, type] = {
    **dict.fromkeys(("string", "text", "unicode", "unicode_text", "VARCHAR", "TEXT"), str),
    **dict.fromkeys(("TINYTEXT", "MEDIUMTEXT", "LONGTEXT"), str),
    **dict.fromkeys(("boolean", "BOOLEAN"), bool),
    **dict.fromkeys(("integer", "big_integer", "small_integer"), int),
    **dict.fromkeys(("INTEGER", "BIGINT", "SMALLINT", "MEDIUMINT"), int),
    **dict.fromkeys(("float", "FLOAT", "double", "DOUBLE", "DOUBLE_PRECISION"), float),
    **dict.fromkeys(("numeric", "NUMERIC", "DECIMAL"), Decimal),
    **dict.fromkeys(("datetime", "DATETIME", "TIMESTAMP"), datetime),
    **dict.fromkeys(("date", "DATE"), date),
    **dict.fromkeys(("uuid", "UUID"), UUID),
}
_TYPES_OF = (
    "sqlalchemy.sql.sqltypes",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.mysql",
)
# As wide as the kind, so that a value is never truncated or rounded to the column's type.
_BOUND_AS: dict[type, Callable[[Any], TypeEngine[Any]]] = {
    str: lambda held: ExactText(),
    int: lambda held: BigInteger(),
    float: lambda held: ExactFloat(None if is_single(held) else 53),
    Decimal: lambda held: ExactDecimal(),
    datetime: lambda held: DateTime(timezone=held.timezone),
}
_SHORTEST_DOUBLE = 25  # bits; SQL's FLOAT(24) is a single


@dataclass(frozen=True)
class Column:
    """The column of an attribute: its kind, and the type that values are bound with.

    `choices` are the strings of an `Enum` without a class, else None. `sql` returns the expression
    of an attribute that is not a column, given the model or an alias of it.
    """

    attribute: attr
    kind: type
    bound_as: TypeEngine[Any]
    collation: str | None
    choices: frozenset[str] | None
    is_aware: bool
    sql: Expression | None = None
    _kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def of(self, entity: Any) -> Any:
        """Return its SQL on a class or an alias; NULL if a relation in the path is NULL."""
        return self.once(entity, None, lambda: _expression(entity, self.attribute.path, self.sql))

    def compared_on(self, entity: Any, sign: str) -> Any:
        """Return its SQL for a comparison: strings are compared by code points."""
        return self.once(entity, sign, lambda: self._compared(self.of(entity), sign))

    @property
    def may_be_nan(self) -> bool:
        """Whether its values may be NaN."""
        return self.kind is float or self.kind is Decimal

    def once(self, entity: Any, key: Any, make: Callable[[], Any]) -> Any:
        """Return a value that is cached for a class; for an alias, make it again."""
        if not isinstance(entity, type):
            return make()
        if (entity, key) not in self._kept:
            self._kept[entity, key] = make()
        return self._kept[entity, key]

    def _compared(self, expression: Any, sign: str) -> Any:
        if self.kind is bool:
            return truth(expression)
        if not self.is_text:
            return expression
        is_plain = self.is_enum or (sign in ("==", "!=") and self.collation is None)
        return whole_text(expression) if is_plain else by_code_points(expression)

    @property
    def is_indexed_text(self) -> bool:
        """Whether equal strings may be found by an index of the model's own table."""
        return self.is_text and len(self.attribute.path) == 1 and self.collation is None

    @property
    def is_enum(self) -> bool:
        """Whether its values are the members of an `Enum`, or one's strings."""
        return self.choices is not None or issubclass(self.kind, EnumClass)

    @property
    def is_text(self) -> bool:
        """Whether the database compares its values as strings."""
        return self.kind is str or self.is_enum

    def bound(self, value: Any) -> Any:
        """Return a value of the column's kind as the database driver expects it."""
        if self.kind is datetime and not self.is_aware:
            return value.replace(tzinfo=None)  # which is UTC already
        return value


def read_column(
    attribute: attr, mapper: Mapper[Any], expressions: Mapping[tuple[type, str], Expression]
) -> Column:
    """Return the column of an attribute of a mapped class; raise `MisuseError` if it is not one."""
    for name in attribute.path[:-1]:
        mapper = _referred(attribute, name, mapper)
    name = attribute.path[-1]
    place = f"{mapper.class_.__name__}.{name}"
    for model in mapper.class_.__mro__:
        if (model, name) in expressions:
            sql = expressions[model, name]
            return _expressed(attribute, sql, sql(mapper.class_).type, place)
    column = mapper.columns.get(name)
    if isinstance(column, TableColumn):
        return _typed(attribute, column.type, place)
    if column is not None:  # a `column_property`, whose value the database gives
        return _expressed(attribute, operator.attrgetter(name), column.type, place)
    raise MisuseError(_no_column(attribute, name, mapper))


def check_expression(model: type, name: str, sql: Expression) -> None:
    """Raise `MisuseError` unless the attribute is an expression of a kind that is compared."""
    mapper: Any = inspect(model, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise MisuseError(f"{model!r} is not mapped by SQLAlchemy, and has no expressions")
    place = f"{model.__name__}.{name}"
    if isinstance(mapper.columns.get(name), TableColumn):
        raise MisuseError(f"{place} is a column, and is compared as it is: choose another name")
    try:
        made = sql(model)
    except AttributeError as error:
        raise MisuseError(f"{place}: {error}. Write authz.expression(model, name, sql).") from None
    if not isinstance(getattr(made, "type", None), TypeEngine):
        raise MisuseError(
            f"{place} is {type(made).__name__}, expected an expression of SQLAlchemy: write "
            f"authz.expression({model.__name__}, {name!r}, lambda row: ...)."
        )
    _expressed(attr(name), sql, made.type, place)


def _expressed(attribute: attr, sql: Expression, held: Any, place: str) -> Column:
    """Return the column of an expression, whose collation is not known."""
    if isinstance(held, NullType):
        raise MisuseError(
            f"{attribute!r}: the type of the expression {place} is not known: put "
            "type_coerce(..., String) or another type around it."
        )
    made = _typed(attribute, held, place)
    return replace(made, sql=sql, collation=made.collation or "unknown")


def _typed(attribute: attr, held: Any, place: str) -> Column:
    if isinstance(held, NullType):  # a foreign key, whose type is that of its target
        raise MisuseError(
            f"{attribute!r}: the type of {place} is not known yet. Register the rule after all "
            "models are defined."
        )
    kind = _kind_of(held)
    if kind is None:
        raise MisuseError(
            f"{attribute!r}: {place} is {held!r}, whose values Python and SQL may compare "
            "differently. Use a column of strings, numbers, booleans, dates, datetimes, UUIDs "
            "or an Enum."
        )
    bound_as = _BOUND_AS[kind](held) if kind in _BOUND_AS and not isinstance(held, Enum) else held
    choices = frozenset(held.enums) if isinstance(held, Enum) and held.enum_class is None else None
    collation = getattr(held, "collation", None)
    return Column(
        attribute, kind, bound_as, collation, choices, bool(getattr(held, "timezone", False))
    )


def _kind_of(held: Any) -> type | None:
    """Return the kind of a column type's values; None if Python and SQL may disagree on them."""
    if not type(held).__module__.startswith(_TYPES_OF):
        return None
    if isinstance(held, Enum):
        return held.enum_class or str
    kind = _KINDS.get(held.__visit_name__)
    if kind is float and (held.asdecimal or (held.precision or 53) < _SHORTEST_DOUBLE):
        return None
    if kind is Decimal and not held.asdecimal:
        return None
    if kind is UUID and not held.as_uuid:
        return None
    return kind


def _referred(attribute: attr, name: str, mapper: Mapper[Any]) -> Mapper[Any]:
    """Return the mapper at the other end of a many-to-one relation."""
    try:
        relation = mapper.relationships.get(name)
    except InvalidRequestError as error:
        raise MisuseError(
            f"{attribute!r}: the models cannot be mapped yet ({error}). Register the rule after "
            "all models are defined."
        ) from error
    if relation is None:
        raise MisuseError(
            f"{attribute!r}: {mapper.class_.__name__}.{name} is not a relation to another model."
        )
    if relation.uselist or relation.direction is not RelationshipDirection.MANYTOONE:
        raise MisuseError(
            f"{attribute!r}: {mapper.class_.__name__}.{name} is a relation to many objects. "
            f"Write attr({name!r}).any(...), or use a many-to-one relation, whose foreign key is "
            "in the model's own table."
        )
    return relation.mapper


def read_relation(attribute: attr, mapper: Mapper[Any]) -> Mapper[Any]:
    """Return the mapper of the objects of a to-many relation; raise `MisuseError` for another."""
    for name in attribute.path[:-1]:
        mapper = _referred(attribute, name, mapper)
    name = attribute.path[-1]
    relation = mapper.relationships.get(name)
    place = f"{mapper.class_.__name__}.{name}"
    if relation is None:
        raise MisuseError(f"{attribute!r}: {place} is not a relation to another model.")
    if not relation.uselist:
        raise MisuseError(
            f"{attribute!r}: {place} is a relation to one object: write attr('{name}.id') == ...."
        )
    return relation.mapper


def exists(entity: Any, path: tuple[str, ...], where: Callable[[Any], Any]) -> ColumnElement[bool]:
    """Return whether a related object exists for which `where`, given its alias, holds."""
    name, *rest = path
    relation = inspect(entity).mapper.relationships[name]
    target = aliased(relation.mapper)
    found = exists(target, tuple(rest), where) if rest else where(target)
    attribute = getattr(entity, name).of_type(target)
    made: ColumnElement[bool] = attribute.any(found) if relation.uselist else attribute.has(found)
    return made


def _no_column(attribute: attr, name: str, mapper: Mapper[Any]) -> str:
    place = f"{mapper.class_.__name__}.{name}"
    if name not in dir(mapper.class_):  # hasattr would call a hybrid
        known = ", ".join(sorted(mapper.columns.keys()))
        return f"{attribute!r}: {mapper.class_.__name__} has no {name}. Its columns are {known}."
    if name in mapper.relationships:
        return (
            f"{attribute!r}: {place} is a relation. Write attr('{name}.id') for one of its "
            f"columns, or attr('{name}').any(...) for a relation to many."
        )
    return (
        f"{attribute!r}: {place} is not a column of a table (but, for example, a property, a "
        f"hybrid or a synonym). Write authz.expression({mapper.class_.__name__}, {name!r}) before "
        "the rule if the class attribute is SQL, or compare the underlying columns."
    )


def _expression(entity: Any, path: tuple[str, ...], sql: Expression | None) -> Any:
    name, *rest = path
    if not rest:
        return getattr(entity, name) if sql is None else sql(entity)
    attribute = getattr(entity, name)
    # A subquery instead of has(): without a related object the result must be NULL, not FALSE.
    target = aliased(inspect(entity).mapper.relationships[name].mapper)
    return (
        select(_expression(target, tuple(rest), sql))
        .where(attribute.of_type(target))
        .correlate(entity)
        .scalar_subquery()
    )
