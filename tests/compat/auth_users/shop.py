"""What the examples share: a shop in which clerks read orders and managers cancel them, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue

from jwt_authz.compat.flask_auth import Auth, login_required, logout, permission_required

# The first user's hash was made by the old package: SHA-1 of the password "tea" and the salt.
OLD_HASH, OLD_SALT = "ec9ffc81742a32a6fbb37ce32c6e5ab7c65fdb68", "1325376000"
OLD_PASSWORD = "tea"


def create_shop(find: Callable[[str], Any], load_role: Callable[[Any], Any], User: Any) -> Flask:
    """An application over a way to find a user, a way to find a role, and the class of users."""
    app = Flask(__name__)
    app.secret_key = "of this small application alone"
    auth = Auth(app)
    auth.load_role = load_role

    @app.post("/login")
    def login() -> ResponseReturnValue:
        user = find(request.form["username"])
        if user is None or not user.authenticate(request.form["password"]):
            return "Failure :(", 400
        return f"Hello {user.username}"

    @app.get("/me")
    @login_required()
    def me() -> str:
        return str(User.load_current_user().username)

    @app.get("/orders")
    @permission_required(resource="orders", action="read")
    def orders() -> str:
        return "all orders"

    @app.post("/orders/<int:number>/cancel")
    @permission_required(resource="orders", action="cancel")
    def cancel(number: int) -> str:
        return f"order {number} cancelled"

    @app.post("/logout")
    def log_out() -> str:
        return "Goodbye" if logout() else "Nobody there"

    return app
