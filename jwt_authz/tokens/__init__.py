"""Tokens: a mapping of claims to a JWT, and a JWT to a mapping of claims."""

from .verify import Verified, Verifier

__all__ = ["Verified", "Verifier"]
