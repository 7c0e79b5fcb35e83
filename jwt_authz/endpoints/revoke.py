"""The revocation endpoint, `POST /token/revoke` (RFC 7009): end the token in the body."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..application import AppState, current_state
from ..errors import InvalidToken
from ..logins.revoking import end_family, end_token, has_expired
from ..refusals import ProblemAnswer, unstored
from ..tokens.page import is_page_token
from ..tokens.refresh import family_of_refresh_token
from .bodies import read_token


def revoke_token() -> Response:
    """Revoke a token: answer 200 if it is no longer valid, 503 if the store does not answer.

    A refresh token ends its family and the access tokens that came with it; any other token ends
    alone. Every token signed by this application is revoked, even if it is not valid now: it may be
    valid later, or in a process whose clock or settings differ. An expired token, and one with
    another signature, is also answered with 200 (section 2.2). The cookie of the admin page is a
    token type that is not supported here (section 2.2.1).
    """
    text = read_token()
    state = current_state()
    try:
        token = state.read_token(lambda found: found.own_token(text))
    except InvalidToken:
        return unstored()
    if is_page_token(token.header):
        detail = "A token of the administration page cannot be revoked here. Log out on the page."
        raise ProblemAnswer(400, "unsupported-token-type", detail, "unsupported_token_type")
    payload = token.unverified()  # own_token has verified it
    if not has_expired(state, payload):
        family = family_of_refresh_token(token.header, payload)
        if family is not None:
            end_family(state, family)
        else:
            _end_alone(state, payload)
    return unstored()


def _end_alone(state: AppState, payload: dict[str, Any]) -> None:
    jti = payload.get("jti")
    if not jti or not isinstance(jti, str):
        detail = "The token has no jti, so it cannot be revoked by itself."
        raise ProblemAnswer(400, "unsupported-token-type", detail, "unsupported_token_type")
    end_token(state, jti, payload)
