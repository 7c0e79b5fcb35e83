"""The cookie of the page's log-in, and what tells the page's own forms from forged ones.

How it works. The cookie holds a page token of the log-in just made, which nothing but the page
accepts, and whose refresh family ends when the token does: what ends a user's tokens ends their
page, too. It goes to the page's path
alone and with requests of the page's own site alone (`SameSite=Strict`); scripts cannot read it.
What is posted must come from the page: by the browser's own word (`Sec-Fetch-Site`, or `Origin`),
and by a value made of the token, which another site does not know.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

from flask import request, url_for

from .._context import get_app, get_request
from ..application import current_parts
from ..jwt_extended.bridge import manager_of

COOKIE = "authz_admin"
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d*)?", re.IGNORECASE)


def take_cookie(*_: object) -> None:
    """Take a request of the page for one that brought the token of its cookie."""
    text = request.cookies.get(COOKIE)
    if text:
        app = get_app()
        authenticator = current_parts().current_authenticator(app)
        authenticator.take(get_request(), manager_of(app), text, is_page=True)


def csrf_token() -> str:
    """What the forms of this log-in carry."""
    text = request.cookies.get(COOKIE, "")
    return sha256(b"jwt_authz admin page form: " + text.encode()).hexdigest()


def is_from_here() -> bool:
    """Return whether the browser says that the page itself has sent the request."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "")
    if site is not None:
        return site == "same-origin"
    # Compared as text: an Origin that is not a URL is another one, and needs no parser.
    scheme, _, host = origin.partition("://")
    return scheme in ("http", "https") and host != "" and host == request.host


def cookie_options() -> dict[str, Any]:
    """Return how the cookie is set and deleted: `Secure`, except on this machine without TLS."""
    is_loopback = _LOOPBACK.fullmatch(request.host) is not None
    return {
        "path": url_for(".show_users"),
        "httponly": True,
        "samesite": "Strict",
        "secure": request.is_secure or not is_loopback,
    }
