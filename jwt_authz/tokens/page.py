"""Page tokens: the claims and checks of the token in the cookie of the admin page.

They have their own type and audience (RFC 8725 sections 3.9, 3.11 and 3.12), so that they are
valid only for the page, and no other kind of token is.
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
    """Verifies page tokens, which have the claims of a refresh token."""

    __slots__ = ()

    def _check_kind(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        if not is_page_token(header) or payload.get("type") != CLAIMS["type"]:
            raise KindInvalid("not a token of the admin page")
        if "cnf" in payload:  # RFC 7800: bound to a key, whose possession is not checked here
            raise KindInvalid("the token is bound to a key (cnf), which is not supported")


def is_page_token(header: dict[str, Any]) -> bool:
    """Return whether a token's header says that it is a page token."""
    return _typ(header) == TYP


def is_for_own_endpoint(text: str) -> bool:
    """Return whether a token's header says that it is only for an endpoint of this library."""
    try:
        return _typ(get_unverified_header(text)) in (REFRESH_TYP, TYP)
    except PyJWTError:
        return False


def _typ(header: dict[str, Any]) -> str:
    typ = header.get("typ")
    return typ.lower() if isinstance(typ, str) else ""
