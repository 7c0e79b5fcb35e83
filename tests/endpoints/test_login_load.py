"""Many log-ins at once exhaust no memory and hold up nobody else (SECURITY F11)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from limits.storage import RedisStorage

from jwt_authz._concurrency.bounded import off_the_clock
from jwt_authz._concurrency.slots import Slots
from jwt_authz.accounts import passwords
from tests.cheap_argon2 import make_argon2_cheap, replace_slots
from tests.edge import bearer
from tests.endpoints.login_server import PASSWORD, make_app
from tests.patience import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]
HOME, OFFICE, EVIL = "192.0.2.1", "198.51.100.7", "203.0.113.66"
CREDENTIALS = {"username": "ada", "password": PASSWORD}


class StuckHasher:
    """A stand-in for Argon2 that takes a given time, and counts how many use it at once."""

    def __init__(self, inner: PasswordHasher) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self.go_on = threading.Event()
        self.inside = self.most_inside = 0

    def verify(self, hash: str, password: bytes) -> bool:
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        try:
            self.go_on.wait(PATIENCE)
            return self._inner.verify(hash, password)
        finally:
            with self._lock:
                self.inside -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def flood(monkeypatch: pytest.MonkeyPatch, slots: Any) -> tuple[StuckHasher, Counter[int]]:
    """500 log-ins while hashing is stuck; then how they ended, and a guarded request meanwhile."""
    hasher = StuckHasher(make_argon2_cheap(monkeypatch))
    monkeypatch.setattr(passwords, "_hasher", hasher)
    app = make_app(AUTHZ_LOGIN_RATE="")
    replace_slots(monkeypatch, slots)
    with app.app_context():
        token = app.extensions["jwt_authz"].issue("u1", roles=["clerk"])
    ended: Counter[int] = Counter()

    def log_in() -> None:
        ended[app.test_client().post("/token", json=CREDENTIALS).status_code] += 1

    threads = [threading.Thread(target=log_in) for _ in range(500)]
    for thread in threads:
        thread.start()
    eventually(lambda: hasher.inside + sum(ended.values()) >= 499)
    turned_away = Counter(ended)
    assert app.test_client().get("/orders", headers=bearer(token)).text == "in"
    hasher.go_on.set()
    for thread in threads:
        thread.join()
    assert sum(ended.values()) == 500
    ended.subtract(turned_away)
    return hasher, turned_away


@pytest.mark.slow
def test_of_500_log_ins_one_is_hashed_one_waits_and_the_others_are_turned_away_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SECURITY F11."""
    hasher, turned_away = flood(monkeypatch, Slots(1, 1))
    assert hasher.most_inside == 1
    assert turned_away == {503: 498}


class NoSlots:
    """The protection taken out."""

    is_full = False

    def run(self, work: Any, *arguments: Any) -> Any:
        with off_the_clock():
            return work(*arguments)


@pytest.mark.slow
def test_without_the_slots_all_would_be_hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test before."""
    hasher, turned_away = flood(monkeypatch, NoSlots())
    assert hasher.most_inside > 400
    assert turned_away[503] == 0


@contextmanager
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """No place to hash in for callers who are not known, until what is given is called."""
    slots, begun, ends = Slots(1, 0, reserved=1), threading.Event(), threading.Event()
    replace_slots(monkeypatch, slots)
    thread = threading.Thread(target=slots.run, args=(lambda: begun.set() or ends.wait(PATIENCE),))
    thread.start()
    begun.wait(PATIENCE)

    def let_go() -> None:
        ends.set()
        thread.join()

    try:
        yield let_go
    finally:
        let_go()


def log_in(app: Flask, address: str, username: str = "ada", password: str = PASSWORD) -> Any:
    body = {"username": username, "password": password}
    return app.test_client().post("/token", json=body, headers={"X-Forwarded-For": address})


def test_the_503_of_a_full_queue_says_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    with stuck(monkeypatch):
        answer = log_in(app, HOME)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.get_json()["type"].endswith(":authorization-unavailable")
    assert log_in(app, HOME).status_code == 200


@pytest.mark.parametrize("rate", ["10 per minute", ""])
def test_a_full_queue_turns_away_before_the_body_is_read(
    monkeypatch: pytest.MonkeyPatch, rate: str
) -> None:
    app = make_app(AUTHZ_LOGIN_RATE=rate)
    with stuck(monkeypatch):
        assert app.test_client().post("/token", data=b"{").status_code == 503
    assert app.test_client().post("/token", data=b"{").status_code == 415


def test_an_application_answers_those_turned_away_in_its_own_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app()
    app.register_error_handler(503, lambda error: ({"wait": error.retry_after}, 503))
    with stuck(monkeypatch):
        assert log_in(app, HOME).get_json() == {"wait": 5}


def test_attempts_that_are_turned_away_count_for_their_address_and_not_for_the_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SECURITY 2.41."""
    app = make_app()
    with stuck(monkeypatch):
        assert [log_in(app, EVIL).status_code for _ in range(102)] == [503] * 100 + [429] * 2
        assert "Retry-After" in log_in(app, EVIL).headers
        assert log_in(app, HOME).status_code == 503
    assert log_in(app, EVIL).status_code == 429
    assert log_in(app, HOME).status_code == 200


def test_a_crowd_that_is_turned_away_asks_the_shared_store_once_for_each_address(
    monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    asked: list[str] = []
    get = RedisStorage.get

    def counted(self: RedisStorage, key: str) -> int:
        asked.append(key)
        return get(self, key)

    monkeypatch.setattr(RedisStorage, "get", counted)
    app = make_app(AUTHZ_LOGIN_RATE_STORE=redis_url)
    with stuck(monkeypatch):
        assert {log_in(app, EVIL).status_code for _ in range(90)} == {503}
    assert len(asked) == 2  # in this period of two weeks, and the last one


def test_a_dozen_addresses_do_not_lock_out_a_known_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """SECURITY 2.41, F11."""
    app = make_app()
    assert log_in(app, HOME).status_code == 200
    hasher = StuckHasher(passwords._hasher)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    slots = Slots(1, 1, reserved=1)
    replace_slots(monkeypatch, slots)
    answers: list[int] = []

    def guess(number: int) -> None:
        log_in(app, f"203.0.113.{number % 12}", f"user-{number}", "wrong")

    def come_home() -> None:
        answers.append(log_in(app, HOME).status_code)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    eventually(lambda: slots.queued == 1 and sum(thread.is_alive() for thread in threads) == 2)
    threads.append(threading.Thread(target=come_home))
    threads[-1].start()
    eventually(lambda: slots.queued == 2)
    assert log_in(app, OFFICE).status_code == 503  # the same owner where they are not known
    hasher.go_on.set()
    for thread in threads:
        thread.join()
    assert answers == [200]


# The whole, with a server of several processes and Argon2 at its full price


@contextmanager
def serve(factory: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a server that has answered: it takes connections before its workers have started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-w 2 -k gthread --threads 4 --backlog 2048 -b 127.0.0.1:{port} --log-level error"
    command = f"-m gunicorn {options} tests.endpoints.login_server:{factory}()"
    process = subprocess.Popen(
        [sys.executable, *command.split()], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        ends = time.monotonic() + 20
        while True:
            try:
                answering = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                answering.request("GET", "/orders")
                assert answering.getresponse().status == 401
                answering.close()
                break
            except OSError:
                assert time.monotonic() < ends
                time.sleep(0.1)
        yield process, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def resident(process: subprocess.Popen[bytes]) -> list[float]:
    """The resident memory of the workers, in MiB."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in children]
    return [count * os.sysconf("SC_PAGE_SIZE") / 2**20 for count in pages]


CALLER = """
import http.client, json, select, sys, time
port, method, path, headers, body, pause = json.loads(sys.argv[1])
took = []
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
while not select.select([sys.stdin], [], [], 0)[0]:
    start = time.monotonic()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    took.append((start, time.monotonic() - start, answer.status))
    time.sleep(pause)
print(json.dumps(took))
"""
"""Makes requests one after the other until it is stopped; prints when, how long, what answer."""

FLOOD = """
import collections, json, selectors, socket, sys, time
port, path, seconds = json.loads(sys.argv[1])
selector, codes = selectors.DefaultSelector(), collections.Counter()
start, number = time.monotonic(), 0
while number < 500 or selector.get_map():
    while number < 500 and time.monotonic() >= start + number * seconds / 500:
        body = json.dumps({"username": f"user-{number}", "password": "a wrong password"})
        text = (
            f"POST {path} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n"
            f"X-Forwarded-For: 203.0.113.{number % 12}\\r\\n"
            f"Content-Type: application/json\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}"
        )
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_WRITE, text.encode())
        number += 1
    for key, _ in selector.select(0.001):
        if key.events == selectors.EVENT_WRITE:
            key.fileobj.send(key.data)
            selector.modify(key.fileobj, selectors.EVENT_READ)
        else:
            codes[key.fileobj.recv(65536)[9:12].decode()] += 1
            selector.unregister(key.fileobj)
            key.fileobj.close()
print(json.dumps([start, time.monotonic(), codes]))
"""
"""Sends 500 log-ins within so many seconds, from a dozen addresses, in a single thread."""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_500_log_ins_at_once_leave_memory_guarded_requests_and_known_callers_alone() -> None:
    """Five floods at one moment, five within 0.6 seconds, and before each one that needs no hash.

    Guarded requests and log-ins of a known caller go on all the time. Print what was measured with
    `pytest -m long -s`. Processes of their own make the requests, so as not to measure this one.

    SECURITY F11.
    """
    with serve("make_app") as (process, port):
        kinds = 5 * [("/nothing", 0.0), ("/token", 0.0), ("/nothing", 0.6), ("/token", 0.6)]
        measured = [run(process, port, *kind) for kind in kinds]
    crowds, floods = measured[::2], measured[1::2]
    for flood in floods:
        assert flood["codes"].keys() <= {"401", "429", "503"}
        assert flood["known"].keys() == {"200"}
        assert flood["grown"] <= 64
    crowd, log_ins = (statistics.median(one["p99"] for one in some) for some in (crowds, floods))
    # The bound is for a machine that does nothing else; a crowd that needs no hash is the measure.
    assert log_ins <= max(0.05, 2 * crowd)
    assert statistics.median(one["worst"] for one in floods) <= 0.5


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_at_the_former_cost_and_without_priorities_known_callers_are_turned_away() -> None:
    """The control of the test before: prints its figures, too."""
    with serve("make_unprotected_app") as (process, port):
        measured = [run(process, port, "/token", seconds) for seconds in 5 * (0.0, 0.6)]
    assert any("503" in flood["known"] for flood in measured)


def run(process: subprocess.Popen[bytes], port: int, path: str, seconds: float) -> dict[str, Any]:
    """One flood, three seconds after guarded requests began and seven before they end."""
    app = make_app()
    with app.app_context():
        token = app.extensions["jwt_authz"].issue("u1", roles=["clerk"])
    before = max(resident(process))
    json_body = {"Content-Type": "application/json", "X-Forwarded-For": HOME}
    guarded = [caller(port, "GET", "/orders", bearer(token), None, 0.005) for _ in range(4)]
    known = caller(port, "POST", "/token", json_body, json.dumps(CREDENTIALS), 0.1)
    time.sleep(3)
    arguments = [sys.executable, "-c", FLOOD, json.dumps([port, path, seconds])]
    most = before
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as flood:
        while flood.poll() is None:
            most = max(most, *resident(process))
            time.sleep(0.02)
        start, end, codes = json.loads(flood.communicate()[0])
    time.sleep(7)
    requests = [request for one in guarded for request in stop(one)]
    assert {status for _, _, status in requests} == {200}
    log_ins = stop(known)
    took = sorted(one[1] for one in requests)
    during = sorted(one[1] for one in requests if one[0] < end and one[0] + one[1] > start)
    quiet = sorted(one[1] for one in requests if one[0] + one[1] < start)
    measured = {
        "path": path,
        "within": seconds,
        "codes": codes,
        "flood": round(end - start, 3),
        "grown": round(most - before),
        "guarded": len(took),
        "during": len(during),
        "during p99": round(during[int(len(during) * 0.99)], 4),
        "p50": round(took[len(took) // 2], 4),
        "p99": round(took[int(len(took) * 0.99)], 4),
        "worst": round(took[-1], 4),
        "quiet p99": round(quiet[int(len(quiet) * 0.99)], 4),
        "known": Counter(str(status) for _, _, status in log_ins),
        "known worst": round(max(one[1] for one in log_ins), 3),
    }
    print(json.dumps(measured))
    return measured


def caller(port: int, *request: Any) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", CALLER, json.dumps([port, *request])]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def stop(caller: subprocess.Popen[str]) -> list[tuple[float, float, int]]:
    found: list[tuple[float, float, int]] = json.loads(caller.communicate("stop")[0])
    return found
