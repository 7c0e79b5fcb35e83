"""Columns: an attribute's path on a mapped class, as a column of a kind and as SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Column as TableColumn
from sqlalchemy import Float, inspect, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapper, RelationshipDirection, aliased
from sqlalchemy.types import BigInteger, DateTime, Enum, NullType, Numeric, TypeEngine

from ...errors import MisuseError
from ..operands import attr
from .dialects import ExactText, by_code_points

_KINDS: dict[str, type] = {
    **dict.fromkeys(("string", "text", "unicode", "unicode_text", "VARCHAR", "TEXT"), str),
    **dict.fromkeys(("boolean", "BOOLEAN"), bool),
    **dict.fromkeys(("integer", "big_integer", "small_integer"), int),
    **dict.fromkeys(("INTEGER", "BIGINT", "SMALLINT"), int),
    **dict.fromkeys(("float", "FLOAT", "double", "DOUBLE", "DOUBLE_PRECISION"), float),
    **dict.fromkeys(("numeric", "NUMERIC", "DECIMAL"), Decimal),
    **dict.fromkeys(("datetime", "DATETIME", "TIMESTAMP"), datetime),
    **dict.fromkeys(("date", "DATE"), date),
    **dict.fromkeys(("uuid", "UUID"), UUID),
}
_TYPES_OF = ("sqlalchemy.sql.sqltypes", "sqlalchemy.dialects.postgresql")
# As wide as the kind is, so that a value is never cut or rounded to what the column holds.
_BOUND_AS: dict[type, Callable[[Any], TypeEngine[Any]]] = {
    str: lambda held: ExactText(),
    int: lambda held: BigInteger(),
    float: lambda held: Float(53),
    Decimal: lambda held: Numeric(),
    datetime: lambda held: DateTime(timezone=held.timezone),
}
_SHORTEST_DOUBLE = 25  # bits; SQL's FLOAT(24) is a single


@dataclass(frozen=True)
class Column:
    """A column at the end of an attribute's path: its kind, and what its values are bound as.

    `choices` are the texts of an `Enum` without a class, else None.
    """

    attribute: attr
    kind: type
    bound_as: TypeEngine[Any]
    collation: str | None
    choices: frozenset[str] | None
    is_aware: bool
    _kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def of(self, entity: Any) -> Any:
        """The SQL for it on a class or an alias; NULL where a relation on its way has none."""
        return self.once(entity, None, lambda: _expression(entity, self.attribute.path))

    def compared_on(self, entity: Any, sign: str) -> Any:
        """The same as it is compared: a text by its code points, which `==` mostly goes by."""
        return self.once(entity, sign, lambda: self._compared(self.of(entity), sign))

    @property
    def may_be_nan(self) -> bool:
        """Whether it may hold a number that is none."""
        return self.kind is float or self.kind is Decimal

    def once(self, entity: Any, key: Any, make: Callable[[], Any]) -> Any:
        """What was made for a class, of which there are few; for an alias it is made anew."""
        if not isinstance(entity, type):
            return make()
        if (entity, key) not in self._kept:
            self._kept[entity, key] = make()
        return self._kept[entity, key]

    def _compared(self, expression: Any, sign: str) -> Any:
        if self.kind is not str or self.choices is not None:
            return expression
        is_plain = sign in ("==", "!=") and self.collation is None
        return expression if is_plain else by_code_points(expression)

    def bound(self, value: Any) -> Any:
        """A value of the column's kind as the database's driver takes it."""
        if self.kind is datetime and not self.is_aware:
            return value.replace(tzinfo=None)  # which is UTC already
        return value


def read_column(attribute: attr, mapper: Mapper[Any]) -> Column:
    """What the attribute is on a mapped class; raises `MisuseError` where it is no column."""
    for name in attribute.path[:-1]:
        mapper = _referred(attribute, name, mapper)
    name = attribute.path[-1]
    column = mapper.columns.get(name)
    if not isinstance(column, TableColumn):
        raise MisuseError(_no_column(attribute, name, mapper))
    return _typed(attribute, column.type, f"{mapper.class_.__name__}.{name}")


def _typed(attribute: attr, held: Any, place: str) -> Column:
    if isinstance(held, NullType):  # a foreign key's, which has the type of what it refers to
        raise MisuseError(
            f"{attribute!r}: the type of {place} is not known yet: register the rule once all "
            "models are defined"
        )
    kind = _kind_of(held)
    if kind is None:
        raise MisuseError(
            f"{attribute!r}: {place} is {held!r}, whose values cannot be compared alike in Python "
            "and in SQL: compare a column of strings, numbers, booleans, dates, datetimes, UUIDs "
            "or an Enum"
        )
    bound_as = _BOUND_AS[kind](held) if kind in _BOUND_AS and not isinstance(held, Enum) else held
    choices = frozenset(held.enums) if isinstance(held, Enum) and held.enum_class is None else None
    collation = getattr(held, "collation", None)
    return Column(
        attribute, kind, bound_as, collation, choices, bool(getattr(held, "timezone", False))
    )


def _kind_of(held: Any) -> type | None:
    """The kind of a column type's values, None where Python and SQL may not agree upon them."""
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
    """The class at the other end of a many-to-one relation."""
    try:
        relation = mapper.relationships.get(name)
    except InvalidRequestError as error:
        raise MisuseError(
            f"{attribute!r}: the models cannot be mapped yet ({error}): register the rule once all "
            "models are defined"
        ) from error
    if relation is None:
        raise MisuseError(
            f"{attribute!r}: {mapper.class_.__name__}.{name} is no relation to another model"
        )
    if relation.uselist or relation.direction is not RelationshipDirection.MANYTOONE:
        raise MisuseError(
            f"{attribute!r}: {mapper.class_.__name__}.{name} is a relation to many, which has no "
            "one value: name one whose foreign key is the model's own"
        )
    return relation.mapper


def _no_column(attribute: attr, name: str, mapper: Mapper[Any]) -> str:
    place = f"{mapper.class_.__name__}.{name}"
    if name not in dir(mapper.class_):  # hasattr would call a hybrid
        known = ", ".join(sorted(mapper.columns.keys()))
        return f"{attribute!r}: {mapper.class_.__name__} has no {name}: it has {known}"
    if name in mapper.relationships:
        return f"{attribute!r}: {place} is a relation: write attr('{name}.id') for a column of it"
    return (
        f"{attribute!r}: {place} is no column of a table (a property, a hybrid, a synonym or an "
        "expression, say): compare the columns that it is made of"
    )


def _expression(entity: Any, path: tuple[str, ...]) -> Any:
    name, *rest = path
    attribute = getattr(entity, name)
    if not rest:
        return attribute
    # A subquery, and not has(): that is FALSE where there is nothing, and this has to be NULL.
    target = aliased(inspect(entity).mapper.relationships[name].mapper)
    return (
        select(_expression(target, tuple(rest)))
        .where(attribute.of_type(target))
        .correlate(entity)
        .scalar_subquery()
    )
