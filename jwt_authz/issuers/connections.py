"""Connections: those of urllib3, with one deadline for all steps and checked addresses.

How it works. urllib3's time-outs limit single steps, which a server that sends a byte now and then
extends without end. Here, each call of a socket gets what is left until the deadline of the current
exchange. The deadline is in a `ContextVar`, since threads and greenlets take connections from one
pool. A name is resolved in a thread that can be abandoned, since resolvers have no deadline.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, NamedTuple

from .._concurrency.bounded import BoundedCall
from .._extras import needs_extra

with needs_extra("requests to issuers and decision points", "urllib3 2", "http"):
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

IDLE = 30.0
"""How long an unused connection is kept, in seconds: firewalls forget older ones silently."""

_LEAST = 0.001  # a time-out of 0 would mean not to wait at all
_LOST = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Exchange(NamedTuple):
    """The current request: its deadline, and which addresses it may be sent to."""

    until: float
    permits: Callable[[str], bool]


exchange: ContextVar[Exchange] = ContextVar("jwt_authz_exchange")


class StaleConnection(ConnectionError):
    """The server closed a kept connection before it answered: the request can be repeated."""


def time_left() -> float:
    """Return the seconds until the deadline of the current exchange, or raise TimeoutError."""
    left = exchange.get().until - monotonic()
    if left <= 0:
        raise TimeoutError
    return max(left, _LEAST)


class _Timed(socket.socket):
    """A socket whose calls end at the deadline of the exchange."""

    # gevent's sockets read this before each wait, also within one call.
    timeout = property(lambda self: time_left(), lambda self, value: None)

    def gettimeout(self) -> float:
        return time_left()

    def recv(self, *arguments: Any) -> bytes:
        self.settimeout(time_left())
        return super().recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(time_left())
        return super().recv_into(*arguments)

    def send(self, *arguments: Any, **more: Any) -> int:  # gevent passes a time-out
        self.settimeout(time_left())
        return super().send(*arguments, **more)

    def sendall(self, data: Any, *arguments: Any) -> None:
        self.settimeout(time_left())
        super().sendall(data, *arguments)


class TimedTLSSocket(_Timed, ssl.SSLSocket):
    """The same for TLS; `ssl.SSLContext.sslsocket_class` names it."""


def _connect(host: str, port: int, options: Any) -> socket.socket:
    """Return a socket to the first permitted address of the host that responds."""
    found = [each for each in _resolve(host, port) if exchange.get().permits(str(each[4][0]))]
    failed = OSError("the host has no permitted address")
    for tried, (family, kind, protocol, _, address) in enumerate(found):
        connected = _Timed(family, kind, protocol)
        try:
            for option in options or ():
                connected.setsockopt(*option)
            # An equal share for each: an address that never responds leaves time for the next.
            connected.settimeout(time_left() / (len(found) - tried))
            connected.connect(address)
        except OSError as error:
            connected.close()
            failed = error
        else:
            return connected
    raise failed


def _resolve(host: str, port: int) -> list[Any]:
    def look_up(call: object = None) -> list[Any]:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return BoundedCall(look_up).wait(time_left())
    return look_up()


class _KeptConnection(HTTPConnection):
    """A connection that can be used for several requests, one after another."""

    _answered: float | None = None

    def _new_conn(self) -> socket.socket:
        return _connect(self.host, self.port, self.socket_options)

    def connect(self) -> None:
        self._answered = None
        super().connect()

    @property
    def is_connected(self) -> bool:
        is_idle = self._answered is not None and monotonic() - self._answered > IDLE
        return not is_idle and super().is_connected

    def request(self, *arguments: Any, **more: Any) -> None:
        with self._stale():
            super().request(*arguments, **more)

    def getresponse(self) -> Any:
        with self._stale():
            response = super().getresponse()
        self._answered = monotonic()
        return response

    @contextmanager
    def _stale(self) -> Iterator[None]:
        try:
            yield
        except _LOST as error:
            if self._answered is None:  # a new connection
                raise
            raise StaleConnection from error


class _KeptTLSConnection(_KeptConnection, HTTPSConnection):
    """The same for TLS."""


class PlainPool(HTTPConnectionPool):
    """Kept connections to a server without TLS."""

    ConnectionCls = _KeptConnection


class TLSPool(HTTPSConnectionPool):
    """Kept connections to a server with TLS."""

    ConnectionCls = _KeptTLSConnection
