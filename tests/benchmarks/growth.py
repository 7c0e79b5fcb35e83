"""How costs grow: one check, a cached token's memory, the import.

    python -m tests.benchmarks.growth [--quick] [--markdown]

- One check is `requirement.evaluate(identity)`, without HTTP, in nanoseconds: as the permissions
  held grow, and as the roles in the catalog grow. Both should be flat. The sizes take turns in
  each round; printed is the median over the rounds.
- The memory of a cached token is what `tracemalloc` sees grow while an application with default
  settings answers thousands of requests, each with another 700-byte token; a second pass over
  the same tokens then verifies no signature, so all of them were kept.
- The import time is that of `jwt_authz` once Flask and Flask-JWT-Extended are imported, the
  median over fresh interpreters.
"""

import argparse
import gc
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask

from jwt_authz import Identity, Requirement, Role, Roles, has_permission, has_role
from jwt_authz.policy.permissions import PermissionSet

from .common import (
    TokenMaker,
    VerificationCounter,
    describe_machine,
    key_settings,
    status_of,
    table,
)
from .contenders import guarded

PERMISSIONS_HELD = (10, 100, 1_000, 10_000, 100_000)
ROLES_IN_CATALOG = (10, 100, 1_000, 10_000)
TOKEN_BYTES = 700
IMPORTS = {
    "jwt_authz, above Flask and Flask-JWT-Extended": ("flask, flask_jwt_extended", "jwt_authz"),
    "marshmallow, above Flask and Flask-JWT-Extended": (
        "flask, flask_jwt_extended",
        "marshmallow",
    ),
    "Flask and Flask-JWT-Extended": ("sys", "flask, flask_jwt_extended"),
}
_TIMED_IMPORT = """
import time
import {before}
started = time.perf_counter()
import {timed}
print(time.perf_counter() - started)
"""


@dataclass(frozen=True)
class Effort:
    """How often things are repeated."""

    rounds: int
    checks: int
    tokens: int
    imports: int


FULL = Effort(rounds=15, checks=5_000, tokens=5_000, imports=15)
QUICK = Effort(rounds=3, checks=500, tokens=300, imports=3)

Check = tuple[Requirement, Identity, bool]


def permission_growth(effort: Effort) -> tuple[list[str], list[list[str]]]:
    """Nanoseconds of a check against identities that hold more and more permissions."""
    columns: dict[str, Callable[[int], Check]] = {
        "held": lambda n: (has_permission(f"thing{n // 2}:read"), _holding(n), True),
        "held by a wildcard": lambda n: (has_permission("page:read"), _holding(n), True),
        "not held": lambda n: (has_permission("thing:delete"), _holding(n), False),
    }
    return _growth("permissions held", PERMISSIONS_HELD, columns, effort)


def role_growth(effort: Effort) -> tuple[list[str], list[list[str]]]:
    """Nanoseconds of a check under catalogs of more and more roles."""
    columns: dict[str, Callable[[int], Check]] = {
        "permission held": lambda n: (has_permission(f"thing{n // 2}:read"), _member(n), True),
        "permission not held": lambda n: (has_permission("thing0:read"), _member(n), False),
        "role held": lambda n: (has_role(f"role{n // 2}"), _member(n), True),
        "role included": lambda n: (has_role(f"role{n // 2 - 1}"), _member(n), True),
        "role not held": lambda n: (has_role("role0"), _member(n), False),
    }
    return _growth("roles in the catalog", ROLES_IN_CATALOG, columns, effort)


def memory_rows(effort: Effort) -> list[list[str]]:
    """Bytes that a cached token takes, with shared permission sets and with sets of its own."""
    maker = TokenMaker("HS256", TOKEN_BYTES, key_settings("HS256"))
    counter = VerificationCounter()
    cases = {"the permissions of its roles": True, "a permission that no other has": False}
    return [
        [f"each with {what}", str(_bytes_each(maker, counter, effort.tokens, shared))]
        for what, shared in cases.items()
    ]


def import_rows(effort: Effort) -> list[list[str]]:
    """Milliseconds of each import, in fresh interpreters that take turns."""
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(effort.imports + 1):
        for name, (before, timed) in IMPORTS.items():
            times[name].append(_import_seconds(before, timed))
    return [[name, f"{statistics.median(t[1:]) * 1000:.1f}"] for name, t in times.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    effort = QUICK if options.quick else FULL
    print("\n".join(describe_machine()))
    for title, (header, rows) in {
        "One check, nanoseconds": permission_growth(effort),
        "One check with a catalog, nanoseconds": role_growth(effort),
        "Memory of a cached token": (["700-byte tokens", "bytes each"], memory_rows(effort)),
        "Import time": (["import", "ms"], import_rows(effort)),
    }.items():
        print(f"\n{title}\n\n{table(header, rows, markdown=options.markdown)}", flush=True)


def _growth(
    what: str, sizes: Sequence[int], columns: dict[str, Callable[[int], Check]], effort: Effort
) -> tuple[list[str], list[list[str]]]:
    checks = {(n, name): column(n) for n in sizes for name, column in columns.items()}
    for key, (requirement, identity, expected) in checks.items():
        if bool(requirement.evaluate(identity)) is not expected:
            raise SystemExit(f"{requirement!r} at {key} is not {expected}: not what is measured")
    times = _median_nanoseconds(checks, effort)
    rows = [[f"{n:,}", *(f"{times[n, name]:.0f}" for name in columns)] for n in sizes]
    return [what, *columns], rows


def _median_nanoseconds(checks: dict[Any, Check], effort: Effort) -> dict[Any, float]:
    times: dict[Any, list[float]] = {key: [] for key in checks}
    gc.collect()
    gc.disable()
    for _ in range(effort.rounds):
        for key, (requirement, identity, _expected) in checks.items():
            times[key].append(_time(requirement, identity, effort.checks))
    gc.enable()
    return {key: statistics.median(values) for key, values in times.items()}


def _time(requirement: Requirement, identity: Identity, count: int) -> float:
    evaluate = requirement.evaluate
    started = time.perf_counter_ns()
    for _ in range(count):
        evaluate(identity)
    return (time.perf_counter_ns() - started) / count


def _holding(count: int) -> Identity:
    held = [f"thing{n}:read" for n in range(count - 1)]
    return Identity("1", permissions=PermissionSet([*held, "page:*"]))


def _member(count: int) -> Identity:
    """An identity in the middle of a catalog in which every other role includes the one before."""
    roles = Roles(*(_paired(n, count // 2) for n in range(count)))
    names = frozenset({f"role{count // 2}"})
    return Identity("1", roles=names, permissions=roles.permissions_of(names), catalogue=roles)


def _paired(number: int, middle: int) -> Role:
    included = f"role{number - 1}" if number and (number - middle) % 2 == 0 else ()
    return Role(f"role{number}", f"thing{number}:read", includes=included)


def _bytes_each(maker: TokenMaker, counter: VerificationCounter, count: int, shared: bool) -> int:
    app = guarded(maker.setup)
    _answer(app, maker.make(20, shared=shared))
    tokens = maker.make(count, shared=shared)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    _answer(app, tokens)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    verified = counter.count
    _answer(app, tokens)
    if counter.count != verified:
        raise SystemExit(f"{counter.count - verified} of {count} tokens were not kept")
    return round((after - before) / count)


def _answer(app: Flask, tokens: Sequence[str]) -> None:
    for token in tokens:
        if status_of(app, f"Bearer {token}") != 200:
            raise SystemExit("a good token was refused: not what is measured")


def _import_seconds(before: str, timed: str) -> float:
    code = _TIMED_IMPORT.format(before=before, timed=timed)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return float(done.stdout)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.growth",
        description="The cost of one check, a cached token's memory and the import time.",
    )
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the docs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
