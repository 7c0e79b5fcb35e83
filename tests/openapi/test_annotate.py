"""A finished document, annotated: what the guards ask for, and nothing else changed."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
from apispec import APISpec
from flask import Flask, session
from openapi_spec_validator import validate

from jwt_authz import Authz, MisuseError, authorize, exempt, has_permission, requires
from jwt_authz.openapi import annotate

from .shop import make_shop

pytestmark = pytest.mark.versions

ANY = {"responses": {"200": {"description": "Well"}}}


def document(version: str = "3.1.0", **paths: Any) -> dict[str, Any]:
    """A document of these paths, each with these methods."""
    items = {
        path: {method: copy.deepcopy(ANY) for method in methods} for path, methods in paths.items()
    }
    return {"openapi": version, "info": {"title": "shop", "version": "1"}, "paths": items}


def annotated(path: str, method: str = "get", **settings: Any) -> dict[str, Any]:
    """The operation of the shop at a path; the whole document is valid."""
    made = annotate(document(**{path: [method]}), make_shop(**settings))
    validate(made)
    operation: dict[str, Any] = made["paths"][path][method]
    return operation


@pytest.mark.parametrize(
    ("path", "security", "words"),
    [
        ("/orders", [["orders:list"]], "has the permission orders:list"),
        (
            "/mine/{key}",
            [[]],
            "is the buyer of this order or has the permission orders:read and has the permission "
            "orders:list",
        ),
        (
            "/either/{code}/{colour}/{weight}",
            [["orders:list", "orders:read"], ["orders:refund"]],
            "has the permission orders:refund or has the permission orders:read and has the "
            "permission orders:list",
        ),
        ("/any", [[]], "is identified"),
        ("/hidden", [["orders:refund"]], "has the permission orders:refund"),
        (
            "/back/stock/",
            [["orders:list"]],
            "has the role manager and has the permission orders:list",
        ),
    ],
)
def test_a_guarded_operation_names_its_permissions_and_its_requirement(
    path: str, security: list[list[str]], words: str
) -> None:
    operation = annotated(path)
    assert operation["security"] == [{"bearerAuth": names} for names in security]
    assert operation["x-authz"] == words


def test_an_open_operation_asks_for_nothing() -> None:
    for path in ("/health", "/trying"):
        operation = annotated(path)
        assert operation["security"] == []
        assert set(operation["responses"]) == {"200"}
    assert annotated("/trying")["x-authz"].startswith("everybody: not enforced")


def test_an_optional_operation_may_be_called_without_a_token() -> None:
    assert annotated("/optional")["security"] == [{"bearerAuth": ["orders:read"]}, {}]


def test_the_guards_of_a_class_count_for_each_of_its_methods() -> None:
    assert annotated("/orders/{id}")["security"] == [{"bearerAuth": ["orders:read"]}]
    patch = annotated("/orders/{id}", "patch")
    assert patch["security"] == [{"bearerAuth": ["orders:refund"]}]
    assert patch["x-authz"] == (
        "has the claim email_verified and has the permission orders:refund and has the role manager"
    )


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/orders", {"200", "401", "403", "503"}),
        ("/any", {"200", "401", "503"}),
        ("/hidden", {"200", "401", "503"}),
    ],
)
def test_a_guarded_operation_says_its_refusals(path: str, statuses: set[str]) -> None:
    assert set(annotated(path)["responses"]) == statuses


def test_the_refusals_are_problems_with_their_headers() -> None:
    made = annotate(document(**{"/orders": ["get"]}), make_shop())
    responses = made["components"]["responses"]
    for name, header in (
        ("AuthzNotIdentified", "WWW-Authenticate"),
        ("AuthzNotAllowed", "WWW-Authenticate"),
        ("AuthzUnavailable", "Retry-After"),
    ):
        assert list(responses[name]["content"]) == ["application/problem+json"]
        assert list(responses[name]["headers"]) == [header]
    asked = make_shop().test_client().get("/orders")
    assert set(asked.json) >= set(made["components"]["schemas"]["AuthzProblem"]["required"])


def test_path_parameters_that_are_missing_are_added_by_the_names_of_the_path() -> None:
    operation = annotated("/either/{a}/{b}/{c}")
    assert operation["parameters"] == [
        {
            "name": "a",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 3, "maxLength": 3},
        },
        {
            "name": "b",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "enum": ["blue", "red"]},
        },
        {
            "name": "c",
            "in": "path",
            "required": True,
            "schema": {"type": "number", "minimum": 0, "maximum": 2},
        },
    ]
    assert annotated("/mine/{key}")["parameters"][0]["schema"]["format"] == "uuid"


def test_what_the_document_says_already_stays() -> None:
    held = document(**{"/orders/{id}": ["get"]})
    own = {"description": "My own"}
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    held["paths"]["/orders/{id}"]["parameters"] = [number]
    held["paths"]["/orders/{id}"]["get"]["responses"]["403"] = own
    held["components"] = {"securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer"}}}
    before = copy.deepcopy(held)
    made = annotate(held, make_shop())
    operation = made["paths"]["/orders/{id}"]["get"]
    assert held == before
    assert operation["responses"]["403"] == own and "parameters" not in operation
    assert made["components"]["securitySchemes"] == before["components"]["securitySchemes"]
    assert "AuthzNotAllowed" not in made["components"]["responses"]


def test_security_of_the_whole_document_does_not_close_what_is_open() -> None:
    held = {**document(**{"/health": ["get"]}), "security": [{"bearerAuth": []}]}
    assert annotate(held, make_shop())["paths"]["/health"]["get"]["security"] == []


def test_a_document_that_is_annotated_again_stays_as_it_is() -> None:
    once = annotate(document(**{"/orders": ["get"], "/mine/{key}": ["get"]}), make_shop())
    assert annotate(once, make_shop()) == once


def test_version_3_0_has_the_permissions_in_words_alone() -> None:
    made = annotate(document("3.0.3", **{"/orders": ["get"]}), make_shop())
    validate(made)
    assert made["paths"]["/orders"]["get"]["security"] == [{"bearerAuth": []}]
    assert made["paths"]["/orders"]["get"]["x-authz"] == "has the permission orders:list"


@pytest.mark.parametrize(
    ("path", "server"),
    [
        ("/orders/<int:id>", "/"),
        ("/orders/{order_id}", "https://shop.example"),
        ("/{id}", "https://shop.example/orders/"),
        ("/back/stock", "/"),
        ("/any/", "/"),
    ],
)
def test_a_path_is_found_in_each_way_of_writing_it(path: str, server: str) -> None:
    held = {**document(**{path: ["get"]}), "servers": [{"url": server}]}
    operation = annotate(held, make_shop())["paths"][path]["get"]
    assert operation["security"][0]["bearerAuth"] is not None and operation["x-authz"]


def test_head_is_answered_by_get() -> None:
    assert annotated("/orders", "head")["x-authz"] == "has the permission orders:list"


def test_an_operation_without_a_route_is_left_alone_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = document(**{"/gone\n": ["get"], "/orders": ["post"]})
    with caplog.at_level(logging.WARNING, "jwt_authz"):
        made = annotate(held, make_shop())
    assert made["paths"] == held["paths"]
    assert [record.getMessage() for record in caplog.records] == [
        r"'GET /gone\n' in the document does not match exactly one route",
        "'POST /orders' in the document does not match exactly one route",
    ]


def test_paths_that_two_rules_share_differ_by_the_names_of_their_parameters(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_shop()
    app.add_url_rule("/both/<int:id>", "by_id", requires("orders:refund")(lambda id: "in"))
    app.add_url_rule("/both/<name>", "by_name", requires("orders:list")(lambda name: "in"))
    paths = {path: ["get"] for path in ("/both/{id}", "/both/{name}", "/both/{other}")}
    with caplog.at_level(logging.WARNING, "jwt_authz"):
        made = annotate(document(**paths), app)["paths"]
    assert made["/both/{id}"]["get"]["x-authz"] == "has the permission orders:refund"
    assert made["/both/{name}"]["get"]["x-authz"] == "has the permission orders:list"
    assert "x-authz" not in made["/both/{other}"]["get"]
    assert "'GET /both/{other}' in the document does not match exactly one route" in caplog.text


def test_each_location_of_a_token_is_a_way_in() -> None:
    settings = {"JWT_TOKEN_LOCATION": ["headers", "cookies", "query_string", "json"]}
    made = annotate(document(**{"/orders": ["get"]}), make_shop(**settings))
    validate(made)
    assert made["paths"]["/orders"]["get"]["security"] == [
        {"bearerAuth": ["orders:list"]},
        {"cookieAuth": ["orders:list"]},
        {"queryAuth": ["orders:list"]},
    ]
    assert made["components"]["securitySchemes"]["cookieAuth"] == {
        "type": "apiKey",
        "in": "cookie",
        "name": "access_token_cookie",
    }


def test_another_header_is_named() -> None:
    made = annotate(document(**{"/any": ["get"]}), make_shop(JWT_HEADER_NAME="X-Token"))
    scheme = made["components"]["securitySchemes"]["bearerAuth"]
    assert scheme == {"type": "apiKey", "in": "header", "name": "X-Token"}


def test_an_identity_from_the_session_is_a_cookie() -> None:
    app = Flask("pages")
    app.config.update(SECRET_KEY="s" * 40, JWT_SECRET_KEY="k" * 64)
    Authz(app).identity_loader(lambda: session.get("user"))
    app.get("/")(requires()(lambda: "in"))
    made = annotate(document(**{"/": ["get"]}), app)
    validate(made)
    assert made["paths"]["/"]["get"]["security"] == [{"sessionAuth": []}]
    assert made["components"]["securitySchemes"]["sessionAuth"]["name"] == "session"


def test_an_apispec_is_a_document() -> None:
    spec = APISpec("shop", "1", "3.1.0")
    spec.path("/orders", operations={"get": copy.deepcopy(ANY)})
    assert annotate(spec, make_shop())["paths"]["/orders"]["get"]["x-authz"]


def test_many_choices_are_described_in_words_only() -> None:
    app = Flask("many")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app)
    pairs = [has_permission(f"r{n}:a") | f"r{n}:b" for n in range(6)]
    app.get("/")(requires(*pairs)(lambda: "in"))
    made = annotate(document(**{"/": ["get"]}), app)
    assert made["paths"]["/"]["get"]["security"] == [{"bearerAuth": []}]


@pytest.mark.parametrize(
    "spec", [None, "text", {}, {"openapi": "3.1.0"}, {"swagger": "2.0", "paths": {}}, []]
)
def test_an_invalid_document_is_a_misuse(spec: Any) -> None:
    with pytest.raises(MisuseError, match=r"pass annotate\(spec, app\) the whole"):
        annotate(spec, make_shop())


def test_an_application_without_an_authz_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="has no Authz"):
        annotate(document(), Flask("bare"))


def test_an_operation_that_several_routes_serve_requires_what_is_enough_for_each() -> None:
    app = make_shop()
    app.add_url_rule("/both/<int:id>", "by_id", requires("orders:refund")(lambda id: "in"))
    app.add_url_rule("/both/<name>", "by_name", requires("orders:list")(lambda name: "in"))
    made = annotate(document(**{"/both/{key}": ["get"]}), app)
    validate(made)
    operation = made["paths"]["/both/{key}"]["get"]
    assert operation["security"] == [{"bearerAuth": ["orders:list", "orders:refund"]}]
    assert operation["x-authz"] == (
        "/both/<int:id>: has the permission orders:refund; "
        "/both/<name>: has the permission orders:list"
    )
    (parameter,) = operation["parameters"]
    assert (parameter["name"], parameter["schema"]) == (
        "key",
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]},
    )


def test_an_operation_of_which_one_route_is_open_may_be_called_without_a_token() -> None:
    app = make_shop()
    app.add_url_rule("/both/<int:id>", "by_id", requires("orders:refund")(lambda id: "in"))
    app.add_url_rule("/both/<name>", "by_name", exempt(lambda name: "in"))
    operation = annotate(document(**{"/both/{id}": ["get"]}), app)["paths"]["/both/{id}"]["get"]
    assert operation["security"] == [{"bearerAuth": ["orders:refund"]}, {}]
    assert {"401", "403", "503"} <= operation["responses"].keys()


def test_an_operation_that_may_refuse_by_code_inside_is_not_open() -> None:
    app = make_shop()
    app.add_url_rule("/inside", "inside", exempt(decides_inside))
    operation = annotate(document(**{"/inside": ["get"]}), app)["paths"]["/inside"]["get"]
    assert operation["security"] == [{"bearerAuth": []}, {}]
    assert operation["x-authz"] == "unknown: decided in decides_inside"
    assert {"401", "403", "503"} <= operation["responses"].keys()


def decides_inside() -> str:
    authorize("orders:list")
    return "in"
