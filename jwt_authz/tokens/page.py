"""Page tokens: what the cookie of the admin page holds, and the checks that it must pass.

They are of a kind and for an audience of their own (RFC 8725 sections 3.9, 3.11 and 3.12), so that
one opens nothing but the page, and no other kind of token opens the page.
"""

from __future__ import annotations

from typing import Any

from jwt import PyJWTError, get_unverified_header

from ..errors import KindInvalid
from .refresh import TYP as REFRESH_TYP
from .refresh import RefreshVerifier

TYP = "authz-page+jwt"
AUDIENCE = "urn:jwt-authz:admin-page"
CLAIMS = {"type": "authz-page", "aud": AUDIENCE}
"""The claims that set a page token apart from an access token."""


class PageVerifier(RefreshVerifier):
    """What a page token is checked against: the same claims as those of a refresh token."""

    __slots__ = ()

    def _check_kind(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        if not is_page_token(header) or payload.get("type") != CLAIMS["type"]:
            raise KindInvalid("this is not a token of the admin page")
        if "cnf" in payload:  # RFC 7800: bound to a key whose proof is not asked for here
            raise KindInvalid("the token is bound to a key (cnf), which is not supported")


def is_page_token(header: dict[str, Any]) -> bool:
    """Return whether a token's header says that it is a page token."""
    return _typ(header) == TYP


def is_for_own_endpoint(text: str) -> bool:
    """Return whether a token's header says that one endpoint of this library alone takes it."""
    try:
        return _typ(get_unverified_header(text)) in (REFRESH_TYP, TYP)
    except PyJWTError:
        return False


def _typ(header: dict[str, Any]) -> str:
    typ = header.get("typ")
    return typ.lower() if isinstance(typ, str) else ""
