"""Guards are seen in each framework: by the check, the matrix, cases, documents and the default."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import apiflask
import flask_classful
import flask_openapi3
import flask_restful
import flask_restx
import flask_smorest
import pytest
from flask import Flask
from flask_caching import Cache
from flask_restful.utils.cors import crossdomain as restful_crossdomain
from flask_restx.cors import crossdomain as restx_crossdomain

from jwt_authz import MisuseError, exempt, guard, requires
from jwt_authz.cli.main import authz as commands
from jwt_authz.inspection.access import read_access
from jwt_authz.openapi.generator import generate
from jwt_authz.policy.decision import DEPENDS, NO, YES
from jwt_authz.testing import access_cases, authz_client

from .apps import authz_for, authz_of, each_framework

pytestmark = pytest.mark.versions

READ, CREATE = "has the permission orders:read", "has the permission orders:create"
NOBODY, COOK, CLERK, MANAGER = None, "cook", "clerk", "manager"
STATUSES = {
    ("GET", "/orders"): {NOBODY: 401, COOK: 403, CLERK: 200, MANAGER: 200},
    ("POST", "/orders"): {NOBODY: 401, COOK: 403, CLERK: 403, MANAGER: 200},
    ("GET", "/failing"): {NOBODY: 401, COOK: 403, CLERK: 503, MANAGER: 503},
    ("GET", "/health"): {NOBODY: 200, COOK: 200, CLERK: 200, MANAGER: 200},
    ("GET", "/orders/1"): {NOBODY: 401, COOK: 404, CLERK: 404, MANAGER: 404},
}


@each_framework
def test_each_route_answers_each_role_as_its_guard_says(make: Any) -> None:
    app = make()
    with app.app_context():
        assert authz_of().check() == []
    for (method, path), expected in STATUSES.items():
        for role, status in expected.items():
            client = app.test_client() if role is None else authz_client(app, roles=[role])
            answer = client.open(path, method=method, json={} if method == "POST" else None)
            assert answer.status_code == status, (method, path, role)
    assert authz_client(app, subject="ada").get("/orders/1").status_code == 200


@each_framework
def test_the_matrix_says_the_same(make: Any) -> None:
    app = make()
    with app.app_context():
        rows = {(row.method, row.rule): row for row in read_access().rows}
    for (method, path), expected in STATUSES.items():
        rule = path.replace("1", "<int:number>")
        row = rows.get((method, rule)) or rows[method, rule.replace("int:", "")]
        answers = [row.unidentified, row.access["cook"], row.access["clerk"]]
        if "number" in rule:
            assert answers == [NO, DEPENDS, DEPENDS]
        else:
            statuses = [expected[role] for role in (NOBODY, COOK, CLERK)]
            assert answers == [NO if status in (401, 403) else YES for status in statuses]
    assert (rows["GET", "/orders"].requirement, rows["POST", "/orders"].requirement) == (
        READ,
        CREATE,
    )


@each_framework
def test_cases_of_each_route_and_role_pass(make: Any) -> None:
    cases = access_cases(make())
    assert {case.path for case in cases} >= {"/orders", "/failing", "/health"}
    for case in cases:
        case.check()


@each_framework
def test_the_document_and_the_command_name_the_guards(make: Any) -> None:
    app = make()
    made = generate(app)["paths"]
    assert made["/orders"]["get"]["x-authz"] == READ
    assert made["/orders"]["post"]["security"] == [{"bearerAuth": ["orders:create"]}]
    printed = app.test_cli_runner().invoke(commands, ["routes"]).output
    assert not re.search("NO GUARD|UNKNOWN", printed)


def _smorest() -> Flask:
    app = Flask("shop")
    app.config.update(API_TITLE="shop", API_VERSION="1", OPENAPI_VERSION="3.1.0")
    app.config.update(OPENAPI_URL_PREFIX="/", OPENAPI_SWAGGER_UI_PATH="/docs")
    app.config.update(OPENAPI_SWAGGER_UI_URL="https://cdn.example/")
    flask_smorest.Api(app)
    return app


def _restx() -> Flask:
    app = Flask("shop")
    flask_restx.Api(app)
    return app


@pytest.mark.parametrize(
    ("make", "package"),
    [
        (_restx, "flask_restx"),
        (_smorest, "flask_smorest"),
        (lambda: apiflask.APIFlask("shop"), "apiflask"),
        (lambda: flask_openapi3.OpenAPI("shop"), "flask_openapi3"),
    ],
)
def test_views_of_a_framework_are_named_with_the_line_that_exempts_them(
    make: Any, package: str
) -> None:
    app = make()
    authz = authz_for(app)
    with app.app_context():
        with pytest.raises(MisuseError) as raised:
            authz.check()
        lines = str(raised.value).splitlines()
        assert lines
        for line in lines:
            assert f"belongs to {package}: write exempt(" in line
            endpoint = re.findall(r'exempt\("(.*?)", app\)', line)[0]
            exempt(endpoint, app)
        assert authz.check() == []


@pytest.mark.parametrize(
    ("api", "resource", "crossdomain"),
    [
        (flask_restful.Api, flask_restful.Resource, restful_crossdomain),
        (flask_restx.Api, flask_restx.Resource, restx_crossdomain),
    ],
)
def test_a_preflight_that_crossdomain_answers_passes_the_guard_of_the_application(
    api: Any, resource: Any, crossdomain: Any
) -> None:
    class Orders(resource):  # type: ignore[misc]
        def get(self) -> Any:
            return []

        def options(self) -> Any:
            return "its own"

    app = Flask("shop")
    authz_for(app)
    guard(app, "orders:read")
    api(app, decorators=[crossdomain(origin="*")]).add_resource(Orders, "/orders")
    for endpoint in {"root", "specs", "doc"} & app.view_functions.keys():
        exempt(endpoint, app)
    client = app.test_client()
    preflight = client.options("/orders")
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert client.get("/orders").status_code == 401


def test_a_guard_of_an_api_is_seen_and_asked() -> None:
    for api, resource in (
        (flask_restful.Api, flask_restful.Resource),
        (flask_restx.Api, flask_restx.Resource),
    ):

        class Orders(resource):  # type: ignore[misc]
            def get(self) -> Any:
                return []

        app = Flask("shop")
        authz = authz_for(app)
        api(app, decorators=[requires("orders:read")]).add_resource(Orders, "/orders")
        for endpoint in {"root", "specs", "doc"} & app.view_functions.keys():
            exempt(endpoint, app)
        with app.app_context():
            assert authz.check() == []
        assert app.test_client().get("/orders").status_code == 401
        assert authz_client(app, roles=["clerk"]).get("/orders").json == []


def test_a_cache_among_the_method_decorators_is_warned_of() -> None:
    app = Flask("shop")
    authz = authz_for(app, CACHE_TYPE="SimpleCache")
    cache = Cache(app)

    class Orders(flask_restful.Resource):  # type: ignore[misc]
        method_decorators = (cache.cached(),)

        @requires("orders:read")
        def get(self) -> Any:
            return []

    class Prices(flask_restful.Resource):  # type: ignore[misc]
        method_decorators = (cache.cached(), requires("orders:read"))

        def get(self) -> Any:
            return []

    api = flask_restful.Api(app)
    api.add_resource(Orders, "/orders")
    api.add_resource(Prices, "/prices")
    with app.app_context():
        (warning,) = authz.check()
    assert "GET /orders (orders) has a cache above its guard" in warning


def test_what_flask_classful_calls_before_a_view_is_seen_and_so_is_an_exempt_class() -> None:
    app = Flask("shop")
    authz = authz_for(app)

    class BeforeAllView(flask_classful.FlaskView):  # type: ignore[misc]
        @requires("orders:read")
        def before_request(self, name: str) -> None:
            pass

        def index(self) -> str:
            return "in"

    class BeforeOneView(flask_classful.FlaskView):  # type: ignore[misc]
        @requires("orders:read")
        def before_index(self) -> None:
            pass

        def index(self) -> str:
            return "in"

    class DecoratedView(flask_classful.FlaskView):  # type: ignore[misc]
        decorators = (requires("orders:read"),)

        def index(self) -> str:
            return "in"

    @exempt
    class ExemptView(flask_classful.FlaskView):  # type: ignore[misc]
        def index(self) -> str:
            return "in"

    for view in (BeforeAllView, BeforeOneView, DecoratedView, ExemptView):
        view.register(app)
    with app.app_context():
        assert authz.check() == []
        rows = {row.rule: row.requirement for row in read_access().rows}
    assert rows == {
        "/before-all/": READ,
        "/before-one/": READ,
        "/decorated/": READ,
        "/exempt/": "everybody",
    }
    clerk, cook = (authz_client(app, roles=[role]) for role in ("clerk", "cook"))
    for rule, requirement in rows.items():
        statuses = [client.get(rule).status_code for client in (app.test_client(), cook, clerk)]
        assert statuses == ([401, 403, 200] if requirement == READ else [200, 200, 200])
    for case in access_cases(app):
        case.check()


def test_on_gets_no_view_object_where_a_function_is_assigned_in_a_class() -> None:
    def show(self: Any, number: str, given: Any) -> Any:
        return {"given": repr(given)}

    class OrdersView(flask_classful.FlaskView):  # type: ignore[misc]
        base_args: ClassVar[list[str]] = ["given"]
        trailing_slash = False
        get = requires(on=lambda *arguments, **keywords: (arguments, keywords), into="given")(show)

    app = Flask("shop")
    authz_for(app)
    OrdersView.register(app)
    answer = authz_client(app, roles=["cook"]).get("/orders/7")
    assert answer.json == {"given": "((), {'number': '7'})"}
