"""Sizes: how long a token would be in each of the encodings that could carry what it carries."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ClaimInvalid
from ..roles import Roles
from .compact import Packed, pack
from .encodings import Encoding
from .names import CATALOGUE, ClaimNames


def sizes_of(token: str, catalogue: Roles | None, names: ClaimNames) -> dict[Encoding, int]:
    """The characters of a token just made, with its permissions in each encoding that has them.

    `roles` has those of the roles and no others, `compact` those of the catalogue.
    """
    payload = token.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    written = {names.permissions, CATALOGUE}
    rest = {name: value for name, value in claims.items() if name not in written}
    around = len(token) - len(payload)
    return {
        encoding: around + _length({**rest, **claim})
        for encoding, claim in _claims(claims, catalogue, names)
    }


def _claims(
    claims: Mapping[str, Any], catalogue: Roles | None, names: ClaimNames
) -> Iterator[tuple[Encoding, dict[str, Any]]]:
    """The claims for the permissions in each encoding that can carry them, shortest first."""
    roles = claims.get(names.roles)
    named = map(str, roles if isinstance(roles, list) else ())
    granted = set(catalogue.permissions_of(named)) if catalogue is not None else set()
    held, of_roles = _held(claims, catalogue, granted, names)
    if held == granted:
        yield "roles", {}
    if catalogue is not None and held.issubset(catalogue.ordered_permissions):
        yield "compact", {names.permissions: pack(catalogue, held, held == granted)}
    version = {CATALOGUE: catalogue.fingerprint} if catalogue is not None and of_roles else {}
    yield "full", {names.permissions: sorted(held), **version}


def _held(
    claims: Mapping[str, Any], catalogue: Roles | None, granted: set[str], names: ClaimNames
) -> tuple[set[str], bool]:
    """The permissions, and whether they were worked out from the roles."""
    claim = claims.get(names.permissions)
    if isinstance(claim, list):
        return set(map(str, claim)), CATALOGUE in claims
    if not isinstance(claim, str) or catalogue is None:
        return granted, True
    try:
        packed = Packed.read(claim)
        return set(packed.permissions(catalogue)), packed.of_roles
    except ClaimInvalid:  # what an application wrote itself, and will be refused
        return granted, True


def _length(claims: Mapping[str, Any]) -> int:
    """The characters of these claims as the payload of a token: JSON, then base64url."""
    size = len(json.dumps(claims, separators=(",", ":")))
    return (4 * size + 2) // 3
