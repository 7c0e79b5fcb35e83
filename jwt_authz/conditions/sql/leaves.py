"""Leaves: compiles single conditions to SQL: where each says yes, says no, and has no error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import abc
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_
from sqlalchemy.orm import Mapper

from ...errors import MisuseError
from ...policy.functions import NO_RESOURCE, Undecided
from ...policy.requirements import Requirement
from ..comparisons import Among, Comparison, IsNull, Operand, fitted_choices, known_of
from ..kinds import NEGATED, OPERATORS, UNKNOWN, fitted, is_ordered, named
from ..operands import attr, claim
from ..operators import Literal, mismatch
from ..rules import Expression
from .columns import Column, read_column
from .dialects import is_number, same_text, text_among

Criterion = ColumnElement[bool] | bool


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of a plan: the caller, the entity, and the requirements overridden."""

    identity: Any
    entity: Any
    overridden: Collection[Requirement]


class Node(ABC):
    """A part of a requirement, as three criteria on a row; each may be a constant.

    `yes` and `no` match the rows for which the part says so without an error; a row for which it
    is unknown matches neither, so NULL counts as false in both. `sound` matches the rows without
    an error.
    """

    @abstractmethod
    def yes(self, call: Call) -> Criterion: ...

    @abstractmethod
    def no(self, call: Call) -> Criterion: ...

    @abstractmethod
    def sound(self, call: Call) -> Criterion: ...


class _Signed(Node):
    """A comparison with an operator; its no is the comparison with the opposite operator."""

    _sign: str

    def yes(self, call: Call) -> Criterion:
        return self._where(self._sign, call)

    def no(self, call: Call) -> Criterion:
        return self._where(NEGATED[self._sign], call)

    @abstractmethod
    def _where(self, sign: str, call: Call) -> Criterion: ...


class Compared(_Signed):
    """A column compared with a value of the identity, or with a literal."""

    def __init__(self, condition: Comparison, column: Column) -> None:
        self._column = column
        self._sign = condition.sign
        self._other = condition.right
        _refuse_unfit(column, condition.left, condition.sign, condition.right)

    def sound(self, call: Call) -> Criterion:
        return _sound(self._column, call, lambda: self._value(call))

    def _where(self, sign: str, call: Call) -> Criterion:
        if not isinstance(self._other, Literal):
            return self._made(sign, call)
        key = (sign, self._other.key)  # the same for every caller
        made: Criterion = self._column.once(call.entity, key, lambda: self._made(sign, call))
        return made

    def _made(self, sign: str, call: Call) -> Criterion:
        try:
            value = self._value(call)
        except Undecided:
            return False
        if value is UNKNOWN:
            return False
        bound = bindparam(None, self._column.bound(value), self._column.bound_as, unique=True)
        return _compared(self._column, sign, call, bound)

    def _value(self, call: Call) -> Any:
        value = known_of(self._other.read(call.identity, NO_RESOURCE))
        return value if value is UNKNOWN else fitted(value, self._column.kind)


class ComparedColumns(_Signed):
    """Two columns of a row, compared with each other."""

    def __init__(self, condition: Comparison, left: Column, right: Column) -> None:
        self._left, self._right, self._sign = left, right, condition.sign
        one, other = condition.left, condition.right
        if left.kind is not right.kind:
            raise MisuseError(mismatch(one, left.kind, other, right.kind))
        if left.is_aware is not right.is_aware:
            raise MisuseError(
                f"{one!r} and {other!r} cannot be compared: only one of them has a time zone."
            )
        if left.is_enum or right.is_enum:
            raise MisuseError(f"{one!r} is an Enum: compare it with a literal value.")
        _refuse_disorder(one, condition.sign, left.kind)

    def sound(self, call: Call) -> Criterion:
        return True

    def _where(self, sign: str, call: Call) -> Criterion:
        if self._left.kind is str:  # each by code points: two columns may differ in collation
            left, right = (one.compared_on(call.entity, "<") for one in (self._left, self._right))
            return OPERATORS[sign](left, right)  # type: ignore[no-any-return]
        other = self._right.compared_on(call.entity, sign)
        where = _compared(self._left, sign, call, other)
        return and_(where, is_number(other)) if self._right.may_be_nan else where


class ComparedChoices(Node):
    """A column compared with the values of which it has to be one."""

    def __init__(self, condition: Among, column: Column) -> None:
        self._column = column
        self._condition = condition
        choices = condition.choices
        for choice in choices if isinstance(choices, tuple) else (choices,):
            _refuse_unfit(column, condition.left, "==", choice)

    def yes(self, call: Call) -> Criterion:
        fitting = self._fitting(call)
        values = [value for value in fitting or () if value is not UNKNOWN]
        if not values:
            return False
        if self._column.is_indexed_text:
            return text_among(self._column.of(call.entity), self._bound(values))
        return self._held(call).in_(self._bound(values))  # type: ignore[no-any-return]

    def no(self, call: Call) -> Criterion:
        fitting = self._fitting(call)
        if fitting is None or UNKNOWN in fitting:
            return False
        column = self._column.of(call.entity)
        if not fitting:
            return is_number(column) if self._column.may_be_nan else column.is_not(None)
        where = self._held(call).not_in(self._bound(fitting))
        return and_(where, is_number(column)) if self._column.may_be_nan else where

    def sound(self, call: Call) -> Criterion:
        return _sound(self._column, call, lambda: self._values(call))

    def _fitting(self, call: Call) -> list[Any] | None:
        try:
            return self._values(call)
        except Undecided:
            return None

    def _values(self, call: Call) -> list[Any] | None:
        choices = self._condition.read_choices(call.identity)
        return None if choices is UNKNOWN else fitted_choices(choices, self._column.kind)

    def _held(self, call: Call) -> Any:
        return self._column.compared_on(call.entity, "==")

    def _bound(self, values: list[Any]) -> Any:
        listed = [self._column.bound(value) for value in values]
        return bindparam(None, listed, self._column.bound_as, unique=True, expanding=True)


class ComparedWithNull(Node):
    """Whether a column is NULL, which is always known."""

    def __init__(self, column: Column) -> None:
        self._column = column

    def yes(self, call: Call) -> Criterion:
        return self._column.of(call.entity).is_(None)  # type: ignore[no-any-return]

    def no(self, call: Call) -> Criterion:
        return self._column.of(call.entity).is_not(None)  # type: ignore[no-any-return]

    def sound(self, call: Call) -> Criterion:
        return True


def read_leaf(
    condition: Requirement,
    mapper: Mapper[Any],
    expressions: abc.Mapping[tuple[type, str], Expression],
) -> Node | None:
    """Return the node of a condition on a column of the model; None for other requirements.

    Raises `MisuseError` for an attribute that is not a column, and for sides of different kinds.
    """

    def column_of(operand: attr) -> Column:
        return read_column(operand, mapper, expressions)

    if isinstance(condition, Comparison) and isinstance(condition.left, attr):
        column = column_of(condition.left)
        if isinstance(condition.right, attr):
            return ComparedColumns(condition, column, column_of(condition.right))
        return Compared(condition, column)
    if isinstance(condition, Among) and isinstance(condition.left, attr):
        return ComparedChoices(condition, column_of(condition.left))
    if isinstance(condition, IsNull) and isinstance(condition.left, attr):
        return ComparedWithNull(column_of(condition.left))
    return None


def _sound(column: Column, call: Call, read: Callable[[], object]) -> Criterion:
    """Return where reading the identity's side is valid: everywhere, or where it is not read."""
    try:
        read()
    except Undecided:
        held = column.of(call.entity)
        is_null: ColumnElement[bool] = held.is_(None)
        return or_(is_null, ~is_number(held)) if column.may_be_nan else is_null
    return True


def _compared(column: Column, sign: str, call: Call, other: Any) -> ColumnElement[bool]:
    if sign == "==" and column.is_indexed_text:
        return same_text(column.of(call.entity), other)
    where: ColumnElement[bool] = OPERATORS[sign](column.compared_on(call.entity, sign), other)
    return and_(where, is_number(column.of(call.entity))) if column.may_be_nan else where


def _refuse_unfit(column: Column, left: Operand, sign: str, right: Operand) -> None:
    """Raise `MisuseError` if a column can never be compared with this operand."""
    _refuse_disorder(left, sign, column.kind)
    if isinstance(right, Literal):
        _refuse_unfit_literal(column, left, right)
    elif column.is_enum:
        raise MisuseError(f"{left!r} is an Enum: compare it with a literal value.")
    elif isinstance(right, claim):
        if column.kind not in (str, bool, int, float, Decimal):
            raise MisuseError(
                f"{left!r} is {named(column.kind)}, which a claim cannot be: write "
                f"{right!r}.as_(UUID) for a UUID."
            )
    elif right.kind is not column.kind:
        raise MisuseError(mismatch(left, column.kind, right, right.kind))


def _refuse_unfit_literal(column: Column, left: Operand, literal: Literal) -> None:
    if column.choices is not None and literal.value not in column.choices:
        raise MisuseError(f"{left!r} can never be {literal!r}: its Enum has no such value.")
    try:
        if fitted(literal.value, column.kind) is not UNKNOWN:
            return
    except Undecided:
        raise MisuseError(mismatch(left, column.kind, literal, literal.kind)) from None
    raise MisuseError(f"{left!r} is {named(column.kind)}, and cannot hold {literal!r}.")


def _refuse_disorder(left: Operand, sign: str, kind: type) -> None:
    if sign not in ("==", "!=") and not is_ordered(kind):
        raise MisuseError(f"{left!r} is {named(kind)}, which has no order: write == or !=.")
