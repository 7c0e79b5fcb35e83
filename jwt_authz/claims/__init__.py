"""Claims: a mapping of claims to an Identity, and an Identity's roles to a mapping of claims."""

from .encodings import (
    ENCODING_SETTINGS,
    ENCODINGS,
    Encoding,
    EncodingSetting,
    IdentityReader,
    granted_claims,
    write_claims,
)
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
from .sizes import Written, claims_of_token, written_as

__all__ = [
    "ENCODINGS",
    "ENCODING_SETTINGS",
    "Encoding",
    "EncodingSetting",
    "IdentityReader",
    "Issuer",
    "Written",
    "auth0",
    "claims_of_token",
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
    "supabase",
    "write_claims",
    "written_as",
]
