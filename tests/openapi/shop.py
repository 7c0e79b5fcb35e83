"""A small application whose document is made or annotated."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import Blueprint, Flask
from flask.views import MethodView
from marshmallow import Schema, fields

from jwt_authz import (
    Authz,
    Role,
    Roles,
    exempt,
    guard,
    has_claim,
    has_permission,
    has_role,
    requirement,
    requires,
)
from jwt_authz.openapi import documented

ROLES = Roles(
    Role("clerk", "orders:read", "orders:list"), Role("manager", "orders:refund", includes="clerk")
)


class OrderSchema(Schema):
    id = fields.Integer(dump_only=True)
    buyer = fields.String(required=True)


class PageSchema(Schema):
    page = fields.Integer(load_default=1)


@requirement("is the buyer of this order")
def buyer(identity: Any, order: Any) -> bool:
    return bool(identity.subject == order)


class Orders(MethodView):
    decorators: ClassVar = [requires(has_claim("email_verified"))]

    @documented(answers={200: OrderSchema})
    @requires("orders:read")
    def get(self, id: int) -> Any:
        """Show an order.

        Callers who may read one may read all.
        """

    @requires("orders:refund" & has_role("manager"))
    @documented(body=OrderSchema(partial=True), answers={200: OrderSchema, 204: None})
    def patch(self, id: int) -> Any:
        """Change an order"""


def make_shop(**settings: Any) -> Flask:
    app = Flask("shop")
    app.config.update({"JWT_SECRET_KEY": "k" * 64, **settings})
    Authz(app, roles=ROLES, default="deny")
    app.add_url_rule("/orders/<int:id>", view_func=Orders.as_view("order"))

    @app.get("/orders")
    @documented(query=PageSchema, answers={200: OrderSchema(many=True)})
    @requires("orders:list")
    def list_orders() -> Any: ...

    @app.get("/mine/<uuid:key>")
    @requires(buyer | (has_permission("orders:read") & "orders:list"), on=lambda key: "ann")
    def mine(key: Any) -> Any: ...

    @app.get("/either/<string(length=3):code>/<any(red, blue):colour>/<float(max=2):weight>")
    @requires(has_permission("orders:refund") | (has_permission("orders:read") & "orders:list"))
    def either(**arguments: Any) -> Any: ...

    @app.get("/any")
    @requires()
    def anybody() -> Any: ...

    @app.get("/optional")
    @requires("orders:read", optional=True)
    def optional() -> Any: ...

    @app.get("/hidden")
    @requires("orders:refund", hide=True)
    def hidden() -> Any: ...

    @app.get("/trying")
    @requires("orders:refund", enforce=False)
    def trying() -> Any: ...

    @app.get("/health")
    @exempt
    def health() -> Any: ...

    back = Blueprint("back", __name__, url_prefix="/back")
    guard(back, has_role("manager"))

    @back.get("/stock/")
    @requires("orders:list")
    def stock() -> Any: ...

    app.register_blueprint(back)
    return app
