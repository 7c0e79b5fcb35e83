"""Two administrators who take the role from each other at the same moment: one of them stays.

SECURITY 2.34, 2.52.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from jwt_authz.admin import accounts
from jwt_authz.admin.safeguards import Safeguards
from tests.patience import PATIENCE, eventually

from .application import STORED, USERS, ask, close, make_app, tokens

ROLES = "/admin/api/roles"


MOMENT = 0.3
"""Seconds that one change waits for another, which cannot come while they are kept in order."""


@pytest.fixture
def postgres_app(new_schema: Callable[[], str]) -> Iterator[Flask]:
    """The application on PostgreSQL."""
    made = make_app(new_schema())
    yield made
    close(made)


@pytest.fixture
def mariadb_app(new_mariadb: Callable[[], str]) -> Iterator[Flask]:
    """The application on MariaDB."""
    made = make_app(new_mariadb())
    yield made
    close(made)


@pytest.fixture
def both_stored(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """One whose administrators, ann and cy, may administer by either of two roles.

    The parameter is the isolation level of PostgreSQL, or `mariadb`.
    """
    level = getattr(request, "param", "read committed")
    if level == "mariadb":
        url = request.getfixturevalue("new_mariadb")()
    else:
        escaped = quote(level.replace(" ", "\\ "))
        setting = f"%20-cdefault_transaction_isolation%3D{escaped}"
        url = request.getfixturevalue("new_schema")() + setting
    made = make_app(url, STORED, administrator="users:manage")
    with made.app_context():
        made.extensions["jwt_authz"].roles_given.add("second", "users:manage")
        made.extensions["jwt_authz"].reload_roles()
    for name in ("ann", "cy"):
        made.extensions["jwt_authz"].accounts.set_roles(name, ["admin", "second"])
    yield made
    close(made)


def answers_of_both(
    app: Flask, monkeypatch: pytest.MonkeyPatch, within: float = MOMENT
) -> list[int]:
    """What is answered to ann and cy, who take each other's role; both are in the rules at once.

    If they can: a change that stays alone continues after a while.
    """
    app.extensions["jwt_authz"].accounts.set_roles("cy", ["admin"])
    body = {"json": {"roles": []}}
    changes = (("ann", f"{USERS}/cy/roles", body), ("cy", f"{USERS}/ann/roles", body))
    return statuses_of(app, monkeypatch, "__call__", within, *changes)


def answers_about_roles(
    app: Flask, monkeypatch: pytest.MonkeyPatch, within: float = MOMENT
) -> list[int]:
    """What is answered to ann and cy, each of whom takes the permission from one of the roles."""
    body = {"json": {"permissions": []}}
    changes = (("ann", f"{ROLES}/second", body), ("cy", f"{ROLES}/admin", body))
    return statuses_of(app, monkeypatch, "of_catalog", within, *changes)


def statuses_of(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    rule: str,
    within: float,
    *changes: tuple[str, str, Any],
) -> list[int]:
    """What is answered to two changes, each of which waits for the other to be judged."""
    meeting = threading.Barrier(2)
    judge = getattr(Safeguards, rule)

    def judged(*arguments: Any) -> None:
        judge(*arguments)
        with suppress(threading.BrokenBarrierError):
            meeting.wait(within)

    monkeypatch.setattr(Safeguards, rule, judged)
    given = {who: tokens(app, who)["access_token"] for who in ("ann", "cy")}
    statuses: list[int] = []

    def change(who: str, path: str, body: Any) -> None:
        statuses.append(ask(app, given[who], "PUT", path, **body).status_code)

    threads = [threading.Thread(target=change, args=arguments) for arguments in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


def administrators(app: Flask) -> list[str]:
    find: Callable[[str], Any] = app.extensions["jwt_authz"].accounts.find
    return [who for who in ("ann", "cy") if "admin" in find(who).roles]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["app", "postgres_app", "mariadb_app"])
def test_of_two_who_remove_each_other_one_stays(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    app = request.getfixturevalue(kind)
    statuses = answers_of_both(app, monkeypatch)
    assert statuses[0] == 200
    assert statuses[1] in (401, 403, 409)
    assert len(administrators(app)) == 1


def test_without_the_order_of_changes_nobody_would_be_left(
    postgres_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "wait_for_others", lambda session, roles: None)
    assert answers_of_both(postgres_app, monkeypatch, PATIENCE) == [200, 200]
    assert administrators(postgres_app) == []


def can_administer(app: Flask) -> list[str]:
    roles = app.extensions["jwt_authz"].roles_given.load()
    return [name for name in ("admin", "second") if "users:manage" in roles.permissions_of([name])]


@pytest.mark.slow
@pytest.mark.parametrize(
    "both_stored", ["read committed", "repeatable read", "serializable", "mariadb"], indirect=True
)
def test_of_two_who_take_the_permission_from_a_role_each_one_role_keeps_it(
    both_stored: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = answers_about_roles(both_stored, monkeypatch)
    assert statuses[0] == 200
    assert statuses[1] in (403, 409, 503)
    assert len(can_administer(both_stored)) == 1


def test_without_the_order_of_changes_no_role_would_keep_it(
    both_stored: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "wait_for_others", lambda session, roles: None)
    assert answers_about_roles(both_stored, monkeypatch, PATIENCE) == [200, 200]
    assert can_administer(both_stored) == []


def test_a_change_of_the_same_user_elsewhere_does_not_lock_an_administrator_up(
    postgres_app: Flask,
) -> None:
    """Both changes touch the roles and the user; the one from elsewhere begins in between."""
    accounts = postgres_app.extensions["jwt_authz"].accounts
    engine = postgres_app.extensions["engine"]
    elsewhere = threading.Thread(target=accounts.grant_roles, args=("cy", ["editor"]))

    def change(context: Any) -> Any:
        elsewhere.start()
        wait_for_a_lock(engine)
        return accounts._existing(context.session, "cy").username

    assert accounts.in_turn(change) == "cy"
    elsewhere.join()
    assert accounts.find("cy").roles == ("editor",)


def wait_for_a_lock(engine: Engine) -> None:
    """Return when some connection to the database waits for a lock of another one."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with engine.connect() as connection:
        eventually(lambda: bool(connection.scalar(waiting)))
