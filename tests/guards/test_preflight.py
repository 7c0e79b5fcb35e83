"""Preflights pass guards of blueprints and applications; OPTIONS of a view's own does not."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from flask.views import MethodView
from flask_cors import CORS, cross_origin

from jwt_authz import Authz, guard, requires
from jwt_authz.inspection.access import read_access
from tests.edge import bare_app, catalog

SHOP = "https://shop.example"
PREFLIGHT = {
    "Origin": SHOP,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization",
}


def app_with(view: Any, *, on: str = "blueprint", methods: Any = None, **config: Any) -> Flask:
    """An application whose blueprint, application or default guards the view."""
    app = Flask("shop")
    app.config.update(bare_app().config)
    app.config.update(config)
    Authz(app, roles=catalog(), default="deny")
    api = Blueprint("api", __name__)
    if on == "application":
        guard(app, "article:read")
    elif on == "blueprint":
        guard(api, "article:read")
    api.add_url_rule("/orders", "orders", view, methods=methods)
    app.register_blueprint(api)
    return app


def preflight(client: FlaskClient) -> tuple[int, str | None]:
    answer = client.options("/orders", headers=PREFLIGHT)
    return answer.status_code, answer.headers.get("Access-Control-Allow-Origin")


class Orders(MethodView):
    provide_automatic_options = False
    decorators = (cross_origin(origins=SHOP),)

    def get(self) -> str:
        return "orders"


def orders() -> str:
    return "orders"


@pytest.mark.parametrize("on", ["blueprint", "application"])
@pytest.mark.parametrize(
    "view",
    [cross_origin(origins=SHOP)(lambda: "orders"), Orders.as_view("orders")],
    ids=["a function", "a class"],
)
def test_a_preflight_passes_and_the_call_itself_does_not(view: Any, on: str) -> None:
    app = app_with(view, on=on)
    client = app.test_client()
    assert preflight(client) == (200, SHOP)
    assert client.get("/orders", headers={"Origin": SHOP}).status_code == 401
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []
        assert [row.method for row in read_access().rows] == ["GET"]


def test_a_preflight_passes_where_the_view_has_its_guard_below() -> None:
    app = app_with(cross_origin(origins=SHOP)(requires("article:read")(lambda: "in")), on="none")
    assert preflight(app.test_client()) == (200, SHOP)
    assert app.test_client().get("/orders").status_code == 401


@pytest.mark.parametrize(
    ("config", "options"),
    [({}, {"automatic_options": False}), ({"CORS_AUTOMATIC_OPTIONS": False}, {})],
)
def test_options_that_the_view_answers_itself_is_guarded(config: Any, options: Any) -> None:
    view = cross_origin(origins=SHOP, **options)(lambda: "its own")
    view.provide_automatic_options = False
    app = app_with(view, methods=["GET", "OPTIONS"], **config)
    assert app.test_client().options("/orders", headers=PREFLIGHT).status_code == 401


def test_the_check_warns_of_a_guard_that_refuses_preflights() -> None:
    app = app_with(requires("article:read")(cross_origin(origins=SHOP)(lambda: "in")))
    assert preflight(app.test_client())[0] == 401
    with app.app_context():
        (warning,) = app.extensions["jwt_authz"].check()
    assert warning == (
        "OPTIONS /orders (api.orders) refuses preflights, which carry no token: write "
        "@cross_origin() above @requires(has_permission('article:read')) [AZ013]"
    )


def test_the_preflights_of_an_application_under_cors_pass() -> None:
    app = app_with(lambda: "in")
    CORS(app, origins=SHOP)
    assert preflight(app.test_client()) == (200, SHOP)
