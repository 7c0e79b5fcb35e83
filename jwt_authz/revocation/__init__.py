"""Revocation: which tokens are no longer valid, token families, and the stores of both."""

from .families import Families, Family, Outcome, Rotation, is_id
from .statements import Statement, Target, target_of
from .store import Store, open_store
from .stores.memory import MemoryStore
from .view import RevocationView

__all__ = [
    "Families",
    "Family",
    "MemoryStore",
    "Outcome",
    "RevocationView",
    "Rotation",
    "Statement",
    "Store",
    "Target",
    "is_id",
    "open_store",
    "target_of",
]
