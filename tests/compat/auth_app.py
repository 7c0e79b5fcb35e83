"""A small application of Flask-Auth, whose every import had `flaskext.auth` in it.

Its users stand in the code, with the hashes that they had before.
"""

from __future__ import annotations

from flask import Flask, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from jwt_authz.compat.flask_auth import (
    Auth,
    AuthUser,
    get_current_user_data,
    has_permission,
    login_required,
    logout,
    permission_required,
)
from jwt_authz.compat.flask_auth.permissions import Permission, Role

# As the old package made it: the hex digest by SHA-1 of the password "password" and the salt.
HASH, SALT = "cbfdac6008f9cab4083784cbd1874f76618d2a97", "123"

user_create = Permission("user", "create")
user_view = Permission("user", "view")

roles = {
    "admin": Role("admin", [user_create, user_view]),
    "userview": Role("userview", [user_view]),
}


def load_role(role_name: str) -> Role | None:
    return roles.get(role_name)


def create_app() -> Flask:
    app = Flask(__name__)
    app.secret_key = "of this small application alone"
    auth = Auth(app, login_url_name="index")
    auth.load_role = load_role

    @app.before_request
    def init_users() -> None:
        user = AuthUser(username="user", role="userview")
        user.password, user.salt = HASH, SALT
        admin = AuthUser(username="admin")
        admin.set_and_encrypt_password("admin")
        admin.role = "admin"
        g.users = {"user": user, "admin": admin}

    @login_required()
    def home() -> str:
        user = AuthUser.load_current_user()
        assert user is not None and user.is_logged_in()
        return f"Hello {user.username}"

    @login_required()
    def user_show(name: str) -> str:
        may_create = has_permission(get_current_user_data()["role"], "user", "create")
        return f"{name}, {'yours to change' if may_create else 'to look at'}"

    @permission_required(resource="user", action="view")
    def user_list() -> str:
        return f"Users are: {', '.join(g.users)}"

    @permission_required(resource="user", action="create")
    def user_new() -> str:
        return "I can create users!"

    def index() -> ResponseReturnValue:
        if request.method == "POST":
            username = request.form["username"]
            if username in g.users and g.users[username].authenticate(request.form["password"]):
                return redirect(url_for("home"))
            return "Failure :("
        return '<form method="POST"><input name="username"/><input name="password"/></form>'

    def logout_view() -> str:
        user_data = logout()
        if user_data is None:
            return "No user to log out."
        return "Logged out user {}.".format(user_data["username"])

    app.add_url_rule("/", "index", index, methods=["GET", "POST"])
    app.add_url_rule("/home/", "home", home)
    app.add_url_rule("/users/", "user_list", user_list)
    app.add_url_rule("/users/create/", "user_new", user_new)
    app.add_url_rule("/users/<name>/", "user_show", user_show)
    app.add_url_rule("/logout/", "logout", logout_view)
    return app
