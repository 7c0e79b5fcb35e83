"""The same shop in each framework: what a REST framework must leave as it is in plain Flask.

GET  /orders             orders:read
POST /orders             orders:create
GET  /orders/<number>    the customer's own order; another one is hidden
GET  /failing            orders:read, then a store that does not answer
POST /refresh            exempt, and given an invalid refresh token
GET  /health             exempt
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

import apiflask
import flask_classful
import flask_openapi3
import flask_restful
import flask_restx
import flask_smorest
import pytest
from flask import Blueprint, Flask, current_app
from flask.views import MethodView
from marshmallow import Schema, fields
from pydantic import BaseModel

from jwt_authz import Authz, Role, Roles, exempt, requirement, requires
from jwt_authz.contrib.connexion import flask_app
from jwt_authz.errors import RefreshRefused, StoreUnavailable

with warnings.catch_warnings():  # of what it imports
    warnings.simplefilter("ignore")
    connexion: Any = import_module("connexion")
    # flask-apispec cannot be imported with marshmallow 4.
    has_apispec = version("marshmallow") < "4"
    flask_apispec: Any = import_module("flask_apispec") if has_apispec else None

ROLES = Roles(
    Role("clerk", "orders:read"), Role("manager", "orders:read", "orders:create"), Role("cook")
)
SETTINGS = {"JWT_SECRET_KEY": "k" * 64}
CUSTOMERS = {1: "ada", 2: "bob"}


@requirement("is the customer")
def is_customer(identity: Any, on: Any) -> bool:
    return bool(identity.subject == on)


def customer_of(number: int) -> str:
    """Return the customer of an order; a view object among the arguments would be an error."""
    return CUSTOMERS[number]


def fail() -> Any:
    raise StoreUnavailable("the billing database does not answer")


def refresh() -> Any:
    raise RefreshRefused("it is not a token")


def add_exempt_views(app: Any) -> None:
    """Add the views that are called without a guard, with the decorators of the framework."""

    @app.post("/refresh")
    @exempt
    def renew() -> Any:
        return refresh()

    @app.get("/health")
    @exempt
    def health() -> Any:
        return {}


def authz_of() -> Authz:
    found: Authz = current_app.extensions["jwt_authz"]
    return found


def authz_for(app: Flask, **settings: Any) -> Authz:
    app.config.update(SETTINGS, **settings)
    return Authz(app, roles=ROLES, default="deny")


is_read, is_created = requires("orders:read"), requires("orders:create")
is_own = requires(is_customer, on=customer_of, hide=True)


def plain(**settings: Any) -> Flask:
    app = Flask("plain")
    authz_for(app, **settings)
    app.add_url_rule("/orders", "list", is_read(lambda: []))
    app.add_url_rule("/orders", "create", is_created(lambda: {}), methods=["POST"])
    app.add_url_rule("/orders/<int:number>", "show", is_own(lambda number: {"id": number}))
    app.add_url_rule("/failing", "failing", is_read(lambda: fail()))
    app.add_url_rule("/refresh", "refresh", exempt(lambda: refresh()), methods=["POST"])
    app.add_url_rule("/health", "health", exempt(lambda: {}))
    return app


def _resources(base: Any) -> dict[str, Any]:
    """Return the shop as classes of a framework: a class for each path."""

    class Orders(base):  # type: ignore[misc]
        @is_read
        def get(self) -> Any:
            return []

        @is_created
        def post(self) -> Any:
            return {}

    class Order(base):  # type: ignore[misc]
        @is_own
        def get(self, number: int) -> Any:
            return {"id": number}

    class Failing(base):  # type: ignore[misc]
        method_decorators = (is_read,)

        def get(self) -> Any:
            fail()

    class Refresh(base):  # type: ignore[misc]
        @exempt
        def post(self) -> Any:
            return refresh()

    @exempt
    class Health(base):  # type: ignore[misc]
        def get(self) -> Any:
            return {}

    return {
        "/orders": Orders,
        "/orders/<int:number>": Order,
        "/failing": Failing,
        "/refresh": Refresh,
        "/health": Health,
    }


def restful(**settings: Any) -> Flask:
    app = Flask("restful")
    authz_for(app, **settings)
    api = flask_restful.Api(app)
    for path, resource in _resources(flask_restful.Resource).items():
        api.add_resource(resource, path)
    return app


def restx(**settings: Any) -> Flask:
    app = Flask("restx")
    authz_for(app, **settings)
    blueprint = Blueprint("api", __name__)
    api = flask_restx.Api(blueprint)
    for path, resource in _resources(flask_restx.Resource).items():
        api.add_resource(resource, path)
    app.register_blueprint(blueprint)
    for endpoint in ("api.root", "api.specs", "api.doc"):
        exempt(endpoint, app)
    return app


def classful(**settings: Any) -> Flask:
    app = Flask("classful")
    authz_for(app, **settings)

    class OrdersView(flask_classful.FlaskView):  # type: ignore[misc]
        trailing_slash = False

        @is_read
        def index(self) -> Any:
            return []

        @is_created
        def post(self) -> Any:
            return {}

        @flask_classful.route("/<int:number>")
        @is_own
        def show(self, number: int) -> Any:
            return {"id": number}

    class OtherView(flask_classful.FlaskView):  # type: ignore[misc]
        route_base, trailing_slash = "/", False

        @is_read
        def failing(self) -> Any:
            fail()

        @flask_classful.method("POST")
        @exempt
        def refresh(self) -> Any:
            return refresh()

        @exempt
        def health(self) -> Any:
            return {}

    OrdersView.register(app)
    OtherView.register(app)
    return app


class OrderSchema(Schema):
    id = fields.Integer()


def smorest(**settings: Any) -> Flask:
    app = Flask("smorest")
    authz_for(app, **settings)
    app.config.update(API_TITLE="shop", API_VERSION="1", OPENAPI_VERSION="3.1.0")
    blueprint = flask_smorest.Blueprint("shop", __name__)

    @blueprint.route("/orders")
    class Orders(MethodView):
        @blueprint.response(200, OrderSchema(many=True))
        @blueprint.paginate(flask_smorest.Page)
        @is_read
        def get(self) -> Any:
            return []

        @is_created
        @blueprint.arguments(OrderSchema)
        @blueprint.response(200, OrderSchema)
        def post(self, order: Any) -> Any:
            return order

    @blueprint.route("/orders/<int:number>")
    class Order(MethodView):
        @blueprint.etag
        @blueprint.response(200, OrderSchema)
        @is_own
        def get(self, number: int) -> Any:
            return {"id": number}

    @blueprint.route("/failing")
    @blueprint.response(200, OrderSchema)
    @is_read
    def failing() -> Any:
        fail()

    @blueprint.route("/refresh", methods=["POST"])
    @blueprint.response(200)
    @exempt
    def renew() -> Any:
        return refresh()

    @blueprint.route("/health")
    @exempt
    @blueprint.response(200)
    def health() -> Any:
        return {}

    flask_smorest.Api(app).register_blueprint(blueprint)
    return app


def api_flask(**settings: Any) -> Flask:
    app = apiflask.APIFlask("api_flask")
    authz_for(app, **settings)

    @app.get("/orders")
    @app.output(OrderSchema(many=True))
    @is_read
    def orders() -> Any:
        return []

    @app.post("/orders")
    @is_created
    @app.input(OrderSchema)
    @app.output(OrderSchema)
    def create(json_data: Any) -> Any:
        return json_data

    @app.get("/orders/<int:number>")
    @is_own
    @app.output(OrderSchema)
    def order(number: int) -> Any:
        return {"id": number}

    @app.get("/failing")
    @app.output(OrderSchema)
    @is_read
    def failing() -> Any:
        fail()

    add_exempt_views(app)
    for endpoint in ("openapi.spec", "openapi.docs", "openapi.swagger_ui_oauth_redirect"):
        exempt(endpoint, app)
    return app


class OrderPath(BaseModel):
    number: int


def openapi3(**settings: Any) -> Flask:
    app = flask_openapi3.OpenAPI("openapi3")
    authz_for(app, **settings)
    views = flask_openapi3.APIView()

    @views.route("/orders")
    class Orders:
        @views.doc()
        @is_read
        def get(self) -> Any:
            return []

        @views.doc()
        @is_created
        def post(self) -> Any:
            return {}

    @views.route("/orders/<int:number>")
    class Order:
        @views.doc()
        @requires(is_customer, on=lambda path: CUSTOMERS[path.number], hide=True)
        def get(self, path: OrderPath) -> Any:
            return {"id": path.number}

    @app.get("/failing")
    @is_read
    def failing() -> Any:
        fail()

    add_exempt_views(app)
    app.register_api_view(views)
    for endpoint in ("openapi.doc_url", "openapi.openapi"):
        exempt(endpoint, app)
    return app


def apispec(**settings: Any) -> Flask:
    app = Flask("apispec")
    authz_for(app, **settings)

    @flask_apispec.marshal_with(OrderSchema(many=True))
    class Orders(flask_apispec.MethodResource):  # type: ignore[misc]
        @is_read
        def get(self) -> Any:
            return []

        @flask_apispec.use_kwargs(OrderSchema, location="json")
        @is_created
        def post(self, **order: Any) -> Any:
            return [order]

    class Order(flask_apispec.MethodResource):  # type: ignore[misc]
        @flask_apispec.marshal_with(OrderSchema)
        @is_own
        def get(self, number: int) -> Any:
            return {"id": number}

    @flask_apispec.marshal_with(OrderSchema)
    @is_read
    def failing() -> Any:
        fail()

    app.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    app.add_url_rule("/orders/<int:number>", view_func=Order.as_view("order"))
    app.add_url_rule("/failing", view_func=failing)
    app.add_url_rule("/refresh", "refresh", exempt(lambda: refresh()), methods=["POST"])
    app.add_url_rule("/health", "health", exempt(lambda: {}))
    docs = flask_apispec.FlaskApiSpec(app)
    docs.register(Orders, endpoint="orders")
    for endpoint in ("flask-apispec.swagger-json", "flask-apispec.swagger-ui"):
        exempt(endpoint, app)
    return app


def _operation(name: str, **members: Any) -> dict[str, Any]:
    responses = {"200": {"description": "what was asked for"}}
    return {"operationId": f"{__name__}.{name}", "responses": responses, **members}


_NUMBER = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "shop", "version": "1"},
    "paths": {
        "/orders": {"get": _operation("show_orders"), "post": _operation("create_order")},
        "/orders/{number}": {"get": _operation("show_order", parameters=[_NUMBER])},
        "/failing": {"get": _operation("show_failing")},
        "/refresh": {"post": _operation("renew")},
        "/health": {"get": _operation("show_health")},
    },
}


@is_read
def show_orders() -> Any:
    return []


@is_created
def create_order() -> Any:
    return {}


@is_own
def show_order(number: int) -> Any:
    return {"id": number}


@is_read
def show_failing() -> Any:
    fail()


@exempt
def renew() -> Any:
    return refresh()


@exempt
def show_health() -> Any:
    return {}


def connexion_app(**settings: Any) -> Flask:
    outer = connexion.FlaskApp("connexion_app")
    authz_for(outer.app, **settings)
    outer.add_api(DOCUMENT)
    return flask_app(outer)


FRAMEWORKS: dict[str, Callable[..., Flask]] = {
    "Flask": plain,
    "Flask-RESTful": restful,
    "Flask-RESTX": restx,
    "Flask-Classful": classful,
    "Flask-Smorest": smorest,
    "APIFlask": api_flask,
    "flask-openapi3": openapi3,
    "Connexion": connexion_app,
}

if has_apispec:
    FRAMEWORKS["flask-apispec"] = apispec

each_framework = pytest.mark.parametrize("make", FRAMEWORKS.values(), ids=list(FRAMEWORKS))
