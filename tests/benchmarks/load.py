"""Drives an HTTP server with GET requests and counts them: `wrk`, or a small client of our own.

    python -m tests.benchmarks.load PORT TOKENS_FILE SECONDS

is the small client, a process of its own: a few threads with one connection each, which is kept
alive where the server allows it. It prints how many were answered, and in how many seconds.
"""

import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from .common import PATH

CONNECTIONS = 8
THREADS = 4
_WRK_SCRIPT = """
local requests, turn = {{}}, 0
init = function(arguments)
  for token in io.lines("{tokens}") do
    local headers = {{["Authorization"] = "Bearer " .. token}}
    requests[#requests + 1] = wrk.format("GET", "{path}", headers)
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
"""

Drive = Callable[[int, float], tuple[int, float]]
"""Port and seconds to the requests that were answered and the seconds that they took."""


def driver(folder: Path, tokens: list[str]) -> tuple[str, Drive]:
    """The best driver that is here, by its name; `folder` keeps what it reads."""
    file = folder / "tokens.txt"
    file.write_text("\n".join(tokens), encoding="ascii")
    wrk = shutil.which("wrk")
    if wrk is None:
        return "a small client (wrk is not on the PATH)", lambda *where: _small(file, *where)
    script = folder / "tokens.lua"
    script.write_text(_WRK_SCRIPT.format(tokens=file, path=PATH), encoding="utf-8")
    return "wrk", lambda *where: _wrk(wrk, script, *where)


def _wrk(wrk: str, script: Path, port: int, seconds: float) -> tuple[int, float]:
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s"]
    said = _output([*command, "-s", str(script), f"http://127.0.0.1:{port}{PATH}"])
    count = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if count is None or rate is None or "Non-2xx" in said:
        raise SystemExit(f"wrk did not measure what it should:\n{said}")
    return int(count[1]), int(count[1]) / float(rate[1])


def _small(tokens: Path, port: int, seconds: float) -> tuple[int, float]:
    command = [sys.executable, "-m", f"{__package__}.load", str(port), str(tokens), str(seconds)]
    count, taken = _output(command).split()
    return int(count), float(taken)


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class _Client(threading.Thread):
    """One connection that asks, reads and asks again until its time is over."""

    def __init__(self, port: int, requests: list[bytes], first: int, until: float) -> None:
        super().__init__()
        self.port, self.until = port, until
        self.requests = islice(cycle(requests), first, None)
        self.answered = 0
        self.failure = ""

    def run(self) -> None:
        connection: socket.socket | None = None
        while time.perf_counter() < self.until and not self.failure:
            connection = connection or socket.create_connection(("127.0.0.1", self.port))
            connection.sendall(next(self.requests))
            head = self._read(connection)
            if not head.startswith(b"HTTP/1.1 200"):
                self.failure = head.decode("latin-1")[:200] or "no answer"
            if b"connection: close" in head.lower():
                connection.close()
                connection = None
            self.answered += 1
        if connection is not None:
            connection.close()

    def _read(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return data
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        missing = int(length[1]) - len(body) if length else 0
        while missing > 0:
            missing -= len(connection.recv(missing))
        return head


def main(port: str, tokens: str, seconds: str) -> None:
    lines = Path(tokens).read_text(encoding="ascii").split()
    requests = [
        f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        for token in lines
    ]
    started = time.perf_counter()
    until = started + float(seconds)
    clients = [_Client(int(port), requests, first, until) for first in range(THREADS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    failures = [client.failure for client in clients if client.failure]
    if failures:
        raise SystemExit(f"refused while measured: {failures[0]}")
    print(sum(client.answered for client in clients), time.perf_counter() - started)


if __name__ == "__main__":
    main(*sys.argv[1:])
