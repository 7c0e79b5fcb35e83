"""Challenge: how clients send their tokens, by Flask-JWT-Extended's settings, in words and scheme.

A 401 has at least one challenge (RFC 9110 section 15.5.2). If tokens are read from cookies alone,
it has the scheme `Cookie`, so that no client sends a header that is not read.
"""

from __future__ import annotations

import re

from flask_jwt_extended.config import config as _fje

_BEARER, _COOKIE = "Bearer", "Cookie"
_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def token_type() -> str:
    """Return what stands before a token in its header (RFC 6749 section 7.1)."""
    return _fje.header_type or _BEARER


def challenge_scheme(takes_token: bool) -> str:
    """Return the scheme of `WWW-Authenticate` (RFC 9110 section 11.6.1)."""
    if not takes_token or set(_fje.token_location) == {"cookies"}:
        return _COOKIE
    scheme = token_type() if "headers" in _fje.token_location else _BEARER
    return scheme if _SCHEME.fullmatch(scheme) else _BEARER


def ways_to_send() -> str:
    """Return where a client may put its token, in the order in which it is looked for."""
    scheme = f"{_fje.header_type} " if _fje.header_type else ""
    ways = {
        "headers": f"{_fje.header_name}: {scheme}<token>",
        "cookies": f"the cookie {_fje.access_cookie_name}",
        "query_string": f"the query parameter {_fje.query_string_name}",
        "json": f"the member {_fje.json_key} of a JSON body",
    }
    *others, last = (ways[location] for location in _fje.token_location if location in ways)
    return f"{', '.join(others)} or {last}" if others else last
