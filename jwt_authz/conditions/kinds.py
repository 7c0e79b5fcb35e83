"""Kinds: the types of values that conditions compare, and which values are unknown.

Only what Python and SQL agree on is allowed: kinds that a database would convert by rules of its
own are not mixed, and NaN, which each database orders differently, is unknown.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from ..policy.functions import Undecided


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Any = _Unknown()
"""Stands for an unknown value: Kleene's third value, SQL's NULL."""

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}

NAMES: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    Decimal: "a Decimal",
    str: "a string",
    datetime: "a datetime",
    date: "a date",
    UUID: "a UUID",
}
LARGEST_INTEGER = 2**63 - 1
_LARGEST_EXACT_FLOAT = 2**53
_ORDERED = (int, float, Decimal, str, datetime, date)


def kind_of(value: object) -> type | None:
    """Return the kind of a value, which is its class for an `Enum`; None if not supported."""
    if type(value) in NAMES:
        return type(value)
    if isinstance(value, Enum):
        return type(value)
    return next((kind for kind in NAMES if isinstance(value, kind)), None)


def named(kind: type | None) -> str:
    """Return a kind in words, for an error."""
    return "another type" if kind is None else NAMES.get(kind, f"a {kind.__name__}")


def is_ordered(kind: type) -> bool:
    """Return whether the kind has an order on which Python and databases agree."""
    return kind in _ORDERED


def known(value: Any) -> Any:
    """Return the value as it is compared; None and NaN are `UNKNOWN`, a naive datetime is UTC."""
    if value is None:
        return UNKNOWN
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    is_nan = math.isnan(value) if isinstance(value, float) else _is_decimal_nan(value)
    return UNKNOWN if is_nan else value


def fitted(value: Any, kind: type | None) -> Any:
    """Return a known value as one of this kind; `UNKNOWN` if no column of the kind can hold it.

    An integer is converted to a float or a Decimal if that is exact. Raises `Undecided` for a
    value of another kind.
    """
    own = kind_of(value)
    if own is kind and own is not None:
        return value if _can_be_stored(value) else UNKNOWN
    if own is int and kind is float:
        return float(value) if abs(value) <= _LARGEST_EXACT_FLOAT else UNKNOWN
    if own is int and kind is Decimal:
        return Decimal(value) if _can_be_stored(value) else UNKNOWN
    raise Undecided(f"{named(kind)} cannot be compared with {named(own)}")


def compared(sign: str, left: Any, right: Any) -> bool:
    """Return the result of an operator on two values of one kind.

    Strings are in the order of their code points. Raises `Undecided` for different kinds, and for
    a kind without order.
    """
    kind = kind_of(left)
    if kind is None or kind is not kind_of(right):
        raise Undecided(f"{named(kind)} cannot be compared with {named(kind_of(right))}")
    if sign not in ("==", "!=") and not is_ordered(kind):
        raise Undecided(f"{named(kind)} has no order, so {sign} is not possible: write == or !=")
    return bool(OPERATORS[sign](left, right))


def _is_decimal_nan(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_nan()


def _can_be_stored(value: Any) -> bool:
    """Return whether a database can store the value: 64 bits; no NUL or lone surrogates in text."""
    if isinstance(value, str):
        return "\0" not in value and (value.isascii() or _is_unicode(value))
    if isinstance(value, int) and not isinstance(value, Enum):
        return -LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER
    return True


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
