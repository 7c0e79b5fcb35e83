"""Encodings: how a token represents roles and permissions, both written and read.

`full` writes roles and permissions; `compact` writes the permissions as positions in the catalog;
`roles` writes the roles, and their permissions are looked up in the catalog when the token is
read. Each writes the catalog's fingerprint if the permissions are those of the roles: after a
change of the catalog, they are looked up by the roles. The setting `auto` writes `full`; a token
that is too long is then rewritten (`jwt_authz.logins.issuing`). Every setting reads all three,
except `roles`, which ignores a token's permissions.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

from ..errors import ClaimInvalid, MisuseError
from ..policy.identity import Claims, Identity, Sources
from ..policy.permissions import Permission, PermissionSet
from ..policy.roles import Roles, is_fingerprint
from .claim_names import CATALOG, ClaimNames
from .claims import check_payload
from .compact import Packed, pack

Encoding = Literal["full", "roles", "compact"]
ENCODINGS: tuple[Encoding, ...] = ("full", "roles", "compact")
EncodingSetting = Literal["auto", "full", "roles", "compact"]
ENCODING_SETTINGS: tuple[EncodingSetting, ...] = ("auto", *ENCODINGS)

_NONE = PermissionSet()
_NO_SCOPES: frozenset[str] = frozenset()
_NAMES = ClaimNames()

_NO_TEXTS: Mapping[str, str] = MappingProxyType({})

_log = logging.getLogger("jwt_authz.claims")


def write_claims(
    encoding: EncodingSetting,
    catalog: Roles | None,
    roles: Iterable[str] = (),
    permissions: Iterable[str | Permission] | None = None,
    tenant: str | None = None,
    scope: str | Iterable[str] | None = None,
    names: ClaimNames = _NAMES,
) -> dict[str, Any]:
    """Return the claims for a token: roles, permissions and, if given, tenant and scope.

    `permissions` are by default those that the catalog grants the roles. Raises `MisuseError` for
    an unknown role, and for explicit permissions that the encoding cannot represent.
    """
    if isinstance(roles, str):
        raise MisuseError(f"roles must be a list of names: write roles=[{roles!r}].")
    listed = sorted(set(roles))
    _refuse_unknown(catalog, listed)
    claims: dict[str, Any] = {names.roles: listed}
    if permissions is None:
        claims |= granted_claims(encoding, catalog, listed, names)
    else:
        claims[names.permissions] = _own(encoding, catalog, permissions)
    if tenant is not None:
        claims[names.tenant] = tenant
    if scope is not None:
        claims[names.scope] = scope if isinstance(scope, str) else " ".join(sorted(set(scope)))
    return claims


def granted_claims(
    encoding: EncodingSetting,
    catalog: Roles | None,
    roles: Iterable[str],
    names: ClaimNames = _NAMES,
) -> dict[str, Any]:
    """Return the claims for the permissions of the roles, and for the catalog's fingerprint."""
    if catalog is None:
        return {} if encoding in ("roles", "compact") else {names.permissions: []}
    if encoding == "roles":
        return {CATALOG: catalog.fingerprint}
    held = catalog.permissions_of(roles)
    if encoding == "compact":
        return {names.permissions: pack(catalog, frozenset(held), of_roles=True)}
    return {names.permissions: sorted(held), CATALOG: catalog.fingerprint}


def _own(
    encoding: EncodingSetting, catalog: Roles | None, permissions: Iterable[str | Permission]
) -> list[str] | str:
    """Return the claim for explicit permissions."""
    if encoding == "roles":
        raise MisuseError(
            "A token cannot have explicit permissions with AUTHZ_ENCODING='roles': use roles that "
            "grant them, or set AUTHZ_ENCODING='full'."
        )
    if isinstance(permissions, str):
        raise MisuseError(f"permissions must be a list: write permissions=[{permissions!r}].")
    held = {str(p if isinstance(p, Permission) else Permission.parse(p)) for p in permissions}
    if encoding in ("full", "auto"):
        return sorted(held)
    if catalog is None:
        raise MisuseError(
            "AUTHZ_ENCODING='compact' needs a role catalog: write Authz(app, roles=Roles(...))."
        )
    unknown = sorted(held.difference(catalog.ordered_permissions))
    if unknown:
        raise MisuseError(
            f"AUTHZ_ENCODING='compact' cannot represent {unknown[0]!r}, which is not in the "
            "catalog: add it to a Role(...), or set AUTHZ_ENCODING='full'."
        )
    return pack(catalog, held, of_roles=False)


def _refuse_unknown(catalog: Roles | None, names: list[str]) -> None:
    unknown = [name for name in names if catalog is not None and name not in catalog]
    if unknown:
        raise MisuseError(
            f"The catalog has no role {unknown[0]!r}: add Role({unknown[0]!r}, ...) to Roles(...)."
        )


class IdentityReader:
    """Reads an `Identity` from a verified payload, with one encoding and one catalog."""

    def __init__(
        self, encoding: EncodingSetting, catalog: Roles | None, names: ClaimNames = _NAMES
    ) -> None:
        self.catalog = catalog
        self._names = names
        self._is_by_roles = encoding == "roles"
        roles, scopes = (names.roles,), (names.scope,)
        self._from_roles = Sources(roles, roles, scopes)
        self._from_claims = Sources(roles, (names.permissions,), scopes)
        # Tokens with equal permissions share one set, which is freed with the last of them.
        self._sets: weakref.WeakValueDictionary[frozenset[str], PermissionSet]
        self._sets = weakref.WeakValueDictionary()
        self._texts = _NO_TEXTS if catalog is None else catalog.texts
        self._has_logged_unknown = False
        self._has_logged_outdated = False

    def read(self, subject: str, payload: Mapping[str, Any]) -> Identity:
        """Return the identity of a payload.

        If the token was issued with another catalog, permissions that came from its roles are
        looked up by the roles in this one. Raises `ClaimInvalid` for a claim of the wrong JSON
        type, and for compact permissions that are invalid in this catalog.
        """
        names = self._names
        check_payload(payload, names)
        roles = frozenset(self._shared_texts(payload.get(names.roles, ())))
        self._log_unknown(roles)
        is_outdated = self._is_outdated(payload)
        is_by_roles = self._is_by_roles or self._has_roles_form(payload)
        permissions = (
            self._granted(payload) if is_by_roles else self._permissions(payload, is_outdated)
        )
        self._log_outdated(is_outdated)
        return Identity(
            subject,
            issuer=payload.get("iss"),
            tenant=payload.get(names.tenant),
            roles=roles,
            permissions=permissions,
            scopes=frozenset(filter(None, payload[names.scope].split(" ")))
            if names.scope in payload
            else _NO_SCOPES,
            claims=Claims(payload, self._texts),
            catalogue=self.catalog,
            # From an outdated token, only permissions that come from the roles are read.
            sources=self._from_roles if is_by_roles or is_outdated else self._from_claims,
            is_outdated=is_outdated,
        )

    def _has_roles_form(self, payload: Mapping[str, Any]) -> bool:
        """Return whether the token has no permissions, but the fingerprint of a catalog.

        Without the fingerprint, a missing claim grants nothing.
        """
        has_permissions = self._names.permissions in payload
        return not has_permissions and is_fingerprint(payload.get(CATALOG, ""))

    def _is_outdated(self, payload: Mapping[str, Any]) -> bool:
        """Return whether the token says that it was issued with another catalog."""
        if self.catalog is None:
            return False
        claim = payload.get(self._names.permissions)
        if isinstance(claim, str):
            return Packed.read(claim).fingerprint != self.catalog.fingerprint
        made_with = payload.get(CATALOG, "")  # in another form, it is not our claim
        return is_fingerprint(made_with) and made_with != self.catalog.fingerprint

    def _permissions(self, payload: Mapping[str, Any], is_outdated: bool) -> PermissionSet:
        claim = payload.get(self._names.permissions, ())
        packed = Packed.read(claim) if isinstance(claim, str) else None
        if is_outdated and (packed is None or packed.of_roles):
            return self._granted(payload)
        if packed is None:
            return self._shared(frozenset(self._shared_texts(claim)))
        if self.catalog is None or is_outdated:
            raise ClaimInvalid("the permissions are positions in another catalog")
        return self._shared(frozenset(packed.permissions(self.catalog)))

    def _shared_texts(self, names: Iterable[str]) -> Iterator[str]:
        """Yield these names, those of the catalog as the strings that it has."""
        known = self._texts
        return (known.get(name, name) for name in names)

    def _shared(self, names: frozenset[str]) -> PermissionSet:
        """Return one shared set for all tokens with equal permissions."""
        held = self._sets.get(names)
        if held is None:
            held = self._sets.setdefault(names, PermissionSet(names))
        return held

    def _granted(self, payload: Mapping[str, Any]) -> PermissionSet:
        if self.catalog is None:
            return _NONE
        return self.catalog.permissions_of(payload.get(self._names.roles, ()))

    def _log_unknown(self, roles: frozenset[str]) -> None:
        if self.catalog is None or self._has_logged_unknown:
            return
        if not all(name in self.catalog for name in roles):
            self._has_logged_unknown = True
            _log.warning("a token has a role that is not in the catalog; the role grants nothing")

    def _log_outdated(self, is_outdated: bool) -> None:
        if is_outdated and not self._has_logged_outdated:
            self._has_logged_outdated = True
            _log.info(
                "a token was issued with another version of the catalog; its permissions are "
                "those that its roles have now"
            )
