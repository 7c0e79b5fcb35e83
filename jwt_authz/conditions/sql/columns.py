"""Columns: the kind and the SQL expression of an attribute on a mapped class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Column as TableColumn
from sqlalchemy import inspect, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapper, RelationshipDirection, aliased
from sqlalchemy.types import BigInteger, DateTime, Enum, NullType, TypeEngine

from ...errors import MisuseError
from ..operands import attr
from .dialects import ExactDecimal, ExactFloat, ExactText, by_code_points, is_single, whole_text

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

    `choices` are the strings of an `Enum` without a class, else None.
    """

    attribute: attr
    kind: type
    bound_as: TypeEngine[Any]
    collation: str | None
    choices: frozenset[str] | None
    is_aware: bool
    _kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def of(self, entity: Any) -> Any:
        """Return its SQL on a class or an alias; NULL if a relation in the path is NULL."""
        return self.once(entity, None, lambda: _expression(entity, self.attribute.path))

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
        if self.kind is not str or self.choices is not None:
            return expression
        is_plain = sign in ("==", "!=") and self.collation is None
        return whole_text(expression) if is_plain else by_code_points(expression)

    @property
    def is_indexed_text(self) -> bool:
        """Whether equal strings may be found by an index of the model's own table."""
        is_own = self.kind is str and self.choices is None and len(self.attribute.path) == 1
        return is_own and self.collation is None

    def bound(self, value: Any) -> Any:
        """Return a value of the column's kind as the database driver expects it."""
        if self.kind is datetime and not self.is_aware:
            return value.replace(tzinfo=None)  # which is UTC already
        return value


def read_column(attribute: attr, mapper: Mapper[Any]) -> Column:
    """Return the column of an attribute of a mapped class; raise `MisuseError` if it is not one."""
    for name in attribute.path[:-1]:
        mapper = _referred(attribute, name, mapper)
    name = attribute.path[-1]
    column = mapper.columns.get(name)
    if not isinstance(column, TableColumn):
        raise MisuseError(_no_column(attribute, name, mapper))
    return _typed(attribute, column.type, f"{mapper.class_.__name__}.{name}")


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
            "Use a many-to-one relation, whose foreign key is in the model's own table."
        )
    return relation.mapper


def _no_column(attribute: attr, name: str, mapper: Mapper[Any]) -> str:
    place = f"{mapper.class_.__name__}.{name}"
    if name not in dir(mapper.class_):  # hasattr would call a hybrid
        known = ", ".join(sorted(mapper.columns.keys()))
        return f"{attribute!r}: {mapper.class_.__name__} has no {name}. Its columns are {known}."
    if name in mapper.relationships:
        return (
            f"{attribute!r}: {place} is a relation. Write attr('{name}.id') for one of its columns."
        )
    return (
        f"{attribute!r}: {place} is not a column of a table (but, for example, a property, a "
        "hybrid, a synonym or an expression). Compare the underlying columns."
    )


def _expression(entity: Any, path: tuple[str, ...]) -> Any:
    name, *rest = path
    attribute = getattr(entity, name)
    if not rest:
        return attribute
    # A subquery instead of has(): without a related object the result must be NULL, not FALSE.
    target = aliased(inspect(entity).mapper.relationships[name].mapper)
    return (
        select(_expression(target, tuple(rest)))
        .where(attribute.of_type(target))
        .correlate(entity)
        .scalar_subquery()
    )
