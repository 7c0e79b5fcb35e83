"""Issuers: trust in identity providers, and identities from the tokens that they sign."""

from .issuer import Issuer
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

__all__ = [
    "Issuer",
    "auth0",
    "cognito",
    "entra_v1",
    "entra_v2",
    "firebase",
    "keycloak",
    "members_of",
    "okta",
    "pointer",
    "rfc9068",
    "supabase",
]
