"""Flask-Allows by its old names: what its documentation promised, and what it slipped on."""

from __future__ import annotations

import asyncio
import gc
import logging
import operator
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Blueprint, Flask, Response, current_app, g, request
from flask.views import MethodView, View
from werkzeug.exceptions import Forbidden, Unauthorized
from werkzeug.local import LocalProxy

import jwt_authz
import jwt_authz.compat.flask_allows as flask_allows
from jwt_authz import Authz, Identity, MisuseError, current_identity, has_role
from jwt_authz.audit import decided
from jwt_authz.compat.flask_allows import (
    Additional,
    AdditionalManager,
    Allows,
    And,
    C,
    Not,
    Or,
    Override,
    OverrideManager,
    Permission,
    Requirement,
    allows,
    current_additions,
    current_overrides,
    exempt_from_requirements,
    guard_entire,
    requires,
)
from jwt_authz.guards import overrides as native
from jwt_authz.policy.requirements import Requirement as NativeRequirement
from tests.compat.allows_cases import (
    ADMIN,
    GUEST,
    Has,
    Refused,
    Spy,
    User,
    always,
    ask,
    fulfills,
    is_admin,
    never,
    of_user_and_request,
)
from tests.edge import get, guarded_app, token_for


@pytest.fixture(autouse=True)
def nothing_is_left(nothing_is_pushed: None) -> Iterator[None]:
    yield
    left = native.overrides.current, native.additions.current
    native._overrides.set(())
    native._additions.set(())
    assert left == (None, None)


@pytest.fixture
def app() -> Flask:
    app = Flask("allows")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


@pytest.fixture
def extension(app: Flask) -> Allows:
    """Knows who is calling by a header."""
    return Allows(app, lambda: ADMIN if request.headers.get("X-User") == "admin" else GUEST)


# Names


def test_the_module_has_every_name_of_the_old_packages_top() -> None:
    old = """Additional AdditionalManager Allows And C ConditionalRequirement Not Or Override
        OverrideManager Permission Requirement allows current_additions current_overrides
        exempt_from_requirements guard_entire requires wants_request"""
    assert flask_allows.__all__ == sorted(old.split())
    assert all(hasattr(flask_allows, name) for name in flask_allows.__all__)
    assert flask_allows.__version__ == "0.7.1"


@pytest.mark.slow
def test_nothing_outside_compat_imports_it() -> None:
    script = (
        "import sys, jwt_authz; print([n for n in sys.modules if 'compat' in n and 'authz' in n])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# The extension


def test_it_registers_itself_on_the_application_at_once_or_later(app: Flask) -> None:
    now, later = Allows(app), Allows()
    assert app.extensions["allows"] is now
    later.init_app(app)
    assert app.extensions["allows"] is later


def test_it_needs_neither_an_authz_nor_a_jwt_manager(app: Flask, extension: Allows) -> None:
    app.add_url_rule("/", view_func=requires(is_admin)(lambda: "passed"))
    assert sorted(app.extensions) == ["allows"]
    assert ask(app, user="admin") == (200, "passed")
    assert ask(app)[0] == 403


def test_throws_and_on_fail_are_attributes() -> None:
    assert Allows().throws is Forbidden
    assert Allows().on_fail("any", arguments=1) is None
    assert Allows(throws=Refused).throws is Refused
    assert Allows(on_fail="sorry").on_fail("any") == "sorry"
    assert Allows(on_fail=always).on_fail is always


def test_throws_and_on_fail_may_be_set_later() -> None:
    extension = Allows()
    extension.throws = Refused
    with pytest.raises(Refused):
        extension.run([never], GUEST)
    extension.on_fail = "sorry"
    assert extension.run([never], GUEST) == "sorry"


def test_the_identity_loader_is_given_or_set_or_decorates_and_the_last_one_counts() -> None:
    extension = Allows(identity_loader=lambda: GUEST)
    assert not extension.fulfill([is_admin])
    loader = lambda: ADMIN  # noqa: E731
    assert extension.identity_loader(loader) is loader
    assert extension.fulfill([is_admin])

    @extension.identity_loader
    def load() -> User:
        return GUEST

    assert load() is GUEST
    assert not extension.fulfill([is_admin])


def test_the_identity_loader_is_asked_at_each_check(app: Flask) -> None:
    loader = Mock(return_value=GUEST)
    extension = Allows(identity_loader=loader)
    extension.fulfill([])
    extension.fulfill([always, always])
    assert loader.call_count == 2


def test_without_an_identity_and_a_loader_it_says_what_to_write() -> None:
    with pytest.raises(
        MisuseError, match=r"Allows has no identity loader: write Allows\(identity_"
    ):
        Allows().fulfill([always])


def test_an_explicit_identity_replaces_the_loaders() -> None:
    extension = Allows(identity_loader=lambda: GUEST)
    assert extension.fulfill([is_admin], identity=ADMIN)
    assert extension.fulfill([is_admin], ADMIN)
    assert extension.run([is_admin], identity=ADMIN) is None
    assert extension.requires(is_admin, identity=ADMIN)(lambda: "passed")() == "passed"


@pytest.mark.parametrize("identity", [0, "", (), False, LocalProxy(lambda: None)])
def test_a_falsy_explicit_identity_is_not_missing(app: Flask, identity: Any) -> None:
    loader = Mock(return_value=ADMIN)
    extension = Allows(app, identity_loader=loader)
    spy = Spy()
    extension.fulfill([spy], identity)
    extension.run([spy], identity=identity)
    extension.requires(spy, identity=identity)(lambda: "")()
    with app.app_context():
        bool(Permission(spy, identity=identity))
        requires(spy, identity=identity)(lambda: "")()
    assert len(spy.asked) == 5
    assert all(asked is identity for asked in spy.asked)
    loader.assert_not_called()


def test_the_context_local_is_the_current_applications_extension(
    app: Flask, extension: Allows
) -> None:
    other = Flask("other")
    other_extension = Allows(other)
    with app.app_context():
        assert allows == extension
        with other.app_context():
            assert allows._get_current_object() is other_extension
        assert allows._get_current_object() is extension


def test_without_an_extension_or_a_context_a_runtime_error_says_so(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(RuntimeError, match="Flask-Allows not configured against current app"):
            allows.fulfill([])
        with pytest.raises(RuntimeError, match="Flask-Allows not configured"):
            bool(Permission(always))
        with pytest.raises(RuntimeError, match="Flask-Allows not configured"):
            requires(always)(lambda: "")()
    with pytest.raises(RuntimeError, match="outside of application context"):
        bool(Permission(always))


# Failing


def test_a_refusal_throws_forbidden() -> None:
    with pytest.raises(Forbidden):
        Allows().run([never], GUEST)


@pytest.mark.parametrize("throws", [Refused, Refused("sorry"), Unauthorized])
def test_throws_is_a_class_or_an_instance_of_the_extension_or_of_the_check(throws: Any) -> None:
    wanted = throws if isinstance(throws, type) else type(throws)
    for refuse in (
        lambda: Allows(throws=throws).run([never], GUEST),
        lambda: Allows(throws=KeyError).run([never], GUEST, throws=throws),
        lambda: Allows(throws=throws).requires(never, identity=GUEST)(lambda: "")(),
        lambda: Allows().requires(never, identity=GUEST, throws=throws)(lambda: "")(),
    ):
        with pytest.raises(wanted) as caught:
            refuse()
        assert throws in (caught.value, type(caught.value))


def test_without_anything_to_throw_it_is_refused_all_the_same() -> None:
    with pytest.raises(Forbidden):
        Allows(throws=None).run([never], GUEST)


@pytest.mark.parametrize("answer", ["sorry", "", 0, ("sorry", 403)])
def test_an_on_fail_that_is_a_value_is_the_answer(answer: Any) -> None:
    assert Allows(on_fail=answer).run([never], GUEST) == answer
    assert Allows(on_fail="other").run([never], GUEST, on_fail=answer) == answer


def test_an_on_fail_that_can_be_called_gets_the_arguments() -> None:
    on_fail = Mock(return_value="sorry")
    arguments = {"f_args": (1, 2), "f_kwargs": {"three": 3}}
    assert Allows().run([never], GUEST, on_fail=on_fail, **arguments) == "sorry"
    on_fail.assert_called_once_with(1, 2, three=3)
    assert Allows(on_fail=on_fail).run([never], GUEST, **arguments) == "sorry"


def test_an_on_fail_that_answers_none_leads_to_throws_and_not_to_the_extensions() -> None:
    extension = Allows(on_fail="the extension's", throws=Refused)
    called = Mock(return_value=None)
    with pytest.raises(Refused):
        extension.run([never], GUEST, on_fail=called)
    called.assert_called_once_with()


def test_an_on_fail_may_raise() -> None:
    def on_fail() -> None:
        raise Refused

    with pytest.raises(Refused):
        Allows().run([never], GUEST, on_fail=on_fail)


def test_without_use_on_fail_return_it_is_called_and_throws_is_raised() -> None:
    on_fail = Mock(return_value="sorry")
    with pytest.raises(Refused):
        Allows(throws=Refused).run([never], GUEST, on_fail=on_fail, use_on_fail_return=False)
    on_fail.assert_called_once_with()


def test_a_run_that_is_allowed_answers_none_and_fails_nothing() -> None:
    on_fail = Mock()
    assert Allows(on_fail=on_fail).run([always], GUEST, throws=Refused, on_fail=on_fail) is None
    on_fail.assert_not_called()


def test_run_takes_its_parameters_in_the_old_order() -> None:
    on_fail = Mock(return_value="sorry")
    assert Allows().run([never], GUEST, Refused, on_fail, (1,), {"two": 2}, True) == "sorry"
    on_fail.assert_called_once_with(1, two=2)
    with pytest.raises(Refused):
        Allows().run([never], GUEST, Refused, on_fail, (1,), {"two": 2}, False)


def test_an_on_fail_that_is_async_is_waited_for(app: Flask, extension: Allows) -> None:
    async def on_fail(**arguments: Any) -> str:
        await asyncio.sleep(0)
        return f"sorry, {arguments}"

    app.add_url_rule("/<id>", view_func=requires(never, on_fail=on_fail)(lambda id: "passed"))
    assert ask(app, "/7") == (200, "sorry, {'id': '7'}")


def test_an_identity_loader_that_is_async_is_waited_for(app: Flask) -> None:
    async def load() -> User:
        await asyncio.sleep(0)
        return ADMIN

    Allows(app, load)
    app.add_url_rule("/", view_func=requires(is_admin)(lambda: "passed"))
    assert ask(app) == (200, "passed")


# requires


@pytest.fixture(params=["of the extension", "of the module"])
def decorate(request: pytest.FixtureRequest, extension: Allows) -> Any:
    return extension.requires if request.param == "of the extension" else requires


def test_requires_guards_a_view(app: Flask, decorate: Any) -> None:
    @app.route("/")
    @decorate(is_admin, Has("view"))
    def view() -> str:
        """The view's own words."""
        return "passed"

    assert ask(app, user="admin") == (200, "passed")
    assert ask(app)[0] == 403
    assert (view.__name__, view.__doc__) == ("view", "The view's own words.")


def test_requires_guards_a_class_of_views(app: Flask, decorate: Any) -> None:
    class AView(View):
        decorators = [decorate(is_admin)]  # noqa: RUF012
        methods = ["GET", "POST"]  # noqa: RUF012

        def dispatch_request(self) -> str:
            return request.method

    app.add_url_rule("/", view_func=AView.as_view("view"))
    for method in ("GET", "POST"):
        assert ask(app, user="admin", method=method) == (200, method)
        assert ask(app, method=method)[0] == 403


def test_requires_guards_one_method(app: Flask, decorate: Any) -> None:
    class AView(MethodView):
        def get(self, id: int) -> str:
            return f"got {id}"

        @decorate(is_admin)
        def post(self, id: int) -> str:
            return f"posted {id}"

    app.add_url_rule("/<int:id>", view_func=AView.as_view("view"))
    assert ask(app, "/3") == (200, "got 3")
    assert ask(app, "/3", method="POST")[0] == 403
    assert ask(app, "/3", "admin", "POST") == (200, "posted 3")


def test_requires_guards_an_async_view(app: Flask, decorate: Any) -> None:
    @app.route("/")
    @decorate(is_admin)
    async def view() -> str:
        await asyncio.sleep(0)
        return "passed"

    class AView(MethodView):
        @decorate(is_admin)
        async def get(self) -> str:
            return "passed"

    app.add_url_rule("/class", view_func=AView.as_view("class"))
    for path in ("/", "/class"):
        assert ask(app, path, "admin") == (200, "passed")
        assert ask(app, path)[0] == 403


def test_requires_works_on_any_function_with_an_application_context(
    app: Flask, extension: Allows
) -> None:
    extension.identity_loader(lambda: g.user)

    @requires(is_admin)
    def random() -> int:
        return 4

    with app.app_context():
        g.user = ADMIN
        assert random() == 4
        g.user = GUEST
        with pytest.raises(Forbidden):
            random()


def test_requires_of_an_extension_needs_no_context_at_all() -> None:
    guarded = Allows(identity_loader=lambda: ADMIN).requires(is_admin)(lambda: "passed")
    assert guarded() == "passed"


def test_requires_may_be_written_before_the_extension_is_initialised() -> None:
    extension = Allows()

    @extension.requires(is_admin)
    def by_extension() -> str:
        return "passed"

    @requires(is_admin)
    def by_module() -> str:
        return "passed"

    app = Flask("later")
    extension.init_app(app)
    extension.identity_loader(lambda: ADMIN)
    with app.app_context():
        assert (by_extension(), by_module()) == ("passed", "passed")


def test_requires_hands_the_views_arguments_to_on_fail(app: Flask, decorate: Any) -> None:
    on_fail = Mock(return_value="sorry")

    @app.route("/<int:id>")
    @decorate(never, on_fail=on_fail)
    def view(id: int) -> str:
        return "passed"

    assert ask(app, "/3") == (200, "sorry")
    on_fail.assert_called_once_with(id=3)


def test_settings_of_a_guard_beat_those_of_the_extension(app: Flask, decorate: Any) -> None:
    app.extensions["allows"].on_fail = "the extension's"
    app.extensions["allows"].throws = Refused
    app.add_url_rule("/own", view_func=decorate(never, on_fail="own")(lambda: ""), endpoint="a")
    app.add_url_rule("/ext", view_func=decorate(never)(lambda: ""), endpoint="b")
    silent = decorate(never, on_fail=lambda: None, throws=Unauthorized)
    app.add_url_rule("/throws", view_func=silent(lambda: ""), endpoint="c")
    assert ask(app, "/own") == (200, "own")
    assert ask(app, "/ext") == (200, "the extension's")
    assert ask(app, "/throws")[0] == 401


def test_what_cannot_be_thrown_is_reported_where_it_is_written() -> None:
    with pytest.raises(MisuseError, match="expected an exception or an exception class"):
        requires(always, throws="sorry")


def test_guards_can_be_stacked_and_the_outermost_is_asked_first(
    app: Flask, extension: Allows
) -> None:
    spy = Spy()
    app.add_url_rule("/", view_func=requires(never)(requires(spy)(lambda: "passed")))
    assert ask(app)[0] == 403
    assert spy.asked == []


# Permission


def test_a_permission_is_a_boolean_and_fails_nothing(app: Flask) -> None:
    on_fail = Mock()
    Allows(app, lambda: GUEST, Refused, on_fail)
    with app.app_context():
        assert bool(Permission(always)) is True
        assert bool(Permission(never, on_fail=on_fail, throws=Refused)) is False
        assert bool(Permission(always, never)) is False
        assert bool(Permission()) is True
        assert not Permission(is_admin)
        assert Permission(is_admin, identity=ADMIN)
    on_fail.assert_not_called()


def test_a_permission_that_is_entered_calls_on_fail_and_always_raises(app: Flask) -> None:
    of_extension, own = Mock(return_value="ignored"), Mock(return_value="ignored")
    Allows(app, lambda: GUEST, Refused, of_extension)
    with app.app_context():
        with Permission(always):
            entered = True
        with pytest.raises(Refused), Permission(never):
            entered = False
        with pytest.raises(Unauthorized), Permission(never, throws=Unauthorized, on_fail=own):
            entered = False
        with pytest.raises(Refused), Permission(is_admin, on_fail="a value"):
            entered = False
        with Permission(is_admin, identity=ADMIN):
            assert entered
    of_extension.assert_called_once_with()
    own.assert_called_once_with()


def test_a_permission_lets_what_is_raised_in_its_block_through(app: Flask) -> None:
    Allows(app, lambda: GUEST)
    with app.app_context(), pytest.raises(ValueError, match="inside"), Permission(always):
        raise ValueError("inside")


def test_a_permission_is_made_without_a_context_and_can_be_asked_again(app: Flask) -> None:
    permission = Permission(is_admin, throws=Refused, identity=None, on_fail=never)
    assert permission.requirements == (is_admin,)
    assert (permission.throws, permission.on_fail) == (Refused, never)
    assert permission.identity is None
    extension = Allows(app, lambda: GUEST)
    with app.app_context():
        assert not permission
        extension.identity_loader(lambda: ADMIN)
        assert permission


def test_a_permission_refuses_inside_a_view(app: Flask, extension: Allows) -> None:
    @app.route("/")
    def view() -> str:
        with Permission(is_admin):
            return "passed"

    assert ask(app, user="admin") == (200, "passed")
    assert ask(app)[0] == 403


# guard_entire


@pytest.fixture
def blueprint(app: Flask, extension: Allows) -> Blueprint:
    """A guarded blueprint at /b, to be registered by the test."""
    return Blueprint("guarded", __name__, url_prefix="/b")


def entire(blueprint: Blueprint, *arguments: Any, **options: Any) -> None:
    blueprint.before_request(guard_entire(*arguments, **options))
    blueprint.add_url_rule("/", "index", lambda: "passed")
    blueprint.add_url_rule("/<int:id>", "item", lambda id: f"passed {id}")


def test_guard_entire_guards_each_view_of_a_blueprint_and_none_beside_it(
    app: Flask, blueprint: Blueprint
) -> None:
    entire(blueprint, [is_admin])
    app.register_blueprint(blueprint)
    app.add_url_rule("/", view_func=lambda: "open")
    assert ask(app, "/b/", "admin") == (200, "passed")
    assert ask(app, "/b/7", "admin") == (200, "passed 7")
    assert ask(app, "/b/")[0] == 403
    assert ask(app, "/b/7")[0] == 403
    assert ask(app, "/") == (200, "open")


def test_guard_entire_guards_an_application(app: Flask, extension: Allows) -> None:
    app.before_request(guard_entire([is_admin]))
    app.add_url_rule("/", view_func=lambda: "passed")
    assert ask(app, user="admin") == (200, "passed")
    assert ask(app)[0] == 403
    assert ask(app, "/nowhere")[0] == 404
    assert ask(app, method="POST")[0] == 405


def test_guard_entire_takes_one_requirement_as_its_documentation_shows_it(
    app: Flask, blueprint: Blueprint
) -> None:
    entire(blueprint, Has("admin"))
    app.register_blueprint(blueprint)
    assert ask(app, "/b/", "admin") == (200, "passed")
    assert ask(app, "/b/")[0] == 403


def test_guard_entire_does_not_use_an_iterator_up(app: Flask, blueprint: Blueprint) -> None:
    entire(blueprint, iter([is_admin]))
    app.register_blueprint(blueprint)
    assert [ask(app, "/b/")[0] for _ in range(2)] == [403, 403]


def test_guard_entire_hands_the_urls_arguments_to_on_fail(app: Flask, blueprint: Blueprint) -> None:
    on_fail = Mock(return_value="sorry")
    entire(blueprint, [never], on_fail=on_fail)
    app.register_blueprint(blueprint)
    assert ask(app, "/b/7") == (200, "sorry")
    assert ask(app, "/b/") == (200, "sorry")
    assert on_fail.call_args_list[0].kwargs == {"id": 7}
    assert on_fail.call_args_list[1].kwargs == {}


def test_guard_entire_has_its_own_throws_and_identity(app: Flask, blueprint: Blueprint) -> None:
    blueprint.before_request(guard_entire([is_admin], ADMIN))
    entire(blueprint, [never], throws=Unauthorized)
    app.register_blueprint(blueprint)
    assert ask(app, "/b/")[0] == 401


def test_guard_entire_may_be_applied_several_times(app: Flask, blueprint: Blueprint) -> None:
    blueprint.before_request(guard_entire([Has("view")], on_fail="first"))
    entire(blueprint, [never], on_fail="second")
    app.register_blueprint(blueprint)
    assert ask(app, "/b/") == (200, "first")
    assert ask(app, "/b/", "admin") == (200, "second")


def test_guard_entire_reaches_nested_blueprints(app: Flask, blueprint: Blueprint) -> None:
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    inner.add_url_rule("/", "index", lambda: "passed")
    blueprint.register_blueprint(inner)
    entire(blueprint, [is_admin])
    app.register_blueprint(blueprint)
    assert ask(app, "/b/inner/")[0] == 403
    assert ask(app, "/b/inner/", "admin") == (200, "passed")


def test_guard_entire_lets_a_preflight_pass_that_flask_answers(
    app: Flask, blueprint: Blueprint
) -> None:
    entire(blueprint, [never])
    own = {"methods": ["OPTIONS"], "provide_automatic_options": False}
    blueprint.add_url_rule("/own", "own", lambda: "passed", **own)  # type: ignore[arg-type]
    app.register_blueprint(blueprint)
    assert ask(app, "/b/", method="OPTIONS")[0] == 200
    assert ask(app, "/b/own", method="OPTIONS")[0] == 403


def test_guard_entire_guards_static_files_as_it_did(
    app: Flask, extension: Allows, tmp_path: Any
) -> None:
    (tmp_path / "file.txt").write_text("secret")
    blueprint = Blueprint(
        "files", __name__, url_prefix="/b", static_folder=str(tmp_path), static_url_path="/static"
    )
    blueprint.before_request(guard_entire([is_admin]))
    app.register_blueprint(blueprint)
    with app.test_client() as client:
        assert client.get("/b/static/file.txt").status_code == 403
        with client.get("/b/static/file.txt", headers={"X-User": "admin"}) as answer:
            assert answer.text == "secret"


def test_an_exempt_view_passes_guard_entire_and_no_requires_of_its_own(
    app: Flask, blueprint: Blueprint
) -> None:
    entire(blueprint, [never])

    @blueprint.route("/open")
    @exempt_from_requirements
    def opened() -> str:
        return "open"

    @blueprint.route("/own")
    @exempt_from_requirements
    @requires(is_admin)
    def own() -> str:
        return "own"

    @blueprint.route("/inside")
    @requires(is_admin)
    @exempt_from_requirements
    def inside() -> str:
        return "inside"

    app.register_blueprint(blueprint)
    assert ask(app, "/b/open") == (200, "open")
    assert ask(app, "/b/own", "admin") == (200, "own")
    assert ask(app, "/b/own")[0] == 403
    assert ask(app, "/b/inside", "admin") == (200, "inside")
    assert ask(app, "/b/inside")[0] == 403


def test_a_class_of_views_is_exempt_by_its_decorators_but_not_by_a_method(
    app: Flask, blueprint: Blueprint
) -> None:
    class Open(MethodView):
        decorators = [exempt_from_requirements]  # noqa: RUF012

        def get(self) -> str:
            return "open"

    class Closed(MethodView):
        @exempt_from_requirements
        def get(self) -> str:
            return "open"

    entire(blueprint, [never])
    blueprint.add_url_rule("/open", view_func=Open.as_view("open"))
    blueprint.add_url_rule("/closed", view_func=Closed.as_view("closed"))
    app.register_blueprint(blueprint)
    assert ask(app, "/b/open") == (200, "open")
    assert ask(app, "/b/closed")[0] == 403


# Overrides and additions


@pytest.mark.parametrize(
    ("manager_class", "bag_class", "word"),
    [(OverrideManager, Override, "override"), (AdditionalManager, Additional, "additional")],
)
class TestContexts:
    def test_a_bag_holds_what_it_was_given(
        self, manager_class: Any, bag_class: Any, word: str
    ) -> None:
        bag = bag_class(is_admin)
        bag.add(Has("x"), And(always), 3)
        assert list(bag) == [is_admin, Has("x"), And(always), 3]
        assert next(iter(bag)) is is_admin
        assert Has("x") in bag
        assert Has("y") not in bag
        bag.remove(3, Has("x"), "not held")
        assert list(bag) == [is_admin, And(always)]

    def test_bags_can_be_added_and_subtracted(
        self, manager_class: Any, bag_class: Any, word: str
    ) -> None:
        assert bag_class(1, 2) + bag_class(2, 3) == bag_class(3, 2, 1)
        assert bag_class(1, 2) - bag_class(2, 3) == bag_class(1)
        bag = bag_class(1)
        bag += bag_class(2, 3)
        bag -= bag_class(1, 2)
        assert bag == bag_class(3)
        assert bag != bag_class(3, 4)
        assert len(bag) == 1
        assert not bag_class()
        with pytest.raises(TypeError):
            bag + {3}

    def test_what_was_pushed_last_counts(
        self, manager_class: Any, bag_class: Any, word: str
    ) -> None:
        manager, first, second = manager_class(), bag_class(1), bag_class(2)
        assert manager.current is None
        manager.push(first)
        manager.push(second, use_parent=True)
        assert manager.current == bag_class(1, 2)
        manager.pop()
        assert manager.current is first
        manager.pop()

    def test_a_wrong_pop_is_a_runtime_error_and_ends_what_it_found(
        self, manager_class: Any, bag_class: Any, word: str
    ) -> None:
        with pytest.raises(RuntimeError, match=f"popped wrong {word} context"):
            manager_class().pop()
        manager_class().push(bag_class())
        with pytest.raises(RuntimeError, match=f"popped wrong {word} context"):
            manager_class().pop()
        assert manager_class().current is None

    def test_a_with_block_yields_the_new_context_and_ends_it_after_an_error(
        self, manager_class: Any, bag_class: Any, word: str
    ) -> None:
        manager, outer = manager_class(), bag_class(1)
        block = getattr(manager, word)
        with block(outer) as yielded:
            assert yielded is outer
            with (
                pytest.raises(ValueError, match="inside"),
                block(bag_class(2), use_parent=True) as new,
            ):
                assert new == bag_class(1, 2) == manager.current
                raise ValueError("inside")
            assert manager.current is outer
        assert manager.current is None

    def test_clearing_ends_all_but_meets_another_managers_with_a_runtime_error(
        self, manager_class: Any, bag_class: Any, word: str
    ) -> None:
        extension = Allows()
        manager = extension.overrides if word == "override" else extension.additional
        clear = (
            extension.clear_all_overrides if word == "override" else extension.clear_all_additional
        )
        assert isinstance(manager, manager_class)
        clear()
        manager.push(bag_class())
        manager.push(bag_class(1))
        clear()
        assert manager.current is None
        manager_class().push(bag_class())
        manager.push(bag_class())
        with pytest.raises(RuntimeError, match=f"popped wrong {word} context"):
            clear()
        assert manager.current is None


def test_an_addition_pushed_as_an_override_as_the_documentation_had_it_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="OverrideManager pushes Override"):
        Allows().overrides.push(Additional(is_admin))  # type: ignore[arg-type]
    with pytest.raises(MisuseError, match="AdditionalManager pushes Additional"):
        Allows().additional.push(Override(is_admin))  # type: ignore[arg-type]


def test_an_override_and_an_addition_say_what_they_hold() -> None:
    assert Override(is_admin).is_overridden(is_admin)
    assert not Override(is_admin).is_overridden(never)
    assert Additional(is_admin).is_added(is_admin)
    assert not Additional(is_admin).is_added(never)


def test_the_proxies_stand_for_the_current_contexts() -> None:
    extension = Allows()
    assert current_overrides == None  # noqa: E711 - a proxy for None is not None itself
    assert not current_additions
    extension.overrides.push(Override())
    extension.additional.push(Additional())
    current_overrides.add(is_admin)
    current_additions.add(always, never)
    current_additions.remove(never)
    assert extension.overrides.current == Override(is_admin)
    assert list(current_additions) == [always]
    assert is_admin in current_overrides
    assert current_overrides.is_overridden(is_admin)
    assert current_additions.is_added(always)
    extension.clear_all_overrides()
    extension.clear_all_additional()
    assert current_overrides == None  # noqa: E711


def test_what_is_overridden_is_not_asked() -> None:
    extension, spy = Allows(), Spy(False)
    with extension.overrides.override(Override(spy, Has("x"))):
        assert extension.fulfill([spy, Has("x"), always], GUEST)
        assert not extension.fulfill([spy, never], GUEST)
    assert spy.asked == []
    assert not extension.fulfill([spy], GUEST)


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        (And(never, always), True),
        (And(always, is_admin), False),
        (Or(never, is_admin), False),
        (Or(never, always), True),
        (Or(is_admin, And(never, always)), True),
        (Not(never), True),
        (Not(never, always), False),
        (Not(always), False),
        (~C(never), False),
        (And(Not(Or(never))), False),
        (C(never, op=operator.xor), True),
    ],
)
def test_a_nested_requirement_that_is_overridden_is_left_out(requirement: Any, met: bool) -> None:
    extension = Allows()
    with extension.overrides.override(Override(never)):
        assert extension.fulfill([requirement], GUEST) is met
        assert requirement(GUEST, None) is met


def test_a_combination_can_be_overridden_as_a_whole() -> None:
    extension = Allows()
    with extension.overrides.override(Override(And(never, always))):
        assert extension.fulfill([And(never, always)], GUEST)
        assert not extension.fulfill([never], GUEST)


def test_additions_are_asked_first_once_and_in_order() -> None:
    extension = Allows()
    first, second, own = Spy(), Spy(), Spy()
    with extension.additional.additional(Additional(first, second)):
        assert extension.fulfill([second, own], GUEST)
    assert [len(spy.asked) for spy in (first, second, own)] == [1, 1, 1]
    with extension.additional.additional(Additional(never)):
        assert not extension.fulfill([own], GUEST)
        assert not extension.fulfill([], GUEST)
    assert len(own.asked) == 1


def test_an_override_beats_an_addition() -> None:
    extension = Allows()
    extension.additional.push(Additional(Has("foo")))
    extension.overrides.push(Override(Has("foo")))
    assert extension.fulfill([], GUEST)
    extension.overrides.pop()
    assert not extension.fulfill([], GUEST)
    extension.additional.pop()


def test_an_addition_may_take_the_request(app: Flask) -> None:
    extension = Allows()
    added = Additional(of_user_and_request)
    with app.test_request_context("/"), extension.additional.additional(added):
        with pytest.warns(DeprecationWarning):
            assert extension.fulfill([], ADMIN)
        with pytest.warns(DeprecationWarning):
            assert not extension.fulfill([], GUEST)


def test_overrides_work_in_a_command(app: Flask, extension: Allows) -> None:
    extension.identity_loader(lambda: GUEST)

    @app.cli.command("tidy")
    def tidy() -> None:
        with extension.overrides.override(Override(is_admin)):
            print("with", bool(Permission(is_admin)))
        print("without", bool(Permission(is_admin)))

    assert app.test_cli_runner().invoke(args=["tidy"]).output == "with True\nwithout False\n"


# Contexts of requests


def state() -> dict[str, Any]:
    return {"overrides": native.overrides.current, "additions": native.additions.current}


def test_each_request_begins_with_empty_contexts_that_can_be_added_to(
    app: Flask, extension: Allows
) -> None:
    seen = []

    @app.before_request
    def change() -> None:
        seen.append([len(current_overrides), len(current_additions)])
        if "holiday" in request.args:
            current_overrides.add(is_admin)
        if "siege" in request.args:
            current_additions.add(never)

    app.add_url_rule("/", view_func=requires(is_admin)(lambda: "passed"))
    assert ask(app, "/?holiday")[0] == 200
    assert ask(app)[0] == 403
    assert ask(app, "/?siege", "admin")[0] == 403
    assert ask(app, "/?siege&holiday")[0] == 403
    assert ask(app, user="admin")[0] == 200
    assert seen == [[0, 0]] * 5


def test_the_contexts_begin_and_end_with_the_phases_of_a_request(
    app: Flask, extension: Allows
) -> None:
    with app.test_request_context("/"):
        assert state() == {"overrides": None, "additions": None}
        app.preprocess_request()
        assert state() == {"overrides": Override(), "additions": Additional()}
        extension.overrides.push(Override(always))
        app.process_response(Response())
        assert state() == {"overrides": None, "additions": None}


@pytest.mark.slow
@pytest.mark.parametrize("register", ["before_request", "after_request", "teardown_request"])
def test_contexts_are_gone_after_an_error_at_any_point_of_a_request(
    app: Flask, extension: Allows, register: str
) -> None:
    """SECURITY 1.44."""

    def push(*arguments: Any) -> Any:
        if request.path == "/raise":
            extension.overrides.push(Override(is_admin))
            extension.additional.push(Additional(always))
            current_overrides.add(is_admin)
            raise ValueError("after a push")
        return arguments[0] if arguments else None

    getattr(app, register)(push)
    app.add_url_rule("/", view_func=requires(is_admin)(lambda: "passed"))
    app.add_url_rule("/raise", view_func=lambda: "", endpoint="raise")
    if register == "teardown_request":
        with pytest.raises(ValueError, match="after a push"):
            ask(app, "/raise")
    else:
        assert ask(app, "/raise")[0] == 500
    gc.collect()
    assert state() == {"overrides": None, "additions": None}
    assert ask(app)[0] == 403


def test_contexts_are_gone_after_a_view_that_raises_under_an_outer_application_context(
    app: Flask, extension: Allows
) -> None:
    @app.route("/raise")
    def view() -> str:
        extension.overrides.push(Override(is_admin))
        with extension.overrides.override(Override(is_admin)):
            raise ValueError("after a push")

    app.add_url_rule("/", view_func=requires(is_admin)(lambda: "passed"))
    with app.app_context():
        assert ask(app, "/raise")[0] == 500
        assert state() == {"overrides": None, "additions": None}
        assert ask(app)[0] == 403


def test_a_forgotten_context_of_another_manager_spoils_its_request_and_no_other(
    app: Flask, extension: Allows
) -> None:
    @app.route("/forget")
    def forget() -> str:
        OverrideManager().push(Override(is_admin))
        return "forgotten"

    app.add_url_rule("/", view_func=requires(is_admin)(lambda: "passed"))
    assert ask(app, "/forget")[0] == 500
    assert ask(app)[0] == 403


def test_a_request_inside_a_view_has_contexts_of_its_own(app: Flask, extension: Allows) -> None:
    app.add_url_rule("/inner", view_func=requires(is_admin)(lambda: "passed"), endpoint="inner")

    @app.route("/outer")
    def outer() -> str:
        current_overrides.add(is_admin)
        current_additions.add(always)
        status, _ = ask(current_app._get_current_object(), "/inner")  # type: ignore[attr-defined]
        kept = is_admin in current_overrides and always in current_additions
        return f"{status} {kept}"

    assert ask(app, "/outer") == (200, "403 True")


def test_threads_do_not_share_contexts(app: Flask, extension: Allows) -> None:
    added, asked = threading.Event(), threading.Event()

    @app.route("/add")
    def add() -> str:
        current_overrides.add(is_admin)
        added.set()
        assert asked.wait(10)
        return "added"

    app.add_url_rule("/", view_func=requires(is_admin)(lambda: "passed"))
    thread = threading.Thread(target=ask, args=(app, "/add"))
    thread.start()
    assert added.wait(10)
    status, _ = ask(app)
    asked.set()
    thread.join()
    assert status == 403


def test_tasks_do_not_share_contexts(app: Flask, extension: Allows) -> None:
    async def task(override: Override) -> Any:
        with extension.overrides.override(override):
            await asyncio.sleep(0)
            return native.overrides.current

    async def main() -> list[Any]:
        return list(await asyncio.gather(task(Override(1)), task(Override(2))))

    assert asyncio.run(main()) == [Override(1), Override(2)]


# Beside this library's own parts


def test_what_a_check_decides_is_audited(
    app: Flask, extension: Allows, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "jwt_authz")
    signals: list[Any] = []

    def receive(sender: Any, **news: Any) -> None:
        signals.append((sender, news["outcome"], news["identity"]))

    with app.app_context(), decided.connected_to(receive):
        assert extension.fulfill([always], GUEST)
        assert not extension.fulfill([Has("admin")], GUEST)
    assert signals == [(app, "allowed", GUEST), (app, "refused", GUEST)]
    assert [record.levelname for record in caplog.records] == ["DEBUG", "DEBUG"]
    assert "no <Has(permission='admin')>" in caplog.messages[1]


def test_a_question_logs_no_refusal_and_a_refusal_does(
    app: Flask, extension: Allows, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jwt_authz")
    is_admin = Permission(Has("admin"), identity=GUEST)
    with app.app_context():
        assert not is_admin
        assert not (is_admin or Permission(never, identity=GUEST))
        assert not extension.fulfill([never], GUEST)
        assert caplog.records == []
        with pytest.raises(Forbidden), is_admin:
            pytest.fail("the block ran")
        with pytest.raises(Forbidden):
            extension.run([never], identity=GUEST)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


@pytest.mark.parametrize(
    "requirement", [never, And(always, never), Not(Or(never)), Or(And(never), always)]
)
def test_each_use_of_an_override_is_logged_at_warning(
    requirement: Any, caplog: pytest.LogCaptureFixture
) -> None:
    extension = Allows()
    with extension.overrides.override(Override(never)):
        extension.fulfill([requirement], GUEST)
        extension.fulfill([always], GUEST)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "yes never (overridden)" in caplog.messages[0]


def both(**options: Any) -> tuple[Flask, Allows]:
    """An application with an Authz and an Allows that takes its identities from it."""
    app = guarded_app(authz=options)
    return app, Allows(app, lambda: current_identity)


def test_old_guards_can_ask_for_the_tokens_roles() -> None:
    app, _ = both()
    old = requires(has_role("editor"), lambda user: "article:edit" in user.permissions)
    app.add_url_rule("/", view_func=old(lambda: "passed"))
    client = app.test_client()
    assert get(client, "/", token_for(app, "bob", "editor")).text == "passed"
    assert get(client, "/", token_for(app, "bob", "viewer")).status_code == 403
    assert get(client, "/").status_code == 403
    with app.app_context():
        assert app.extensions["jwt_authz"].counts["refused"] == 2


def test_a_native_requirement_that_cannot_be_answered_refuses_also_when_it_is_negated() -> None:
    @jwt_authz.requirement
    def broken(identity: Any) -> bool:
        raise ValueError

    not_known = jwt_authz.has_claim("missing", "value")
    alice = Identity(subject="alice")
    for requirement in (broken, Not(broken), Or(broken, always), not_known, Not(not_known)):
        assert not fulfills(requirement, alice)
    assert fulfills(Or(always, broken), alice)
    assert not fulfills(Not(has_role("editor")), GUEST)


def test_check_and_the_matrix_see_old_guards_as_guards() -> None:
    app, _ = both(default="deny")
    app.add_url_rule("/", view_func=requires(always)(lambda: "passed"))
    blueprint = Blueprint("old", __name__, url_prefix="/old")
    blueprint.before_request(guard_entire([always]))
    blueprint.add_url_rule("/", "index", lambda: "passed")
    app.register_blueprint(blueprint)
    with app.app_context():
        app.extensions["jwt_authz"].check()
    client = app.test_client()
    assert client.get("/").text == "passed"
    assert client.get("/old/").text == "passed"


def test_check_reads_the_parts_of_old_combinations() -> None:
    app, _ = both()
    app.add_url_rule("/", view_func=requires(Or(always, has_role("nobody")))(lambda: "passed"))
    with app.app_context(), pytest.raises(MisuseError, match="no role is named 'nobody'"):
        app.extensions["jwt_authz"].check()


def test_an_old_guards_requirement_can_be_explained_and_what_it_raises_refuses() -> None:
    def broken(user: Any) -> bool:
        raise ValueError("a bug")

    guarded = requires(always, Or(broken, always))(lambda: "passed")
    decision = guarded.__jwt_authz_guards__[0].requirement.evaluate(GUEST)  # type: ignore[attr-defined]
    assert not decision
    assert "yes always" in str(decision)
    assert "error broken: ValueError in broken" in str(decision)


def test_check_finds_an_old_guard_above_its_route() -> None:
    app, _ = both()

    @requires(always)
    @app.route("/open")
    def open_view() -> str:
        return "open"

    with app.app_context(), pytest.raises(MisuseError, match="its guard stands above the route"):
        app.extensions["jwt_authz"].check()


def test_check_lists_who_added_to_the_contexts_of_a_request() -> None:
    app, _ = both()

    @app.route("/")
    @jwt_authz.exempt
    def view() -> str:
        current_overrides.add(is_admin)
        return "added"

    def pushed() -> list[str]:
        with app.app_context():
            warnings = app.extensions["jwt_authz"].check()
        return [text for text in warnings if "override or addition" in text]

    assert pushed() == []
    assert app.test_client().get("/").status_code == 200
    line = view.__code__.co_firstlineno + 3
    assert pushed() == [f"an override or addition was pushed in {__name__}, line {line} [AZ012]"]


def test_old_and_native_guards_share_overrides_and_additions() -> None:
    app, _ = both()

    @app.before_request
    def change() -> None:
        if "holiday" in request.args:
            current_overrides.add(never)
        if "native" in request.args:
            native.overrides.push(native.Override(never), use_parent=True)
        if "siege" in request.args:
            current_additions.add(has_role("admin"))

    app.add_url_rule("/new", view_func=jwt_authz.requires(never)(lambda: "new"), endpoint="new")
    app.add_url_rule("/old", view_func=requires(never)(lambda: "old"), endpoint="old")
    client, token = app.test_client(), token_for(app, "alice", "viewer")
    for view in ("new", "old"):
        assert get(client, f"/{view}", token).status_code == 403
        assert get(client, f"/{view}?holiday", token).text == view
        assert get(client, f"/{view}?native", token).text == view
        assert get(client, f"/{view}?holiday&siege", token).status_code == 403


def test_an_old_requirement_is_not_native_but_can_be_wrapped() -> None:
    assert not issubclass(Requirement, NativeRequirement)
    app, _ = both()
    app.add_url_rule("/", view_func=jwt_authz.requires(And(always))(lambda: "passed"))
    assert get(app.test_client(), "/", token_for(app, "alice")).text == "passed"


def test_an_authz_alone_does_not_make_an_allows() -> None:
    app = guarded_app()
    assert isinstance(app.extensions["jwt_authz"], Authz)
    with app.app_context(), pytest.raises(RuntimeError, match="not configured"):
        bool(Permission(always))
