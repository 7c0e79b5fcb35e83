"""Conditions: declarative requirements on a resource's attributes, which also compile to SQL."""

from .comparisons import Among, Comparison, Condition, HasAny, IsNull
from .operands import attr, claim, issuer, now, one_instant, subject, tenant

__all__ = [
    "Among",
    "Comparison",
    "Condition",
    "HasAny",
    "IsNull",
    "attr",
    "claim",
    "issuer",
    "now",
    "one_instant",
    "subject",
    "tenant",
]
