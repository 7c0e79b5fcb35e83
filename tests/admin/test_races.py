"""Two administrators who take the role from each other at the same moment: one of them stays.

SECURITY 2.34, 2.52.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from secrets import token_hex
from typing import Any

import pytest
import sqlalchemy
from flask import Flask
from sqlalchemy.schema import CreateSchema, DropSchema

from jwt_authz.admin import accounts
from jwt_authz.admin.rules import Rules

from .application import USERS, ask, close, make_app, tokens


@pytest.fixture
def postgres_app(postgres_url: str, cheap_argon2: object) -> Iterator[Flask]:
    """The application on PostgreSQL, in a schema of its own."""
    name, engine = f"admin_{token_hex(6)}", sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(CreateSchema(name))
    made = make_app(f"{postgres_url}?options=-csearch_path%3D{name}")
    yield made
    close(made)
    with engine.begin() as connection:
        connection.execute(DropSchema(name, cascade=True))
    engine.dispose()


def answers_of_both(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is answered to ann and cy, who take each other's role; both are in the rules at once.

    If they can be: whoever is alone in there goes on after a while.
    """
    app.extensions["jwt_authz"].accounts.set_roles("cy", ["admin"])
    meeting = threading.Barrier(2)
    judge = Rules.__call__

    def judged(*arguments: Any) -> None:
        judge(*arguments)
        with suppress(threading.BrokenBarrierError):
            meeting.wait(1)

    monkeypatch.setattr(Rules, "__call__", judged)
    given = {who: tokens(app, who)["access_token"] for who in ("ann", "cy")}
    statuses: list[int] = []

    def take(who: str, other: str) -> None:
        answer = ask(app, given[who], "PUT", f"{USERS}/{other}/roles", json={"roles": []})
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=take, args=pair) for pair in (("ann", "cy"), ("cy", "ann"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


def administrators(app: Flask) -> list[str]:
    find: Callable[[str], Any] = app.extensions["jwt_authz"].accounts.find
    return [who for who in ("ann", "cy") if "admin" in find(who).roles]


@pytest.mark.parametrize("kind", ["app", "postgres_app"])
def test_of_two_who_remove_each_other_one_stays(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    app = request.getfixturevalue(kind)
    statuses = answers_of_both(app, monkeypatch)
    assert statuses[0] == 200
    assert statuses[1] in (401, 409)
    assert len(administrators(app)) == 1


def test_without_the_order_of_changes_nobody_would_be_left(
    postgres_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "wait_for_others", lambda session, roles: None)
    assert answers_of_both(postgres_app, monkeypatch) == [200, 200]
    assert administrators(postgres_app) == []
