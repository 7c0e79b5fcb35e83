"""A document made of the routes, the guards and what was said of views."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from flask import Blueprint, Flask
from marshmallow import Schema, fields
from openapi_spec_validator import validate

from jwt_authz import Authz, MisuseError, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.endpoints import (
    introspection_blueprint,
    key_set_blueprint,
    refresh_blueprint,
    token_blueprint,
)
from jwt_authz.inspection.matrix import read_matrix
from jwt_authz.openapi import documented, undocumented
from jwt_authz.openapi.generator import generate
from jwt_authz.openapi.paths import template_of

from .shop import ROLES, make_shop

pytestmark = pytest.mark.versions


@pytest.fixture
def made() -> dict[str, Any]:
    document = generate(make_shop(), title="The shop", version="2.1.0")
    validate(document)
    return document


def test_a_document_has_an_operation_for_each_route(made: dict[str, Any]) -> None:
    documented = {(path, method) for path, item in made["paths"].items() for method in item}
    routes = {(template_of(one.rule), one.method.lower()) for one in read_matrix(make_shop())}
    assert documented == routes
    assert made["openapi"] == "3.1.0"
    assert made["info"] == {"title": "The shop", "version": "2.1.0"}


def test_each_operation_has_a_name_of_its_own(made: dict[str, Any]) -> None:
    names = [one["operationId"] for item in made["paths"].values() for one in item.values()]
    assert len(set(names)) == len(names)
    assert "order.get" in names and "back.stock.get" in names


def test_pages_for_people_stand_in_no_document() -> None:
    app = make_shop()
    pages = undocumented(Blueprint("pages", __name__, url_prefix="/pages"))
    pages.get("/")(requires()(lambda: "<h1>Shop</h1>"))
    app.register_blueprint(pages)
    app.add_url_rule("/page", "page", undocumented(requires()(lambda: "<h1>Shop</h1>")))
    assert generate(app) == generate(make_shop())


def test_a_view_at_several_rules_has_a_name_for_each() -> None:
    app = make_shop()
    view = requires()(lambda: "in")
    for rule in ("/first", "/second"):
        app.add_url_rule(rule, "often", view)
    paths = generate(app)["paths"]
    names = [paths[rule]["get"]["operationId"] for rule in ("/first", "/second")]
    assert names == ["often.get", "often.get.2"]


def test_a_docstring_says_what_an_operation_does(made: dict[str, Any]) -> None:
    show, change = made["paths"]["/orders/{id}"]["get"], made["paths"]["/orders/{id}"]["patch"]
    assert show["summary"] == "Show an order"
    assert show["description"] == "Callers who may read one may read all."
    assert change["summary"] == "Change an order" and "description" not in change


def test_bodies_and_answers_are_the_schemas_that_were_named(made: dict[str, Any]) -> None:
    change = made["paths"]["/orders/{id}"]["patch"]
    body = change["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/OrderChange"}
    assert set(change["responses"]) == {"200", "204", "401", "403", "503"}
    assert "content" not in change["responses"]["204"]
    schemas = made["components"]["schemas"]
    assert schemas["Order"]["required"] == ["buyer"] and "required" not in schemas["OrderChange"]
    listed = made["paths"]["/orders"]["get"]
    answer = listed["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"type": "array", "items": {"$ref": "#/components/schemas/Order"}}
    (page,) = listed["parameters"]
    assert (page["name"], page["in"], page["required"]) == ("page", "query", False)


def test_an_operation_has_what_guards_it(made: dict[str, Any]) -> None:
    operation = made["paths"]["/orders/{id}"]["get"]
    assert operation["security"] == [{"bearerAuth": ["orders:read"]}]
    assert operation["x-authz"] == (
        "has the claim email_verified and has the permission orders:read"
    )
    assert operation["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
    ]


def test_the_blueprints_of_the_library_are_documented() -> None:
    app = Flask("whole")
    app.config.update(JWT_SECRET_KEY="k" * 64, AUTHZ_STORE_URL="memory:")
    Authz(app, roles=ROLES, accounts=MemoryAccounts())
    for page in (
        token_blueprint(),
        refresh_blueprint(),
        introspection_blueprint("orders:read"),
        key_set_blueprint(),
    ):
        app.register_blueprint(page)
    made = generate(app)
    validate(made)
    assert made["info"]["title"] == "whole"
    log_in = made["paths"]["/token"]["post"]
    assert log_in["security"] == []
    assert log_in["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Credentials"
    }
    tokens = made["components"]["schemas"]["Tokens"]
    assert set(tokens["required"]) == {"access_token", "token_type", "expires_in"}
    undocumented = [
        one["operationId"]
        for item in made["paths"].values()
        for one in item.values()
        if "default" in one["responses"]
    ]
    assert undocumented == []
    assert made["paths"]["/token/introspect"]["post"]["security"] == [
        {"bearerAuth": ["orders:read"]}
    ]


def test_two_schemas_of_one_name_are_two() -> None:
    class Inner:
        class OrderSchema(Schema):
            other = fields.String()

    app = make_shop()
    app.get("/other")(requires()(documented(answers={200: Inner.OrderSchema})(lambda: "in")))
    with pytest.warns(UserWarning, match="Multiple schemas resolved to the name Order"):
        made = generate(app)
    assert set(made["components"]["schemas"]["Order1"]["properties"]) == {"other"}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"body": "Order"}, "Invalid schema 'Order': expected a marshmallow schema"),
        ({"answers": {200: dict}}, "expected a marshmallow schema"),
        ({"answers": {99: None}}, "Invalid HTTP status 99: expected one such as 200"),
        ({"answers": {"200": None}}, "Invalid HTTP status '200'"),
    ],
)
def test_what_cannot_be_documented_is_a_misuse(said: dict[str, Any], message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        documented(**said)


def test_an_application_without_an_authz_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="has no Authz"):
        generate(Flask("bare"))


def test_without_apispec_it_names_the_extra_and_annotating_goes_on() -> None:
    code = (
        "import sys; sys.modules['apispec'] = None\n"
        "import jwt_authz.cli, jwt_authz.openapi\n"
        "try:\n    import jwt_authz.openapi.generator\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'jwt_authz[openapi]'" in done.stdout


@pytest.mark.parametrize(
    "rules", [("/users/<int:id>", "/users/<name>"), ("/users/<int:id>", "/users/<id>")]
)
def test_rules_that_differ_in_a_converter_are_one_path(rules: tuple[str, str]) -> None:
    app = make_shop()
    for number, rule in enumerate(rules):
        app.add_url_rule(rule, f"user{number}", requires("orders:list")(lambda **arguments: "in"))
    app.add_url_rule("/users/<name>", "put", requires()(lambda name: "in"), methods=["PUT"])
    made = generate(app)
    validate(made)
    item = made["paths"]["/users/{id}"]
    assert [path for path in made["paths"] if path.startswith("/users")] == ["/users/{id}"]
    assert item["get"]["security"] == [{"bearerAuth": ["orders:list"]}]
    assert item["get"]["operationId"] == "user0.get"
    assert item["put"]["security"] == [{"bearerAuth": []}]
