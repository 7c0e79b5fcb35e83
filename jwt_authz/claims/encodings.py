"""Encodings: how roles and permissions stand in a token, written at issue and read at use.

`full` writes roles and permissions, and the permissions held are those of the token alone.
`roles` writes the roles only, and the permissions held are those that the catalogue gives them.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from ..errors import MisuseError
from ..identity import Claims, Identity, share
from ..permissions import Permission, PermissionSet
from ..roles import Roles
from .schema import check_payload

Encoding = Literal["full", "roles"]
ENCODINGS: tuple[Encoding, ...] = ("full", "roles")

_NONE = PermissionSet()
_NO_SCOPES: frozenset[str] = frozenset()

_SHARED_ROLES = 4_096

_log = logging.getLogger("jwt_authz.claims")


def write_claims(
    encoding: Encoding,
    catalogue: Roles | None,
    roles: Iterable[str] = (),
    permissions: Iterable[str | Permission] | None = None,
    tenant: str | None = None,
    scope: str | Iterable[str] | None = None,
) -> dict[str, Any]:
    """The claims for a token: roles, permissions, tenant and scope, each only where it is set.

    Without `permissions`, they are those that the catalogue gives the roles. Raises
    `MisuseError` for a role that the catalogue lacks, and for permissions of one's own in an
    encoding that could not carry them.
    """
    if isinstance(roles, str):
        raise MisuseError(f"roles is a list of names: write roles=[{roles!r}]")
    names = sorted(set(roles))
    _refuse_unknown(catalogue, names)
    claims: dict[str, Any] = {"roles": names}
    if encoding == "full":
        claims["permissions"] = _permissions(catalogue, names, permissions)
    elif permissions is not None:
        raise MisuseError(
            "AUTHZ_ENCODING='roles' carries no permissions of a token's own: give roles that "
            "grant them, or set AUTHZ_ENCODING='full'"
        )
    if tenant is not None:
        claims["tenant"] = tenant
    if scope is not None:
        claims["scope"] = scope if isinstance(scope, str) else " ".join(sorted(set(scope)))
    return claims


def _permissions(
    catalogue: Roles | None, roles: list[str], permissions: Iterable[str | Permission] | None
) -> list[str]:
    if permissions is None:
        return sorted(catalogue.permissions_of(roles)) if catalogue is not None else []
    if isinstance(permissions, str):
        raise MisuseError(f"permissions is a list: write permissions=[{permissions!r}]")
    held = (p if isinstance(p, Permission) else Permission.parse(p) for p in permissions)
    return sorted({str(permission) for permission in held})


def _refuse_unknown(catalogue: Roles | None, names: list[str]) -> None:
    unknown = [name for name in names if catalogue is not None and name not in catalogue]
    if unknown:
        raise MisuseError(
            f"the catalogue has no role {unknown[0]!r}: add Role({unknown[0]!r}, ...) to Roles(...)"
        )


class IdentityReader:
    """Makes an `Identity` of a verified payload, in one encoding and with one catalogue."""

    def __init__(self, encoding: Encoding, catalogue: Roles | None) -> None:
        self._catalogue = catalogue
        self._permissions: Callable[[Mapping[str, Any]], PermissionSet]
        self._permissions = self._claimed if encoding == "full" else self._granted
        # Tokens of equal permissions share one set, which goes when the last of them goes.
        self._sets: weakref.WeakValueDictionary[frozenset[str], PermissionSet]
        self._sets = weakref.WeakValueDictionary()
        self._roles: dict[frozenset[str], frozenset[str]] = {}
        self._unknown_was_told = False

    def read(self, subject: str, payload: Mapping[str, Any]) -> Identity:
        """The identity of a payload; raises `ClaimInvalid` for a claim of the wrong JSON type."""
        check_payload(payload)
        roles = self._shared_roles(payload.get("roles", ()))
        self._tell_unknown(roles)
        return Identity(
            subject,
            issuer=payload.get("iss"),
            tenant=payload.get("tenant"),
            roles=roles,
            permissions=self._permissions(payload),
            scopes=frozenset(filter(None, payload["scope"].split(" ")))
            if "scope" in payload
            else _NO_SCOPES,
            claims=Claims(payload),
            catalogue=self._catalogue,
        )

    def _shared_roles(self, names: Iterable[str]) -> frozenset[str]:
        """One set for all tokens of equal roles, as long as there are not too many of them."""
        roles = frozenset(map(share, names))
        if len(self._roles) >= _SHARED_ROLES:
            self._roles.clear()
        return self._roles.setdefault(roles, roles)

    def _claimed(self, payload: Mapping[str, Any]) -> PermissionSet:
        names = frozenset(map(share, payload.get("permissions", ())))
        held = self._sets.get(names)
        if held is None:
            held = self._sets.setdefault(names, PermissionSet(names))
        return held

    def _granted(self, payload: Mapping[str, Any]) -> PermissionSet:
        if self._catalogue is None:
            return _NONE
        return self._catalogue.permissions_of(payload.get("roles", ()))

    def _tell_unknown(self, roles: frozenset[str]) -> None:
        if self._catalogue is None or self._unknown_was_told:
            return
        if not all(name in self._catalogue for name in roles):
            self._unknown_was_told = True
            _log.warning("a token carries a role that the catalogue lacks; it grants nothing")
