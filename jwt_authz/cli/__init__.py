"""The command line: `flask authz ...`."""

from .main import authz

__all__ = ["authz"]
