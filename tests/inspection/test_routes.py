"""Each route in words, with its guards, its exemptions and its holes."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView

from jwt_authz import Identity, exempt, guard, has_role, requirement, requires
from jwt_authz.compat import flask_allows
from jwt_authz.inspection.routes import Route, read_routes
from jwt_authz.inspection.rows import marks_of
from tests.edge import guarded_app


def view() -> str:
    return "in"


@requirement("is the author")
def author(identity: Any, article: Any) -> bool:
    return False


def only(app: Flask, method: str = "GET") -> Route:
    with app.app_context():
        return next(route for route in read_routes() if route.method == method)


EDIT = "has the permission article:edit"
NO_ENTRY_WORDS = "everybody: not enforced (may use this method)"


@pytest.mark.parametrize(
    ("guards", "words"),
    [
        ([requires()], "is identified"),
        ([requires("article:edit")], EDIT),
        ([requires("article:edit"), requires("article:edit")], EDIT),
        ([requires(), requires("article:edit")], EDIT),
        ([requires(author | "article:edit", on=view)], f"is the author or {EDIT}"),
        (
            [requires(has_role("viewer")), requires(author | "article:edit", on=view)],
            f"has the role viewer and (is the author or {EDIT})",
        ),
        ([requires(fresh=True)], "is identified and brings a fresh token"),
        (
            [requires(author | "article:edit", on=view, fresh=True)],
            f"(is the author or {EDIT}) and brings a fresh token",
        ),
        ([requires("article:edit", optional=True)], f"brings no token or {EDIT}"),
        (
            [requires(has_role("viewer")), requires("article:edit", optional=True)],
            f"has the role viewer and (brings no token or {EDIT})",
        ),
        (
            [requires("article:edit", identity=Identity("other"))],
            f"meets this by the identity given in code: {EDIT}",
        ),
        ([requires({"POST": "article:edit"})], "nobody: no entry for GET"),
        ([requires({"GET": "article:edit"})], EDIT),
    ],
)
def test_a_requirement_is_reported_in_words(guards: list[Any], words: str) -> None:
    app, guarded = guarded_app(), view
    for one in reversed(guards):
        guarded = one(guarded)
    app.add_url_rule("/", "view", guarded)
    route = only(app)
    assert (route.state, route.requirement) == ("guarded", words)
    assert [place for place, _ in route.guards] == ["view"] * len(guards)


def test_guards_of_all_places_are_listed_in_the_order_of_evaluation() -> None:
    class Item(MethodView):
        decorators = [requires("report:read")]  # noqa: RUF012

        @requires(has_role("admin"))
        def get(self) -> str:
            return "in"

    app, blueprint = guarded_app(), Blueprint("shop", "shop")
    guard(app, has_role("viewer"))
    guard(blueprint, "article:read")
    blueprint.add_url_rule("/", view_func=Item.as_view("item"))
    app.register_blueprint(blueprint)
    route = only(app)
    assert route.guards == (
        ("application", "has the role viewer"),
        ("blueprint shop", "has the permission article:read"),
        ("class", "has the permission report:read"),
        ("method", "has the role admin"),
    )
    assert marks_of(route) == "application; blueprint shop; class; method"


@pytest.mark.parametrize(
    ("default", "state", "words", "marks"),
    [
        ("allow", "open", "everybody", "NO GUARD"),
        ("deny", "denied", "nobody", "NO GUARD, denied by default"),
    ],
)
def test_a_view_of_which_nothing_was_said_is_marked(
    default: str, state: str, words: str, marks: str
) -> None:
    app = guarded_app(authz={"default": default})
    app.add_url_rule("/", "view", lambda: "in")
    route = only(app)
    assert (route.state, route.requirement, marks_of(route)) == (state, words, marks)


def test_an_exemption_is_marked_also_beside_a_guard_of_the_view() -> None:
    app = guarded_app(authz={"default": "deny"})
    guard(app, has_role("admin"))
    app.add_url_rule("/", "open", exempt(lambda: "in"))
    app.add_url_rule("/", "own", exempt(requires("article:edit")(lambda: "in")), methods=["POST"])
    route, other = only(app), only(app, "POST")
    assert (route.state, route.requirement, marks_of(route)) == ("exempt", "everybody", "exempt")
    assert (other.state, other.requirement) == ("guarded", EDIT)
    assert marks_of(other) == "view; exempt from outer guards"


def test_a_guard_above_its_route_decorator_is_marked() -> None:
    app = guarded_app()

    @requires()
    @app.get("/")
    def vain() -> str:
        return "open"

    route = only(app)
    assert marks_of(route) == "NO GUARD; guard above its route decorator"


def test_a_guard_that_a_subclass_lost_is_marked() -> None:
    class Parent(MethodView):
        @requires("article:edit")
        def get(self) -> str:
            return "in"

    class Child(Parent):
        def get(self) -> str:
            return "open"

    app = guarded_app()
    guard(app, has_role("viewer"))
    app.add_url_rule("/", view_func=Child.as_view("view"))
    assert marks_of(only(app)) == "application; Child.get lost the guard of Parent.get"


@pytest.mark.parametrize(
    ("guards", "words"),
    [
        ([requires(enforce=False)], "everybody: not enforced (is identified)"),
        ([requires({"POST": "article:edit"}, enforce=False)], NO_ENTRY_WORDS),
        (
            [requires(author | "article:edit", on=view, enforce=False), requires(enforce=False)],
            f"everybody: not enforced (is the author or {EDIT}) and not enforced (is identified)",
        ),
    ],
)
def test_a_route_whose_guards_are_not_enforced_is_marked_and_open_to_everybody(
    guards: list[Any], words: str
) -> None:
    app, guarded = guarded_app(), view
    for one in reversed(guards):
        guarded = one(guarded)
    app.add_url_rule("/", "view", guarded)
    route = only(app)
    assert (route.state, route.requirement) == ("not enforced", words)
    assert marks_of(route) == "view; NOT ENFORCED"


def test_a_guard_that_is_not_enforced_is_marked_beside_one_that_is() -> None:
    app, blueprint = guarded_app(), Blueprint("shop", "shop")
    guard(blueprint, "article:read", has_role("viewer"), enforce=False)
    blueprint.add_url_rule("/", "view", requires()(view))
    app.register_blueprint(blueprint)
    route = only(app)
    words = "not enforced (has the permission article:read and has the role viewer)"
    assert (route.state, route.requirement) == ("guarded", f"is identified and {words}")
    assert marks_of(route) == "blueprint shop; view; not enforced: blueprint shop"


def test_under_the_setting_that_enforces_nothing_no_route_is_shown_as_guarded_or_denied() -> None:
    app = guarded_app(authz={"default": "deny"}, AUTHZ_ENFORCE=False)
    app.add_url_rule("/", "view", requires("article:edit")(view))
    app.add_url_rule("/", "bare", lambda: "in", methods=["POST"])
    route, bare = only(app), only(app, "POST")
    assert (route.state, route.requirement) == ("not enforced", f"everybody: not enforced ({EDIT})")
    assert (bare.state, bare.requirement, marks_of(bare)) == ("open", "everybody", "NO GUARD")


def test_a_guard_of_an_old_name_is_enforced_whatever_the_setting_says() -> None:
    app = guarded_app(AUTHZ_ENFORCE=False)
    flask_allows.Allows(app, identity_loader=lambda: None)
    app.add_url_rule("/", "view", flask_allows.requires(lambda identity: False)(view))
    assert only(app).state == "guarded"
