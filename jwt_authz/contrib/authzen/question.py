"""Question: what a decision point is asked, in the terms of AuthZEN, and what answers it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from ...policy.functions import Undecided


@dataclass(frozen=True, slots=True)
class Entity:
    """A subject or a resource: its type, its id within the type, and what else is told of it.

    Properties are JSON (AuthZEN 1.0 sections 5.1 and 5.2).
    """

    type: str
    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of the entity; without `properties` where there are none."""
        told: dict[str, Any] = {"type": self.type, "id": self.id}
        return {**told, "properties": dict(self.properties)} if self.properties else told


@dataclass(frozen=True, slots=True)
class Question:
    """May this subject do this to that resource?"""

    subject: Entity
    action: str
    resource: Entity

    def as_dict(self) -> dict[str, Any]:
        """The members of an evaluation request (AuthZEN 1.0 section 6.1)."""
        return {
            "subject": self.subject.as_dict(),
            "action": {"name": self.action},
            "resource": self.resource.as_dict(),
        }

    def as_text(self) -> str:
        """One text for equal questions; raises `Undecided` for what is no JSON."""
        try:
            return json.dumps(self.as_dict(), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError):
            raise Undecided(
                "what is told of a subject or a resource is JSON: write properties of texts, "
                "numbers, lists and dicts"
            ) from None


@runtime_checkable
class DecisionPoint(Protocol):
    """What takes decisions: a policy server, or a stand-in for one in a test.

    Both methods raise `StoreUnavailable` where there is no answer.
    """

    def decide(self, question: Question) -> bool:
        """Whether the answer is yes."""
        ...

    def decide_all(self, questions: Sequence[Question]) -> Sequence[bool]:
        """The answer to each of the questions, in their order."""
        ...
