"""Sizes: the length of a token in each encoding that can represent its permissions."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import ClaimInvalid
from ..policy.roles import Roles
from .claim_names import CATALOG, ClaimNames
from .compact import Packed, pack
from .encodings import Encoding, granted_claims


class Written(NamedTuple):
    """A token in one encoding: the claims for its permissions, and its length."""

    encoding: Encoding
    claims: dict[str, Any]
    size: int


def claims_of_token(token: str) -> tuple[dict[str, Any], int]:
    """Return the claims of a new token, and the number of characters around its payload."""
    payload = token.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims, len(token) - len(payload)


def written_as(
    claims: Mapping[str, Any], around: int, catalog: Roles | None, names: ClaimNames
) -> Iterator[Written]:
    """Yield a token in each encoding that gives it the same rights: `full`, `compact`, `roles`.

    `claims` and `around` come from `claims_of_token`. `compact` can represent only permissions in
    the catalog, and `roles` only those of the token's roles.
    """
    written = {names.permissions, CATALOG}
    rest = {name: value for name, value in claims.items() if name not in written}
    for encoding, claim in _claims(claims, catalog, names):
        yield Written(encoding, claim, around + _length({**rest, **claim}))


def _claims(
    claims: Mapping[str, Any], catalog: Roles | None, names: ClaimNames
) -> Iterator[tuple[Encoding, dict[str, Any]]]:
    held = _own(claims, catalog, names)
    if held is None:
        roles = claims.get(names.roles)
        named = [str(name) for name in (roles if isinstance(roles, list) else ())]
        yield "full", granted_claims("full", catalog, named, names)
        if catalog is not None:
            yield "compact", granted_claims("compact", catalog, named, names)
        yield "roles", granted_claims("roles", catalog, named, names)
        return
    yield "full", {names.permissions: sorted(held)}
    if catalog is not None and held.issubset(catalog.ordered_permissions):
        yield "compact", {names.permissions: pack(catalog, held, of_roles=False)}


def _own(claims: Mapping[str, Any], catalog: Roles | None, names: ClaimNames) -> set[str] | None:
    """Return the token's explicit permissions; None if they are those of its roles."""
    claim = claims.get(names.permissions)
    if isinstance(claim, list):
        is_own = catalog is None or claims.get(CATALOG) != catalog.fingerprint
        return set(map(str, claim)) if is_own else None
    if not isinstance(claim, str) or catalog is None:
        return None
    try:
        packed = Packed.read(claim)
        return None if packed.of_roles else set(packed.permissions(catalog))
    except ClaimInvalid:  # the application's own string, which no reader accepts
        return None


def _length(claims: Mapping[str, Any]) -> int:
    """Return the number of characters of these claims as the payload of a token."""
    size = len(json.dumps(claims, separators=(",", ":")))
    return (4 * size + 2) // 3
