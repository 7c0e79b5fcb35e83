"""Flask-Auth's users kept in memory, in a file, in SQLAlchemy and in peewee: all behave alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.compat.auth_users import in_a_file, in_memory, in_peewee, in_sqlalchemy
from tests.compat.auth_users.shop import OLD_HASH, OLD_PASSWORD

pytestmark = [pytest.mark.versions, pytest.mark.usefixtures("cheap_argon2")]

LASTING = [in_a_file, in_sqlalchemy, in_peewee]

Open = Callable[[], Flask]


@pytest.fixture(params=[in_memory, *LASTING], ids=lambda module: module.__name__.split(".")[-1])
def open_app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the application; a second time it finds what the first has stored."""
    example: ModuleType = request.param
    opened: list[Flask] = []

    def open_one() -> Flask:
        opened.append(example.create_app(tmp_path))
        return opened[-1]

    yield open_one
    for app in opened:
        app.config.get("CLOSE", bool)()


@pytest.fixture
def app(open_app: Open) -> Flask:
    return open_app()


def log_in(client: FlaskClient, username: str, password: str) -> int:
    form = {"username": username, "password": password}
    return client.post("/login", data=form).status_code


def stored(app: Flask, username: str) -> Any:
    return app.config["STORED_PASSWORD"](username)


def test_nobody_gets_in_without_a_log_in(app: Flask) -> None:
    client = app.test_client()

    assert client.get("/me").status_code == 401
    assert client.get("/orders").status_code == 401
    assert client.post("/orders/7/cancel").status_code == 401


def test_a_user_logs_in_by_their_password_and_is_found_again(app: Flask) -> None:
    client = app.test_client()

    assert log_in(client, "bob", "biscuits") == 200
    assert client.get("/me").text == "bob"


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("bob", "biscuit"),
        ("bob", "biscuits "),
        ("bob", ""),
        ("ann", "TEA"),
        ("ann", OLD_HASH),
        ("nobody", "biscuits"),
    ],
)
def test_a_wrong_password_logs_nobody_in(app: Flask, username: str, password: str) -> None:
    client = app.test_client()

    assert log_in(client, username, password) == 400
    assert client.get("/me").status_code == 401


def test_a_user_may_do_what_their_roles_permit(app: Flask) -> None:
    ann, bob = app.test_client(), app.test_client()
    log_in(ann, "ann", OLD_PASSWORD)
    log_in(bob, "bob", "biscuits")

    assert ann.get("/orders").text == bob.get("/orders").text == "all orders"
    assert bob.post("/orders/7/cancel").text == "order 7 cancelled"
    assert ann.post("/orders/7/cancel").status_code == 401


def test_a_user_who_logged_out_gets_in_no_more(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "bob", "biscuits")

    assert client.post("/logout").text == "Goodbye"
    assert client.get("/me").status_code == 401
    assert client.post("/logout").text == "Nobody there"


def test_an_old_hash_is_replaced_at_the_log_in_and_good_for_the_next(app: Flask) -> None:
    assert stored(app, "ann") == OLD_HASH

    assert log_in(app.test_client(), "ann", OLD_PASSWORD) == 200
    new = stored(app, "ann")

    assert new.startswith("$argon2id$")
    assert log_in(app.test_client(), "ann", OLD_PASSWORD) == 200
    assert stored(app, "ann") == new


def test_a_failed_log_in_leaves_an_old_hash_alone(app: Flask) -> None:
    log_in(app.test_client(), "ann", "coffee")

    assert stored(app, "ann") == OLD_HASH


def test_new_passwords_are_stored_as_argon2id(app: Flask) -> None:
    assert stored(app, "bob").startswith("$argon2id$")


@pytest.mark.parametrize("open_app", LASTING, indirect=True, ids=["file", "sqlalchemy", "peewee"])
def test_a_replaced_hash_is_there_after_a_restart(open_app: Open) -> None:
    log_in(open_app().test_client(), "ann", OLD_PASSWORD)

    again = open_app()

    assert stored(again, "ann").startswith("$argon2id$")
    assert log_in(again.test_client(), "ann", OLD_PASSWORD) == 200


def test_no_hash_is_ever_in_the_session(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "ann", OLD_PASSWORD)

    with client.session_transaction() as session:
        kept = repr(dict(session))

    assert "ann" in kept
    assert OLD_HASH not in kept and "$argon2" not in kept
