"""A worker whose users' database is silent, with and without the deadline (SECURITY F16)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from typing import Any

import pytest

from tests.endpoints.silent_server import UNPROTECTED
from tests.endpoints.test_login_load import ROOT

SECONDS = 30.0
BODY = json.dumps({"username": "ada", "password": "correct horse battery"})


def measure(**environment: str) -> dict[str, Any]:
    """Four clients log in to a worker of four threads, and another one asks for a view."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-w 1 -k gthread --threads 4 -b 127.0.0.1:{port} --log-level error"
    command = [sys.executable, "-m", "gunicorn", *options.split()]
    server = subprocess.Popen(
        [*command, "tests.endpoints.silent_server:make_app()"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )
    log_ins: Counter[str] = Counter()
    views: list[float] = []
    try:
        while not ask(port, "GET", "/open", 1):
            time.sleep(0.1)
        until = time.monotonic() + SECONDS

        def log_in() -> None:
            while time.monotonic() < until:
                status = ask(port, "POST", "/token", until - time.monotonic())
                if status is not None or until - time.monotonic() < 0.01:
                    log_ins[str(status or "no answer")] += 1
                time.sleep(0.05)

        clients = [threading.Thread(target=log_in) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(0.5)
        while (left := until - time.monotonic()) > 0.01:
            began = time.monotonic()
            if ask(port, "GET", "/open", left):
                views.append(time.monotonic() - began)
            time.sleep(0.01)
        for client in clients:
            client.join()
    finally:
        server.send_signal(signal.SIGKILL if environment else signal.SIGTERM)
        server.wait(60)
    took = sorted(views) or [SECONDS]
    return {
        "log-ins": dict(log_ins),
        "views": len(views),
        "p50": round(took[len(took) // 2], 4),
        "p99": round(took[int(len(took) * 0.99)], 3),
        "max": round(took[-1], 2),
    }


def ask(port: int, method: str, path: str, seconds: float) -> int | None:
    """The status of an answer, None if none comes in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=max(0.01, seconds))
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request(method, path, BODY, {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            return answer.status
    return None


@pytest.mark.long
def test_a_worker_goes_on_while_its_users_database_is_silent_for_half_a_minute() -> None:
    measured = measure()
    print(json.dumps(measured))
    assert measured["log-ins"].keys() == {"503"}
    assert measured["views"] > 500
    assert measured["max"] < 7  # the first calls take the deadline, five seconds


@pytest.mark.long
def test_without_the_deadline_the_worker_answers_nothing() -> None:
    measured = measure(**{UNPROTECTED: "1"})
    print(json.dumps(measured))
    assert measured["log-ins"].keys() == {"no answer"}
    assert measured["views"] == 0
