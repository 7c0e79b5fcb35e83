"""Compact encoding: permissions as a bit set of positions in the catalog, with its fingerprint.

The claim is a string of three parts separated by dots. The first is `r` if the permissions are
exactly those of the token's roles, else `o`. The second is `Roles.fingerprint`. The third has one
bit for each of `Roles.ordered_permissions`, starting with the highest bit of the first byte, in
base64url without padding (RFC 4648 section 5). Each set has exactly one valid form.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Container, Iterator
from itertools import compress
from typing import NamedTuple

from ..errors import ClaimInvalid
from ..policy.roles import Roles

_FORM = re.compile(r"([ro])\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]*)")


def has_compact_form(text: str) -> bool:
    """Return whether a string has the three parts, valid or not."""
    return _FORM.fullmatch(text) is not None


def pack(catalog: Roles, held: Container[str], of_roles: bool) -> str:
    """Return the claim for those permissions of the catalog that are held."""
    bits = "".join("1" if name in held else "0" for name in catalog.ordered_permissions)
    size = (len(bits) + 7) // 8
    data = int(f"0{bits:0<{8 * size}}", 2).to_bytes(size, "big")
    text = urlsafe_b64encode(data).rstrip(b"=").decode()
    return f"{'r' if of_roles else 'o'}.{catalog.fingerprint}.{text}"


class Packed(NamedTuple):
    """A parsed claim: whether its permissions are those of the roles, the fingerprint, the bits."""

    of_roles: bool
    fingerprint: str
    bits: str

    @classmethod
    def read(cls, text: str) -> Packed:
        """Return the parts of a claim; raise `ClaimInvalid` for another form."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ClaimInvalid("the compact permissions do not have three parts")
        return cls(match[1] == "r", match[2], match[3])

    def permissions(self, catalog: Roles) -> Iterator[str]:
        """Yield the permissions at the set positions; raise `ClaimInvalid` for invalid bits.

        The catalog must be the one that the fingerprint names.
        """
        names = catalog.ordered_permissions
        size = (len(names) + 7) // 8
        if len(self.bits) != (4 * size + 2) // 3:
            raise ClaimInvalid("the bit set does not have the catalog's length")
        data = urlsafe_b64decode(self.bits + "=" * (-len(self.bits) % 4))
        if urlsafe_b64encode(data).rstrip(b"=").decode() != self.bits:
            raise ClaimInvalid("the bit set is not canonical base64url")
        number = int.from_bytes(data, "big")
        if number & ((1 << (8 * size - len(names))) - 1):
            raise ClaimInvalid("the bit set has a position beyond the catalog")
        return compress(names, map(int, f"{number:0{8 * size}b}"))
