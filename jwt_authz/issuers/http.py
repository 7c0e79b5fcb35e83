"""HTTP: exchanges JSON objects with issuers and decision points, with limits on time and size."""

from __future__ import annotations

import functools
import json
import os
import re
import ssl
from collections.abc import Mapping
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from .._concurrency.forks import renew_after_fork
from .._extras import needs_extra
from ..errors import MisuseError, StoreUnavailable, TokenMalformed
from ..tokens.jws import read_object
from .connections import (
    Exchange,
    PlainPool,
    StaleConnection,
    TimedTLSSocket,
    TLSPool,
    exchange,
    time_left,
)
from .egress import PORTS, WrongStatus, check_url, may_connect, proxy_for

with needs_extra("requests to issuers and decision points", "urllib3 2", "http"):
    from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Timeout, make_headers
    from urllib3.exceptions import HTTPError, ProxyError

MOST_BYTES = 512 * 1024
"""The longest response that is read, in bytes."""
MOST_KEPT = 32
"""How many unused connections to one server are kept."""

_HEADERS = {
    "Accept": "application/json, application/jwk-set+json",
    "Accept-Encoding": "identity",
    "User-Agent": "jwt_authz",
}
_OK = 200
_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_AUTHORITIES_KEPT = 600  # seconds
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")

_Authorities = tuple[tuple[str | None, ...], int]


class HttpClient:
    """Sends requests over connections that are kept, also from several threads and greenlets.

    `ca_bundle` is a file of certificate authorities that are trusted instead of the machine's.
    Certificates are loaded again every ten minutes. `plain_http` permits http without TLS inside a
    private network. Redirects are not followed. Raises `MisuseError` for an unusable `ca_bundle`.
    """

    def __init__(self, *, ca_bundle: str | None = None, plain_http: bool = False) -> None:
        self._ca_bundle, self._plain_http = ca_bundle, plain_http
        if ca_bundle is not None:
            _check_authorities(ca_bundle)
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Leave the connections and locks to the process that this one was forked from."""
        self._authorities: _Authorities | None = None
        self._managers: dict[str | None, PoolManager] = {}

    def check_url(self, url: object) -> str:
        """Return the URL if requests may be sent to it, else raise `MisuseError`."""
        checked = check_url(url, plain_http=self._plain_http)
        proxy_for(checked)
        return checked

    def get_json(self, url: str, until: float) -> dict[str, Any]:
        """Return the JSON object at a URL; raise `StoreUnavailable` for anything else.

        `until` is the deadline on the monotonic clock, from resolving the name to the last byte.
        """
        return self._exchange("GET", url, until, None, _HEADERS)

    def post_json(
        self, url: str, members: Mapping[str, Any], until: float, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Post a JSON object to a URL and return the response; otherwise as `get_json`."""
        body = json.dumps(members).encode()
        more = {**_HEADERS, "Content-Type": "application/json", **headers}
        return self._exchange("POST", url, until, body, more)

    def _exchange(
        self, method: str, url: str, until: float, body: bytes | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        parts = urlsplit(self.check_url(url))
        proxy, host = proxy_for(url), parts.hostname or ""
        token = exchange.set(
            Exchange(until, lambda to: proxy is not None or may_connect(parts.scheme, host, to))
        )
        try:
            while True:
                try:
                    return self._attempt(method, parts, proxy, body, headers)
                except HTTPError as error:
                    if not _is_stale(error):  # else try again, until a new connection is made
                        raise
        except TokenMalformed as error:
            raise StoreUnavailable(f"{host}: {error.detail}") from None
        except (OSError, HTTPError, ValueError) as error:
            raise StoreUnavailable(f"{host}: {_described(error)}") from None
        finally:
            exchange.reset(token)

    def _attempt(
        self,
        method: str,
        parts: SplitResult,
        proxy: str | None,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> dict[str, Any]:
        pool = self._manager(proxy).connection_from_host(
            parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme
        )
        response = pool.urlopen(
            method,
            _target(parts),
            body,
            headers,
            retries=False,
            redirect=False,
            timeout=Timeout(total=time_left()),
            preload_content=False,
            decode_content=False,
        )
        try:
            return read_object(_body(response), "answer")
        finally:
            response.close()  # and the connection with it, unless the whole body was read

    def _manager(self, proxy: str | None) -> PoolManager:
        """Return the pools of a proxy, or those without one."""
        authorities = _authorities()
        if self._authorities != authorities:
            self._managers, self._authorities = {}, authorities
        found = self._managers.get(proxy)
        if found is None:
            context = _tls(self._ca_bundle, authorities)
            found = self._managers.setdefault(proxy, _new_manager(proxy, context, authorities))
        return found


def _authorities() -> _Authorities:
    """Return what decides which authorities the machine trusts now."""
    return tuple(map(os.environ.get, _AUTHORITIES)), int(monotonic() // _AUTHORITIES_KEPT)


@functools.lru_cache(maxsize=8)
def _tls(ca_bundle: str | None, authorities: _Authorities) -> ssl.SSLContext:
    """Return a TLS context, kept for a while, since loading the authorities is slow."""
    context = ssl.create_default_context(cafile=ca_bundle)
    context.sslsocket_class = TimedTLSSocket
    return context


def _new_manager(
    proxy: str | None, context: ssl.SSLContext, authorities: _Authorities
) -> PoolManager:
    options: dict[str, Any] = {"ssl_context": context, "maxsize": MOST_KEPT}
    if proxy is None:
        manager = PoolManager(**options)
    else:
        parts = urlsplit(proxy)
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        manager = ProxyManager(
            parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
            proxy_headers=make_headers(proxy_basic_auth=login) if login != ":" else None,
            proxy_ssl_context=_tls(None, authorities),
            **options,
        )
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": TLSPool}
    return manager


def _check_authorities(ca_bundle: object) -> None:
    if not isinstance(ca_bundle, str):
        raise MisuseError(f"Invalid ca_bundle {ca_bundle!r}: expected the path of a PEM file.")
    try:
        ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:
        is_read = isinstance(error, ssl.SSLError)
        reason = "it has no certificate" if is_read else error.strerror
        raise MisuseError(f"Unusable ca_bundle {ca_bundle!r}: {reason}.") from None


def _target(parts: SplitResult) -> str:
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _body(response: BaseHTTPResponse) -> bytes:
    if response.status != _OK:  # also for a redirect, which is not followed
        raise WrongStatus(response.status)
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise StoreUnavailable("the response is encoded, which was not requested")
    body = b""
    while len(body) <= MOST_BYTES and (read := response.read(MOST_BYTES + 1 - len(body))):
        body += read  # the last, empty read finds out whether the whole body arrived
    if len(body) > MOST_BYTES:
        raise StoreUnavailable(f"the response has more than {MOST_BYTES} bytes")
    return body


def _is_stale(error: HTTPError) -> bool:
    return any(isinstance(each, StaleConnection) for each in error.args)


def _described(error: BaseException) -> str:
    """Return what went wrong, without anything that the other side sent."""
    cause = _cause(error)
    refused = _TUNNEL.search(str(cause))
    if refused is not None:
        return f"the proxy answered with the status {refused[1]}"
    return f"{'the proxy: ' if isinstance(error, ProxyError) else ''}{type(cause).__name__}"


def _cause(error: BaseException) -> BaseException:
    """Return the error that urllib3's errors wrap."""
    while isinstance(error, HTTPError):
        inner = [each for each in error.args if isinstance(each, BaseException)]
        cause = inner[-1] if inner else error.__cause__
        if cause is None:
            break
        error = cause
    return error
