"""A Redis server of the tests' own: one that may be killed, stopped, emptied and brought back."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import redis


class PrivateRedis:
    """A `redis-server` on a free port, with its files in one directory."""

    def __init__(self, directory: Path) -> None:
        found = shutil.which("redis-server") or shutil.which("valkey-server")
        if found is None:
            pytest.skip("there is no redis-server to start")
        self._program = found
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        """Start it and wait until it answers; by default it keeps nothing on disk."""
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        self._process = subprocess.Popen(
            [self._program, *arguments, "--save", "", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.RedisError:
                assert time.monotonic() < until, "redis-server did not start"
                time.sleep(0.01)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5)

    def kill(self) -> None:
        """What `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """It is there, and does nothing (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def dump(self) -> bytes:
        """A copy of all that is in it, as a backup has it."""
        with self.client() as client:
            client.save()
        return (self._directory / "dump.rdb").read_bytes()

    def restore(self, dump: bytes) -> None:
        """Start it again from a copy that was made before."""
        self.kill()
        (self._directory / "dump.rdb").write_bytes(dump)
        self.start()
