"""The cookie of the page's log-in, and the protection against forged forms.

How it works. The cookie contains a page token, which only the page accepts, and whose token family
ends with the token: what ends a user's tokens also ends their log-in on the page. The browser sends
it only to the page's path, and only with requests from the page's own site (`SameSite=Strict`).
Scripts cannot read it. Posts must come from the page: the browser says so (`Sec-Fetch-Site`, or
`Origin`), and a form value is derived from the token, which other sites do not know.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

from flask import request, url_for

from .._context import get_app, get_request
from ..application import current_state

COOKIE = "authz_admin"
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d*)?", re.IGNORECASE)


def take_cookie(*_: object) -> None:
    """Authenticate a request of the page with the token in its cookie."""
    text = request.cookies.get(COOKIE)
    if text:
        app = get_app()
        authenticator = current_state().authenticator(app)
        authenticator.take(get_request(), text, is_page=True)


def csrf_token() -> str:
    """Return the token for the forms of this log-in."""
    text = request.cookies.get(COOKIE, "")
    return sha256(b"jwt_authz admin page form: " + text.encode()).hexdigest()


def is_from_here() -> bool:
    """Return whether, according to the browser, the page itself sent the request."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "")
    if site is not None:
        return site == "same-origin"
    # Compared as text: an Origin that is not a URL does not match, and needs no parser.
    scheme, _, host = origin.partition("://")
    return scheme in ("http", "https") and host != "" and host == request.host


def cookie_options() -> dict[str, Any]:
    """Return the options of the cookie: `Secure`, except on this machine without TLS."""
    is_loopback = _LOOPBACK.fullmatch(request.host) is not None
    return {
        "path": url_for(".show_users"),
        "httponly": True,
        "samesite": "Strict",
        "secure": request.is_secure or not is_loopback,
    }
