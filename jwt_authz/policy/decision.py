"""Decision, the outcome of a requirement: truthy or falsy, with its reason."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


class Verdict(enum.Enum):
    """Yes, no, or depends: what is not known (Kleene's third value) and so never allows."""

    YES = "yes"
    NO = "no"
    DEPENDS = "depends"


YES, NO, DEPENDS = Verdict.YES, Verdict.NO, Verdict.DEPENDS


class Required(Protocol):
    """What a decision is about: its `repr` reads like the source, its sentence is for people."""

    @property
    def sentence(self) -> str: ...


def printable(text: str) -> str:
    """A text on one line of its own: what a requirement may carry from outside breaks none."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one requirement: truthy if it allows, and it tells why.

    `requirement` is what was asked for; `parts` are the decisions that led here, in the order in
    which they were taken (parts behind the deciding one were not looked at); `error` says what
    went wrong where the decision could not be taken, which refuses, also under `~`;
    `overridden` is true where an override stood in for the requirement. `claims` names the claims
    that it looked at, where somebody asked for them; `asked` is false for a part that stands
    behind the deciding one, which an explanation alone looks at.
    """

    verdict: Verdict
    requirement: Required
    parts: tuple[Decision, ...] = ()
    error: str = ""
    overridden: bool = False
    claims: tuple[str, ...] = ()
    asked: bool = True

    @property
    def allowed(self) -> bool:
        """Whether the verdict is yes and nothing went wrong."""
        return self.verdict is YES and not self.error

    def __bool__(self) -> bool:
        return self.verdict is YES and not self.error

    @property
    def sentence(self) -> str:
        """What was refused, in the words of the requirement that refused."""
        if self.error:
            return "can be decided about"
        refusing = next((part for part in self.parts if not part), None)
        joined = getattr(self.requirement, "all_parts_needed", False)
        return refusing.sentence if joined and refusing is not None else self.requirement.sentence

    def leaves(self) -> Iterator[Decision]:
        """The decisions of the requirements without parts, in the order they were taken."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    @property
    def used_override(self) -> bool:
        """Whether an override stood in for some requirement of the tree."""
        return self.overridden or any(part.asked and part.used_override for part in self.parts)

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The tree of reasons, a line a requirement, two blanks a level of depth."""
        notes = ", ".join(self._notes())
        error = f": {self.error}" if self.error and not self.parts else ""
        said = f"{self._word} {self.requirement!r}{f' ({notes})' if notes else ''}{error}"
        yield f"{'  ' * depth}{printable(said)}"
        for part in self.parts:
            yield from part.lines(depth + 1)

    def as_dict(self, tell_errors: bool = False) -> dict[str, Any]:
        """The tree of reasons as JSON values, with the text of an error only where that is asked.

        A problem's body has none.
        """
        tree: dict[str, Any] = {"requirement": repr(self.requirement), "verdict": self._word}
        if self.overridden:
            tree["overridden"] = True
        if self.claims:
            tree["claims"] = list(self.claims)
        if not self.asked:
            tree["asked"] = False
        if self.error and not self.parts and tell_errors:
            tree["error"] = printable(self.error)
        if self.parts:
            tree["parts"] = [part.as_dict(tell_errors) for part in self.parts]
        return tree

    @property
    def _word(self) -> str:
        return "error" if self.error else self.verdict.value

    def _notes(self) -> Iterator[str]:
        if self.overridden:
            yield "overridden"
        if self.claims:
            yield f"claim{'s' if len(self.claims) > 1 else ''} {' and '.join(self.claims)}"
        if not self.asked:
            yield "not asked"

    def __str__(self) -> str:
        return "\n".join(self.lines())
