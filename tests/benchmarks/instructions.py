"""How many machine instructions a request takes, by valgrind: other work on the machine adds none.

    python -m tests.benchmarks.instructions [--bytes 700] [--algorithms HS256 ...]
                                            [--contenders NAME ...] [--requests N] [--markdown]

Each contender of `peers` is run twice under `valgrind --tool=cachegrind`, in a process of its
own: both times it is built and warmed up, and only the second time it answers the requests that
count. The difference, divided by their number, is a request's share. Two runs differ by less
than 1 %. Instructions do not measure time: the processor has special ones for SHA-256, for
example, which valgrind replaces by many simple ones. `apt install valgrind` provides it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .common import ALGORITHMS, TokenMaker, VerificationCounter, key_settings, table
from .contenders import CONTENDERS, Contender
from .peers import BARE, JWT_REQUIRED, available
from .scenario import CLOCKS, Scenario, quiet_collector, time_requests

REQUESTS = 500
USUAL = (
    BARE,
    JWT_REQUIRED,
    "jwt_authz, warm",
    "jwt_authz, warm, revocable",
    "jwt_authz, cold",
)
_PROJECT = Path(__file__).parents[2]
_VALGRIND = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
_COUNT = re.compile(r"I\s+refs:\s+([\d,]+)")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if options.answer is not None:
        _answer(_named(options.contenders[0]), options)
        return
    wanted, missing = available([_named(name) for name in options.contenders])
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not on the PATH: apt install valgrind")
    print("\n".join([f"Python {sys.version.split()[0]}", *missing]))
    for algorithm in options.algorithms:
        for size in options.bytes:
            counts = _count_all([each.name for each in wanted], algorithm, size, options)
            print(f"\n{algorithm}, {size} bytes, {options.requests} requests")
            print(_report(counts, options.markdown), flush=True)


def _count_all(
    names: Sequence[str], algorithm: str, size: int, options: argparse.Namespace
) -> dict[str, float]:
    """Return the instructions that each contender takes for a request."""

    def run(name: str, answer: str) -> int:
        return _run_counted(name, answer, algorithm, size, options.requests)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        idle = {name: pool.submit(run, name, "none") for name in names}
        busy = {name: pool.submit(run, name, "all") for name in names}
        return {n: (busy[n].result() - idle[n].result()) / options.requests for n in names}


def _run_counted(name: str, answer: str, algorithm: str, size: int, requests: int) -> int:
    """Return the instructions of a whole process; stop if it fails."""
    valgrind = shutil.which("valgrind") or "valgrind"
    module = [sys.executable, "-m", __spec__.name, "--contenders", name, "--answer", answer]
    numbers = ["--algorithms", algorithm, "--bytes", str(size), "--requests", str(requests)]
    done = subprocess.run(
        [valgrind, *_VALGRIND, *module, *numbers],
        cwd=_PROJECT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
    )
    count = _COUNT.search(done.stderr)
    if done.returncode or count is None:
        raise SystemExit(f"{name} was not counted:\n{done.stderr[-2000:]}")
    return int(count[1].replace(",", ""))


def _answer(contender: Contender, options: argparse.Namespace) -> None:
    """Warm one contender up and answer all requests that count, or none of them."""
    (algorithm,), (size,) = options.algorithms, options.bytes
    maker = TokenMaker(algorithm, size, key_settings(algorithm))
    scenario = Scenario([contender], maker, VerificationCounter())
    scenario.warm_up()
    headers = scenario.headers_for(scenario.entrants[0], options.requests)
    several = (headers * (options.requests // len(headers) + 1))[: options.requests]
    with quiet_collector():
        time_requests(
            scenario.entrants[0].app,
            scenario.template,
            several if options.answer == "all" else [],
            CLOCKS["processor"],
        )


def _named(name: str) -> Contender:
    for contender in CONTENDERS:
        if contender.name == name:
            return contender
    names = "; ".join(contender.name for contender in CONTENDERS)
    raise SystemExit(f"there is no contender {name!r}: write one of {names}")


def _report(counts: dict[str, float], markdown: bool) -> str:
    header = ["contender", "instructions", "more than bare", "x bare", "x jwt_required"]
    rows = [[name, *_row(count, counts)] for name, count in counts.items()]
    return table(header, rows, markdown=markdown)


def _row(count: float, counts: dict[str, float]) -> list[str]:
    bare, token = counts.get(BARE), counts.get(JWT_REQUIRED)
    return [
        f"{count:,.0f}",
        "" if bare is None else f"{count - bare:,.0f}",
        "" if bare is None else f"{count / bare:.3f}",
        "" if token is None else f"{count / token:.3f}",
    ]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.instructions",
        description="Instructions per request, by valgrind.",
    )
    parser.add_argument("--bytes", type=int, nargs="+", default=[700], help="token lengths")
    parser.add_argument("--algorithms", nargs="+", default=["HS256"], choices=ALGORITHMS)
    parser.add_argument("--contenders", nargs="+", default=USUAL, help="names as in peers")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="requests that count")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the docs")
    parser.add_argument("--answer", choices=["all", "none"], help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
