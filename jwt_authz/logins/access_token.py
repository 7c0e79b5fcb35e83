"""Issue an access token as defined in RFC 9068, signed with the settings of FJE."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask_jwt_extended import create_access_token

TYP = "at+jwt"  # RFC 9068 section 2.1


def issue_token(
    subject: Any,
    claims: Mapping[str, Any],
    fresh: bool | timedelta,
    expires: timedelta | None,
    typ: str = TYP,
) -> str:
    """Return an encoded access token with these claims and a new id (128 random bits).

    Needs an application context. `expires` defaults to `JWT_ACCESS_TOKEN_EXPIRES`.
    """
    token: str = create_access_token(
        subject,
        fresh=fresh,
        expires_delta=expires,
        additional_claims={"jti": secrets.token_urlsafe(16), **claims},
        additional_headers={"typ": typ},
    )
    return token
