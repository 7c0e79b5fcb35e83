"""Revocation: statements that tokens are no longer good, refresh families, and their stores."""

from .families import Families, Family, Outcome, Rotation
from .memory import MemoryStore
from .statements import Statement
from .stores import Store, open_store
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
    "open_store",
]
