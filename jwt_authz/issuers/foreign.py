"""Foreign tokens: verifies the signature and the header of tokens that other issuers signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ClaimInvalid, KindInvalid
from ..tokens.verifier import Verifier

_STRINGS = ("iss", "sub", "jti", "client_id")


@dataclass(frozen=True, slots=True)
class ForeignVerifier(Verifier):
    """Verifies foreign access tokens, except for subject and audience, which depend on the issuer.

    `typ` are the accepted values of the header's `typ`, in lower case and without
    `application/`; None among them if it may be missing.
    """

    typ: frozenset[str | None] = frozenset({"jwt", "at+jwt", None})

    def _check_kind(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        named = header.get("typ")
        if (None if named is None else plain_typ(named)) not in self.typ:
            raise KindInvalid("the header's typ is not that of this issuer's access tokens")
        if "cnf" in payload:  # RFC 7800: bound to a key, whose possession is not checked here
            raise KindInvalid("the token is bound to a key (cnf), which is not supported")

    def check_strings(self, payload: dict[str, Any]) -> None:
        for name in _STRINGS:
            if name in payload and not isinstance(payload[name], str):
                raise ClaimInvalid(f"{name} is not a string")
        # get_jwt() has these for every token. A claim of a foreign token cannot make it fresh.
        payload.setdefault("jti", None)
        payload.setdefault("type", "access")
        payload["fresh"] = False


def plain_typ(typ: str) -> str:
    """Return a header's `typ` without `application/`, in lower case (RFC 7515 section 4.1.9)."""
    return typ.lower().removeprefix("application/")
