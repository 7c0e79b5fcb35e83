"""Fetching: one JSON object over HTTPS, bounded in time and size, from where it was asked for.

No redirect is followed, no proxy is asked, and plain HTTP is spoken to this machine alone: what
an address leads to is decided by whoever wrote it down (OWASP ASVS 15.3.2).
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
"""The longest answer that is read."""

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
    """An answer came, and its `status` is not 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the answer was {status} and not 200")
        self.status = status


def check_url(url: object) -> str:
    """Return the URL if requests may be sent to it, else raise `MisuseError`.

    Accepted are https URLs with a host, without a user and a fragment, and plain http to a loopback
    address. A URL may hold a password or a key, so that errors show its scheme and host alone.
    """
    parts = _split(url)
    if parts is None:
        kind = "" if isinstance(url, str) else f" a {type(url).__name__},"
        raise MisuseError(f"Invalid URL:{kind} expected https://host/path, without blanks.")
    shown = f"{parts.scheme}://{parts.hostname}"
    if "@" in parts.netloc:
        raise MisuseError(
            f"Invalid URL of {shown}: a user name or a password in it is not sent, so remove what "
            "stands before the '@'."
        )
    if parts.fragment:
        raise MisuseError(f"Invalid URL of {shown}: remove the fragment, from the '#' on.")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise MisuseError(
            f"Invalid URL of {shown}: plain http is for loopback addresses alone. Write https://..."
        )
    return str(url)


def is_plain_loopback(url: str) -> bool:
    """Whether a URL is plain http to this machine itself."""
    parts = _split(url)
    return parts is not None and parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _split(url: object) -> SplitResult | None:
    """The parts of an http or https URL of visible characters, None for anything else."""
    if not isinstance(url, str) or not _VISIBLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        return None
    return parts if is_whole else None


def fetch_json(url: str, until: float) -> dict[str, Any]:
    """The JSON object that a URL answers with; raises `StoreUnavailable` for anything else.

    `until` is the end of the time for it on the monotonic clock: for the connection, the
    answer's head and its last byte together.
    """
    return _exchange("GET", url, until, None, _HEADERS)


def post_json(
    url: str, members: Mapping[str, Any], until: float, headers: Mapping[str, str]
) -> dict[str, Any]:
    """The JSON object that a URL answers to another; otherwise as `fetch_json`."""
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
    if answer.status != http.client.OK:  # a redirect, too: nobody is sent elsewhere
        raise WrongStatus(answer.status)
    if answer.getheader("Content-Encoding", "identity").lower() != "identity":
        raise StoreUnavailable("the answer is encoded, which was not asked for")
    if answer.length is not None and answer.length > MOST_BYTES:
        raise StoreUnavailable(f"the answer has more than {MOST_BYTES} bytes")
    body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise StoreUnavailable(f"the answer has more than {MOST_BYTES} bytes")
    return body


class _Connection(http.client.HTTPConnection):
    """A connection whose every step has what is left of one time."""

    def __init__(self, parts: SplitResult, until: float) -> None:
        super().__init__(parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._is_tls = parts.scheme == "https"
        self._until = until
        self._raw: socket.socket | None = None

    def hang_up(self) -> None:
        """Close the connection and what it is over."""
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
            raise OSError("a name for this machine led to another one")
        self.sock: Any = _TimedSocket(raw, self._until)

    def _reach(self) -> socket.socket:
        """A socket to the first address of the host that answers."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        failed = OSError("the host has no address")
        for tried, (*_, address) in enumerate(found):
            # A share for each, so that one that never answers leaves time for the next.
            share = _left(self._until) / (len(found) - tried)
            try:
                return socket.create_connection((str(address[0]), self.port), timeout=share)
            except OSError as error:
                failed = error
        raise failed


def _tls() -> ssl.SSLContext:
    """What checks certificates: kept for a while, since reading the authorities takes long."""
    return _read_authorities(
        tuple(os.environ.get(name) for name in _AUTHORITIES), int(monotonic() // _AUTHORITIES_KEPT)
    )


@functools.lru_cache(maxsize=1)
def _read_authorities(named: tuple[str | None, ...], period: int) -> ssl.SSLContext:
    """The certificate authorities that this machine trusts now."""
    return ssl.create_default_context()


class _TimedSocket:
    """As much of a socket as http.client asks for, with an end to all that it does together."""

    def __init__(self, raw: socket.socket, until: float) -> None:
        self._raw, self._until = raw, until

    def sendall(self, data: bytes) -> None:
        self._raw.settimeout(_left(self._until))
        self._raw.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._raw, self._until))

    def close(self) -> None:
        """Nothing: http.client closes before it reads, and the connection hangs up afterwards."""


class _TimedReader(io.RawIOBase):
    """What is read from a socket: a byte now and then does not make the time longer."""

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
