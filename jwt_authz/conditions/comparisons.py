"""Comparisons: the conditions themselves, what they look at, and how they are evaluated.

How evaluation works. A side that is not known (an attribute that is missing or NULL, a claim that
the token lacks) leaves the whole comparison not known, which `~` does not turn into a yes. Only
then are the kinds looked at, so that an error needs two known sides; `jwt_authz.conditions.sql`
puts the same order into SQL.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar, Self

from ..errors import MisuseError
from ..policy.decision import DEPENDS, NO, YES, Decision, Verdict
from ..policy.functions import NO_RESOURCE, Undecided
from ..policy.requirements import Requirement
from .kinds import MIRRORED, OPERATORS, UNKNOWN, compared, fitted, kind_of, known

MISSING: Any = object()
"""What an attribute is that the resource does not have."""


class Operand(ABC):
    """One side of a condition: it is read from an identity and a resource.

    Of two sides the one with the lower `rank` is made to fit the other's kind: a claim, whose
    JSON has one type of numbers, to anything else, and everything to an attribute.
    """

    rank: ClassVar[int]

    @property
    def kind(self) -> type | None:
        """The kind of every value read, None where only the value tells."""
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
        """Whether what is read may be a list, for something to be in."""
        return False

    @abstractmethod
    def read(self, identity: Any, on: Any) -> Any:
        """The value; `UNKNOWN` where there is none, which an attribute says by None or MISSING."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What it is, to stand in a sentence."""

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """What makes two of them equal: `==` makes a condition, and does not tell."""


class Condition(Requirement, ABC):
    """What all conditions share: operands, and a verdict of what is read from them."""

    operands: tuple[Operand, ...]
    _said = ""

    def saying(self, sentence: str) -> Self:
        """The same condition with a sentence of its own, to follow on "a caller who ..."."""
        said = copy.copy(self)
        said._said = sentence
        return said

    @property
    def sentence(self) -> str:
        return self._said or f"meets the condition that {self._words}"

    @property
    @abstractmethod
    def _words(self) -> str:
        """What has to be so, to stand in a sentence."""

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
            raise Undecided(f"{self!r} looks at a resource and none was given: write on=...")
        return Decision(self._verdict(identity, on), self)

    @abstractmethod
    def _verdict(self, identity: Any, on: Any) -> Verdict:
        """What comes of the operands' values; raises `Undecided` for kinds that do not compare."""

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """What makes two conditions of a class equal."""

    def __bool__(self) -> bool:
        raise MisuseError(
            f"{self!r} is a condition, no answer: write (1 < a) & (a < 5) in place of 1 < a < 5, "
            "& | ~ in place of and, or, not, and allowed(..., on=it) to ask"
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

    def _verdict(self, identity: Any, on: Any) -> Verdict:
        left = known_of(self.left.read(identity, on))
        right = UNKNOWN if left is UNKNOWN else known_of(self.right.read(identity, on))
        if right is UNKNOWN:
            return DEPENDS
        if not self.left.is_attribute and {kind_of(left), kind_of(right)} == {int, float}:
            return YES if OPERATORS[self.sign](left, right) else NO  # JSON's numbers are of a kind
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
    """An operand, and the values among which it has to be: literals, or one claim, a list."""

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
        """The values to be among, `UNKNOWN` where they are not known; `Undecided` for no list."""
        if isinstance(self.choices, tuple):
            return [choice.read(identity, NO_RESOURCE) for choice in self.choices]
        values = self.choices.read(identity, NO_RESOURCE)
        if values is not UNKNOWN and not isinstance(values, list):
            raise Undecided(f"{self.choices!r} is no list")
        return values

    def _verdict(self, identity: Any, on: Any) -> Verdict:
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
    """Whether an attribute is NULL: a question that is answered where the attribute is there."""

    def __init__(self, left: Operand) -> None:
        self.left = left
        self.operands = (left,)

    @property
    def _words(self) -> str:
        return f"{self.left.words} is not set"

    def _verdict(self, identity: Any, on: Any) -> Verdict:
        value = self.left.read(identity, on)
        if value is MISSING:
            return DEPENDS
        return YES if value is None else NO

    @property
    def key(self) -> tuple[Any, ...]:
        return (type(self), self.left.key)

    def __repr__(self) -> str:
        return f"{self.left!r}.is_(None)"


def known_of(value: Any) -> Any:
    """What was read as it is compared."""
    return UNKNOWN if value is MISSING or value is UNKNOWN else known(value)


def fitted_choices(choices: list[Any], kind: type | None) -> list[Any]:
    """Each choice as a value of this kind, or `UNKNOWN`; raises `Undecided` for another kind."""
    values = [known_of(choice) for choice in choices]
    return [value if value is UNKNOWN else fitted(value, kind) for value in values]
