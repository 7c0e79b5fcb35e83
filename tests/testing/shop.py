"""A small application to be tested by what is under test."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, abort, jsonify
from flask.views import MethodView
from flask_jwt_extended import get_jwt

from jwt_authz import (
    Authz,
    Role,
    Roles,
    current_identity,
    exempt,
    guard,
    has_claim,
    has_role,
    requirement,
    requires,
)

ROLES = Roles(
    Role("clerk", "orders:read"),
    Role("manager", "orders:create", "orders:delete", includes="clerk"),
)


@requirement("is the buyer of this order")
def buyer(identity: Any, order: dict[str, str]) -> bool:
    return bool(identity.subject == order["buyer"])


def load_order(id: int) -> dict[str, str]:
    return {"buyer": "ann"} if id == 1 else abort(404)


class Order(MethodView):
    decorators = (requires({"GET": "orders:read", "DELETE": "orders:delete"}),)  # type: ignore[assignment]

    def get(self, id: int) -> str:
        return "an order"

    def delete(self, id: int) -> str:
        raise RuntimeError("a view ran that nobody called")


def make_shop(**settings: Any) -> Flask:
    """The shop, with `AUTHZ_*` and other settings; `seen` returns what is known of the caller."""
    app = Flask("shop")
    app.config.update({"JWT_SECRET_KEY": "k" * 64, "TESTING": True, **settings})
    Authz(app, roles=ROLES, default="deny")
    app.add_url_rule("/orders/<int:id>", view_func=Order.as_view("order"))

    @app.get("/seen")
    @requires()
    def reported() -> Any:
        held = {"subject": current_identity.subject, "roles": sorted(current_identity.roles)}
        return jsonify(**held, tenant=current_identity.tenant, plan=get_jwt().get("plan"))

    @app.post("/orders")
    @requires("orders:create")
    def create() -> str:
        raise RuntimeError("a view ran that nobody called")

    @app.get("/mine/<int:id>")
    @requires(buyer, on=load_order)
    def mine(id: int) -> str:
        return "mine"

    @app.get("/kept/<int:id>")
    @requires(has_role("clerk"), on=load_order)
    def kept(id: int) -> str:
        return "kept"

    @app.get("/gold")
    @requires("orders:read", has_claim("plan", "gold"))
    def gold() -> str:
        return "gold"

    @app.get("/fresh")
    @requires(fresh=True)
    def fresh() -> str:
        return "fresh"

    @app.get("/hidden")
    @requires(has_role("manager"), hide=True)
    def hidden() -> str:
        return "hidden"

    @app.get("/health")
    @exempt
    def health() -> str:
        return "well"

    back = Blueprint("back", __name__, url_prefix="/back")
    guard(back, has_role("manager"))

    @back.get("/<string(length=3):code>/<uuid:key>/<any(red, blue):colour>/<float:weight>")
    @requires("orders:read")
    def stock(**arguments: Any) -> str:
        raise RuntimeError("a view ran that nobody called")

    app.register_blueprint(back)
    return app
