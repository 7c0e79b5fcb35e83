"""The question to a decision point, in AuthZEN's terms, and the protocol of decision points."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from ...policy.functions import Undecided


@dataclass(frozen=True, slots=True)
class Entity:
    """A subject or a resource: its type, its id within the type, and other properties.

    The properties must be JSON values (AuthZEN 1.0 sections 5.1 and 5.2).
    """

    type: str
    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the entity as a JSON object, without `properties` if it has none."""
        entity: dict[str, Any] = {"type": self.type, "id": self.id}
        return {**entity, "properties": dict(self.properties)} if self.properties else entity


@dataclass(frozen=True, slots=True)
class Question:
    """May this subject perform this action on this resource?"""

    subject: Entity
    action: str
    resource: Entity

    def as_dict(self) -> dict[str, Any]:
        """Return the members of an evaluation request (AuthZEN 1.0 section 6.1)."""
        return {
            "subject": self.subject.as_dict(),
            "action": {"name": self.action},
            "resource": self.resource.as_dict(),
        }

    def as_text(self) -> str:
        """Return the same text for equal questions; raise `Undecided` if they are not JSON."""
        try:
            return json.dumps(self.as_dict(), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError):
            raise Undecided(
                "a subject or a resource has properties that are not JSON: use strings, numbers, "
                "booleans, lists and dicts"
            ) from None


@runtime_checkable
class DecisionPoint(Protocol):
    """An object that decides: a client of a policy server, or a fake in a test.

    Both methods raise `StoreUnavailable` if there is no answer.
    """

    def decide(self, question: Question) -> bool:
        """Return True to allow, False to deny."""
        ...

    def decide_all(self, questions: Sequence[Question]) -> Sequence[bool]:
        """Return the answer to each question, in the same order."""
        ...
