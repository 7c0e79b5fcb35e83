"""Refusals keep status, challenge, `Vary` and problem whatever framework is on top of Flask."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import flask_restful
import flask_restx
import pytest
from flask import Flask, jsonify
from flask_cors import CORS
from werkzeug.exceptions import Forbidden, HTTPException
from werkzeug.test import TestResponse

from jwt_authz import exempt, requires
from jwt_authz.testing import authz_client
from tests.edge import TYPE

from .apps import FRAMEWORKS, api_flask, authz_for, each_framework, fail, restx, smorest

pytestmark = pytest.mark.versions


def problem_of(answer: TestResponse) -> str:
    assert answer.mimetype == "application/problem+json", answer.text
    assert answer.json is not None
    assert answer.json["status"] == answer.status_code
    return str(answer.json["type"]).removeprefix(TYPE)


def challenges(answer: TestResponse) -> bool:
    return answer.headers.get("WWW-Authenticate", "").startswith("Bearer realm=")


@each_framework
def test_a_refusal_is_what_it_is_in_plain_flask(make: Any) -> None:
    app = make()
    nobody, cook = app.test_client(), authz_client(app, roles=["cook"], subject="cy")
    for method, path in (("GET", "/orders"), ("POST", "/orders"), ("GET", "/orders/1")):
        refused = nobody.open(path, method=method, json={})
        assert (refused.status_code, problem_of(refused)) == (401, "token-missing")
        assert challenges(refused)
        assert "Authorization" in refused.headers["Vary"]
    for method in ("GET", "POST"):
        refused = cook.open("/orders", method=method, json={})
        assert (refused.status_code, problem_of(refused)) == (403, "not-allowed")
        assert challenges(refused)
        assert "Authorization" in refused.headers["Vary"]
    assert nobody.get("/health").status_code == 200


@each_framework
def test_what_is_hidden_is_answered_as_what_is_not_there(make: Any) -> None:
    app = make()
    ada = authz_client(app, subject="ada")
    assert ada.get("/orders/1").json == {"id": 1}
    hidden = ada.get("/orders/2")
    assert hidden.status_code == 404
    assert "Authorization" in hidden.headers["Vary"]


@each_framework
@pytest.mark.parametrize("is_testing", [False, True], ids=["in production", "while testing"])
def test_errors_raised_in_a_view_are_answered_with_problems(make: Any, is_testing: bool) -> None:
    app = make(TESTING=is_testing)
    failed = authz_client(app, roles=["clerk"]).get("/failing")
    assert (failed.status_code, problem_of(failed)) == (503, "authorization-unavailable")
    assert failed.headers["Retry-After"]
    assert "Authorization" in failed.headers["Vary"]
    refused = app.test_client().post("/refresh")
    assert (refused.status_code, problem_of(refused)) == (401, "refresh-refused")
    assert challenges(refused)


@each_framework
def test_the_applications_own_handler_of_a_status_is_asked(make: Any) -> None:
    app = make()
    app.register_error_handler(403, lambda error: ("ours", 403))
    app.register_error_handler(503, lambda error: ("ours", 503))
    assert authz_client(app, roles=["cook"]).get("/orders").text == "ours"
    assert authz_client(app, roles=["clerk"]).get("/failing").text == "ours"


def test_a_general_handler_of_the_applications_own_is_asked() -> None:
    for make in (FRAMEWORKS["Flask"], smorest):
        app = make()
        app.register_error_handler(HTTPException, lambda error: (f"ours: {error.code}", error.code))
        assert app.test_client().get("/orders").text == "ours: 401"


def test_an_error_processor_of_apiflask_is_asked() -> None:
    app: Any = api_flask()

    @app.error_processor
    def process(error: Any) -> Any:
        return {"ours": error.status_code}, error.status_code, error.headers

    refused = app.test_client().get("/orders")
    assert refused.json == {"ours": 401}
    assert challenges(refused)


def test_handlers_that_the_application_gave_an_api_are_asked() -> None:
    app = Flask("shop")
    authz_for(app)
    one = flask_restx.Api(app, doc=False, add_specs=False)
    exempt("root", app)
    exempt("specs", app)
    one.errorhandler(Forbidden)(lambda error: ({"ours": "restx"}, 403))
    two = flask_restful.Api(app, errors={"NotAllowed": {"status": 403, "ours": "restful"}})

    class Orders(flask_restful.Resource):  # type: ignore[misc]
        method_decorators = (requires("orders:read"),)

        def get(self) -> Any:
            return []

    class Others(flask_restx.Resource):  # type: ignore[misc]
        method_decorators = (requires("orders:read"),)

        def get(self) -> Any:
            return []

    two.add_resource(Orders, "/orders")
    one.add_resource(Others, "/others")
    cook = authz_client(app, roles=["cook"])
    for path, name in (("/orders", "restful"), ("/others", "restx")):
        answer: Any = cook.get(path).json
        assert answer["ours"] == name
    assert problem_of(app.test_client().get("/others")) == "token-missing"


def test_an_api_with_its_own_handling_of_errors_keeps_it() -> None:
    class Api(flask_restful.Api):  # type: ignore[misc]
        def handle_error(self, error: Any) -> Any:
            return jsonify(ours=error.code)

    class Orders(flask_restful.Resource):  # type: ignore[misc]
        @requires("orders:read")
        def get(self) -> Any:
            return []

    app = Flask("shop")
    authz_for(app)
    Api(app).add_resource(Orders, "/orders")
    assert app.test_client().get("/orders").json == {"ours": 401}


def test_the_headers_of_flask_cors_stand_on_refusals() -> None:
    app = restx()
    CORS(app)
    refused = app.test_client().get("/orders", headers={"Origin": "https://shop.example"})
    assert problem_of(refused) == "token-missing"
    assert refused.headers["Access-Control-Allow-Origin"]


@pytest.mark.skipif(version("flask") >= "3.2", reason="Flask itself passes the context")
def test_errors_of_a_view_are_answered_where_handlers_take_the_context() -> None:
    class NextFlask(Flask):
        """Flask as of 3.2, whose methods that handle errors take the context."""

        def handle_user_exception(self, ctx: Any, error: Any = None) -> Any:  # type: ignore[override]
            return super().handle_user_exception(error or ctx)

        def handle_http_exception(self, ctx: Any, error: Any = None) -> Any:  # type: ignore[override]
            assert error is None or ctx.app is self
            return super().handle_http_exception(error or ctx)

    app = NextFlask("shop")
    authz_for(app)
    app.add_url_rule("/failing", "failing", requires("orders:read")(lambda: fail()))
    failed = authz_client(app, roles=["clerk"]).get("/failing")
    assert (failed.status_code, problem_of(failed)) == (503, "authorization-unavailable")
