"""Kinds: which values conditions compare, with what, and which of them count as not known.

What a kind allows is what Python and SQL agree upon: no kinds are mixed that a database would
convert by rules of its own, and NaN, which every database orders in another way, is not known.
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
"""Stands for what is not known: Kleene's third value, SQL's NULL."""

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
    """The kind of a value, an `Enum`'s being its class; None for what conditions do not know."""
    if type(value) in NAMES:
        return type(value)
    if isinstance(value, Enum):
        return type(value)
    return next((kind for kind in NAMES if isinstance(value, kind)), None)


def named(kind: type | None) -> str:
    """A kind in words, for an error."""
    return "of another type" if kind is None else NAMES.get(kind, f"a {kind.__name__}")


def is_ordered(kind: type) -> bool:
    """Whether the kind has a smaller and a larger on which Python and databases agree."""
    return kind in _ORDERED


def known(value: Any) -> Any:
    """The value as it is compared; None and NaN are `UNKNOWN`, a naive datetime is UTC."""
    if value is None:
        return UNKNOWN
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    is_nan = math.isnan(value) if isinstance(value, float) else _is_decimal_nan(value)
    return UNKNOWN if is_nan else value


def fitted(value: Any, kind: type | None) -> Any:
    """A known value as one of this kind; `UNKNOWN` where no column of the kind can hold it.

    An integer is taken for a float or a Decimal, where that loses nothing. Raises `Undecided`
    for a value of another kind.
    """
    own = kind_of(value)
    if own is kind and own is not None:
        return value if _can_be_stored(value) else UNKNOWN
    if own is int and kind is float:
        return float(value) if abs(value) <= _LARGEST_EXACT_FLOAT else UNKNOWN
    if own is int and kind is Decimal:
        return Decimal(value) if _can_be_stored(value) else UNKNOWN
    raise Undecided(f"{named(kind)} is compared with what is {named(own)}")


def compared(sign: str, left: Any, right: Any) -> bool:
    """What an operator says of two values of a kind; raises `Undecided` for a kind without order.

    Strings are in the order of their code points.
    """
    kind = kind_of(left)
    if kind is None or kind is not kind_of(right):
        raise Undecided(f"{named(kind)} is compared with what is {named(kind_of(right))}")
    if sign not in ("==", "!=") and not is_ordered(kind):
        raise Undecided(f"{sign} has no meaning for what is {named(kind)}: write == or !=")
    return bool(OPERATORS[sign](left, right))


def _is_decimal_nan(value: Any) -> bool:
    return isinstance(value, Decimal) and value.is_nan()


def _can_be_stored(value: Any) -> bool:
    """Whether a database takes the value: 64 bits, and text without NUL and lone surrogates."""
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
