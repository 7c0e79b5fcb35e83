"""Compact: permissions as positions in the catalogue, a bit set beside the catalogue's fingerprint.

The claim is a text of three parts with dots between. The first is `r` where the permissions are
exactly those of the token's roles, else `o`. The second is `Roles.fingerprint`. The third is a bit
a position of `Roles.ordered_permissions`, the first bit being the highest of the first byte, in
base64url without padding (RFC 4648 section 5). One set has one spelling; there is no other.
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
    """Whether a text has the three parts, whatever they say."""
    return _FORM.fullmatch(text) is not None


def pack(catalogue: Roles, held: Container[str], of_roles: bool) -> str:
    """The claim for those permissions of the catalogue that are held."""
    bits = "".join("1" if name in held else "0" for name in catalogue.ordered_permissions)
    size = (len(bits) + 7) // 8
    data = int(f"0{bits:0<{8 * size}}", 2).to_bytes(size, "big")
    text = urlsafe_b64encode(data).rstrip(b"=").decode()
    return f"{'r' if of_roles else 'o'}.{catalogue.fingerprint}.{text}"


class Packed(NamedTuple):
    """A claim that was read: where its permissions come from, whose positions, and its bits."""

    of_roles: bool
    fingerprint: str
    bits: str

    @classmethod
    def read(cls, text: str) -> Packed:
        """The parts of a claim; raises `ClaimInvalid` for a text of another form."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ClaimInvalid("the compact permissions have not three parts")
        return cls(match[1] == "r", match[2], match[3])

    def permissions(self, catalogue: Roles) -> Iterator[str]:
        """The permissions at the positions that are set; raises `ClaimInvalid` for odd bits.

        The catalogue must be the one that the fingerprint names.
        """
        names = catalogue.ordered_permissions
        size = (len(names) + 7) // 8
        if len(self.bits) != (4 * size + 2) // 3:
            raise ClaimInvalid("the bit set has not the catalogue's length")
        data = urlsafe_b64decode(self.bits + "=" * (-len(self.bits) % 4))
        if urlsafe_b64encode(data).rstrip(b"=").decode() != self.bits:
            raise ClaimInvalid("the bit set is not canonical base64url")
        number = int.from_bytes(data, "big")
        if number & ((1 << (8 * size - len(names))) - 1):
            raise ClaimInvalid("the bit set has a position beyond the catalogue")
        return compress(names, map(int, f"{number:0{8 * size}b}"))
