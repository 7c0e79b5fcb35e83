"""Tokens: a mapping of claims to a JWT, and a JWT to a mapping of claims."""

from .jwk import verify
from .key_set import KeySet
from .verifier import Verified, Verifier

__all__ = ["KeySet", "Verified", "Verifier", "verify"]
