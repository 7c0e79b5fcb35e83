"""Browsing: how the tests of the page log in, and send its forms, as a browser does."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .application import PASSWORD

HERE = {"Sec-Fetch-Site": "same-origin"}


def log_in(client: FlaskClient, who: str = "ann", password: str = PASSWORD, **more: Any) -> Any:
    form = {"username": who, "password": password}
    return client.post("/admin/log-in", data=form, headers=HERE, **more)


def logged_in(app: Flask) -> FlaskClient:
    """A browser in which ann is logged in."""
    client = app.test_client()
    assert log_in(client).status_code == 303
    return client


def token_of(client: FlaskClient) -> str:
    """What the page's forms carry."""
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', client.get("/admin/").text)
    assert found is not None
    return found[1]


def seen_on(client: FlaskClient, path: str) -> str | None:
    """Return the version that the forms of a page carry; None where they have none."""
    found = re.search(r'name="seen" value="(\w+)"', client.get(f"/admin/{path}").text)
    return None if found is None else found[1]


def send(client: FlaskClient, path: str, **form: Any) -> TestResponse:
    """The answer to a form of the page, which is loaded for it unless the version is given."""
    if "seen" not in form:
        kind, _, rest = path.partition("/")
        about = f"user/{rest.partition('/')[0]}" if kind == "user" else f"role/{rest}"
        form["seen"] = seen_on(client, about) or []
    data = {"csrf_token": token_of(client), **form}
    return client.post(f"/admin/{path}", data=data, headers=HERE)
