"""Decision: the outcome of a requirement, true or false, with its reasons."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


class Verdict(enum.Enum):
    """Yes, no, or depends: unknown, the third value of Kleene's logic, which never allows."""

    YES = "yes"
    NO = "no"
    DEPENDS = "depends"


YES, NO, DEPENDS = Verdict.YES, Verdict.NO, Verdict.DEPENDS


class Required(Protocol):
    """What a decision is about: its `repr` reads like source code, its sentence like prose."""

    @property
    def sentence(self) -> str: ...


def printable(text: str) -> str:
    """Return the text with unprintable characters, such as line breaks, replaced by `?`."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one requirement: true if it allows, with the reasons.

    - `requirement`: the requirement that was evaluated.
    - `parts`: the decisions about its parts, in the order of evaluation. Parts after the one that
      decided were not evaluated.
    - `error`: why the requirement could not be evaluated; "" if it could. An error refuses, also
      under `~`.
    - `overridden`: whether an override replaced the requirement.
    - `claims`: the names of the claims that it read; only an explanation fills them in.
    - `asked`: false for a part that only an explanation evaluated.

    `str(decision)` is the tree of reasons, one requirement per line:

    >>> from jwt_authz import Identity, has_permission, has_role
    >>> requirement = has_permission("orders:read") & ~has_role("suspended")
    >>> decision = requirement.evaluate(Identity("7", permissions=["orders:read"]))
    >>> bool(decision)
    True
    >>> print(decision)
    yes has_permission('orders:read') & ~has_role('suspended')
      yes has_permission('orders:read')
      yes ~has_role('suspended')
        no has_role('suspended')
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
        """Whether the verdict is yes and no error occurred."""
        return self.verdict is YES and not self.error

    def __bool__(self) -> bool:
        return self.verdict is YES and not self.error

    @property
    def sentence(self) -> str:
        """The sentence of the requirement that refused, to follow "Requires a caller who"."""
        if self.error:
            return "can be decided about"
        refusing = next((part for part in self.parts if not part), None)
        joined = getattr(self.requirement, "all_parts_needed", False)
        return refusing.sentence if joined and refusing is not None else self.requirement.sentence

    def leaves(self) -> Iterator[Decision]:
        """Yield the decisions about requirements without parts, in the order of evaluation."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    @property
    def used_override(self) -> bool:
        """Whether an override replaced any requirement of the tree."""
        return self.overridden or any(part.asked and part.used_override for part in self.parts)

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield the tree of reasons: one requirement per line, indented by two spaces a level."""
        notes = ", ".join(self._notes())
        error = f": {self.error}" if self.error and not self.parts else ""
        line = f"{self._word} {self.requirement!r}{f' ({notes})' if notes else ''}{error}"
        yield f"{'  ' * depth}{printable(line)}"
        for part in self.parts:
            yield from part.lines(depth + 1)

    def as_dict(self, with_errors: bool = False) -> dict[str, Any]:
        """Return the tree of reasons as JSON values.

        Texts of errors are left out unless `with_errors` is true: a problem's body must not
        contain them.
        """
        tree: dict[str, Any] = {"requirement": repr(self.requirement), "verdict": self._word}
        if self.overridden:
            tree["overridden"] = True
        if self.claims:
            tree["claims"] = list(self.claims)
        if not self.asked:
            tree["asked"] = False
        if self.error and not self.parts and with_errors:
            tree["error"] = printable(self.error)
        if self.parts:
            tree["parts"] = [part.as_dict(with_errors) for part in self.parts]
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
