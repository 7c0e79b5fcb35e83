"""Tokens: signs, reads and verifies this application's own JWTs, and manages its keys."""

from .jwk import verify
from .key_set import KeySet
from .verifier import Verified, Verifier

__all__ = ["KeySet", "Verified", "Verifier", "verify"]
