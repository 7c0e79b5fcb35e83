"""Flask-Auth by its old names: settings, log-in on the session, passwords, roles, permissions."""

from __future__ import annotations

import copy
import hashlib
import hmac
import importlib
import pickle
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask, Response, abort, request, session
from flask.sessions import SessionInterface, SessionMixin
from flask.testing import FlaskClient
from flask.views import MethodView
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, declarative_base, scoped_session, sessionmaker

from jwt_authz import Authz, Identity, Roles, requires
from jwt_authz import Role as NativeRole
from jwt_authz.accounts import passwords
from jwt_authz.compat import flask_auth
from jwt_authz.compat.flask_auth import (
    Auth,
    AuthUser,
    Permission,
    Role,
    encrypt,
    get_current_user,
    get_current_user_data,
    has_permission,
    login,
    login_required,
    logout,
    permission_required,
)
from jwt_authz.compat.flask_auth import auth as auth_module
from jwt_authz.compat.flask_auth import permissions as permissions_module
from jwt_authz.compat.flask_auth.models import sa
from jwt_authz.errors import MisuseError
from tests.compat import auth_app

pytestmark = pytest.mark.usefixtures("cheap_argon2")

PASSWORD = "correct horse"
USER, TIME = "auth_user", "auth_login"

read, write = Permission("article", "read"), Permission("article", "write")
ROLES = {"reader": Role("reader", [read]), "writer": Role("writer", [write])}


@pytest.fixture
def argon2_work(monkeypatch: pytest.MonkeyPatch) -> list[str | bytes]:
    """The hashes that Argon2 was asked to verify a password against, in order."""
    hashes: list[str | bytes] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
        hashes.append(hash)
        return verify(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    return hashes


@pytest.fixture
def app() -> Flask:
    """An application with a view for each kind of guard; `/login/<name>?role=` asks nothing."""
    app = Flask("auth")
    app.secret_key = "of these tests alone"
    auth = Auth(app)
    auth.load_role = ROLES.get

    @app.route("/login/<name>")
    def log_in(name: str) -> str:
        login(AuthUser(name, "a hash", "a salt", request.args.get("role")))
        return f"Hello {name}"

    @app.route("/logout")
    def log_out() -> dict[str, Any]:
        return dict(logout() or {})

    @app.route("/me")
    def me() -> dict[str, Any]:
        timed = request.args.get("timed", "1") == "1"
        return {"data": get_current_user_data(apply_timeout=timed)}

    @app.route("/private/<int:number>")
    @login_required()
    def private(number: int) -> str:
        return f"page {number}"

    @app.route("/read/<int:number>")
    @permission_required(resource="article", action="read")
    def read_article(number: int) -> str:
        return f"article {number}"

    return app


@pytest.fixture
def auth(app: Flask) -> Auth:
    return app.auth  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    with app.test_request_context():
        yield


@pytest.fixture
def somewhere_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's clock shows another time than UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def old_hash(password: str, salt: str | None = None, algorithm: Any = hashlib.sha1) -> str:
    """What the old package stored."""
    return str(algorithm((password + (salt or "")).encode()).hexdigest())


def age(client: FlaskClient, seconds: float) -> None:
    """Let the current log-in have been that long ago."""
    with client.session_transaction() as kept:
        kept[TIME] -= seconds


# Names


def test_the_old_package_s_names_are_at_the_top() -> None:
    assert flask_auth.__all__ == sorted(flask_auth.__all__)
    assert set(flask_auth.__all__) == {
        "Auth",
        "AuthUser",
        "Permission",
        "Role",
        "encrypt",
        "get_current_user",
        "get_current_user_data",
        "has_permission",
        "login",
        "login_required",
        "logout",
        "permission_required",
    }


@pytest.mark.parametrize("module", [auth_module, permissions_module, sa])
def test_the_old_modules_have_the_names_that_they_had(module: ModuleType) -> None:
    assert all(hasattr(module, name) for name in module.__all__)
    for name in set(module.__all__) & set(flask_auth.__all__):
        assert getattr(module, name) is getattr(flask_auth, name)


def test_the_session_keys_and_defaults_are_the_old_ones() -> None:
    assert (auth_module.SESSION_USER_KEY, auth_module.SESSION_LOGIN_KEY) == (USER, TIME)
    assert auth_module.DEFAULT_USER_TIMEOUT == Auth().user_timeout == 3600
    assert auth_module.DEFAULT_HASH_ALGORITHM is Auth().hash_algorithm is hashlib.sha1


def test_google_app_engine_s_users_are_left_out() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("jwt_authz.compat.flask_auth.models.gae")


def test_the_error_of_a_missing_sqlalchemy_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.delitem(sys.modules, sa.__name__)

    with pytest.raises(
        ImportError, match=re.escape("pip install 'jwt_authz[accounts,sqlalchemy]'")
    ):
        importlib.import_module(sa.__name__)


# The extension


def test_the_settings_are_on_the_application_and_need_no_authz(app: Flask, auth: Auth) -> None:
    assert auth is app.auth  # type: ignore[attr-defined]
    assert "jwt_authz" not in app.extensions
    assert "flask-jwt-extended" not in app.extensions


def test_an_auth_may_be_bound_later_and_to_several_applications() -> None:
    auth, one, other = Auth(), Flask("one"), Flask("other")

    auth.init_app(one)
    auth.init_app(other)

    assert one.auth is other.auth is auth  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "call",
    [
        lambda: has_permission("reader", "article", "read"),
        lambda: encrypt("password"),
        lambda: login_required()(lambda: "open")(),
    ],
)
def test_an_application_without_an_auth_gets_an_error_that_says_what_to_write(
    call: Callable[[], Any],
) -> None:
    app = Flask("bare")
    app.secret_key = "x"

    with app.test_request_context(), pytest.raises(MisuseError) as raised:
        call()

    assert str(raised.value) == "the application 'bare' has no Auth: write Auth(app)"


# Callers who are not logged in


def test_a_view_for_logged_in_users_answers_401_to_others(client: FlaskClient) -> None:
    assert client.get("/private/1").status_code == 401


def test_a_view_for_logged_in_users_gets_its_arguments(client: FlaskClient) -> None:
    client.get("/login/ann")

    assert client.get("/private/7").text == "page 7"


def test_a_login_url_name_redirects_to_that_endpoint() -> None:
    app = Flask("pages")
    app.secret_key = "x"
    Auth(app, login_url_name="index")
    app.add_url_rule("/", "index", lambda: "log in")
    app.add_url_rule("/private/<int:number>", "private", login_required()(lambda number: "page"))

    answer = app.test_client().get("/private/7?next=//evil.example", headers={"Host": "h.example"})

    assert answer.status_code == 302
    assert answer.location == "/"


def test_a_callback_of_the_application_answers_with_the_view_s_arguments(
    client: FlaskClient, auth: Auth
) -> None:
    auth.not_logged_in_callback = lambda number: (f"log in for {number}", 418)

    answers = [client.get("/private/7"), client.get("/read/7")]

    assert [(a.status_code, a.text) for a in answers] == [(418, "log in for 7")] * 2


@pytest.mark.parametrize("decorate", [login_required, lambda c: permission_required("a", "b", c)])
def test_a_view_s_own_callback_comes_before_the_application_s(
    app: Flask, auth: Auth, decorate: Callable[..., Any]
) -> None:
    auth.not_logged_in_callback = lambda **keywords: abort(500)
    view = decorate(lambda number: f"own, for {number}")(lambda number: "page")
    app.add_url_rule("/own/<int:number>", "own", view)

    assert app.test_client().get("/own/7").text == "own, for 7"


@pytest.mark.parametrize("decorate", [login_required, lambda c: permission_required("a", "b", c)])
def test_a_callback_that_is_falsy_answers_all_the_same(
    app: Flask, decorate: Callable[..., Any]
) -> None:
    class Falsy:
        def __bool__(self) -> bool:
            return False

        def __call__(self) -> str:
            return "refused"

    app.add_url_rule("/own", "own", decorate(Falsy())(lambda: "page"))

    assert app.test_client().get("/own").text == "refused"


@pytest.mark.parametrize("callback", [lambda **keywords: None, None])
def test_a_callback_that_answers_nothing_opens_nothing(
    client: FlaskClient, auth: Auth, callback: Any
) -> None:
    auth.not_logged_in_callback = auth.not_permitted_callback = callback

    assert client.get("/private/7").status_code == 500
    assert client.get("/read/7").status_code == 500
    client.get("/login/ann")
    assert client.get("/read/7").status_code == 500


def test_a_callback_may_be_async(app: Flask) -> None:
    async def refuse() -> str:
        return "refused later"

    app.add_url_rule("/in", "in", login_required(refuse)(lambda: "page"))
    app.add_url_rule("/may", "may", permission_required("a", "b", refuse)(lambda: "page"))
    client = app.test_client()

    assert client.get("/in").text == client.get("/may").text == "refused later"
    client.get("/login/ann")
    assert (client.get("/in").text, client.get("/may").text) == ("page", "refused later")


@pytest.mark.parametrize(
    "decorate", [login_required, lambda: permission_required("article", "read")]
)
def test_async_views_class_views_and_their_methods_are_guarded(
    app: Flask, decorate: Callable[..., Any]
) -> None:
    async def later() -> str:
        return "async"

    class Whole(MethodView):
        decorators = [decorate()]  # noqa: RUF012 Flask's own way

        def get(self) -> str:
            return "class"

    class Partly(MethodView):
        def get(self) -> str:
            return "open"

        @decorate()
        def post(self) -> str:
            return "method"

    app.add_url_rule("/later", view_func=decorate()(later))
    app.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    app.add_url_rule("/partly", view_func=Partly.as_view("partly"))
    nobody, ann = app.test_client(), app.test_client()
    ann.get("/login/ann?role=reader")

    assert [nobody.get(path).status_code for path in ("/later", "/whole")] == [401, 401]
    assert (nobody.get("/partly").text, nobody.post("/partly").status_code) == ("open", 401)
    assert [ann.get(path).text for path in ("/later", "/whole")] == ["async", "class"]
    assert ann.post("/partly").text == "method"


def test_a_guarded_view_keeps_its_name(app: Flask) -> None:
    assert {"private", "read_article"} <= set(app.view_functions)


# Log-in and log-out


def test_a_log_in_lasts_for_the_requests_that_follow(client: FlaskClient) -> None:
    client.get("/login/ann?role=reader")

    assert client.get("/me").json == {"data": {"username": "ann", "role": "reader"}}


def test_a_log_out_gives_the_user_s_data_and_then_nothing(client: FlaskClient) -> None:
    client.get("/login/ann?role=reader")

    assert client.get("/logout").json == {"username": "ann", "role": "reader"}
    assert client.get("/logout").json == {}
    assert client.get("/private/1").status_code == 401


@pytest.mark.usefixtures("context")
def test_a_log_out_of_nobody_gives_none() -> None:
    assert logout() is None


def test_another_client_is_not_logged_in_also_in_one_application_context(app: Flask) -> None:
    ann, other = app.test_client(), app.test_client()

    with app.app_context():
        ann.get("/login/ann")
        assert ann.get("/private/1").status_code == 200
        assert other.get("/private/1").status_code == 401


@pytest.mark.usefixtures("context")
def test_neither_hash_nor_salt_go_into_the_session() -> None:
    login(AuthUser("ann", "a hash", "a salt", "reader"))

    assert session[USER] == {"username": "ann", "role": "reader"}


@pytest.mark.usefixtures("context")
def test_a_user_s_own_state_goes_into_the_session_but_for_its_secrets() -> None:
    class User(AuthUser):
        def __getstate__(self) -> dict[str, Any]:
            return {"username": self.username, "password": self.password, "shoe size": 39}

    login(User("ann", "a hash"))

    assert get_current_user_data() == {"username": "ann", "shoe size": 39}


@pytest.mark.usefixtures("context")
def test_what_the_session_held_stays_when_someone_logs_in() -> None:
    session["basket"] = ["tea"]

    login(AuthUser("ann"))
    login(AuthUser("ann"))

    assert session["basket"] == ["tea"]


@pytest.mark.usefixtures("context")
def test_what_the_session_held_is_gone_when_another_user_logs_in() -> None:
    login(AuthUser("ann"))
    session["basket"] = ["tea"]

    login(AuthUser("bob"))

    assert set(session) == {USER, TIME}
    assert get_current_user_data()["username"] == "bob"


class ServerSession(dict[str, Any], SessionMixin):
    sid = ""


class ServerSessions(SessionInterface):
    """Sessions kept by the server, under an id that a browser may bring along."""

    def __init__(self) -> None:
        self.kept: dict[str, ServerSession] = {}
        self.ids = iter(["first", "second", "third"])

    def open_session(self, app: Flask, request: Any) -> ServerSession:
        sid = request.cookies.get("sid") or next(self.ids)
        opened = self.kept.get(sid, ServerSession())
        opened.sid = sid
        return opened

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        self.kept[session.sid] = session
        response.set_cookie("sid", session.sid)


class RegeneratingSessions(ServerSessions):
    """With Flask-Session's way to give a session a new id."""

    def regenerate(self, session: ServerSession) -> None:
        assert type(session) is ServerSession, "the session itself, and no proxy of it"
        if session:
            self.kept.pop(session.sid, None)
            session.sid = next(self.ids)


@pytest.mark.parametrize("earlier", [{}, {"basket": ["tea"]}])
def test_a_session_planted_by_someone_else_is_worth_nothing_after_the_log_in(
    app: Flask, earlier: dict[str, Any]
) -> None:
    sessions = RegeneratingSessions()
    app.session_interface = sessions
    sessions.kept["planted"] = ServerSession(earlier)
    victim, thief = app.test_client(), app.test_client()
    for client in (victim, thief):
        client.set_cookie("sid", "planted")

    victim.get("/login/ann")

    assert victim.get("/private/1").status_code == 200
    assert thief.get("/private/1").status_code == 401
    assert earlier.items() <= sessions.kept["first"].items()


def test_a_session_interface_that_cannot_give_new_ids_still_logs_in(app: Flask) -> None:
    app.session_interface = ServerSessions()
    client = app.test_client()

    client.get("/login/ann")

    assert client.get("/private/1").status_code == 200


# Timeouts


def test_a_log_in_lasts_an_hour_by_default(client: FlaskClient) -> None:
    client.get("/login/ann")

    age(client, 3590)
    assert client.get("/private/1").status_code == 200
    age(client, 20)
    assert client.get("/private/1").status_code == 401


def test_requests_do_not_prolong_a_log_in(client: FlaskClient) -> None:
    client.get("/login/ann")
    for _ in range(3):
        age(client, 1190)
        assert client.get("/private/1").status_code == 200

    age(client, 40)

    assert client.get("/private/1").status_code == 401


def test_a_timeout_may_be_a_fraction_of_a_second(client: FlaskClient, auth: Auth) -> None:
    auth.user_timeout = 0.05
    client.get("/login/ann")
    time.sleep(0.06)

    assert client.get("/private/1").status_code == 401


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_timeout_of_zero_or_less_never_ends_a_log_in(
    client: FlaskClient, auth: Auth, timeout: int
) -> None:
    auth.user_timeout = timeout
    client.get("/login/ann")
    age(client, 10**9)

    assert client.get("/private/1").status_code == 200


def test_the_timeout_is_overlooked_on_request_alone(client: FlaskClient) -> None:
    client.get("/login/ann")
    age(client, 4000)

    assert client.get("/me?timed=0").json == {"data": {"role": None, "username": "ann"}}
    assert client.get("/me").json == {"data": None}
    assert client.get("/me?timed=0").json == {"data": None}, "the late log-in has been ended"


def test_a_log_in_that_timed_out_leaves_the_rest_of_the_session(client: FlaskClient) -> None:
    client.get("/login/ann")
    with client.session_transaction() as kept:
        kept["basket"] = ["tea"]
    age(client, 4000)

    client.get("/me")

    with client.session_transaction() as kept:
        assert dict(kept) == {"basket": ["tea"]}


@pytest.mark.parametrize(
    ("ago", "status"),
    [(timedelta(minutes=59), 200), (timedelta(minutes=61), 401)],
)
@pytest.mark.parametrize("aware", [True, False])
def test_a_log_in_time_that_is_a_datetime_is_read_as_utc(
    app: Flask, client: FlaskClient, ago: timedelta, status: int, aware: bool
) -> None:
    when = datetime.now(UTC) - ago

    @app.before_request
    def keep_it_as_the_old_package_did() -> None:
        session[USER] = {"username": "ann"}
        session[TIME] = when if aware else when.replace(tzinfo=None)

    assert client.get("/private/1").status_code == status


def test_a_log_in_time_without_a_zone_is_utc_wherever_the_machine_stands(
    app: Flask, client: FlaskClient, somewhere_else: None
) -> None:
    @app.before_request
    def keep_it_as_the_old_package_did() -> None:
        session[USER] = {"username": "ann"}
        session[TIME] = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=59)

    assert client.get("/private/1").status_code == 200
    app.auth.user_timeout = 58 * 60  # type: ignore[attr-defined]
    assert client.get("/private/1").status_code == 401


@pytest.mark.parametrize("when", [None, "yesterday", []])
def test_a_session_that_does_not_say_when_is_not_a_log_in(client: FlaskClient, when: Any) -> None:
    client.get("/login/ann")
    with client.session_transaction() as kept:
        kept[TIME] = when

    assert client.get("/private/1").status_code == 401


# Users


@pytest.mark.usefixtures("context")
def test_a_user_is_loaded_from_the_session_by_their_class() -> None:
    class User(AuthUser):
        pass

    login(User("ann", "a hash", "a salt", "reader"))
    user = User.load_current_user()

    assert type(user) is User
    assert (user.username, user.role, user.password, user.salt) == ("ann", "reader", None, None)
    assert type(get_current_user()) is AuthUser
    assert get_current_user() == user


@pytest.mark.usefixtures("context")
def test_nobody_is_loaded_where_nobody_is_logged_in() -> None:
    assert AuthUser.load_current_user() is None
    assert get_current_user() is None


@pytest.mark.usefixtures("context")
def test_a_user_is_loaded_beyond_the_timeout_on_request_alone(auth: Auth) -> None:
    login(AuthUser("ann"))
    session[TIME] -= 4000

    assert AuthUser.load_current_user(apply_timeout=False) == AuthUser("ann")
    assert get_current_user(apply_timeout=False) == AuthUser("ann")
    assert AuthUser.load_current_user() is None


@pytest.mark.usefixtures("context")
def test_what_is_done_to_a_loaded_user_is_not_done_to_the_session() -> None:
    login(AuthUser("ann", role="reader"))

    AuthUser.load_current_user().role = "writer"  # type: ignore[union-attr]

    assert session[USER]["role"] == "reader"


@pytest.mark.usefixtures("context")
def test_a_user_is_logged_in_while_the_session_is_theirs() -> None:
    ann, bob = AuthUser("ann"), AuthUser("bob")
    assert not ann.is_logged_in()

    login(ann)
    assert ann.is_logged_in() and not bob.is_logged_in()

    logout()
    assert not ann.is_logged_in()


def test_users_of_one_name_are_equal_whatever_else_they_have() -> None:
    class Person:
        username = "ann"

    assert AuthUser("ann", "x", role="a") == AuthUser("ann", "y") == Person()
    assert AuthUser("ann") != AuthUser("bob")
    assert AuthUser(None) != object() and AuthUser("ann") != "ann"
    assert len({AuthUser("ann", "x"), AuthUser("ann", "y"), AuthUser("bob")}) == 2


@pytest.mark.parametrize("copied", [copy.copy, lambda user: pickle.loads(pickle.dumps(user))])
def test_a_copied_or_pickled_user_keeps_all_it_had(copied: Callable[[Any], Any]) -> None:
    user = AuthUser("ann", "a hash", "a salt", "reader")

    assert vars(copied(user)) == vars(user)


# Passwords


def test_a_new_password_is_kept_as_argon2id() -> None:
    ann, bob = AuthUser("ann"), AuthUser("bob")

    ann.set_and_encrypt_password(PASSWORD)
    bob.set_and_encrypt_password(PASSWORD, salt="123")

    assert ann.password.startswith("$argon2id$") and bob.password.startswith("$argon2id$")
    assert ann.password != bob.password
    assert (ann.salt, bob.salt) == (None, "123")


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("password", [PASSWORD, "admin", "x", "pässwörd", 4096 * "x"])
def test_a_new_password_logs_its_user_in_however_short_it_is(password: str) -> None:
    user = AuthUser("ann")
    user.set_and_encrypt_password(password)
    kept = user.password

    assert user.authenticate(password + "x") is False
    assert not user.is_logged_in()
    assert user.authenticate(password) is True
    assert user.is_logged_in()
    assert user.password == kept


@pytest.mark.parametrize("password", ["", 4097 * "x", "\ud800"])
def test_a_new_password_that_cannot_be_one_is_an_error(password: str) -> None:
    user = AuthUser("ann", "before")

    with pytest.raises(MisuseError, match="the password"):
        user.set_and_encrypt_password(password)

    assert user.password == "before"


def test_a_password_given_to_a_user_is_kept_as_it_is() -> None:
    assert AuthUser("ann", "plain").password == "plain"


@pytest.mark.parametrize("salt", [None, "", "123", "sälz"])
@pytest.mark.parametrize("password", [PASSWORD, "tea", "", "pässwörd"])
def test_encrypt_makes_the_old_hash(app: Flask, password: str, salt: str | None) -> None:
    with app.app_context():
        assert encrypt(password, salt) == old_hash(password, salt)
    assert encrypt(password, salt, hashlib.sha256) == old_hash(password, salt, hashlib.sha256)


def test_encrypt_takes_the_application_s_algorithm(app: Flask, auth: Auth) -> None:
    auth.hash_algorithm = hashlib.sha512

    with app.app_context():
        assert encrypt("tea", "123") == old_hash("tea", "123", hashlib.sha512)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize(("password", "salt"), [("tea", "123"), ("pässwörd", None)])
def test_an_old_hash_logs_its_user_in_and_is_replaced(
    auth: Auth, algorithm: str, password: str, salt: str | None
) -> None:
    auth.hash_algorithm = getattr(hashlib, algorithm)
    user = AuthUser("ann", old_hash(password, salt, auth.hash_algorithm), salt)

    assert user.authenticate(password) is True
    assert user.is_logged_in()
    assert user.password.startswith("$argon2id$")

    logout()
    assert user.authenticate(password) is True
    assert user.authenticate(password + "!") is False


@pytest.mark.usefixtures("context")
def test_a_wrong_password_leaves_an_old_hash_and_the_session_alone() -> None:
    kept = old_hash("tea", "123")
    user = AuthUser("ann", kept, "123")

    for wrong in ("coffee", "", "tea123", kept, "\ud800", 5000 * "x"):
        assert user.authenticate(wrong) is False

    assert user.password == kept
    assert not session


@pytest.mark.usefixtures("context")
def test_the_hash_of_another_algorithm_matches_no_password(auth: Auth) -> None:
    auth.hash_algorithm = hashlib.sha256

    assert AuthUser("ann", old_hash("tea")).authenticate("tea") is False


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("kept", [None, "", "tea", "$argon2id$nonsense", "\udcff", "täa"])
def test_a_user_without_a_hash_cannot_log_in(kept: Any) -> None:
    user = AuthUser("ann", kept)

    for password in ("tea", "", "täa", "$argon2id$nonsense"):
        assert user.authenticate(password) is False


@pytest.mark.usefixtures("context")
def test_old_hashes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[Any, Any]] = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    kept = old_hash("tea")

    AuthUser("ann", kept).authenticate("tea")

    assert compared == [(kept.encode(), kept.encode())]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("kept", [None, old_hash("tea"), "plain"])
def test_a_failed_log_in_costs_the_same_whatever_the_hash(
    argon2_work: list[str | bytes], kept: str | None
) -> None:
    AuthUser("ann", kept).authenticate("coffee")

    assert argon2_work == [passwords._DUMMY]


@pytest.mark.usefixtures("context")
def test_an_argon2_hash_with_yesterday_s_parameters_is_replaced() -> None:
    yesterday = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash("tea")
    user = AuthUser("ann", yesterday)

    assert user.authenticate("tea") is True
    assert "$m=8,t=1,p=1$" in user.password


@pytest.mark.usefixtures("context")
def test_a_store_receives_a_replaced_hash_once_and_before_the_log_in() -> None:
    stored: list[tuple[str, str, bool]] = []

    class User(AuthUser):
        def replace_password(self, old: str, new: str) -> None:
            super().replace_password(old, new)
            stored.append((old, new, self.is_logged_in()))

    user = User("ann", old_hash("tea"))
    user.authenticate("tea")
    user.authenticate("tea")

    assert stored == [(old_hash("tea"), user.password, False)]


# Roles and permissions


def test_an_unauthenticated_caller_is_refused_before_permissions_are_checked(
    client: FlaskClient,
) -> None:
    assert client.get("/read/7").status_code == 401


def test_a_role_with_the_permission_gets_the_view_with_its_arguments(client: FlaskClient) -> None:
    client.get("/login/ann?role=reader")

    assert client.get("/read/7").text == "article 7"


@pytest.mark.parametrize("query", ["?role=writer", "?role=unheard-of", ""])
def test_not_permitted_is_401_as_it_was(client: FlaskClient, query: str) -> None:
    client.get(f"/login/ann{query}")

    assert client.get("/private/7").status_code == 200
    assert client.get("/read/7").status_code == 401


def test_the_application_answers_users_without_the_permission(
    client: FlaskClient, auth: Auth
) -> None:
    auth.not_permitted_callback = lambda number: (f"article {number} is not yours", 403)
    client.get("/login/ann?role=writer")

    answer = client.get("/read/7")

    assert (answer.status_code, answer.text) == (403, "article 7 is not yours")


def test_a_view_s_own_callback_answers_users_without_the_permission(app: Flask, auth: Auth) -> None:
    auth.not_permitted_callback = lambda **keywords: abort(500)
    view = permission_required("article", "write", lambda number: f"own, for {number}")
    app.add_url_rule("/write/<int:number>", "write", view(lambda number: "written"))
    client = app.test_client()
    client.get("/login/ann?role=reader")

    assert client.get("/write/7").text == "own, for 7"


def test_a_user_may_have_several_roles(app: Flask) -> None:
    @app.route("/write")
    @permission_required("article", "write")
    def write_article() -> str:
        return "written"

    @app.route("/become/<roles>")
    def become(roles: str) -> str:
        login(AuthUser("ann", role=roles.split("+")))
        return "done"

    client = app.test_client()
    client.get("/become/unheard-of+reader+writer")

    assert client.get("/read/7").text == "article 7"
    assert client.get("/write").text == "written"
    client.get("/become/reader")
    assert client.get("/write").status_code == 401


@pytest.mark.parametrize("several", [list, tuple, set, frozenset])
def test_several_roles_have_what_one_of_them_has(app: Flask, several: Callable[..., Any]) -> None:
    with app.app_context():
        assert has_permission(several(["reader", "writer"]), "article", "write") is True
        assert has_permission(several(["reader"]), "article", "write") is False
        assert has_permission(several([]), "article", "read") is False


def test_a_role_is_asked_for_by_what_the_user_has(app: Flask, auth: Auth) -> None:
    asked: list[Any] = []
    auth.load_role = asked.append

    with app.app_context():
        assert has_permission("reader", "article", "read") is False
        assert has_permission(None, "article", "read") is False

    assert asked == ["reader", None]


def test_an_auth_without_a_role_loader_loads_no_role(app: Flask) -> None:
    Auth(app)

    with app.app_context():
        assert has_permission("reader", "article", "read") is False


def test_a_star_is_a_star_and_nothing_more(app: Flask, auth: Auth) -> None:
    stars = Role("stars", [Permission("article", "*"), Permission("*", "read")])
    auth.load_role = lambda name: stars

    with app.app_context():
        assert has_permission("stars", "article", "read") is False
        assert has_permission("stars", "article", "*") is True
        assert has_permission("stars", "*", "*") is False


@pytest.mark.parametrize(
    ("resource", "action"),
    [("user.role", "read"), ("a:b", ":"), ("", ""), (None, 7), (("a", 1), frozenset()), ([], {})],
)
def test_a_permission_takes_any_resource_and_action(resource: Any, action: Any) -> None:
    role = Role("any", [Permission(resource, action)])

    assert role.has_permission(resource, action) is True
    assert role.has_permission(resource, "other") is False


def test_permissions_are_equal_by_resource_and_action() -> None:
    class Pair:
        resource, action = "article", "read"

    assert Permission("article", "read") == read == Pair()
    assert read != write and read != Permission("user", "read")
    assert read != "article:read" and read != None  # noqa: E711 it is what is asked
    assert len({Permission("article", "read"), read, write}) == 2


def test_a_role_may_get_permissions_after_it_was_made() -> None:
    role = Role("clerk", [])
    assert role.has_permission("article", "read") is False

    role.permissions.append(read)  # type: ignore[attr-defined]

    assert role.has_permission("article", "read") is True
    assert (role.name, role.permissions) == ("clerk", [read])


# SQLAlchemy


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Any]:
    """The ready-made class, with its query and its table, and `session` to look on."""
    engine = create_engine(f"sqlite:///{tmp_path / 'users.db'}")
    sessions = scoped_session(sessionmaker(engine))

    class Base(DeclarativeBase):
        query = sessions.query_property()
        session = sessions

    User = sa.get_user_class(Base)
    Base.metadata.create_all(engine)
    yield User
    sessions.remove()
    engine.dispose()


def stored(users: Any, **fields: Any) -> Any:
    """A user with these fields, as the database has them."""
    user = users(username="ann")
    for name, value in fields.items():
        setattr(user, name, value)
    users.session.add(user)
    users.session.commit()
    return user


def in_database(users: Any) -> Any:
    """The stored hash, as another connection sees it."""
    with users.session.get_bind().connect() as connection:
        return connection.exec_driver_sql('SELECT password FROM "user"').scalar()


def test_the_ready_made_users_have_the_old_columns(users: Any) -> None:
    columns = {column.name: str(column.type) for column in users.__table__.columns}

    assert users.__tablename__ == "user"
    assert columns == {
        "id": "INTEGER",
        "username": "VARCHAR(80)",
        "password": "VARCHAR(120)",
        "salt": "VARCHAR(80)",
        "role": "VARCHAR(80)",
        "created": "DATETIME",
        "modified": "DATETIME",
    }


def test_a_base_that_names_its_tables_is_left_to_do_so() -> None:
    class Named:
        __tablename__ = "people"

    assert sa.get_user_class(declarative_base(cls=Named)).__tablename__ == "people"


def test_a_hash_fits_into_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    user = AuthUser("ann")

    user.set_and_encrypt_password(PASSWORD)

    assert len(user.password) <= 120


def test_a_ready_made_user_was_created_in_utc_without_a_zone(
    users: Any, somewhere_else: None
) -> None:
    user = users(username="ann", password="tea")
    users.session.add(user)
    users.session.flush()

    assert user.created.tzinfo is None
    assert abs(user.created - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)


@pytest.mark.usefixtures("context")
def test_a_ready_made_user_hashes_its_password_and_logs_in(users: Any) -> None:
    users.session.add(users(username="ann", password="tea", role="reader"))
    users.session.commit()
    user = users.query.filter(users.username == "ann").one()

    assert user.authenticate("coffee") is False
    assert user.authenticate("tea") is True
    assert users.load_current_user() is user
    assert set(session[USER]) == {"id", "username", "role", "created", "modified"}


def test_a_ready_made_user_s_state_survives_the_session_cookie(app: Flask, users: Any) -> None:
    stored(users, password=old_hash("tea"), role="reader")

    @app.route("/enter")
    def enter() -> str:
        return str(users.query.one().authenticate("tea"))

    @app.route("/created")
    def created() -> str:
        return str(users.load_current_user().created == users.query.one().created)

    client = app.test_client()
    assert client.get("/enter").text == "True"
    assert client.get("/created").text == "True"
    assert client.get("/read/7").text == "article 7"


@pytest.mark.usefixtures("context")
def test_a_ready_made_user_who_was_deleted_is_nobody(users: Any) -> None:
    user = stored(users, password=old_hash("tea"))
    user.authenticate("tea")

    users.session.delete(user)
    users.session.commit()

    assert users.load_current_user() is None


@pytest.mark.usefixtures("context")
def test_no_ready_made_user_is_loaded_where_nobody_is_logged_in(users: Any) -> None:
    assert users.load_current_user() is None


@pytest.mark.usefixtures("context")
def test_a_replaced_hash_is_committed_where_nothing_else_waits(users: Any) -> None:
    user = stored(users, password=old_hash("tea"))

    user.authenticate("tea")

    assert in_database(users).startswith("$argon2id$")
    assert user.password == in_database(users)


@pytest.mark.usefixtures("context")
def test_a_replaced_hash_waits_with_what_else_waits_in_the_session(users: Any) -> None:
    stored(users, password=old_hash("tea"))
    user = users.query.one()
    user.role = "writer"

    assert user.authenticate("tea") is True
    assert in_database(users) == old_hash("tea")

    users.session.commit()
    assert in_database(users).startswith("$argon2id$")
    assert user.role == "writer"


@pytest.mark.usefixtures("context")
def test_a_password_changed_in_the_meantime_is_not_replaced(users: Any) -> None:
    user = stored(users, password=old_hash("tea"))
    assert user.password == old_hash("tea")
    with users.session.get_bind().begin() as connection:
        connection.exec_driver_sql("UPDATE \"user\" SET password = 'changed'")

    user.replace_password(old_hash("tea"), "replaced")

    assert in_database(users) == "changed"
    assert user.password == "changed"


@pytest.mark.usefixtures("context")
def test_a_ready_made_user_that_is_not_stored_yet_keeps_the_new_hash(users: Any) -> None:
    waiting = users(username="ann")
    waiting.password = old_hash("tea")
    alone = users(username="bob")
    alone.password = old_hash("tea")
    users.session.add(waiting)

    assert waiting.authenticate("tea") and alone.authenticate("tea")
    assert waiting.password.startswith("$argon2id$") and alone.password.startswith("$argon2id$")

    users.session.commit()
    assert in_database(users) == waiting.password


# Beside the native guards


def test_flask_auth_s_session_is_an_identity_of_which_not_permitted_is_403(app: Flask) -> None:
    app.config["JWT_SECRET_KEY"] = 64 * "x"
    catalog = Roles(
        NativeRole("reader", "article:read"),
        NativeRole("writer", "article:write"),
    )
    authz = Authz(app, roles=catalog)

    @authz.identity_loader
    def load() -> Identity | None:
        data = get_current_user_data()
        if data is None:
            return None
        return Identity(data["username"], roles=[data["role"]], catalogue=catalog)

    @app.route("/native")
    @requires("article:read")
    def native() -> str:
        return "an article"

    client = app.test_client()
    assert client.get("/native").status_code == 401
    client.get("/login/ann?role=writer")
    assert client.get("/native").status_code == 403
    assert client.get("/read/7").status_code == 401
    client.get("/login/ann?role=reader")
    assert client.get("/native").text == "an article"


# The small application


@pytest.fixture
def small() -> FlaskClient:
    return auth_app.create_app().test_client()


def enter(client: FlaskClient, username: str, password: str) -> Any:
    form = {"username": username, "password": password}
    return client.post("/", data=form, follow_redirects=True)


@pytest.mark.parametrize("path", ["/home/", "/users/", "/users/create/", "/users/ann/"])
def test_the_small_application_sends_others_to_its_log_in(small: FlaskClient, path: str) -> None:
    answer = small.get(path)

    assert (answer.status_code, answer.location) == (302, "/")


def test_the_small_application_s_user_may_look(small: FlaskClient) -> None:
    assert enter(small, "user", "password").text == "Hello user"

    assert small.get("/users/").text == "Users are: user, admin"
    assert small.get("/users/ann/").text == "ann, to look at"
    assert small.get("/users/create/").status_code == 401


def test_the_small_application_s_admin_may_change(small: FlaskClient) -> None:
    assert enter(small, "admin", "admin").text == "Hello admin"

    assert small.get("/users/create/").text == "I can create users!"
    assert small.get("/users/ann/").text == "ann, yours to change"


@pytest.mark.parametrize(
    ("username", "password"), [("user", "admin"), ("admin", "password"), ("eve", "password")]
)
def test_the_small_application_lets_nobody_else_in(
    small: FlaskClient, username: str, password: str
) -> None:
    assert enter(small, username, password).text == "Failure :("
    assert small.get("/home/").status_code == 302


def test_the_small_application_logs_out(small: FlaskClient) -> None:
    enter(small, "user", "password")

    assert small.get("/logout/").text == "Logged out user user."
    assert small.get("/logout/").text == "No user to log out."
    assert small.get("/home/").status_code == 302


@pytest.mark.parametrize("apply_timeout", [True, False])
def test_a_session_ends_with_a_revocation_of_its_username(apply_timeout: bool) -> None:
    app = Flask("revoking")
    app.config.update(SECRET_KEY="s" * 40, AUTHZ_STORE_URL="memory:")
    Auth(app)
    authz = Authz(app, roles=Roles())
    with app.test_request_context():
        flask_auth.login(AuthUser("ada", role="user"))
        assert flask_auth.get_current_user_data(apply_timeout) == {
            "username": "ada",
            "role": "user",
        }
        authz.revoke(subject="bob")
        assert flask_auth.get_current_user_data(apply_timeout) is not None
        authz.revoke(subject="ada")
        assert flask_auth.get_current_user_data(apply_timeout) is None
        flask_auth.login(AuthUser("ada", role="user"))
        assert flask_auth.get_current_user_data(apply_timeout) is not None
