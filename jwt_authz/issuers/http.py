"""HTTP: fetches one JSON object over HTTPS, with limits on time and size.

Redirects and proxies are not used, and plain HTTP only on this machine: the operator decides which
addresses are contacted (OWASP ASVS 15.3.2).
"""

from __future__ import annotations

import functools
import http.client
import io
import ipaddress
import json
import os
import re
import socket
import ssl
from collections.abc import Mapping
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..errors import MisuseError, StoreUnavailable, TokenMalformed
from ..tokens.jws import read_object

MOST_BYTES = 512 * 1024
"""The longest response that is read, in bytes."""

_HEADERS = {
    "Accept": "application/json, application/jwk-set+json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "jwt_authz",
}
_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile("[!-~]+")
_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_AUTHORITIES_KEPT = 600  # seconds


class WrongStatus(StoreUnavailable):
    """A response whose status is not 200; `status` is that status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the response has the status {status}, expected 200")
        self.status = status


def check_url(url: object) -> str:
    """Return the URL if requests may be sent to it, else raise `MisuseError`.

    Accepted are https URLs with a host, without user and fragment, and plain http to a loopback
    address. A URL may contain a password or a key, so errors show only its scheme and host.
    """
    parts = _split(url)
    if parts is None:
        kind = "" if isinstance(url, str) else f" a {type(url).__name__},"
        raise MisuseError(f"Invalid URL:{kind} expected https://host/path, without blanks.")
    shown = f"{parts.scheme}://{parts.hostname}"
    if "@" in parts.netloc:
        raise MisuseError(
            f"Invalid URL of {shown}: it must not contain a user name or a password. Remove "
            "everything up to the '@'."
        )
    if parts.fragment:
        raise MisuseError(f"Invalid URL of {shown}: remove the fragment, from the '#' on.")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise MisuseError(
            f"Invalid URL of {shown}: plain http is only for loopback addresses. Write https://..."
        )
    return str(url)


def is_plain_loopback(url: str) -> bool:
    """Return whether a URL is plain http to this machine itself."""
    parts = _split(url)
    return parts is not None and parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _split(url: object) -> SplitResult | None:
    """Return the parts of an http or https URL; None for anything else."""
    if not isinstance(url, str) or not _VISIBLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port
        return None
    return parts if is_whole else None


def fetch_json(url: str, until: float) -> dict[str, Any]:
    """Return the JSON object at a URL; raise `StoreUnavailable` for anything else.

    `until` is the deadline on the monotonic clock, for connecting and the whole response together.
    """
    return _exchange("GET", url, until, None, _HEADERS)


def post_json(
    url: str, members: Mapping[str, Any], until: float, headers: Mapping[str, str]
) -> dict[str, Any]:
    """Post a JSON object to a URL and return the response; otherwise as `fetch_json`."""
    body = json.dumps(members).encode()
    return _exchange(
        "POST", url, until, body, {**_HEADERS, "Content-Type": "application/json", **headers}
    )


def _exchange(
    method: str, url: str, until: float, body: bytes | None, headers: Mapping[str, str]
) -> dict[str, Any]:
    parts = urlsplit(check_url(url))
    connection = _Connection(parts, until)
    try:
        connection.request(method, _target(parts), body, headers)
        return read_object(_body(connection.getresponse()), "answer")
    except TokenMalformed as error:
        raise StoreUnavailable(f"{parts.hostname}: {error.detail}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StoreUnavailable(f"{parts.hostname}: {type(error).__name__}") from None
    finally:
        connection.hang_up()


def _target(parts: SplitResult) -> str:
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _body(answer: http.client.HTTPResponse) -> bytes:
    if answer.status != http.client.OK:  # also for a redirect, which is not followed
        raise WrongStatus(answer.status)
    if answer.getheader("Content-Encoding", "identity").lower() != "identity":
        raise StoreUnavailable("the response is encoded, which was not requested")
    if answer.length is not None and answer.length > MOST_BYTES:
        raise StoreUnavailable(f"the response has more than {MOST_BYTES} bytes")
    body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise StoreUnavailable(f"the response has more than {MOST_BYTES} bytes")
    return body


class _Connection(http.client.HTTPConnection):
    """A connection whose steps share one deadline."""

    def __init__(self, parts: SplitResult, until: float) -> None:
        super().__init__(parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._is_tls = parts.scheme == "https"
        self._until = until
        self._raw: socket.socket | None = None

    def hang_up(self) -> None:
        """Close the connection and its socket."""
        self.close()
        if self._raw is not None:
            self._raw.close()

    def connect(self) -> None:
        self._raw = raw = self._reach()
        if self._is_tls:
            context = _tls()
            raw.settimeout(_left(self._until))
            self._raw = raw = context.wrap_socket(raw, server_hostname=self.host)
        elif not _is_loopback(raw.getpeername()[0]):
            raise OSError("the name of this machine resolved to another one")
        self.sock: Any = _TimedSocket(raw, self._until)

    def _reach(self) -> socket.socket:
        """Return a socket to the first address of the host that responds."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        failed = OSError("the host has no address")
        for tried, (*_, address) in enumerate(found):
            # An equal share for each: an address that never responds leaves time for the next.
            share = _left(self._until) / (len(found) - tried)
            try:
                return socket.create_connection((str(address[0]), self.port), timeout=share)
            except OSError as error:
                failed = error
        raise failed


def _tls() -> ssl.SSLContext:
    """Return the TLS context, cached for a while, since loading the authorities is slow."""
    return _read_authorities(
        tuple(os.environ.get(name) for name in _AUTHORITIES), int(monotonic() // _AUTHORITIES_KEPT)
    )


@functools.lru_cache(maxsize=1)
def _read_authorities(named: tuple[str | None, ...], period: int) -> ssl.SSLContext:
    """Return a new TLS context with the certificate authorities of this machine."""
    return ssl.create_default_context()


class _TimedSocket:
    """The part of a socket that http.client uses, with one deadline for all calls."""

    def __init__(self, raw: socket.socket, until: float) -> None:
        self._raw, self._until = raw, until

    def sendall(self, data: bytes) -> None:
        self._raw.settimeout(_left(self._until))
        self._raw.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._raw, self._until))

    def close(self) -> None:
        """Do nothing: http.client closes before it reads; the connection closes it afterwards."""


class _TimedReader(io.RawIOBase):
    """The raw stream of a socket; single bytes now and then do not extend the deadline."""

    def __init__(self, raw: socket.socket, until: float) -> None:
        self._raw, self._until = raw, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._raw.settimeout(_left(self._until))
        return self._raw.recv_into(buffer)


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
