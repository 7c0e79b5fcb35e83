"""Claims: a mapping of claims to an Identity, and an Identity's roles to a mapping of claims."""

from .encodings import ENCODINGS, Encoding, IdentityReader, write_claims

__all__ = ["ENCODINGS", "Encoding", "IdentityReader", "write_claims"]
