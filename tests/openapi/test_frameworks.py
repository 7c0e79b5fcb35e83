"""Documents of flask-smorest, APIFlask and flask-openapi3, annotated for real applications."""

from __future__ import annotations

import json
from typing import Any

import pytest
from apiflask import APIFlask
from apiflask import Schema as APISchema
from flask import Flask
from flask.views import MethodView
from flask_openapi3 import Info, OpenAPI
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields
from openapi_spec_validator import validate
from pydantic import BaseModel

from jwt_authz import Authz, exempt, has_role, requires
from jwt_authz.openapi import annotate
from jwt_authz.testing import authz_client

from .shop import ROLES

pytestmark = pytest.mark.versions

SETTINGS = {"JWT_SECRET_KEY": "k" * 64, "TESTING": True}


class OrderSchema(Schema):
    id = fields.Integer()


class OrderPath(BaseModel):
    order_id: int


def smorest(version: str) -> tuple[Flask, Any]:
    app = Flask("smorest")
    app.config.update(SETTINGS, API_TITLE="shop", API_VERSION="1", OPENAPI_VERSION=version)
    Authz(app, roles=ROLES, default="deny")
    api = Api(app)
    page = Blueprint("orders", "orders", url_prefix="/orders")

    @page.route("/<int:order_id>")
    class Orders(MethodView):
        @page.response(200, OrderSchema)
        @requires("orders:read")
        def get(self, order_id: int) -> Any:
            return {"id": order_id}

        @requires(has_role("manager"))
        @page.response(204)
        def delete(self, order_id: int) -> None:
            return None

    @page.route("/health")
    @page.response(200)
    @exempt
    def health() -> str:
        return "well"

    api.register_blueprint(page)
    return app, api.spec


def apiflask(version: str) -> tuple[Flask, Any]:
    app = APIFlask("apiflask", title="shop")
    app.config.update(SETTINGS, OPENAPI_VERSION=version)
    Authz(app, roles=ROLES)

    class Order(APISchema):
        id = fields.Integer()

    @app.get("/orders/<int:order_id>")
    @app.output(Order)
    @requires("orders:read")
    def show(order_id: int) -> Any:
        return {"id": order_id}

    @app.delete("/orders/<int:order_id>")
    @requires(has_role("manager"))
    @app.output({}, status_code=204)
    def remove(order_id: int) -> str:
        return ""

    @app.get("/orders/health")
    @exempt
    def health() -> str:
        return "well"

    with app.app_context():
        return app, app.spec


def openapi3(version: str) -> tuple[Flask, Any]:
    app = OpenAPI("openapi3", info=Info(title="shop", version="1"))
    app.openapi_version = version
    app.config.update(SETTINGS)
    Authz(app, roles=ROLES)

    @app.get("/orders/<int:order_id>")
    @requires("orders:read")
    def show(path: OrderPath) -> Any:
        return {"id": path.order_id}

    @app.delete("/orders/<int:order_id>")
    @requires(has_role("manager"))
    def remove(path: OrderPath) -> Any:
        return "", 204

    @app.get("/orders/health")
    @exempt
    def health() -> str:
        return "well"

    return app, app.api_doc


# flask-openapi3 writes nothing but 3.1, whatever version is configured.
@pytest.mark.parametrize(
    ("make", "version"),
    [
        (smorest, "3.0.3"),
        (smorest, "3.1.0"),
        (apiflask, "3.0.3"),
        (apiflask, "3.1.0"),
        (openapi3, "3.1.0"),
    ],
)
def test_a_frameworks_document_says_what_guards_each_operation(make: Any, version: str) -> None:
    app, spec = make(version)
    made = json.loads(json.dumps(annotate(spec, app)))
    assert made["openapi"] == version
    validate(made)
    item = made["paths"]["/orders/{order_id}"]
    names = ["orders:read"] if version == "3.1.0" else []
    assert item["get"]["security"] == [{"bearerAuth": names}]
    assert item["get"]["x-authz"] == "has the permission orders:read"
    assert item["delete"]["x-authz"] == "has the role manager"
    for method in ("get", "delete"):
        assert {"401", "403", "503"} <= set(item[method]["responses"])
    (open_one,) = (path for path in made["paths"] if path.endswith("/health"))
    assert made["paths"][open_one]["get"]["security"] == []


@pytest.mark.parametrize("make", [smorest, apiflask, openapi3], ids=lambda make: make.__name__)
def test_a_frameworks_views_are_guarded_as_the_document_says(make: Any) -> None:
    app, _ = make("3.1.0")
    clerk, manager = (authz_client(app, roles=[role]) for role in ("clerk", "manager"))
    assert app.test_client().get("/orders/7").status_code == 401
    assert clerk.get("/orders/7").json == {"id": 7}
    assert clerk.delete("/orders/7").status_code == 403
    assert manager.delete("/orders/7").status_code == 204
    assert app.test_client().get("/orders/health").status_code == 200
