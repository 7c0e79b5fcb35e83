"""What one guarded request costs, beside a bare handler, Flask-JWT-Extended and its companions.

    python -m tests.benchmarks.peers [--quick] [--bytes 700 ...] [--algorithms HS256 ...]
                                     [--rounds N] [--clock processor] [--markdown]

Every contender is a Flask application with one GET route and the same answer, called as a WSGI
application: no server, no test client. All are shown the same 200 tokens in turn; only "cold"
gets tokens that its application has never seen, new ones in each round. A round times every
contender once, 200 requests at a stretch, in an order that moves on by one place each round; the
garbage collector runs before each stretch and rests during it. Printed are the median over the
rounds of the microseconds per request, and the medians of each round's own ratios to the bare
handler and to `jwt_required`: what disturbs a round disturbs both sides of its ratio. On a
machine that is busy with other things `--clock processor` counts the process's own time.

Before the timing each contender is shown to refuse bad tokens; after it, to refuse a token that
it had accepted and that has expired since. During it every signature verification is counted: a
cold request must make one, a warm one none.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from .common import (
    ALGORITHMS,
    SIZES,
    TokenMaker,
    VerificationCounter,
    describe_machine,
    key_settings,
    table,
)
from .contenders import CONTENDERS, Contender
from .scenario import CLOCKS, TOKENS, Result, Scenario, grouped

ROUNDS = 30
QUICK_ROUNDS = 3
BARE, JWT_REQUIRED, COLD = "bare handler", "jwt_required", "jwt_authz, cold"


def available(contenders: Sequence[Contender]) -> tuple[list[Contender], list[str]]:
    """The contenders whose library is here, and a line for each of the others."""
    here, missing = [], []
    for contender in contenders:
        if contender.needs is None or find_spec(contender.needs) is not None:
            here.append(contender)
        else:
            missing.append(f"{contender.name}: left out, {contender.needs} is not installed")
    return here, missing


def report(result: Result) -> str:
    """One scenario for the terminal."""
    header = ["contender", "us", "x bare", "quartiles", "x jwt_required"]
    return table(header, [_row(result, name) for name in result.times])


def markdown(results: Sequence[Result]) -> str:
    """All scenarios for the documentation: one table for each length."""
    sizes = dict.fromkeys(result.size for result in results)
    return "\n\n".join(_markdown_of([r for r in results if r.size == size]) for size in sizes)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    contenders, missing = available(CONTENDERS)
    print("\n".join([*describe_machine(), *missing]))
    print(f"{options.rounds} rounds of {options.requests} requests, {options.clock} clock")
    logging.getLogger("jwt_authz").addHandler(logging.NullHandler())
    counter = VerificationCounter()
    results = []
    for algorithm in options.algorithms:
        for size in options.bytes:
            maker = TokenMaker(algorithm, size, key_settings(algorithm))
            results.append(_run(Scenario(contenders, maker, counter), options))
    if options.markdown:
        print(f"\n{markdown(results)}")


def _run(scenario: Scenario, options: argparse.Namespace) -> Result:
    refusals = scenario.prove_refusals()
    result = scenario.time(options.rounds, options.requests, CLOCKS[options.clock])
    expiry = scenario.prove_expiry()
    counts = {e.name: str(e.contender.verifications) for e in scenario.entrants}
    print(f"\n{result.algorithm}, {result.size} bytes (tokens of {result.length})")
    print(f"Shown before timing: {refusals}")
    print(f"Shown after timing: {expiry}")
    print(f"Signatures verified per timed request: {grouped(counts)}")
    print(report(result), flush=True)
    return result


def _row(result: Result, name: str) -> list[str]:
    first, third = result.quartiles(name, BARE)
    return [
        name,
        f"{result.microseconds(name):.1f}",
        f"{result.ratio(name, BARE):.2f}",
        f"{first:.2f}-{third:.2f}",
        f"{result.ratio(name, JWT_REQUIRED):.2f}",
    ]


def _markdown_of(results: Sequence[Result]) -> str:
    lengths = ", ".join(f"{r.algorithm} {r.length}" for r in results)
    header = [f"{results[0].size} bytes", *(r.algorithm for r in results)]
    rows = [
        [name, *(f"{r.microseconds(name):.0f} us, {r.ratio(name, BARE):.2f}x" for r in results)]
        for name in results[0].times
    ]
    rows.append(
        [f"{COLD}, to `jwt_required`", *(f"{r.ratio(COLD, JWT_REQUIRED):.2f}x" for r in results)]
    )
    return f"Real length of the tokens: {lengths}.\n\n{table(header, rows, markdown=True)}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.peers",
        description="Microseconds per request, and the ratio to a bare handler.",
    )
    parser.add_argument("--bytes", type=int, nargs="+", default=SIZES, help="token lengths")
    parser.add_argument("--algorithms", nargs="+", default=ALGORITHMS, choices=ALGORITHMS)
    parser.add_argument("--rounds", type=int, help=f"rounds (default {ROUNDS})")
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds of 50 requests"
    )
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="wall or processor time")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the docs too")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    options.requests = 50 if options.quick else TOKENS
    return options


if __name__ == "__main__":
    main(sys.argv[1:])
