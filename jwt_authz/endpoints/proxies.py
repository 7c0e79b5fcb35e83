"""Detect unconfigured proxies: is the address of a request really the client's?"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from flask import current_app, has_request_context, request

from ..findings import Found

_HEADERS = ("X-Forwarded-For", "Forwarded")
_PROXY_FIX = "werkzeug.proxy_fix.orig"
_SEEN = "jwt_authz.unconfigured_proxy"
_log = logging.getLogger("jwt_authz")


def is_from_unconfigured_proxy() -> bool:
    """Return whether the current request seems to come from a proxy that is not configured.

    If so, the address is that of the proxy, the same for all callers. Log a warning once for each
    application.
    """
    header = _unhandled_header()
    if header is not None and _SEEN not in current_app.extensions:
        current_app.extensions[_SEEN] = header
        _log.warning("%s", _warning(header))
    return header is not None


def unconfigured_proxies() -> Iterator[Found]:
    """Yield a finding if a request came from a proxy that is not configured."""
    seen = current_app.extensions
    header = _unhandled_header() if has_request_context() else None
    if header is not None:
        seen.setdefault(_SEEN, header)
    if _SEEN in seen:
        yield Found(_warning(seen[_SEEN]))


def _unhandled_header() -> str | None:
    """Return the header that names the client, if the address is not taken from it."""
    header = next((name for name in _HEADERS if name in request.headers), None)
    before = request.environ.get(_PROXY_FIX)
    if header is None or before is None:
        return header
    nearest = request.headers[header].rpartition(",")[2].strip()
    is_taken = request.remote_addr != before["REMOTE_ADDR"] or nearest == request.remote_addr
    return None if is_taken else header


def _warning(header: str) -> str:
    return (
        f"requests arrive with {header} and no proxy is configured for it, so all clients may "
        "share the proxy's address and its limit on guesses: wrap app.wsgi_app in werkzeug's "
        "ProxyFix, with x_for as the number of proxies, or let the server in front remove the "
        "header"
    )
