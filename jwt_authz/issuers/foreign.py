"""ForeignVerifier: the checks of an issuer's tokens, which have no claims of our own making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ClaimInvalid, KindInvalid
from ..tokens.verifier import Verifier

_STRINGS = ("iss", "sub", "jti", "client_id")


@dataclass(frozen=True, slots=True)
class ForeignVerifier(Verifier):
    """What a foreign access token is checked against, beside what its payload means.

    `typ` is what the header's `typ` may be, in lower case and without `application/`; None among
    it where it may be missing. Subject and audience are looked at by whoever reads the payload.
    """

    typ: frozenset[str | None] = frozenset({"jwt", "at+jwt", None})

    def _check_kind(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        named = header.get("typ")
        if (None if named is None else plain_typ(named)) not in self.typ:
            raise KindInvalid("the header's typ is none that this issuer's access tokens have")
        if "cnf" in payload:  # RFC 7800: bound to a key whose proof is not asked for here
            raise KindInvalid("the token is bound to a key (cnf), which is not supported")

    def check_strings(self, payload: dict[str, Any]) -> None:
        for name in _STRINGS:
            if name in payload and not isinstance(payload[name], str):
                raise ClaimInvalid(f"{name} is no string")
        # What get_jwt() has of every token. A log-in elsewhere is not fresh by a claim of ours.
        payload.setdefault("jti", None)
        payload.setdefault("type", "access")
        payload["fresh"] = False


def plain_typ(typ: str) -> str:
    """A header's `typ` as it is compared (RFC 7515 section 4.1.9): a media type without its top."""
    return typ.lower().removeprefix("application/")
