"""Flask-Access by its old names: who passes, who is refused and how, and with Flask-Login."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import flask
import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask.views import MethodView
from flask_login import current_user
from werkzeug.exceptions import Forbidden
from werkzeug.local import LocalProxy

from jwt_authz import Authz, requires
from jwt_authz.compat import flask_access
from jwt_authz.compat.flask_access import ABORT_FN, CURRENT_USER, require
from jwt_authz.errors import MisuseError
from tests.compat import access_app


class User:
    """A user who answers `answer` when asked for the rights, and remembers these."""

    def __init__(self, answer: Any = True) -> None:
        self.answer = answer
        self.asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def has_access(self, *rights: Any, **named: Any) -> Any:
        self.asked.append((rights, named))
        return self.answer


class CallableUser(User):
    def __call__(self) -> User:
        return User(False)


def app_for(user: Any, *rights: Any, abort: Any = ..., **named: Any) -> Flask:
    app = Flask("access")
    app.config[CURRENT_USER] = user
    if abort is not ...:
        app.config[ABORT_FN] = abort

    @app.route("/<int:number>")
    @require(*rights, **named)
    def guarded(number: int) -> str:
        return f"page {number}"

    return app


def status(app: Flask) -> int:
    return app.test_client().get("/7").status_code


def test_the_config_keys_are_the_old_ones() -> None:
    assert CURRENT_USER == "flask_access_current_user"
    assert ABORT_FN == "flask_access_abort_fn"


def test_all_is_sorted_and_complete() -> None:
    public = {
        name
        for name, value in vars(flask_access).items()
        if getattr(value, "__module__", None) == flask_access.__name__ and name[0] != "_"
    }
    constants = {"ABORT_FN", "CURRENT_USER"}

    assert sorted(flask_access.__all__) == flask_access.__all__
    assert set(flask_access.__all__) == public - {"View"} | constants


def test_a_user_with_access_gets_the_view_with_its_arguments() -> None:
    assert app_for(User(), "admin").test_client().get("/7").text == "page 7"


def test_the_rights_reach_has_access_as_they_were_written() -> None:
    user, boss = User(), object()

    status(app_for(user, "boss", 7, boss, funny=True, bald=None))

    assert user.asked == [(("boss", 7, boss), {"funny": True, "bald": None})]


def test_require_without_rights_still_asks_the_user() -> None:
    user = User(False)

    assert status(app_for(user)) == 403
    assert user.asked == [((), {})]


@pytest.mark.parametrize("answer", [False, None, 0, 1, "True", [True], object()])
def test_any_answer_but_true_is_refused(answer: Any) -> None:
    assert status(app_for(User(answer), "admin")) == 403


@pytest.mark.parametrize("user", [None, False, 1, "admin", object(), {"has_access": True}])
def test_a_user_without_has_access_is_refused(user: Any) -> None:
    assert status(app_for(user, "admin")) == 403


def test_an_error_in_has_access_lets_nobody_pass() -> None:
    class Broken:
        def has_access(self, *rights: Any) -> bool:
            raise ZeroDivisionError

    assert status(app_for(Broken(), "admin")) == 500


def test_a_has_access_that_is_async_lets_nobody_pass() -> None:
    class Later:
        coroutines: list[Any] = []  # noqa: RUF012 closed below

        def has_access(self, *rights: Any) -> Any:
            async def answer() -> bool:
                return True

            self.coroutines.append(answer())
            return self.coroutines[-1]

    assert status(app_for(Later(), "admin")) == 403
    Later.coroutines[0].close()


def test_a_user_that_is_true_itself_passes() -> None:
    assert status(app_for(True, "admin")) == 200
    assert status(app_for(lambda: True, "admin")) == 200


class Loader:
    def load(self) -> Any:
        return True


@pytest.mark.parametrize(
    "loader",
    [
        pytest.param(lambda: User(), id="a function"),
        pytest.param(Loader().load, id="a method"),
        pytest.param(functools.partial(User, True), id="a partial"),
        pytest.param(LocalProxy(lambda: User()), id="a proxy of a user"),
        pytest.param(LocalProxy(lambda: True), id="a proxy of True"),
        pytest.param(lambda: LocalProxy(lambda: True), id="a function that returns a proxy"),
    ],
)
def test_the_current_user_is_loaded_from(loader: Any) -> None:
    assert status(app_for(loader, "admin")) == 200


def test_the_current_user_may_be_loaded_by_an_async_function() -> None:
    async def load() -> User:
        return User()

    assert status(app_for(load, "admin")) == 200


def test_a_user_that_can_be_called_is_taken_as_it_is() -> None:
    assert status(app_for(CallableUser(), "admin")) == 200
    assert status(app_for(LocalProxy(CallableUser), "admin")) == 200


def test_what_a_proxy_stands_for_is_the_user_and_never_called() -> None:
    assert status(app_for(LocalProxy(lambda: lambda: True), "admin")) == 403


def test_a_proxy_of_nobody_is_refused() -> None:
    assert status(app_for(LocalProxy(lambda: None), "admin")) == 403


def test_the_user_is_loaded_again_for_each_request() -> None:
    users = iter([User(True), User(False)])
    app = app_for(lambda: next(users), "admin")

    assert [status(app), status(app)] == [200, 403]


def test_the_user_is_loaded_before_the_view_and_inside_its_request() -> None:
    app = app_for(lambda: g.user, "admin")

    @app.before_request
    def load() -> None:
        g.user = User(flask.request.args.get("ok") == "1")

    assert app.test_client().get("/7?ok=1").status_code == 200
    assert app.test_client().get("/7").status_code == 403


def test_an_application_without_a_current_user_gets_an_error_that_says_what_to_write() -> None:
    app = app_for(True, "admin")
    del app.config[CURRENT_USER]

    with app.test_request_context("/7"), pytest.raises(MisuseError) as raised:
        app.view_functions["guarded"](number=7)

    assert str(raised.value) == (
        "the application 'access' has no current user: set "
        "app.config[flask_access.CURRENT_USER] to a function or to flask_login.current_user"
    )
    assert isinstance(raised.value, KeyError)
    assert status(app) == 500


def test_the_default_refusal_is_the_403_of_the_application() -> None:
    app = app_for(None, "admin")

    @app.errorhandler(403)
    def forbidden(error: Any) -> tuple[str, int]:
        return "not for you", 403

    answer = app.test_client().get("/7")

    assert (answer.status_code, answer.text) == (403, "not for you")


def test_the_default_refusal_looks_abort_up_when_it_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, codes = app_for(None, "admin"), []
    monkeypatch.setattr(flask, "abort", lambda code: codes.append(code) or ("patched", 418))

    answer = app.test_client().get("/7")

    assert (answer.status_code, answer.text, codes) == (418, "patched", [403])


def test_an_abort_function_may_raise() -> None:
    assert status(app_for(None, "admin", abort=functools.partial(flask.abort, 404))) == 404


def test_an_abort_function_may_answer() -> None:
    answer = app_for(None, "admin", abort=lambda: ("log in", 401)).test_client().get("/7")

    assert (answer.status_code, answer.text) == (401, "log in")


def test_an_abort_function_may_be_async() -> None:
    async def refuse() -> tuple[str, int]:
        return "later", 401

    assert status(app_for(None, "admin", abort=refuse)) == 401


def test_an_abort_function_that_does_nothing_has_refused_all_the_same() -> None:
    assert status(app_for(None, "admin", abort=lambda: None)) == 403


def test_an_abort_function_of_none_means_the_default() -> None:
    assert status(app_for(None, "admin", abort=None)) == 403


def test_the_abort_function_is_not_called_for_callers_who_pass() -> None:
    calls: list[None] = []

    assert status(app_for(User(), "admin", abort=lambda: calls.append(None))) == 200
    assert calls == []


def test_a_view_keeps_its_name_so_that_two_guarded_ones_are_two_endpoints() -> None:
    app = app_for(User(), "admin")

    @app.route("/other")
    @require("admin")
    def other() -> str:
        """Another page."""
        return "other"

    assert {"guarded", "other"} <= set(app.view_functions)
    assert inspect.getdoc(app.view_functions["other"]) == "Another page."
    assert app.test_client().get("/other").text == "other"


@pytest.mark.parametrize(("answer", "expected"), [(True, 200), (False, 403)])
def test_a_class_view_is_guarded_by_its_decorators(answer: bool, expected: int) -> None:
    class Pages(MethodView):
        decorators = [require("admin")]  # noqa: RUF012 Flask's own way

        def get(self) -> str:
            return "page"

    app = app_for(User(answer))
    app.add_url_rule("/pages", view_func=Pages.as_view("pages"))

    assert app.test_client().get("/pages").status_code == expected


@pytest.mark.parametrize(("answer", "expected"), [(True, 200), (False, 403)])
def test_one_method_of_a_class_view_is_guarded(answer: bool, expected: int) -> None:
    class Pages(MethodView):
        def get(self, number: int) -> str:
            return f"page {number}"

        @require("admin")
        def delete(self, number: int) -> str:
            return f"no page {number}"

    app = app_for(User(answer))
    app.add_url_rule("/pages/<int:number>", view_func=Pages.as_view("pages"))
    client = app.test_client()

    assert client.get("/pages/1").status_code == 200
    assert client.delete("/pages/1").status_code == expected


@pytest.mark.parametrize(("answer", "expected"), [(True, 200), (False, 403)])
def test_an_async_view_is_guarded(answer: bool, expected: int) -> None:
    app = app_for(User(answer))

    @app.route("/later")
    @require("admin")
    async def later() -> str:
        return "later"

    assert app.test_client().get("/later").status_code == expected


def test_two_guards_on_a_view_both_hold() -> None:
    class Clerk:
        def has_access(self, right: str) -> bool:
            return right == "read"

    app = app_for(Clerk(), "read")

    @app.route("/both")
    @require("read")
    @require("write")
    def both() -> str:
        return "both"

    assert status(app) == 200
    assert app.test_client().get("/both").status_code == 403


def test_a_guard_works_with_only_an_application_context() -> None:
    @require("admin")
    def work() -> str:
        return "done"

    with app_for(User()).app_context():
        assert work() == "done"
    with app_for(User(False)).app_context(), pytest.raises(Forbidden):
        work()


def test_it_needs_no_authz_and_lives_beside_one() -> None:
    alone = app_for(User(), "admin")
    beside = app_for(User(), "admin")
    beside.config["JWT_SECRET_KEY"] = 64 * "x"
    Authz(beside)

    assert "jwt_authz" not in alone.extensions
    assert status(alone) == status(beside) == 200


@pytest.fixture
def agents() -> FlaskClient:
    return access_app.create_app().test_client()


def test_a_caller_without_a_flask_login_session_is_refused(agents: FlaskClient) -> None:
    assert agents.get("/secret-code").status_code == 403


def test_a_user_of_flask_login_passes_by_their_rights(agents: FlaskClient) -> None:
    assert agents.get("/login/bond", follow_redirects=True).text == "Welcome bond"

    assert agents.get("/secret-code").text == "1234"
    assert agents.get("/kill/goldfinger").text == "goldfinger is gone"
    assert agents.get("/letters/3").status_code == 403


def test_another_user_of_flask_login_passes_by_theirs(agents: FlaskClient) -> None:
    agents.get("/login/moneypenny")

    assert agents.get("/letters/3").text == "letter 3"
    assert agents.get("/secret-code").status_code == 403
    assert agents.get("/kill/goldfinger").status_code == 403


def test_a_user_who_logged_out_by_flask_login_is_refused(agents: FlaskClient) -> None:
    agents.get("/login/bond")
    assert agents.get("/secret-code").status_code == 200

    agents.get("/logout")

    assert agents.get("/secret-code").status_code == 403


def test_the_application_may_hide_its_pages_by_an_abort_function() -> None:
    client = access_app.create_app_with_an_abort_function().test_client()

    assert client.get("/secret-code").status_code == 404
    client.get("/login/bond")
    assert client.get("/secret-code").status_code == 200


def test_the_guide_s_native_guard_refuses_flask_login_s_anonymous_user() -> None:
    app = access_app.create_app()
    app.config["JWT_SECRET_KEY"] = 64 * "x"
    authz = Authz(app)

    @authz.identity_loader
    def load() -> Any:
        return current_user if current_user.is_authenticated else None

    @app.route("/native")
    @requires(lambda user: user.has_access("top-secret"))
    def native() -> str:
        return "1234"

    client = app.test_client()
    assert client.get("/native").status_code == 401
    client.get("/login/moneypenny")
    assert client.get("/native").status_code == 403
    client.get("/login/bond")
    assert client.get("/native").text == "1234"
