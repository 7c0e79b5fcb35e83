"""Test helpers: act as any caller without a log-in, and test the access matrix."""

from __future__ import annotations

from .callers import acting_as, authz_client
from .cases import AccessCase, access_cases
from .snapshot import assert_matrix

__all__ = ["AccessCase", "access_cases", "acting_as", "assert_matrix", "authz_client"]
