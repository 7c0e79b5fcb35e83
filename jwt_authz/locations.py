"""Locations: where in a request its token stands, and FJE's own checks for all but the header."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flask import Request
from flask_jwt_extended import verify_jwt_in_request as _verify_by_fje
from flask_jwt_extended.config import config as _fje
from flask_jwt_extended.exceptions import (
    CSRFError,
    FreshTokenRequired,
    JWTExtendedException,
    RevokedTokenError,
    UserLookupError,
    WrongTokenError,
)
from jwt import ExpiredSignatureError, PyJWTError

from .errors import (
    CsrfInvalid,
    InvalidToken,
    KindInvalid,
    SubjectUnknown,
    TokenExpired,
    TokenMalformed,
    TokenNotFresh,
    TokenRevoked,
    TokenTooLong,
)


def token_from_header(request: Request, longest: int) -> str | None:
    """The bearer token of the `Authorization` header; None if there is none of our scheme.

    Raises `TokenMalformed` for a header that names our scheme and is no single token: two
    headers reach an application joined by a comma, and which one counts is not ours to guess.
    """
    header = request.headers.get(_fje.header_name, "").strip()
    scheme = _fje.header_type or ""
    if not header:
        return None
    if len(header) > longest + len(scheme) + 1:
        raise TokenTooLong(f"the header has {len(header)} characters")
    words = header.split()
    if not scheme:
        if len(words) != 1:
            raise TokenMalformed("the header holds more than a token")
        return words[0]
    if words[0].lower() != scheme.lower():
        if any(word.lower() == scheme.lower() for word in words):
            raise TokenMalformed("the header names several schemes")
        return None
    if len(words) != 2 or "," in words[1]:
        raise TokenMalformed("the header is not one scheme and one token")
    return words[1]


def plain_scheme(locations: tuple[str, ...]) -> str:
    """What stands before the token in `Authorization`; "" where tokens are not read from there."""
    header_comes_first = not locations or locations[0] == "headers"
    if header_comes_first and _fje.header_name.lower() == "authorization" and _fje.header_type:
        return f"{_fje.header_type} "
    return ""


def other_locations() -> tuple[str, ...]:
    """The places beside the header, or in another order, that FJE is told to look for tokens."""
    locations = tuple(_fje.token_location)
    return () if locations == ("headers",) else locations


def headers_that_decide(locations: tuple[str, ...]) -> list[str]:
    """The request headers that an answer depends on, for its `Vary`."""
    names = [_fje.header_name] if not locations or "headers" in locations else []
    return [*names, "Cookie"] if "cookies" in locations else names or ["Authorization"]


def token_elsewhere(
    request: Request, locations: Iterable[str], longest: int
) -> tuple[str, str] | None:
    """The token and its location, looked for in order, as FJE does; None if there is none.

    FJE then verifies it itself, so that its rules for cookies and CSRF hold to the letter.
    """
    for location in locations:
        token = _LOOK[location](request, longest)
        if token:
            if location != "headers":
                _verify_elsewhere(location)
            return token, location
    return None


def _verify_elsewhere(location: str) -> None:
    try:
        _verify_by_fje(locations=[location])
    except (JWTExtendedException, PyJWTError, ValueError, TypeError, KeyError) as error:
        raise _condition_of(error) from None


def _in_cookie(request: Request, longest: int) -> str | None:
    return request.cookies.get(_fje.access_cookie_name)


def _in_query(request: Request, longest: int) -> str | None:
    value = request.args.get(_fje.query_string_name, "")
    prefix = _fje.query_string_value_prefix
    return value[len(prefix) :] if value.startswith(prefix) else None


def _in_json(request: Request, longest: int) -> str | None:
    body = request.get_json(silent=True) if request.is_json else None
    token = body.get(_fje.json_key) if isinstance(body, dict) else None
    return token if isinstance(token, str) else None


_LOOK: dict[str, Callable[[Request, int], str | None]] = {
    "headers": token_from_header,
    "cookies": _in_cookie,
    "query_string": _in_query,
    "json": _in_json,
}

_CONDITIONS: tuple[tuple[type[Exception], type[InvalidToken]], ...] = (
    (CSRFError, CsrfInvalid),
    (FreshTokenRequired, TokenNotFresh),
    (RevokedTokenError, TokenRevoked),
    (UserLookupError, SubjectUnknown),
    (WrongTokenError, KindInvalid),
    (ExpiredSignatureError, TokenExpired),
)


def _condition_of(error: Exception) -> InvalidToken:
    """Our condition for one of FJE's or PyJWT's exceptions."""
    if isinstance(error, InvalidToken):
        return error
    for theirs, ours in _CONDITIONS:
        if isinstance(error, theirs):
            return ours()
    return TokenMalformed(f"refused by Flask-JWT-Extended ({type(error).__name__})")
