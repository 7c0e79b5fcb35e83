"""Which route is guarded by what, and which by nothing."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View

from jwt_authz import exempt, guard, has_role, requires
from jwt_authz.inspection.matrix import Access, read_matrix
from tests.edge import bare_app, guarded_app, token_for


def view() -> str:
    return "in"


def matrix(app: Flask) -> dict[str, Access]:
    return {f"{access.method} {access.rule}": access for access in read_matrix(app)}


def asked(app: Flask) -> dict[str, str]:
    """What each route asks for, in words."""
    found = {}
    for place, access in matrix(app).items():
        if access.exempt and not access.guards:
            found[place] = "exempt"
        else:
            found[place] = "bare" if access.is_bare else repr(access.requirement)
    return found


def test_the_matrix_tells_what_each_route_and_method_asks_for() -> None:
    """SECURITY 2.26."""
    app = guarded_app()
    app.add_url_rule("/bare", "bare", view)
    app.add_url_rule("/any", "any", requires()(view))
    app.add_url_rule("/edit", "edit", requires("article:edit")(view), methods=["GET", "POST"])
    app.add_url_rule("/open", "open", exempt(lambda: "in"))
    mapped = requires({"GET": "article:read", "PUT": "article:edit"})
    app.add_url_rule("/mapped", "mapped", mapped(view), methods=["GET", "PUT", "DELETE"])
    assert asked(app) == {
        "GET /bare": "bare",
        "GET /any": "any identity",
        "GET /edit": "has_permission('article:edit')",
        "POST /edit": "has_permission('article:edit')",
        "GET /open": "exempt",
        "GET /mapped": "has_permission('article:read')",
        "PUT /mapped": "has_permission('article:edit')",
        "DELETE /mapped": "no_entry_for_this_method",
    }


def test_the_matrix_adds_up_what_stands_around_a_view() -> None:
    app = guarded_app()
    parent, child = Blueprint("parent", "parent"), Blueprint("child", "child")
    guard(app, has_role("viewer"))
    guard(parent, "article:read")
    child.add_url_rule("/both", "both", requires("article:edit")(requires("report:read")(view)))
    child.add_url_rule("/lifted", "lifted", exempt(requires("article:edit")(view)))
    child.add_url_rule("/plain", "plain", lambda: "in")
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    assert asked(app) == {
        "GET /both": "has_role('viewer') & has_permission('article:read') & "
        "has_permission('article:edit') & has_permission('report:read')",
        "GET /lifted": "has_permission('article:edit')",
        "GET /plain": "has_role('viewer') & has_permission('article:read')",
    }


class Half(MethodView):
    @requires("article:read")
    def get(self) -> str:
        return "in"

    def post(self) -> str:
        return "in"


class Parent(Half):
    def put(self) -> str:
        return "in"


class Overridden(Half):
    def get(self) -> str:
        return "in, and nobody asked"


class Whole(MethodView):
    decorators = [requires("article:edit")]  # noqa: RUF012

    def get(self) -> str:
        return "in"

    def head(self) -> str:
        return "in"

    def options(self) -> str:
        return "in"


class Mixin:
    def delete(self) -> str:
        return "in"


class Mixed(Mixin, Whole):
    pass


class Plain(View):
    methods = ["GET", "POST"]  # noqa: RUF012

    def dispatch_request(self) -> str:
        return "in"


@pytest.mark.parametrize(
    ("view_class", "expected"),
    [
        (Half, {"GET": False, "POST": True}),
        (Parent, {"GET": False, "POST": True, "PUT": True}),
        (Overridden, {"GET": True, "POST": True}),
        (Whole, {"GET": False, "HEAD": False, "OPTIONS": False}),
        (Mixed, {"GET": False, "HEAD": False, "OPTIONS": False, "DELETE": False}),
        (Plain, {"GET": True, "POST": True}),
    ],
)
def test_an_inherited_or_overridden_method_without_a_guard_is_bare(
    view_class: type[View], expected: dict[str, bool]
) -> None:
    """SECURITY 1.30."""
    app = guarded_app()
    app.add_url_rule("/", view_func=view_class.as_view("view"))
    app.add_url_rule("/again", view_func=view_class.as_view("again"))
    for rule in ("/", "/again"):
        found = {a.method: a.is_bare for a in read_matrix(app) if a.rule == rule}
        assert found == expected


class Bare(Whole):
    decorators = []  # noqa: RUF012


class More(Whole):
    decorators = [*Whole.decorators, requires("article:read")]  # noqa: RUF012


class Own(Bare):
    @requires("article:read")
    def get(self) -> str:
        return "in"

    @exempt
    def head(self) -> str:
        return "in"


@exempt
class Open(Bare):
    pass


class Dispatched(View):
    @requires("article:read")
    def dispatch_request(self) -> str:
        return "in"


class Redispatched(Dispatched):
    def dispatch_request(self) -> str:
        return "in"


@pytest.mark.parametrize(
    ("view_class", "expected"),
    [
        (Half, {}),
        (Parent, {}),
        (Whole, {}),
        (Mixed, {}),
        (More, {}),
        (Open, {}),
        (Overridden, {"GET": ("Overridden.get", "Half.get")}),
        (Bare, dict.fromkeys(("GET", "HEAD", "OPTIONS"), ("Bare.decorators", "Whole.decorators"))),
        (Own, {"OPTIONS": ("Bare.decorators", "Whole.decorators")}),
        (
            Redispatched,
            {"GET": ("Redispatched.dispatch_request", "Dispatched.dispatch_request")},
        ),
    ],
)
def test_a_part_that_overrides_a_guarded_one_and_says_nothing_is_found(
    view_class: type[View], expected: dict[str, tuple[str, str]]
) -> None:
    app = guarded_app()
    guard(app, "article:read")
    app.add_url_rule("/", view_func=view_class.as_view("view"))
    found = {access.method: access.lost_guard for access in read_matrix(app)}
    assert {method: names for method, names in found.items() if names} == expected


def test_a_class_whose_view_is_guarded_where_it_is_routed_lost_no_decorators() -> None:
    app = guarded_app()
    app.add_url_rule("/", view_func=requires("article:read")(Bare.as_view("view")))
    assert all(access.lost_guard is None for access in read_matrix(app))


def test_each_guard_is_listed_with_its_place() -> None:
    app = guarded_app()
    parent, child = Blueprint("parent", "parent"), Blueprint("child", "child")
    guard(app, has_role("viewer"))
    guard(parent, "article:read")
    guard(child, "article:edit")
    child.add_url_rule("/view", "view", requires("report:read")(view))
    child.add_url_rule("/item", view_func=Half.as_view("item"))
    child.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    around = ("application", "blueprint parent", "blueprint parent.child")
    found = matrix(app)
    assert found["GET /view"].places == (*around, "view")
    assert found["GET /item"].places == (*around, "method")
    assert found["POST /item"].places == around
    assert found["GET /whole"].places == (*around, "class")


def test_a_head_that_has_an_entry_of_its_own_stands_beside_its_get() -> None:
    app = guarded_app()
    mapped = requires({"GET": "article:read", "HEAD": "article:edit"})
    app.add_url_rule("/", "view", mapped(view))
    assert asked(app) == {
        "GET /": "has_permission('article:read')",
        "HEAD /": "has_permission('article:edit')",
    }


def test_what_the_matrix_calls_bare_is_what_is_served_without_a_token() -> None:
    app = guarded_app()
    for number, one in enumerate((Half, Parent, Overridden, Whole, Mixed, Plain)):
        app.add_url_rule(f"/{number}", view_func=one.as_view(str(number)))
    app.add_url_rule("/partial", "partial", requires()(functools.partial(view)))
    app.add_url_rule("/async", "async", requires()(_later))
    app.add_url_rule("/twice", "twice", requires()(requires()(view)))
    client = app.test_client()
    for access in read_matrix(app):
        response = client.open(access.rule, method=access.method)
        assert (response.status_code == 200) == access.is_bare, access


async def _later() -> str:
    return "in"


def test_automatic_methods_and_static_files_are_left_out(tmp_path: Path) -> None:
    app = Flask("matrix", static_folder=str(tmp_path), static_url_path="/static")
    app.config.update(bare_app().config)
    from jwt_authz import Authz

    Authz(app)
    files = Blueprint("files", "files", static_folder=str(tmp_path), static_url_path="/f")
    app.register_blueprint(files)
    app.add_url_rule("/", "view", requires()(view))
    app.add_url_rule("/own", "own", requires()(view), methods=["HEAD", "OPTIONS"])
    assert set(matrix(app)) == {"GET /", "HEAD /own", "OPTIONS /own"}


def test_a_guard_above_the_route_decorator_guards_in_vain() -> None:
    app = guarded_app()

    @requires()
    @app.route("/vain")
    def vain() -> str:
        return "open"

    @app.route("/good")
    @requires()
    def good() -> str:
        return "in"

    found = {place: access.has_misplaced_guard for place, access in matrix(app).items()}
    assert found == {"GET /vain": True, "GET /good": False}
    assert matrix(app)["GET /vain"].is_bare


def test_an_access_of_a_bare_view_asks_for_nothing() -> None:
    app = guarded_app()
    app.add_url_rule("/", "bare", view)
    assert matrix(app)["GET /"].requirement is None


def test_the_matrix_of_an_application_is_what_its_roles_meet() -> None:
    """Each route, each role: the answer is the one that the requirement gives. SECURITY 2.27."""
    app = guarded_app(AUTHZ_SILENCE=["AZ102"])
    names = ("viewer", "editor", "admin")
    for number, needed in enumerate(
        ("article:read", "article:edit", "user:read", has_role("king"))
    ):
        app.add_url_rule(f"/{number}", str(number), requires(needed)(view))
    tokens = {name: token_for(app, name, name) for name in names}
    allowed: dict[str, set[Any]] = {}
    client = app.test_client()
    for access in read_matrix(app):
        allowed[access.rule] = {
            name
            for name, token in tokens.items()
            if client.get(access.rule, headers={"Authorization": f"Bearer {token}"}).status_code
            == 200
        }
        assert client.get(access.rule).status_code == 401
    assert allowed == {
        "/0": {"viewer", "editor", "admin"},
        "/1": {"editor", "admin"},
        "/2": {"admin"},
        "/3": set(),
    }
