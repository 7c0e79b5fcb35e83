"""Claims: a mapping of claims to an Identity, and an Identity's roles to a mapping of claims."""

from .encodings import ENCODINGS, Encoding, IdentityReader, granted_claim, write_claims
from .sizes import sizes_of

__all__ = [
    "ENCODINGS",
    "Encoding",
    "IdentityReader",
    "granted_claim",
    "sizes_of",
    "write_claims",
]
