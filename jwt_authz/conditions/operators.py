"""Operators: turn two operands, one of which may be a literal, into a condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from ..errors import MisuseError
from ..policy.requirements import Requirement
from .comparisons import Among, Comparison, Operand
from .kinds import NAMES, UNKNOWN, fitted, is_ordered, kind_of, known, named


class Literal(Operand):
    """A value written in the code."""

    rank = 3

    def __init__(self, value: object) -> None:
        self.value = _literal(value)

    @property
    def kind(self) -> type | None:
        return kind_of(self.value)

    def read(self, identity: Any, on: Any) -> Any:
        return self.value

    @property
    def words(self) -> str:
        is_text = isinstance(self.value, Decimal | UUID | datetime)
        return str(self.value) if is_text else repr(self.value)

    @property
    def key(self) -> tuple[Any, ...]:
        return (type(self.value), self.value)

    def __repr__(self) -> str:
        return repr(self.value)


class Comparable(Operand):
    """An operand with comparison operators, each of which makes a condition."""

    def __eq__(self, other: object) -> Comparison:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: object) -> Comparison:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: object) -> Comparison:
        return self._compared("<", other)

    def __le__(self, other: object) -> Comparison:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Comparison:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Comparison:
        return self._compared(">=", other)

    def __hash__(self) -> int:
        return hash(self.key)

    def in_(self, values: object) -> Among:
        """Return the condition that it is one of these values, or in a claim with a list.

        An empty list is never met. Raises `MisuseError` for values that cannot be compared.
        """
        if isinstance(values, Operand) and values.may_be_list:
            return Among(self, values)
        if isinstance(values, str | bytes | Mapping | Operand) or not isinstance(values, Iterable):
            raise MisuseError(f"in_() takes a list of values: write {self!r}.in_([...]).")
        choices = tuple(Literal(value) for value in values)
        for choice in choices:
            _refuse_mismatch(self, "==", choice)
        return Among(self, choices)

    def _compared(self, sign: str, other: object) -> Comparison:
        right = other if isinstance(other, Operand) else Literal(other)
        _refuse_mismatch(self, sign, right)
        return Comparison(self, sign, right)

    def __bool__(self) -> bool:
        raise MisuseError(f"{self!r} has no truth value: compare it, as in {self!r} == ....")

    def _joined(self, *other: object) -> Any:
        raise MisuseError(
            f"{self!r} is combined before it is compared: put parentheses around each comparison, "
            f"as in ({self!r} == ...) & (...)."
        )

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = _joined

    def __iter__(self) -> Iterator[Any]:
        raise MisuseError(f"{self!r} is not iterable: write {self!r}.in_([...]).")


def _literal(value: Any) -> Any:
    """Return a literal as it is compared; raise `MisuseError` for an unsupported value."""
    if isinstance(value, Requirement):
        raise MisuseError(
            f"Cannot compare with the condition {value!r}: put parentheses around each comparison, "
            "as in (attr('a') == 1) & (attr('b') == 2)."
        )
    if value is None:
        raise MisuseError(
            "Cannot compare with None: write attr(...).is_(None) or attr(...).is_not(None)."
        )
    kind = kind_of(value)
    if kind is None:
        listed = ", ".join(named(one) for one in NAMES)
        hint = ": write .in_([...])" if isinstance(value, list | tuple | set | frozenset) else ""
        raise MisuseError(
            f"Cannot compare with {type(value).__name__}: expected {listed} or a member of an "
            f"Enum{hint}"
        )
    if known(value) is UNKNOWN or fitted(known(value), kind) is UNKNOWN:
        raise MisuseError(
            f"No column can store {value!r}, so the condition can never be met: use another value."
        )
    return known(value)


def _refuse_mismatch(left: Operand, sign: str, right: Operand) -> None:
    """Raise `MisuseError` if both kinds are known and cannot be compared."""
    for operand in (left, right):
        if sign not in ("==", "!=") and operand.kind is not None and not is_ordered(operand.kind):
            raise MisuseError(f"{operand!r} has no order: compare it with == or !=.")
    if None in (left.kind, right.kind) or left.kind is right.kind:
        return
    kinds = {left.kind, right.kind}
    if kinds in ({int, float}, {int, Decimal}):
        return
    raise MisuseError(mismatch(left, left.kind, right, right.kind))


def mismatch(left: Operand, own: type | None, right: Operand, other: type | None) -> str:
    """Return the message for two sides that cannot be compared, with what to write instead."""
    hint = ""
    for operand, wanted in ((right, own), (left, other)):
        if wanted in (int, UUID) and hasattr(operand, "as_"):
            hint = f": write {operand!r}.as_({wanted.__name__})"
    if own is not None and issubclass(own, Enum):
        hint = f": write a member of {own.__name__}"
    return f"{left!r} is {named(own)}, but {right!r} is {named(other)}{hint}"
