"""Comparisons: the classes of conditions, and how they are evaluated.

How evaluation works. If a side is unknown (an attribute that is missing or NULL, a claim that is
not in the token), the comparison is unknown, and `~` does not turn it into a yes. The kinds are
compared only if both sides are known; `jwt_authz.conditions.sql` does it in the same order.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self

from ..errors import MisuseError
from ..policy.decision import DEPENDS, NO, YES, Decision, Verdict
from ..policy.functions import NO_RESOURCE, Undecided
from ..policy.requirements import Requirement
from .kinds import MIRRORED, OPERATORS, UNKNOWN, compared, fitted, kind_of, known

MISSING: Any = object()
"""The value of an attribute that the resource does not have."""


class Operand(ABC):
    """One side of a condition, read from an identity and a resource.

    The side with the lower `rank` is converted to the other's kind: a claim, since JSON has one
    type of number, to anything else, and anything to an attribute.
    """

    rank: ClassVar[int]

    @property
    def kind(self) -> type | None:
        """The kind of every value read; None if it depends on the value."""
        return None

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims that it is read from."""
        return ()

    @property
    def is_attribute(self) -> bool:
        """Whether it is read from the resource."""
        return False

    @property
    def is_subject(self) -> bool:
        """Whether it is the caller's subject, which is unknown if the subject is foreign."""
        return False

    @property
    def may_be_list(self) -> bool:
        """Whether the value may be a list, to be used with `in_`."""
        return False

    @abstractmethod
    def read(self, identity: Any, on: Any) -> Any:
        """Return the value; `UNKNOWN` if there is none. An attribute returns None or MISSING."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The operand in words, as part of a sentence."""

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """Identifies the operand: two cannot be compared with `==`, which makes a condition."""


class Condition(Requirement, ABC):
    """The base of all conditions: operands, and a verdict on their values."""

    operands: tuple[Operand, ...]
    _said = ""

    def saying(self, sentence: str) -> Self:
        """Return a copy with this sentence, to follow "Requires a caller who"."""
        said = copy.copy(self)
        said._said = sentence
        return said

    @property
    def sentence(self) -> str:
        return self._said or f"meets the condition that {self._words}"

    @property
    @abstractmethod
    def _words(self) -> str:
        """The condition in words, as part of a sentence."""

    @property
    def takes_resource(self) -> bool:
        return any(operand.is_attribute for operand in self.operands)

    @property
    def looks_at_subject(self) -> bool:
        return any(operand.is_subject for operand in self.operands)

    def claims_of(self, identity: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for one in self.operands for name in one.claims))

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        if on is NO_RESOURCE and self.takes_resource:
            raise Undecided(f"{self!r} needs a resource, but none was given: write on=...")
        return Decision(self._verdict(identity, on, overridden), self)

    @abstractmethod
    def _verdict(self, identity: Any, on: Any, overridden: Collection[Requirement] = ()) -> Verdict:
        """Return the verdict; raise `Undecided` for kinds that cannot be compared."""

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """What makes two conditions of a class equal."""

    def __bool__(self) -> bool:
        raise MisuseError(
            f"The condition {self!r} has no truth value: write (1 < a) & (a < 5) instead of "
            "1 < a < 5, and & | ~ instead of and, or, not; call allowed(..., on=item) to "
            "evaluate one."
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Requirement):
            return NotImplemented
        return isinstance(other, Condition) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


class Comparison(Condition):
    """Two operands and a sign. `left`, `sign` and `right` are in the order of their ranks."""

    def __init__(self, left: Operand, sign: str, right: Operand) -> None:
        self.operands = (left, right)
        self._written = sign
        turned = left.rank < right.rank
        self.left, self.right = (right, left) if turned else (left, right)
        self.sign = MIRRORED[sign] if turned else sign

    @property
    def _words(self) -> str:
        left, right = self.operands
        return f"{left.words} {_VERBS[self._written]} {right.words}"

    def _verdict(self, identity: Any, on: Any, overridden: Collection[Requirement] = ()) -> Verdict:
        left = known_of(self.left.read(identity, on))
        right = UNKNOWN if left is UNKNOWN else known_of(self.right.read(identity, on))
        if right is UNKNOWN:
            return DEPENDS
        if not self.left.is_attribute and {kind_of(left), kind_of(right)} == {int, float}:
            return YES if OPERATORS[self.sign](left, right) else NO  # JSON has one type of number
        if not self.right.is_attribute:
            right = fitted(right, kind_of(left))
            if right is UNKNOWN:
                return DEPENDS
        return YES if compared(self.sign, left, right) else NO

    @property
    def key(self) -> tuple[Any, ...]:
        return (type(self), self.sign, self.left.key, self.right.key)

    def __repr__(self) -> str:
        left, right = self.operands
        return f"({left!r} {self._written} {right!r})"


_VERBS = {
    "==": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
}


class Among(Condition):
    """An operand, and the values of which it has to be one: literals, or a claim with a list."""

    def __init__(self, left: Operand, choices: tuple[Operand, ...] | Operand) -> None:
        self.left = left
        self.choices = choices
        self.operands = (left, *(choices if isinstance(choices, tuple) else (choices,)))

    @property
    def _words(self) -> str:
        choices = self.choices
        if isinstance(choices, Operand):
            return f"{self.left.words} is in {choices.words}"
        listed = ", ".join(choice.words for choice in choices) or "nothing"
        return f"{self.left.words} is one of {listed}"

    def read_choices(self, identity: Any) -> Any:
        """Return the choices, or `UNKNOWN`; raise `Undecided` if the claim is not a list."""
        if isinstance(self.choices, tuple):
            return [choice.read(identity, NO_RESOURCE) for choice in self.choices]
        values = self.choices.read(identity, NO_RESOURCE)
        if values is not UNKNOWN and not isinstance(values, list):
            raise Undecided(f"{self.choices!r} is not a list")
        return values

    def _verdict(self, identity: Any, on: Any, overridden: Collection[Requirement] = ()) -> Verdict:
        value = known_of(self.left.read(identity, on))
        choices = UNKNOWN if value is UNKNOWN else self.read_choices(identity)
        if choices is UNKNOWN:
            return DEPENDS
        fitting = fitted_choices(choices, kind_of(value))
        if any(compared("==", value, choice) for choice in fitting if choice is not UNKNOWN):
            return YES
        return DEPENDS if any(choice is UNKNOWN for choice in fitting) else NO

    @property
    def key(self) -> tuple[Any, ...]:
        chosen = self.choices
        keys = tuple(one.key for one in chosen) if isinstance(chosen, tuple) else chosen.key
        return (type(self), self.left.key, keys)

    def __repr__(self) -> str:
        listed = list(self.choices) if isinstance(self.choices, tuple) else self.choices
        return f"{self.left!r}.in_({listed!r})"


class IsNull(Condition):
    """Whether an attribute is NULL: unknown only if the resource does not have it."""

    def __init__(self, left: Operand) -> None:
        self.left = left
        self.operands = (left,)

    @property
    def _words(self) -> str:
        return f"{self.left.words} is not set"

    def _verdict(self, identity: Any, on: Any, overridden: Collection[Requirement] = ()) -> Verdict:
        value = self.left.read(identity, on)
        if value is MISSING:
            return DEPENDS
        return YES if value is None else NO

    @property
    def key(self) -> tuple[Any, ...]:
        return (type(self), self.left.key)

    def __repr__(self) -> str:
        return f"{self.left!r}.is_(None)"


class HasAny(Condition):
    """Whether one of several related objects meets a requirement; no order is assumed.

    Unknown if none meets it and it is unknown for one of them, or if the resource does not have
    the relation. An error of any of them is an error of the whole.
    """

    parts_are_about_related = True

    def __init__(self, left: Operand, inner: Requirement) -> None:
        self.left = left
        self.inner = inner
        self.operands = (left,)

    @property
    def parts(self) -> tuple[Requirement, ...]:
        return (self.inner,)

    @property
    def _words(self) -> str:
        return f"for one of {self.left.words}, the caller {self.inner.sentence}"

    def claims_of(self, identity: Any) -> tuple[str, ...]:
        names = (name for part in self.inner.walk() for name in part.claims_of(identity))
        return tuple(dict.fromkeys(names))

    def _verdict(self, identity: Any, on: Any, overridden: Collection[Requirement] = ()) -> Verdict:
        related = self.left.read(identity, on)
        if related is MISSING or related is None:
            return DEPENDS
        items = related.values() if isinstance(related, Mapping) else related
        if isinstance(items, str | bytes) or not isinstance(items, Iterable):
            raise Undecided(f"{self.left!r} is {type(related).__name__}, expected several objects")
        if isinstance(items, Iterator):  # which is empty the second time
            raise Undecided(
                f"{self.left!r} is an iterator, which can be read only once: use a list"
            )
        verdicts = set()
        for item in items:
            decision = self.inner.evaluate(identity, item, overridden)
            if decision.error:
                raise Undecided(decision.error)
            verdicts.add(decision.verdict)
        return YES if YES in verdicts else DEPENDS if DEPENDS in verdicts else NO

    @property
    def key(self) -> tuple[Any, ...]:
        return (type(self), self.left.key, self.inner)

    def __repr__(self) -> str:
        return f"{self.left!r}.any({self.inner!r})"


def known_of(value: Any) -> Any:
    """Return a value as it is compared, or `UNKNOWN`."""
    return UNKNOWN if value is MISSING or value is UNKNOWN else known(value)


def fitted_choices(choices: list[Any], kind: type | None) -> list[Any]:
    """Return each choice as a value of this kind, or `UNKNOWN`; raise `Undecided` if impossible."""
    values = [known_of(choice) for choice in choices]
    return [value if value is UNKNOWN else fitted(value, kind) for value in values]
