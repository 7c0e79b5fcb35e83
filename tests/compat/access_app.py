"""A small application of Flask-Access and Flask-Login, from whose imports one line was changed."""

from __future__ import annotations

from functools import partial

import flask
import flask_login

import jwt_authz.compat.flask_access as flask_access

RIGHTS = {"bond": {"top-secret"}, "moneypenny": {"letters"}}


class User(flask_login.UserMixin):
    def __init__(self, username: str) -> None:
        self.username = username

    def get_id(self) -> str:
        return self.username

    def has_access(self, right: str, licensed: bool = False) -> bool:
        return right in RIGHTS[self.username] and (not licensed or self.username == "bond")


def create_app() -> flask.Flask:
    app = flask.Flask(__name__)
    app.secret_key = "of this small application alone"
    login_manager = flask_login.LoginManager(app)
    app.config[flask_access.CURRENT_USER] = flask_login.current_user

    @login_manager.user_loader
    def load_user(username: str) -> User | None:
        return User(username) if username in RIGHTS else None

    @app.route("/login/<username>")
    def login(username: str) -> flask.typing.ResponseReturnValue:
        flask_login.login_user(User(username))
        return flask.redirect(flask.url_for("home"))

    @app.route("/")
    @flask_login.login_required
    def home() -> str:
        return f"Welcome {flask_login.current_user.username}"

    @app.route("/secret-code")
    @flask_access.require("top-secret")
    def secret_code() -> str:
        return "1234"

    @app.route("/kill/<name>")
    @flask_access.require("top-secret", licensed=True)
    def kill(name: str) -> str:
        return f"{name} is gone"

    @app.route("/letters/<int:number>")
    @flask_access.require("letters")
    def letter(number: int) -> str:
        return f"letter {number}"

    @app.route("/logout")
    @flask_login.login_required
    def logout() -> str:
        flask_login.logout_user()
        return "Logged out"

    return app


def create_app_with_an_abort_function() -> flask.Flask:
    app = create_app()
    app.config[flask_access.ABORT_FN] = partial(flask.abort, 404)
    return app
