"""How long the reports of a large application take, in seconds.

    python -m tests.benchmarks.matrix [--quick] [--markdown]

1,000 routes, 50 roles and 500 permissions: half of the routes ask for a permission, the others
for a choice, a role and a mapping of methods; every role includes the one before it. Printed is
the median over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

from flask import Flask

from jwt_authz import Authz, Role, Roles, has_claim, has_role, requires
from jwt_authz.application import current_state
from jwt_authz.inspection.access import read_access
from jwt_authz.inspection.check import find
from jwt_authz.inspection.documents import access_as_json
from jwt_authz.inspection.page import render_page
from jwt_authz.inspection.routes import read_routes

from .common import describe_machine, table

ROUTES, ROLES, PERMISSIONS = 1_000, 50, 500


def large_application(routes: int, roles: int, permissions: int) -> Flask:
    """An application of that many routes, whose roles share out the permissions."""
    named = [f"thing{n}:use" for n in range(permissions)]
    catalog = Roles(
        *(
            Role(f"role{n}", *named[n::roles], includes=f"role{n - 1}" if n else ())
            for n in range(roles)
        )
    )
    app = Flask(__name__)
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=catalog, default="deny")
    for number in range(routes):
        asked = named[number % permissions]
        guard = (
            requires(asked),
            requires(asked),
            requires(asked | has_role(f"role{number % roles}") & ~has_claim("plan", "free")),
            requires(has_role(f"role{number % roles}"), {"GET": asked}),
        )[number % 4]
        app.add_url_rule(f"/things/{number}/<int:id>", f"view{number}", guard(lambda id: "in"))
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Seconds of the reports of a large application.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the routes, one round")
    parser.add_argument("--markdown", action="store_true", help="print the table of the docs")
    options = parser.parse_args(arguments)
    routes, rounds = (ROUTES // 10, 1) if options.quick else (ROUTES, 5)
    app = large_application(routes, ROLES, PERMISSIONS)
    print("\n".join(describe_machine()))
    with app.app_context():
        rows = [[name, f"{_seconds(work, rounds):.2f}"] for name, work in _works(app).items()]
    header = [f"{routes:,} routes, {ROLES} roles, {PERMISSIONS} permissions", "seconds"]
    print(f"\n{table(header, rows, markdown=options.markdown)}")


def _works(app: Flask) -> dict[str, Callable[[], object]]:
    return {
        "the matrix": read_access,
        "the matrix, as JSON": lambda: access_as_json(read_access()),
        "the matrix, as a page": lambda: render_page("large", read_access(), read_routes()),
        "the routes": read_routes,
        "the check": lambda: find(current_state(), by_command=True),
    }


def _seconds(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
