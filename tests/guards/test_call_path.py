"""Guards are seen, and asked, wherever a call of a view goes through them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ClassVar

import pytest
from flask import Flask, request
from flask.views import MethodView, View
from werkzeug.local import LocalProxy
from werkzeug.utils import cached_property, import_string

from jwt_authz import Authz, MisuseError, allowed, authorize, exempt, requires
from jwt_authz.guards.call_path import call_path
from jwt_authz.inspection.access import read_access
from jwt_authz.policy.decision import DEPENDS, NO, YES
from jwt_authz.testing import access_cases, authz_client
from tests.edge import bare_app, catalog

needs_editor = requires("article:edit")


def app_with(view: Any, default: str = "deny", **options: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(bare_app().config)
    Authz(app, roles=catalog(), default=default)
    app.add_url_rule("/<int:number>", "view", view, **options)
    return app


def view_of_articles(number: int, prefix: str = "") -> str:
    return f"{prefix}{number}"


guarded_view = needs_editor(view_of_articles)


class LazyView:
    """As in Flask's documentation: the view is imported when it is called first."""

    def __init__(self, import_name: str) -> None:
        self.__module__, self.__name__ = import_name.rsplit(".", 1)
        self.import_name = import_name

    @cached_property
    def view(self) -> Callable[..., Any]:
        found: Callable[..., Any] = import_string(self.import_name)
        return found

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.view(*arguments, **keywords)


class Endpoint:
    """A callable object with another method that answers."""

    def __call__(self, number: int) -> str:
        return self.show(number)

    @needs_editor
    def show(self, number: int) -> str:
        return str(number)


class GuardedCall:
    @needs_editor
    def __call__(self, number: int) -> str:
        return str(number)


class Delegating(MethodView):
    def dispatch_request(self, **arguments: Any) -> Any:
        return super().dispatch_request(**arguments)

    @needs_editor
    def get(self, number: int) -> str:
        return str(number)


class Dispatching(View):
    def dispatch_request(self, **arguments: Any) -> Any:
        return getattr(self, request.method.lower())(**arguments)

    @needs_editor
    def get(self, number: int) -> str:
        return str(number)


class OneMethod(View):
    def dispatch_request(self, **arguments: Any) -> Any:
        return self.show(**arguments)

    @needs_editor
    def show(self, number: int) -> str:
        return str(number)


class Mixin:
    @needs_editor
    def get(self, number: int) -> str:
        return str(number)


class Mixed(Mixin, MethodView):
    pass


def traced(function: Any) -> Any:
    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, **keywords)

    return call


def bare(function: Any) -> Any:
    def call(**keywords: Any) -> Any:
        return function(**keywords)

    return call


VIEWS: dict[str, Any] = {
    "a partial function": partial(guarded_view, prefix="p"),
    "a guard around a partial function": requires()(partial(guarded_view, prefix="p")),
    "a partial function in a decorator": traced(partial(guarded_view, prefix="p")),
    "a lazily imported view": LazyView(f"{__name__}.guarded_view"),
    "a callable object": Endpoint(),
    "a guarded call": GuardedCall(),
    "a bound method": Endpoint().show,
    "a class that delegates": Delegating.as_view("view"),
    "a class with its own dispatch": Dispatching.as_view("view"),
    "a class that calls one method": OneMethod.as_view("view"),
    "a mixin": Mixed.as_view("view"),
    "an instance that is kept": type("Kept", (Mixed,), {"init_every_request": False}).as_view("v"),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
def test_a_guard_is_seen_where_it_is_asked(view: Any) -> None:
    app = app_with(view)
    with app.app_context():
        app.extensions["jwt_authz"].check()
        (row,) = read_access().rows
    assert row.requirement == "has the permission article:edit"
    assert (row.unidentified, row.access["viewer"], row.access["editor"]) == (NO, NO, YES)
    assert app.test_client().get("/7").status_code == 401
    assert authz_client(app, roles=["viewer"]).get("/7").status_code == 403
    assert authz_client(app, roles=["editor"]).get("/7").status_code == 200
    cases = access_cases(app)
    assert cases
    for case in cases:
        case.check()


class TwoMethods(View):
    def dispatch_request(self, number: int) -> Any:
        return self.one() if number else self.other()

    @needs_editor
    def one(self) -> str:
        return "one"

    def other(self) -> str:
        return "other"


def decides(number: int) -> str:
    authorize("article:edit")
    return str(number)


def blocks(number: int) -> str:
    with requires("article:edit"):
        return str(number)


def helper() -> None:
    authorize("article:edit")


def calls_a_helper(number: int) -> str:
    helper()
    return str(number)


def calls_a_view(number: int) -> Any:
    return guarded_view(number)


class Table:
    def __init__(self) -> None:
        self.shown, self.listed = guarded_view, view_of_articles

    def __call__(self, number: int) -> Any:
        return self.shown(number) if number else self.listed(number)


class CallsItsMethod(MethodView):
    def get(self, number: int) -> Any:
        return self.show(number)

    @needs_editor
    def show(self, number: int) -> str:
        return str(number)


class BlocksInItsDispatch(MethodView):
    def dispatch_request(self, **arguments: Any) -> Any:
        with needs_editor:
            return super().dispatch_request(**arguments)

    def get(self, number: int) -> str:
        return str(number)


def deciding(function: Any) -> Any:
    @wraps(function)
    def call(**arguments: Any) -> Any:
        with requires("article:edit"):
            return function(**arguments)

    return call


def imports_inside(number: int) -> str:
    from jwt_authz import authorize as insist

    insist("article:edit")
    return str(number)


def asks_and_aborts(number: int) -> Any:
    if not allowed("article:edit"):
        return "log in", 401
    return str(number)


class Rights:
    def insist(self) -> None:
        authorize("article:edit")


rights = Rights()


def asks_an_object(number: int) -> str:
    rights.insist()
    return str(number)


UNCLEAR: dict[str, Any] = {
    "a guarded method that the handler calls": CallsItsMethod.as_view("view"),
    "a with block in dispatch_request": BlocksInItsDispatch.as_view("view"),
    "a decorator that decides": deciding(lambda number: str(number)),
    "an import in the view": imports_inside,
    "allowed with the status of a refusal": asks_and_aborts,
    "a method of an object": asks_an_object,
    "a class that calls several methods": TwoMethods.as_view("view"),
    "a decorator without functools.wraps": bare(guarded_view),
    "authorize in the view": decides,
    "a with block in the view": blocks,
    "a function that the view calls": calls_a_helper,
    "a view that the view calls": calls_a_view,
    "an object that calls several functions": Table(),
}


@pytest.mark.parametrize("view", UNCLEAR.values(), ids=list(UNCLEAR))
def test_what_cannot_be_seen_is_unknown_and_not_everybody(view: Any) -> None:
    app = app_with(view, default="allow")
    with app.app_context():
        (row,) = read_access().rows
    assert row.requirement.startswith("unknown: ")
    assert {verdict for _, verdict in row.answers()} == {DEPENDS}
    assert access_cases(app) == []
    assert app.test_client().get("/7").status_code == 401


@pytest.mark.parametrize("view", UNCLEAR.values(), ids=list(UNCLEAR))
def test_what_cannot_be_seen_is_denied_by_default_until_it_is_exempt(view: Any) -> None:
    app = app_with(view)
    authz = app.extensions["jwt_authz"]
    with app.app_context(), pytest.raises(MisuseError, match="no guard that can be seen") as raised:
        authz.check()
    assert 'exempt("view", app)' in str(raised.value)
    exempt("view", app)
    with app.app_context():
        assert authz.check() == []
        (row,) = read_access().rows
    assert row.unidentified is DEPENDS
    assert app.test_client().get("/7").status_code == 401
    assert authz_client(app, roles=["editor"]).get("/7").status_code == 200


def test_what_a_function_before_the_request_decides_is_unknown() -> None:
    app = app_with(view_of_articles, default="allow")
    app.before_request(helper)
    with app.app_context():
        (row,) = read_access().rows
    assert (row.requirement, row.unidentified) == ("unknown: decided in helper", DEPENDS)


class Getting(MethodView):
    """Its `get` is guarded, and what `post` calls is another one."""

    @needs_editor
    def get(self, number: int) -> str:
        return str(number)

    def post(self, number: int) -> str:
        return str(request.args.get("number") or allowed("article:edit"))


def test_attributes_of_other_objects_are_not_taken_for_methods_of_the_class() -> None:
    app = app_with(Getting.as_view("view"), default="allow")
    with app.app_context():
        rows = {row.method: row.requirement for row in read_access().rows}
    assert rows == {"GET": "has the permission article:edit", "POST": "everybody"}


def merged(child: Any, parent: Any) -> Any:
    """A function of the application whose first argument has a method `get` of its own."""
    return child.get("number") or parent.get("number")


class GettingFromElsewhere(Getting):
    def post(self, number: int) -> str:
        return str(merged(request.args, request.args))


def test_the_first_argument_of_a_function_is_not_taken_for_the_view_that_calls_it() -> None:
    app = app_with(GettingFromElsewhere.as_view("view"), default="allow")
    with app.app_context():
        rows = {row.method: row.requirement for row in read_access().rows}
    assert rows == {"GET": "has the permission article:edit", "POST": "everybody"}


def test_a_view_that_decides_below_its_guard_is_not_said_to_be_open_to_a_role() -> None:
    app = app_with(requires("article:read")(decides))
    with app.app_context():
        (row,) = read_access().rows
    assert row.requirement == "has the permission article:read and more: decided in decides"
    assert (row.unidentified, row.access["viewer"]) == (NO, DEPENDS)


def test_a_view_without_any_trace_of_a_guard_is_open_to_everybody() -> None:
    app = app_with(traced(partial(view_of_articles, prefix="p")), default="allow")
    with app.app_context():
        (row,) = read_access().rows
    assert (row.requirement, row.unidentified) == ("everybody", YES)


def test_a_view_that_cannot_be_imported_is_unknown() -> None:
    app = app_with(LazyView(f"{__name__}.missing"), default="allow")
    with app.app_context():
        (row,) = read_access().rows
    assert row.requirement == "unknown: missing cannot be followed"


class Decorated(MethodView):
    """A class whose dispatch applies decorators by method, as that of Flask-RESTful does."""

    method_decorators: ClassVar[Any] = {"get": [traced, needs_editor], "post": [needs_editor]}

    def dispatch_request(self, **arguments: Any) -> Any:
        call = getattr(self, request.method.lower(), None) or self.get
        for decorator in self.method_decorators.get(request.method.lower(), ()):
            call = decorator(call)
        return call(**arguments)

    def get(self, number: int) -> str:
        return str(number)


def test_head_is_named_where_it_lacks_the_decorators_of_get() -> None:
    app = app_with(Decorated.as_view("view"), default="allow")
    with app.app_context():
        rows = {row.method: row.requirement for row in read_access().rows}
    assert rows == {"GET": "has the permission article:edit", "HEAD": "everybody"}
    assert app.test_client().head("/7").status_code == 200


def test_decorators_that_fail_make_a_path_unclear() -> None:
    class Broken(Decorated):
        method_decorators = (lambda function: 1 / 0,)

    assert "cannot be applied" in call_path(Broken.as_view("view"), "GET").unclear


class Plain:
    """No class of Flask's: what a framework instantiates itself."""

    def __init__(self, seen: list[Any]) -> None:
        self.get = partial(type(self).answer, self)

    @requires(on=lambda *arguments, **keywords: (arguments, keywords), into="given")
    def answer(self, number: int, given: Any = None) -> Any:
        return {"given": repr(given)}


def test_on_gets_the_arguments_without_the_view_object_of_any_class() -> None:
    app = app_with(Plain([]).get, default="allow")
    answer = authz_client(app, roles=["viewer"]).get("/7")
    assert answer.json == {"given": "((), {'number': 7})"}


def test_on_gets_what_a_decorator_above_the_guard_adds() -> None:
    @requires(on=lambda *arguments, **keywords: (arguments, keywords), into="given")
    def items(body: Any, number: int, given: Any) -> Any:
        return {"given": repr(given)}

    def with_body(number: int) -> Any:
        return items({"a": 1}, number=number)

    app = app_with(with_body, default="allow")
    answer = authz_client(app, roles=["viewer"]).get("/7")
    assert answer.json == {"given": "(({'a': 1},), {'number': 7})"}


def _no_request() -> Any:
    raise AssertionError("the proxy was looked up")


PROXY: Any = LocalProxy(_no_request)


class Holder:
    """A class with a proxy as an attribute."""

    proxy = PROXY


def test_proxies_in_the_code_of_a_view_are_not_looked_up() -> None:
    app = bare_app()
    Authz(app, roles=catalog())
    inner = PROXY
    views = {
        "global": lambda: PROXY.subject,
        "closure": lambda: inner.subject,
        "attribute": lambda: Holder.proxy.subject,
    }
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, requires("article:edit")(view))
    with app.app_context():
        found = {row.endpoint for row in read_access().rows}
    assert found >= views.keys()
