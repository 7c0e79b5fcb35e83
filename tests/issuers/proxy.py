"""A proxy that opens tunnels (RFC 9110 section 9.3.6) to a server of the tests."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import Any, Self


class TunnelProxy:
    """Answers CONNECT on a port of this machine; every tunnel leads to the port `to`.

    `asked` are the hosts that were asked for, `logins` the credentials that came with them.
    """

    def __init__(self, to: int, status: str = "200 OK") -> None:
        self.asked: list[str] = []
        self.logins: list[str | None] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                method, target, _ = self.rfile.readline().decode().split()
                headers: dict[str, str] = {}
                while line := self.rfile.readline().decode().strip():
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                outer.asked.append(f"{method} {target}")
                outer.logins.append(headers.get("proxy-authorization"))
                self.wfile.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
                if status.startswith("200"):
                    with socket.create_connection(("127.0.0.1", to)) as server:
                        there = threading.Thread(target=copy, args=(self.connection, server))
                        there.start()
                        copy(server, self.connection)
                        there.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def copy(source: socket.socket, target: Any) -> None:
    """Send all that one socket receives to the other, and then its end."""
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
