"""For tests of an application: callers without a log-in, and the access matrix held to its word."""

from __future__ import annotations

from .callers import acting_as, authz_client
from .cases import AccessCase, access_cases
from .snapshot import assert_matrix

__all__ = ["AccessCase", "access_cases", "acting_as", "assert_matrix", "authz_client"]
