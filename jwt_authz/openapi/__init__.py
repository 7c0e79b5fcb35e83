"""OpenAPI: annotate documents with what the guards require, or generate them from the routes."""

from __future__ import annotations

from .annotate import annotate
from .documented import documented, undocumented

__all__ = ["annotate", "documented", "undocumented"]
