"""Find the token in a request: in the header, or by Flask-JWT-Extended in other locations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Request
from flask_jwt_extended import decode_token
from flask_jwt_extended.config import config as _fje
from flask_jwt_extended.exceptions import (
    CSRFError,
    FreshTokenRequired,
    JWTExtendedException,
    NoAuthorizationError,
    RevokedTokenError,
    UserLookupError,
    WrongTokenError,
)
from jwt import ExpiredSignatureError, PyJWTError

from ..errors import (
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
from .bridge import FINDERS


def token_from_header(request: Request, longest: int) -> str | None:
    """Return the bearer token in the `Authorization` header, None without the configured scheme.

    Raise `TokenMalformed` unless exactly one token follows the scheme. Two headers arrive joined
    by a comma, and it is unclear which is meant. Only spaces and tabs separate the scheme from the
    token (RFC 9110 section 11.4).
    """
    header = request.headers.get(_fje.header_name, "").strip(" \t")
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
    if not header.isprintable() and not header.replace("\t", " ").isprintable():
        # str.split() also splits at no-break spaces and control characters
        raise TokenMalformed("the header has a control character or a no-break space")
    if len(words) != 2 or "," in words[1]:
        raise TokenMalformed("the header is not one scheme and one token")
    return words[1]


def plain_scheme(locations: tuple[str, ...]) -> str:
    """Return the scheme before the token in `Authorization`; "" if another location comes first."""
    header_comes_first = not locations or locations[0] == "headers"
    if header_comes_first and _fje.header_name.lower() == "authorization" and _fje.header_type:
        return f"{_fje.header_type} "
    return ""


def other_locations() -> tuple[str, ...]:
    """Return `JWT_TOKEN_LOCATION`; empty if it is only the header."""
    locations = tuple(_fje.token_location)
    return () if locations == ("headers",) else locations


def headers_that_decide(locations: tuple[str, ...]) -> list[str]:
    """Return the request headers that tokens are read from, for `Vary`."""
    names = [_fje.header_name] if not locations or "headers" in locations else []
    return [*names, "Cookie"] if "cookies" in locations else names or ["Authorization"]


def vary_by(response: Any, names: str) -> Any:
    """Add these request headers to the response's `Vary` (RFC 9110 section 12.5.5).

    There is only one `Vary` header, since code that adds to it later (Flask's session) reads the
    first.
    """
    headers = response.headers
    for name, _ in headers:  # a fourth of what `getlist` costs
        if name.lower() == "vary":
            headers.set("Vary", ", ".join([*headers.getlist("Vary"), names]))
            return response
    headers.add("Vary", names)
    return response


def token_elsewhere(
    request: Request, locations: Iterable[str], longest: int
) -> tuple[str, str] | None:
    """Return the token and its location, the first in the given order; None if there is none.

    Outside the header, FJE finds and verifies it first, so its rules for cookies and CSRF apply.
    """
    for location in locations:
        if location == "headers":
            token = token_from_header(request, longest)
        else:
            token = _found_by_fje(location, longest)
        if token is not None:
            return token, location
    return None


def _found_by_fje(location: str, longest: int) -> str | None:
    try:
        token, csrf_value = FINDERS[location]()
    except NoAuthorizationError:
        return None
    except JWTExtendedException as error:
        raise _condition_of(error) from None
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise TokenMalformed("the request has no valid place for a token") from None
    if not isinstance(token, str):
        raise TokenMalformed("the token is not a string")
    if len(token) > longest:
        raise TokenTooLong(f"{len(token)} characters; at most {longest} are read")
    try:
        decode_token(token, csrf_value)
    except _REFUSALS as error:
        raise _condition_of(error) from None
    return token


# Older versions of PyJWT raise Python's own errors for deep nesting and infinite numbers.
_REFUSALS = (
    JWTExtendedException,
    PyJWTError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)

_CONDITIONS: tuple[tuple[type[Exception], type[InvalidToken]], ...] = (
    (CSRFError, CsrfInvalid),
    (FreshTokenRequired, TokenNotFresh),
    (RevokedTokenError, TokenRevoked),
    (UserLookupError, SubjectUnknown),
    (WrongTokenError, KindInvalid),
    (ExpiredSignatureError, TokenExpired),
)


def _condition_of(error: Exception) -> InvalidToken:
    """Return the `InvalidToken` for an exception of FJE or PyJWT."""
    if isinstance(error, InvalidToken):
        return error
    for theirs, ours in _CONDITIONS:
        if isinstance(error, theirs):
            return ours()
    return TokenMalformed(f"refused by Flask-JWT-Extended ({type(error).__name__})")
