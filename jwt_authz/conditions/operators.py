"""Operators: what turns two operands into a condition, and literals, which are operands, too."""

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
    """A value that is written in the code."""

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
    """What can be compared by operators; each makes a condition."""

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
        """Met where it is one of these values, or in a claim that is a list.

        Without values it is never met. Raises `MisuseError` for values that cannot be compared.
        """
        if isinstance(values, Operand) and values.may_be_list:
            return Among(self, values)
        if isinstance(values, str | bytes | Mapping | Operand) or not isinstance(values, Iterable):
            raise MisuseError(f"in_ takes a list of values: write {self!r}.in_([...])")
        choices = tuple(Literal(value) for value in values)
        for choice in choices:
            _refuse_mismatch(self, "==", choice)
        return Among(self, choices)

    def _compared(self, sign: str, other: object) -> Comparison:
        right = other if isinstance(other, Operand) else Literal(other)
        _refuse_mismatch(self, sign, right)
        return Comparison(self, sign, right)

    def __bool__(self) -> bool:
        raise MisuseError(f"{self!r} is no answer: compare it, as in {self!r} == ...")

    def _joined(self, *other: object) -> Any:
        raise MisuseError(
            f"{self!r} is joined before it is compared: put brackets around each comparison, as in "
            f"({self!r} == ...) & (...)"
        )

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = _joined

    def __iter__(self) -> Iterator[Any]:
        raise MisuseError(f"{self!r} has no members: write {self!r}.in_([...])")


def _literal(value: Any) -> Any:
    """The value of a literal as it is compared; raises `MisuseError` for what cannot be one."""
    if isinstance(value, Requirement):
        raise MisuseError(
            f"a condition is compared with {value!r}: put brackets around each comparison, as in "
            "(attr('a') == 1) & (attr('b') == 2)"
        )
    if value is None:
        raise MisuseError("None is compared by is_: write attr(...).is_(None), or .is_not(None)")
    kind = kind_of(value)
    if kind is None:
        listed = ", ".join(named(one) for one in NAMES)
        hint = ": write .in_([...])" if isinstance(value, list | tuple | set | frozenset) else ""
        raise MisuseError(
            f"a condition compares {listed} or a member of an Enum, not "
            f"{type(value).__name__}{hint}"
        )
    if known(value) is UNKNOWN or fitted(known(value), kind) is UNKNOWN:
        raise MisuseError(f"{value!r} can be stored in no column, and so is never met")
    return known(value)


def _refuse_mismatch(left: Operand, sign: str, right: Operand) -> None:
    """Raises `MisuseError` where kinds that are known by now cannot be compared."""
    for operand in (left, right):
        if sign not in ("==", "!=") and operand.kind is not None and not is_ordered(operand.kind):
            raise MisuseError(f"{operand!r} has no order: compare it by == or !=")
    if None in (left.kind, right.kind) or left.kind is right.kind:
        return
    kinds = {left.kind, right.kind}
    if kinds in ({int, float}, {int, Decimal}):
        return
    raise MisuseError(mismatch(left, left.kind, right, right.kind))


def mismatch(left: Operand, own: type | None, right: Operand, other: type | None) -> str:
    """What to write for two sides that cannot be compared."""
    hint = ""
    for operand, wanted in ((right, own), (left, other)):
        if wanted in (int, UUID) and hasattr(operand, "as_"):
            hint = f": write {operand!r}.as_({wanted.__name__})"
    if own is not None and issubclass(own, Enum):
        hint = f": write a member of {own.__name__}"
    return f"{left!r} is {named(own)}, and {right!r} {named(other)}{hint}"
