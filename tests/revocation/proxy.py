"""A TCP proxy in front of a server on loopback, which can be made as bad as a network can be."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Forwards bytes; `refuse`, `silence`, `slow`, `lose` and `cut` disturb that."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        user = f"{parts.username}@" if parts.username else ""
        self.url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self.port}"))
        self.delay = 0.0
        self.losses = 0
        self._is_refusing = False
        self._is_silent = False
        self._is_closed = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def refuse(self) -> None:
        """Accept no connections: open ones are reset, new ones closed at once."""
        self._is_refusing = True
        self.cut()

    def silence(self) -> None:
        """Connections are taken and stay, and nothing is passed on."""
        self._is_silent = True

    def slow(self, seconds: float) -> None:
        """Each packet is late by so much, in both directions."""
        self.delay = seconds

    def lose(self, answers: int) -> None:
        """The next answers of the server are lost, each with its connection."""
        self.losses = answers

    def restore(self) -> None:
        """All is well again; what was sent meanwhile is passed on now."""
        self._is_refusing = self._is_silent = False
        self.delay = 0.0

    def cut(self) -> None:
        """Close the connections that are there."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _shut(end)

    @property
    def connections(self) -> int:
        """How many connections there are."""
        with self._lock:
            return len(self._pairs)

    def close(self) -> None:
        self._is_closed = True
        _shut(self._listener)
        self.cut()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_refusing:
                _shut(client)
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            _shut(client)
            return
        with self._lock:
            self._pairs.append((client, server))
        try:
            self._pump(client, server)
        except (OSError, ValueError):
            pass
        finally:
            _shut(client)
            _shut(server)
            with self._lock:
                self._pairs = [pair for pair in self._pairs if pair[0] is not client]

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        while True:
            if self._is_silent:
                time.sleep(0.01)
                continue
            ready, _, _ = select.select([client, server], [], [], 0.05)
            if self._is_silent:
                continue
            for end in ready:
                data = end.recv(65_536)
                if not data:
                    return
                if end is server and self.losses:
                    self.losses -= 1
                    return
                time.sleep(self.delay)
                other[end].sendall(data)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
