"""Requests per second behind gunicorn: a bare handler, `jwt_required`, and a guarded one.

    python -m tests.benchmarks.gunicorn [--rounds N] [--seconds S] [--quick] [--markdown]

For each kind of worker (sync, and gthread with four threads) three servers of one worker each
are started, and `wrk` drives one after the other, with 200 tokens of 700 bytes in turn, in an
order that moves on by one place each round. Printed are the median requests per second and the
median of each round's own ratio to the bare handler; and the same ratio of the requests per
second of the worker's processor time, which other things on the machine disturb less. Without
`wrk` on the PATH a small client in another process stands in. Before that, each server is shown
good and bad tokens, and a token with two seconds to live, which it has to refuse afterwards.
"""

import argparse
import http.client
import math
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .apps import ALGORITHM, SECRET_VARIABLE, TOKEN_BYTES, token_maker
from .common import PATH, TokenMaker, describe_machine, flipped, table
from .load import Drive, driver

TOKENS = 200
WORKERS = {"sync": ["--worker-class=sync"], "gthread": ["--worker-class=gthread", "--threads=4"]}
APPS = {"bare handler": "bare", "jwt_required": "token_only", "jwt_authz": "guarded"}
SHORT_LIFE = 2
_BARE = "bare handler"
_PROJECT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    os.environ[SECRET_VARIABLE] = secrets.token_hex(32)
    maker = token_maker()
    tokens = maker.make(TOKENS)
    print("\n".join(describe_machine()))
    with tempfile.TemporaryDirectory() as folder:
        name, drive = driver(Path(folder), tokens)
        print(f"Driver: {name}; {ALGORITHM}, {TOKEN_BYTES} bytes, one worker")
        for kind, flags in WORKERS.items():
            with _servers(flags, Path(folder)) as servers:
                ports = {name: server.port for name, server in servers.items()}
                refusals = _prove(ports, maker, tokens)
                _measure(servers, drive, options.rounds, options.seconds)
            print(f"\n{kind}: {refusals}\n")
            print(_report(kind, servers, options.markdown), flush=True)


@dataclass
class _Server:
    """A running gunicorn with one worker, and its requests per second, one for each round."""

    port: int
    worker: int
    rates: list[float] = field(default_factory=list)
    processor_rates: list[float] = field(default_factory=list)

    def drive(self, drive: Drive, seconds: float) -> None:
        used = _processor_seconds(self.worker)
        requests, taken = drive(self.port, seconds)
        used = _processor_seconds(self.worker) - used
        self.rates.append(requests / taken)
        self.processor_rates.append(requests / used if used else math.nan)


def _measure(servers: dict[str, _Server], drive: Drive, rounds: int, seconds: float) -> None:
    order = list(servers.values())
    for server in order:
        drive(server.port, 1)  # let it warm up
    for number in range(rounds):
        first = number % len(order)
        for server in order[first:] + order[:first]:
            server.drive(drive, seconds)


def _report(kind: str, servers: dict[str, _Server], markdown: bool) -> str:
    header = [f"{kind} worker", "requests a second", "of bare", "quartiles", "by processor time"]
    rows = [[name, *_row(server, servers[_BARE])] for name, server in servers.items()]
    return table(header, rows, markdown=markdown)


def _row(server: _Server, bare: _Server) -> list[str]:
    ratios = _ratios(server.rates, bare.rates)
    first, _, third = statistics.quantiles(ratios, n=4, method="inclusive")
    return [
        f"{statistics.median(server.rates):,.0f}",
        f"{statistics.median(ratios):.1%}",
        f"{first:.1%} {third:.1%}",
        f"{statistics.median(_ratios(server.processor_rates, bare.processor_rates)):.1%}",
    ]


def _ratios(rates: list[float], bare: list[float]) -> list[float]:
    return [rate / its_bare for rate, its_bare in zip(rates, bare, strict=True)]


def _processor_seconds(process: int) -> float:
    """What the process has used so far; 0 where the system does not tell it."""
    stat = Path(f"/proc/{process}/stat")
    if not stat.is_file():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _worker_of(master: int) -> int:
    children = Path(f"/proc/{master}/task/{master}/children")
    return int(children.read_text().split()[0]) if children.is_file() else 0


def _prove(ports: dict[str, int], maker: TokenMaker, tokens: list[str]) -> str:
    """Show each checking server good and bad tokens; return a sentence, or stop the run."""
    for name, port in ports.items():
        for token in tokens[:3] * 2:
            _expect(name, "a good token", _status(port, token), {200})
        if name != _BARE:
            _prove_refusals(name, port, maker, tokens[0])
    _prove_expiry({name: port for name, port in ports.items() if name != _BARE}, maker)
    return (
        "refused no token, a flipped signature and an expired token, jwt_authz also one without "
        f"the right, and both a token of {SHORT_LIFE} s that they had accepted"
    )


def _prove_refusals(name: str, port: int, maker: TokenMaker, good: str) -> None:
    _expect(name, "no token", _status(port, None), {401})
    _expect(name, "a flipped signature", _status(port, flipped(good)), {401, 422})
    _expect(name, "an expired token", _status(port, maker.expired()), {401})
    if name != "jwt_required":
        _expect(name, "a token without the right", _status(port, maker.lacking()), {403})


def _prove_expiry(ports: dict[str, int], maker: TokenMaker) -> None:
    token = maker.short_lived(SHORT_LIFE)
    over = time.time() + SHORT_LIFE
    for name, port in ports.items():
        for _ in range(3):
            _expect(name, "a token that is about to expire", _status(port, token), {200})
    time.sleep(max(0.0, over - time.time()) + 0.1)
    for name, port in ports.items():
        _expect(name, "a token that has expired since", _status(port, token), {401})


def _expect(name: str, what: str, status: int, allowed: set[int]) -> None:
    if status not in allowed:
        raise SystemExit(f"{name} answered {status} to {what}: not comparable, stopped")


def _status(port: int, token: str | None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            "GET", PATH, headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@contextmanager
def _servers(flags: list[str], folder: Path) -> Iterator[dict[str, _Server]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(_server(function, flags, folder))
            for name, function in APPS.items()
        }


@contextmanager
def _server(function: str, flags: list[str], folder: Path) -> Iterator[_Server]:
    port, log = _free_port(), folder / f"{function}.log"
    command = [sys.executable, "-m", "gunicorn", "--workers=1", f"--bind=127.0.0.1:{port}", *flags]
    with log.open("w") as errors:
        server = subprocess.Popen(
            [*command, "--log-level=warning", f"{__package__}.apps:{function}()"],
            cwd=_PROJECT,
            stdout=errors,
            stderr=errors,
        )
        try:
            _wait(server, port, log)
            yield _Server(port, _worker_of(server.pid))
        finally:
            server.terminate()
            server.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the server answers at all; it may be still importing."""
    until = time.monotonic() + 30
    while time.monotonic() < until and server.poll() is None:
        try:
            _status(port, None)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"gunicorn did not start:\n{log.read_text()}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.gunicorn",
        description="Requests per second behind gunicorn with one worker.",
    )
    parser.add_argument("--rounds", type=int, help="rounds (default 15, quick 2)")
    parser.add_argument("--seconds", type=float, help="of each drive (default 2, quick 1)")
    parser.add_argument("--quick", action="store_true", help="a short run")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the docs")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (2 if options.quick else 15)
    options.seconds = options.seconds or (1.0 if options.quick else 2.0)
    return options


if __name__ == "__main__":
    main(sys.argv[1:])
