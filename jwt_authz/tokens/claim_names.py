"""Claim names: the configurable names of the claims for roles, permissions, tenant and scope."""

from __future__ import annotations

from dataclasses import dataclass, fields

CATALOG = "catalogue"
"""The claim with the `Roles.fingerprint` of the catalog that a token was issued with."""

RESERVED = frozenset(
    {
        *("iss", "sub", "aud", "exp", "nbf", "iat", "jti"),  # RFC 7519 section 4.1
        *("client_id", "cnf", "auth_time", "acr", "amr"),  # RFC 9068 section 2.2, RFC 7800
        "sid",  # OpenID Connect's session, here the token family
        *("type", "fresh", "csrf"),  # Flask-JWT-Extended's own
        CATALOG,
    }
)
"""Names of claims that already have another meaning."""


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """The names of the claims that authorization reads and writes."""

    roles: str = "roles"
    permissions: str = "permissions"
    tenant: str = "tenant"
    scope: str = "scope"

    def repeated(self) -> str | None:
        """Return a name that two of the claims share; None if all names differ."""
        names = [getattr(self, one.name) for one in fields(self)]
        return next((name for name in names if names.count(name) > 1), None)


def is_claim_name(value: object) -> bool:
    """Return whether a claim for authorization can have this name: a string, not a reserved one."""
    return isinstance(value, str) and bool(value) and value not in RESERVED
