"""Claims: a mapping of claims to an Identity, and an Identity's roles to a mapping of claims."""

from .encodings import ENCODINGS, Encoding, IdentityReader, granted_claims, write_claims
from .issuers import Issuer
from .pointers import members_of, pointer
from .presets import (
    auth0,
    cognito,
    entra_v1,
    entra_v2,
    firebase,
    keycloak,
    okta,
    rfc9068,
    supabase,
)
from .sizes import sizes_of

__all__ = [
    "ENCODINGS",
    "Encoding",
    "IdentityReader",
    "Issuer",
    "auth0",
    "cognito",
    "entra_v1",
    "entra_v2",
    "firebase",
    "granted_claims",
    "keycloak",
    "members_of",
    "okta",
    "pointer",
    "rfc9068",
    "sizes_of",
    "supabase",
    "write_claims",
]
