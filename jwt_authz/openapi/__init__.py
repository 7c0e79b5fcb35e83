"""OpenAPI documents that tell what guards each operation: annotated ones, and ones of our own."""

from __future__ import annotations

from .annotate import annotate
from .documented import documented, undocumented

__all__ = ["annotate", "documented", "undocumented"]
