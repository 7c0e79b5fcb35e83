"""The drawings of docs/architecture.md name every module that a request enters, and no other."""

from __future__ import annotations

import gc
import re
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask.views import MethodView

import jwt_authz
from jwt_authz import Authz, Role, Roles, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.endpoints import refresh_blueprint, token_blueprint

PACKAGE = Path(jwt_authz.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
CREDENTIALS = {"username": "ada", "password": "correct horse battery staple"}


class Orders(MethodView):
    decorators = (requires("orders:read"),)

    def get(self) -> dict[str, list[str]]:
        return {"orders": []}


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("shop")
    app.config.update(JWT_SECRET_KEY=64 * "s", AUTHZ_STORE_URL="memory:")
    accounts = MemoryAccounts()
    accounts.add(CREDENTIALS["username"], CREDENTIALS["password"], roles=["clerk"])
    Authz(app, roles=Roles(Role("clerk", "orders:read")), accounts=accounts)
    app.register_blueprint(token_blueprint())
    app.register_blueprint(refresh_blueprint())
    app.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    client = app.test_client()
    client.get("/orders")  # the first request runs the check and reads the settings
    return client


_is_watched: ContextVar[bool] = ContextVar("is_watched", default=False)


def entered(call: Callable[[], Any]) -> set[str]:
    """Return the modules of the package in which the call, or a thread of it, calls a function.

    Threads of other tests' applications, and what the garbage collector calls, do not count.
    """
    modules = set()

    def see(frame: FrameType, event: str, argument: object) -> None:
        file = Path(frame.f_code.co_filename)
        is_body = frame.f_code.co_name == "<module>"
        if event == "call" and _is_watched.get() and not is_body and file.is_relative_to(PACKAGE):
            modules.add(file.relative_to(PACKAGE).with_suffix("").as_posix())

    before, token = sys.getprofile(), _is_watched.set(True)
    gc.disable()
    threading.setprofile(see)
    sys.setprofile(see)
    try:
        call()
    finally:
        sys.setprofile(before)
        gc.enable()
        _is_watched.reset(token)
        threading.setprofile(None)  # type: ignore[arg-type] # typeshed has no None here
    # Once imported, by another test, it checks every schema of the process.
    return modules - {"contrib/marshmallow"}


def drawn(title: str) -> set[str]:
    """Return the modules that the drawing below a heading names."""
    section = PAGE.read_text().partition(f"### {title}\n")[2]
    drawing = section.partition("```text\n")[2].partition("```")[0]
    return set(re.findall(r"^[ │├└─]*([a-z_]+(?:/[a-z_]+)*)(?= {2}|$)", drawing, re.MULTILINE))


def log_in(client: FlaskClient) -> dict[str, str]:
    tokens: dict[str, str] | None = client.post("/token", json=CREDENTIALS).json
    assert tokens is not None
    return tokens


def read_orders(client: FlaskClient, tokens: dict[str, str]) -> int:
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    return client.get("/orders", headers=bearer).status_code


@pytest.mark.slow
def test_a_log_in_enters_what_its_drawing_names(client: FlaskClient) -> None:
    log_in(client)
    assert entered(lambda: log_in(client)) == drawn("A log-in")


def test_the_first_request_of_a_token_enters_what_its_drawing_names(client: FlaskClient) -> None:
    read_orders(client, log_in(client))
    tokens = log_in(client)
    statuses = []
    modules = entered(lambda: statuses.append(read_orders(client, tokens)))

    assert statuses == [200]
    assert modules == drawn("The first request of a token")


def test_a_later_request_enters_what_its_drawing_names(client: FlaskClient) -> None:
    tokens = log_in(client)
    read_orders(client, tokens)
    statuses = []
    modules = entered(lambda: statuses.append(read_orders(client, tokens)))

    assert statuses == [200]
    assert modules == drawn("A later request")


def test_a_refusal_enters_what_its_drawing_names(client: FlaskClient) -> None:
    statuses = []
    modules = entered(lambda: statuses.append(client.get("/orders").status_code))

    assert statuses == [401]
    assert modules == drawn("A refusal")


def test_a_refresh_enters_what_its_drawing_names(client: FlaskClient) -> None:
    def refresh(token: str) -> Any:
        return client.post("/token/refresh", json={"refresh_token": token}).json

    tokens = refresh(log_in(client)["refresh_token"])
    assert entered(lambda: refresh(tokens["refresh_token"])) == drawn("A refresh")
