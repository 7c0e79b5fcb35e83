"""The revocation endpoint, `POST /token/revoke` (RFC 7009): whoever has a token may end it."""

from __future__ import annotations

from flask import Response

from ..errors import InvalidToken
from ..jwt_extended import leeway
from ..parts import Parts, current_parts
from ..revoking import end_family
from .answers import ProblemAnswer, unstored
from .bodies import read_token


def revoke_token() -> Response:
    """End a token: 200 when it is of no use any more, 503 when that cannot be said.

    A refresh token ends its family and the access tokens that came with it, an access token
    itself alone. A token that is not good, or another issuer's, is answered 200 as well (section
    2.2): there is nothing to end.
    """
    text = read_token()
    parts = current_parts()
    if not _end_refresh_token(parts, text):
        _end_access_token(parts, text)
    return unstored()


def _end_refresh_token(parts: Parts, text: str) -> bool:
    try:
        claims = parts.verified(lambda found, manager: found.refresh_claims(text, manager))
    except InvalidToken:
        return False
    end_family(parts, claims.family)
    return True


def _end_access_token(parts: Parts, text: str) -> None:
    try:
        token = parts.verified(lambda found, manager: found.verified(text, manager)).token
    except InvalidToken:
        return
    if token is None or not token.is_own:
        return
    if not token.jti:
        detail = "The token has no jti, by which it could be revoked alone."
        raise ProblemAnswer(400, "unsupported-token-type", detail, "unsupported_token_type")
    expires_at = token.identity.claims["exp"] + leeway()
    parts.needed_revocations().revoke(jti=token.jti, expires_at=expires_at)
