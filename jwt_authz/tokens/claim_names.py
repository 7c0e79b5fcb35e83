"""ClaimNames: the claims that hold roles, permissions, tenant and scope, as an application says."""

from __future__ import annotations

from dataclasses import dataclass, fields

CATALOGUE = "catalogue"
"""The claim with the `Roles.fingerprint` of the catalogue that a token's permissions come from."""

RESERVED = frozenset(
    {
        *("iss", "sub", "aud", "exp", "nbf", "iat", "jti"),  # RFC 7519 section 4.1
        *("client_id", "cnf", "auth_time", "acr", "amr"),  # RFC 9068 section 2.2, RFC 7800
        "sid",  # OpenID Connect's session, here the refresh family
        *("type", "fresh", "csrf"),  # Flask-JWT-Extended's own
        CATALOGUE,
    }
)
"""Names of claims that have a meaning already, and so can have no other."""


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """The names of the claims that authorization reads and writes."""

    roles: str = "roles"
    permissions: str = "permissions"
    tenant: str = "tenant"
    scope: str = "scope"

    def repeated(self) -> str | None:
        """A name that two of the claims have, None where each has its own."""
        names = [getattr(self, one.name) for one in fields(self)]
        return next((name for name in names if names.count(name) > 1), None)


def is_claim_name(value: object) -> bool:
    """Whether a claim for authorization can have this name: a text, and not one that is taken."""
    return isinstance(value, str) and bool(value) and value not in RESERVED
