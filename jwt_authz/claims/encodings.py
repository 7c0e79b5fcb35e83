"""Encodings: how roles and permissions stand in a token, written at issue and read at use.

`full` writes roles and permissions, and the permissions held are those of the token alone.
`compact` writes them as positions in the catalogue; they are worked out anew from the roles once
the catalogue is another one. `roles` writes the roles only, and the permissions held are those
that the catalogue gives them. What `full` and `compact` write is read with either.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from ..errors import ClaimInvalid, MisuseError
from ..identity import Claims, Identity, Sources, share
from ..permissions import Permission, PermissionSet
from ..roles import Roles
from .compact import Packed, pack
from .names import ClaimNames
from .schema import check_payload

Encoding = Literal["full", "roles", "compact"]
ENCODINGS: tuple[Encoding, ...] = ("full", "roles", "compact")

_NONE = PermissionSet()
_NO_SCOPES: frozenset[str] = frozenset()
_NAMES = ClaimNames()

_SHARED_ROLES = 4_096

_log = logging.getLogger("jwt_authz.claims")


def write_claims(
    encoding: Encoding,
    catalogue: Roles | None,
    roles: Iterable[str] = (),
    permissions: Iterable[str | Permission] | None = None,
    tenant: str | None = None,
    scope: str | Iterable[str] | None = None,
    names: ClaimNames = _NAMES,
) -> dict[str, Any]:
    """The claims for a token: roles, permissions, tenant and scope, each only where it is set.

    Without `permissions`, they are those that the catalogue gives the roles. Raises
    `MisuseError` for a role that the catalogue lacks, and for permissions of one's own in an
    encoding that could not carry them.
    """
    if isinstance(roles, str):
        raise MisuseError(f"roles is a list of names: write roles=[{roles!r}]")
    listed = sorted(set(roles))
    _refuse_unknown(catalogue, listed)
    claims: dict[str, Any] = {names.roles: listed}
    if permissions is None:
        claims |= granted_claim(encoding, catalogue, listed, names)
    else:
        claims[names.permissions] = _own(encoding, catalogue, permissions)
    if tenant is not None:
        claims[names.tenant] = tenant
    if scope is not None:
        claims[names.scope] = scope if isinstance(scope, str) else " ".join(sorted(set(scope)))
    return claims


def granted_claim(
    encoding: Encoding, catalogue: Roles | None, roles: Iterable[str], names: ClaimNames = _NAMES
) -> dict[str, Any]:
    """The claim with the permissions that the catalogue gives the roles, if there is to be one."""
    if encoding == "roles" or (encoding == "compact" and catalogue is None):
        return {}
    held = catalogue.permissions_of(roles) if catalogue is not None else _NONE
    if encoding == "compact" and catalogue is not None:
        return {names.permissions: pack(catalogue, frozenset(held), of_roles=True)}
    return {names.permissions: sorted(held)}


def _own(
    encoding: Encoding, catalogue: Roles | None, permissions: Iterable[str | Permission]
) -> list[str] | str:
    """The claim for permissions of a token's own."""
    if encoding == "roles":
        raise MisuseError(
            "AUTHZ_ENCODING='roles' carries no permissions of a token's own: give roles that "
            "grant them, or set AUTHZ_ENCODING='full'"
        )
    if isinstance(permissions, str):
        raise MisuseError(f"permissions is a list: write permissions=[{permissions!r}]")
    held = {str(p if isinstance(p, Permission) else Permission.parse(p)) for p in permissions}
    if encoding == "full":
        return sorted(held)
    if catalogue is None:
        raise MisuseError(
            "AUTHZ_ENCODING='compact' needs a catalogue: write Authz(app, roles=Roles(...))"
        )
    unknown = sorted(held.difference(catalogue.ordered_permissions))
    if unknown:
        raise MisuseError(
            "AUTHZ_ENCODING='compact' carries permissions as the catalogue has them, and it has "
            f"no {unknown[0]!r}: add it to a Role(...), or set AUTHZ_ENCODING='full'"
        )
    return pack(catalogue, held, of_roles=False)


def _refuse_unknown(catalogue: Roles | None, names: list[str]) -> None:
    unknown = [name for name in names if catalogue is not None and name not in catalogue]
    if unknown:
        raise MisuseError(
            f"the catalogue has no role {unknown[0]!r}: add Role({unknown[0]!r}, ...) to Roles(...)"
        )


class IdentityReader:
    """Makes an `Identity` of a verified payload, in one encoding and with one catalogue."""

    def __init__(
        self, encoding: Encoding, catalogue: Roles | None, names: ClaimNames = _NAMES
    ) -> None:
        self._catalogue = catalogue
        self._names = names
        self._permissions: Callable[[Mapping[str, Any]], PermissionSet]
        self._permissions = self._granted if encoding == "roles" else self._claimed
        roles, scopes = (names.roles,), (names.scope,)
        self._from_roles = Sources(roles, roles, scopes)
        self._from_claims = Sources(roles, (names.permissions,), scopes)
        # Tokens of equal permissions share one set, which goes when the last of them goes.
        self._sets: weakref.WeakValueDictionary[frozenset[str], PermissionSet]
        self._sets = weakref.WeakValueDictionary()
        self._roles: dict[frozenset[str], frozenset[str]] = {}
        self._unknown_was_told = False

    def read(self, subject: str, payload: Mapping[str, Any]) -> Identity:
        """The identity of a payload; raises `ClaimInvalid` for a claim of the wrong JSON type.

        And for compact permissions that mean nothing in this catalogue.
        """
        names = self._names
        check_payload(payload, names)
        roles = self._shared_roles(payload.get(names.roles, ()))
        self._tell_unknown(roles)
        return Identity(
            subject,
            issuer=payload.get("iss"),
            tenant=payload.get(names.tenant),
            roles=roles,
            permissions=self._permissions(payload),
            scopes=frozenset(filter(None, payload[names.scope].split(" ")))
            if names.scope in payload
            else _NO_SCOPES,
            claims=Claims(payload),
            catalogue=self._catalogue,
            sources=self._sources(payload),
        )

    def _sources(self, payload: Mapping[str, Any]) -> Sources:
        """Which claims a payload is read from: permissions may come of the roles alone."""
        claim = payload.get(self._names.permissions)
        if self._permissions == self._granted or (isinstance(claim, str) and self._is_old(claim)):
            return self._from_roles
        return self._from_claims

    def _is_old(self, packed: str) -> bool:
        """Whether these positions are of another catalogue, so that the roles count."""
        today = self._catalogue.fingerprint if self._catalogue is not None else None
        return Packed.read(packed).fingerprint != today

    def _shared_roles(self, names: Iterable[str]) -> frozenset[str]:
        """One set for all tokens of equal roles, as long as there are not too many of them."""
        roles = frozenset(map(share, names))
        if len(self._roles) >= _SHARED_ROLES:
            self._roles.clear()
        return self._roles.setdefault(roles, roles)

    def _claimed(self, payload: Mapping[str, Any]) -> PermissionSet:
        claim = payload.get(self._names.permissions, ())
        if isinstance(claim, str):
            return self._unpacked(Packed.read(claim), payload)
        return self._shared(frozenset(map(share, claim)))

    def _unpacked(self, packed: Packed, payload: Mapping[str, Any]) -> PermissionSet:
        catalogue = self._catalogue
        if catalogue is not None and packed.fingerprint == catalogue.fingerprint:
            return self._shared(frozenset(packed.permissions(catalogue)))
        if catalogue is not None and packed.of_roles:
            return self._granted(payload)
        raise ClaimInvalid("its permissions are positions in another catalogue, not in today's")

    def _shared(self, names: frozenset[str]) -> PermissionSet:
        """One set for all tokens of equal permissions."""
        held = self._sets.get(names)
        if held is None:
            held = self._sets.setdefault(names, PermissionSet(names))
        return held

    def _granted(self, payload: Mapping[str, Any]) -> PermissionSet:
        if self._catalogue is None:
            return _NONE
        return self._catalogue.permissions_of(payload.get(self._names.roles, ()))

    def _tell_unknown(self, roles: frozenset[str]) -> None:
        if self._catalogue is None or self._unknown_was_told:
            return
        if not all(name in self._catalogue for name in roles):
            self._unknown_was_told = True
            _log.warning("a token carries a role that the catalogue lacks; it grants nothing")
