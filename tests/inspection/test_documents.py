"""Reports as JSON, and a matrix read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Blueprint, Flask

from jwt_authz import MisuseError, Role, Roles, guard, has_role, has_scope, requires
from jwt_authz.inspection.access import AccessMatrix, read_access
from jwt_authz.inspection.diff import AccessChange
from jwt_authz.inspection.documents import (
    access_as_json,
    access_from_json,
    changes_as_json,
    routes_as_json,
)
from jwt_authz.inspection.routes import read_routes
from tests.edge import guarded_app
from tests.inspection.generated import Builder
from tests.inspection.test_page import HOSTILE, application


def matrix(app: Flask) -> AccessMatrix:
    with app.app_context():
        return read_access()


def shop() -> Flask:
    app = guarded_app(authz={"roles": Roles(Role("clerk", "order:read"), Role("guest"))})
    blueprint = Blueprint("shop", "shop")
    guard(blueprint, has_role("clerk"))
    blueprint.add_url_rule("/<int:id>", "order", requires(has_scope("read"))(lambda id: "in"))
    app.register_blueprint(blueprint)
    return app


def test_a_matrix_has_its_roles_and_for_each_route_the_answer_for_each_role() -> None:
    assert json.loads(access_as_json(matrix(shop()))) == {
        "roles": ["clerk", "guest"],
        "routes": [
            {
                "endpoint": "shop.order",
                "rule": "/<int:id>",
                "method": "GET",
                "requirement": "has the role clerk and was granted the scope read",
                "unidentified": "no",
                "without_role": "no",
                "access": {"clerk": "depends", "guest": "no"},
            }
        ],
    }


def test_routes_have_their_guards_each_with_its_place() -> None:
    with shop().app_context():
        written = routes_as_json(read_routes())
    assert json.loads(written) == {
        "routes": [
            {
                "endpoint": "shop.order",
                "rule": "/<int:id>",
                "method": "GET",
                "state": "guarded",
                "guards": [
                    {"place": "blueprint shop", "requirement": "has the role clerk"},
                    {"place": "view", "requirement": "was granted the scope read"},
                ],
                "requirement": "has the role clerk and was granted the scope read",
                "remarks": [],
            }
        ]
    }


def test_changes_are_listed_by_name() -> None:
    change = AccessChange("given", "page", "/", "GET", "clerk", "no", "yes")
    assert json.loads(changes_as_json([change])) == {
        "changes": [
            {
                "access": "given",
                "endpoint": "page",
                "rule": "/",
                "method": "GET",
                "caller": "clerk",
                "before": "no",
                "after": "yes",
            }
        ]
    }


def test_a_matrix_that_was_written_is_read_back_as_it_was() -> None:
    for seed in range(20):
        found = matrix(Builder(seed).build())
        assert access_from_json(access_as_json(found), "it") == found


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_read_back_as_they_were_and_written_in_ascii(name: str) -> None:
    found = matrix(application(name))
    written = access_as_json(found)
    assert written.isascii()
    assert access_from_json(written.encode(), "it") == found


GOOD: dict[str, Any] = json.loads(access_as_json(matrix(shop())))
ROUTE: dict[str, Any] = GOOD["routes"][0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        b"\xff\xfe\x00",
        "[" * 100_000,
        "[]",
        "{}",
        "null",
        json.dumps({**GOOD, "roles": None}),
        json.dumps({**GOOD, "roles": [1, "guest"]}),
        json.dumps({**GOOD, "roles": "clerk"}),
        json.dumps({**GOOD, "roles": ["clerk"]}),
        json.dumps({**GOOD, "routes": [[]]}),
        json.dumps({**GOOD, "routes": [{**ROUTE, "method": 1}]}),
        json.dumps({**GOOD, "routes": [{**ROUTE, "unidentified": "maybe"}]}),
        json.dumps({**GOOD, "routes": [{**ROUTE, "access": {"clerk": "no", "guest": True}}]}),
        json.dumps({**GOOD, "routes": [{**ROUTE, "access": ["no", "no"]}]}),
        json.dumps({**GOOD, "routes": [{k: v for k, v in ROUTE.items() if k != "access"}]}),
    ],
)
def test_a_file_without_a_matrix_is_refused_by_name(text: str | bytes) -> None:
    with pytest.raises(
        MisuseError,
        match=r"old.json is not an access matrix: expected the output",
    ):
        access_from_json(text, "old.json")
