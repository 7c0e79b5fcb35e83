"""Which tests are slow: what the selection `-m "not slow"` leaves out.

A test that takes more than half a second says so itself, by `@pytest.mark.slow`. One that needs a
server, a browser or another process is recognized by what it asks for, wherever its file is, and
one that sets up a database for itself by its folder.
"""

from __future__ import annotations

import gc
from collections import Counter

import pytest

SLOW_FIXTURES = frozenset(
    {
        "browser",
        "new_mariadb",
        "new_schema",
        "pgbouncer",
        "postgres_url",
        "private_mariadb",
        "private_postgres",
        "private_redis",
        "processes",
        "redis_database",
        "run",
        "serve",
    }
)
"""Fixtures that start, or connect to, another process."""
NEW_DATABASES = {"postgres": "new_schema", "mariadb": "new_mariadb"}
"""The fixtures that create an empty database, or a schema that is one, by the parameter."""
WITH_DATABASES = frozenset({"admin", "examples"})
"""Folders in which nearly every test sets up an application with a database."""
SLOW_PARAMETERS = frozenset({*NEW_DATABASES, "behind_pgbouncer", "redis"})
"""Values of parameters by which a fixture asks for one of them later."""


def mark_slow_tests(items: list[pytest.Item]) -> None:
    """Mark the tests that need another process or a database, and those that take minutes.

    Tests with databases are repeated with other versions all the same.
    """
    for item in items:
        if item.get_closest_marker("slow") is not None:
            continue
        if needs_another_process(item):
            item.add_marker(pytest.mark.slow)
        elif item.path.parent.name in WITH_DATABASES:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.versions)


def needs_another_process(item: pytest.Item) -> bool:
    if item.get_closest_marker("long") is not None:
        return True
    if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
        return True
    given = getattr(item, "callspec", None)
    return given is not None and any(
        isinstance(value, str) and value in SLOW_PARAMETERS for value in given.params.values()
    )


def put_slow_files_first(items: list[pytest.Item]) -> None:
    """Begin with the files of most slow tests, so that no process ends up alone with one."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: -slow[item.path])


def collect_without_garbage_collection() -> None:
    """Collect tests without looking for garbage, of which there is none: it takes a third less."""
    gc.disable()


def keep_what_is_collected() -> None:
    """Leave out what was collected when garbage is looked for."""
    gc.enable()
    gc.freeze()
