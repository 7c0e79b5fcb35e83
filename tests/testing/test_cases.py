"""Cases: every kind of caller against every route; and that a case sees what is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, redirect
from werkzeug.routing import BaseConverter

from jwt_authz import Authz, MisuseError, Role, Roles, has_role, requires
from jwt_authz.policy.decision import NO, YES
from jwt_authz.testing import AccessCase, access_cases

from .shop import ROLES, make_shop


@pytest.mark.parametrize("case", access_cases(make_shop()), ids=str)
def test_every_role_against_every_route(case: AccessCase) -> None:
    case.check()
    assert case.expected in (YES, NO)


def test_there_is_a_case_for_each_caller_and_route_that_roles_settle() -> None:
    named = [str(case) for case in access_cases(make_shop())]
    assert len(named) == len(set(named))
    for line in (
        "not identified GET /health: yes",
        "no role GET /seen: yes",
        "no role POST /orders: no",
        "clerk DELETE /orders/<int:id>: no",
        "manager DELETE /orders/<int:id>: yes",
        "clerk GET /hidden: no",
    ):
        assert line in named
    assert not any("clerk GET /gold" in line or "clerk GET /fresh" in line for line in named)


def case_of(app: Flask, named: str, **given: Any) -> AccessCase:
    (found,) = (case for case in access_cases(app, **given) if str(case) == named)
    return found


def shop_with(change: Any) -> Flask:
    app = make_shop()
    change(app)
    return app


def test_no_view_runs_and_the_application_is_as_before() -> None:
    app = make_shop()
    views = dict(app.view_functions)
    for case in access_cases(app):
        case.check()  # the views of the shop that change something raise
    assert app.view_functions == views


def test_a_case_sees_a_route_that_lost_its_guard() -> None:
    app = Flask("open")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=ROLES)
    app.add_url_rule("/", "index", requires("orders:delete")(lambda: "in"))
    case = case_of(app, "clerk GET /: no")
    app.view_functions["index"] = lambda: "anybody"
    with pytest.raises(AssertionError, match=r"says clerk GET /: no, but.*reached no guard \(200"):
        case.check()


def test_a_case_sees_a_catalog_that_grants_more() -> None:
    app = make_shop()
    case = case_of(app, "clerk POST /orders: no")
    richer = Roles(Role("clerk", "orders:create", "orders:read"), Role("manager", "orders:delete"))
    other = Flask("other")
    other.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(other, roles=richer)
    other.post("/orders")(requires("orders:create")(lambda: "made"))
    object.__setattr__(case, "app", other)
    with pytest.raises(AssertionError, match="was allowed"):
        case.check()


def test_a_case_sees_a_caller_who_is_refused_though_the_matrix_says_yes() -> None:
    app = make_shop()
    case = case_of(app, "manager POST /orders: yes")
    app.extensions["jwt_authz"].identity_loader(lambda subject, claims: None)
    with pytest.raises(AssertionError, match=r"manager POST /orders: yes.*was refused \(401"):
        case.check()


def test_a_case_sees_a_call_that_ends_before_the_guards() -> None:
    app = make_shop()
    case = case_of(app, "manager POST /orders: yes")
    app.before_request(lambda: "closed for today")
    with pytest.raises(AssertionError, match=r"did not reach the view \(200"):
        case.check()
    with pytest.raises(AssertionError, match=r"reached no guard \(200"):
        case_of(app, "clerk POST /orders: no").check()


def test_refusals_of_the_applications_own_kind_are_refusals() -> None:
    app = Flask("pages")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=ROLES, abort=lambda problem: redirect("/log-in"))
    app.add_url_rule("/a", "a", requires(has_role("clerk"))(lambda: "a"))
    app.add_url_rule("/b", "b", requires(has_role("clerk"), on_fail="log in")(lambda: "b"))
    for case in access_cases(app):
        case.check()
    assert case_of(app, "not identified GET /b: no")


def test_a_loader_that_finds_nothing_for_an_invented_value_is_not_a_refusal() -> None:
    case = case_of(make_shop(), "clerk GET /kept/<int:id>: yes", values={"id": 2})
    case.check()
    assert case.path == "/kept/2"


def test_values_are_invented_for_each_converter() -> None:
    app = make_shop()
    (case, *_) = (case for case in access_cases(app) if case.access.endpoint == "back.stock")
    assert re.fullmatch(r"/back/[^/]{3}/[0-9a-f-]{36}/(red|blue)/[0-9]\.[0-9]", case.path)


def test_a_converter_that_takes_nothing_invented_asks_for_a_value() -> None:
    class Colour(BaseConverter):
        regex = "#[0-9a-f]{6}"

    def add(app: Flask) -> None:
        app.url_map.converters["colour"] = Colour
        app.get("/paint/<colour:of>")(requires("orders:read")(lambda of: of))

    app = shop_with(add)
    with pytest.raises(
        MisuseError, match=r"cannot generate a value for of in /paint/.*values=\{'of'"
    ):
        access_cases(app)
    case_of(app, "clerk GET /paint/<colour:of>: yes", values={"of": "#00ff00"}).check()


def test_hosts_are_called_by_their_name() -> None:
    app = Flask("hosts", host_matching=True, static_host="static.example")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=ROLES)
    app.add_url_rule("/", "api", requires("orders:read")(lambda: "in"), host="api.example")
    for case in access_cases(app):
        case.check()
        assert case.host == "api.example"


def test_subdomains_are_called_below_the_servers_name() -> None:
    app = Flask("subdomains", subdomain_matching=True)
    app.config.update(JWT_SECRET_KEY="k" * 64, SERVER_NAME="shop.example")
    Authz(app, roles=ROLES)
    app.add_url_rule("/", "api", requires("orders:read")(lambda: "in"), subdomain="api")
    for case in access_cases(app):
        case.check()
        assert case.host == "api.shop.example"


def test_an_async_view_and_a_view_that_aborts_are_not_run() -> None:
    app = Flask("both")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=ROLES)

    @app.get("/later")
    @requires("orders:read")
    async def later() -> str:
        raise RuntimeError("a view ran that nobody called")

    @app.get("/gone")
    @requires("orders:read")
    def gone() -> str:
        abort(403)

    for case in access_cases(app):
        case.check()
    assert case_of(app, "clerk GET /gone: yes")


def test_guards_that_are_not_enforced_let_everybody_in() -> None:
    app = Flask("trying")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=ROLES)
    app.get("/")(requires("orders:read", enforce=False)(lambda: "in"))
    named = [str(case) for case in access_cases(app)]
    assert "not identified GET /: yes" in named
    for case in access_cases(app):
        case.check()


def test_an_optional_guard_lets_in_who_is_not_identified() -> None:
    app = Flask("optional")
    app.config["JWT_SECRET_KEY"] = "k" * 64
    Authz(app, roles=ROLES)
    page = Blueprint("page", __name__)
    page.get("/")(requires("orders:read", optional=True)(lambda: "in"))
    app.register_blueprint(page)
    named = [str(case) for case in access_cases(app)]
    assert "not identified GET /: yes" in named and "no role GET /: no" in named
    for case in access_cases(app):
        case.check()
