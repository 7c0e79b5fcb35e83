"""Ask an external decision point (AuthZEN) for decisions, behind the same guards."""

from __future__ import annotations

from .asks import asks, subject_of
from .client import AuthZEN
from .question import DecisionPoint, Entity, Question

__all__ = ["AuthZEN", "DecisionPoint", "Entity", "Question", "asks", "subject_of"]
