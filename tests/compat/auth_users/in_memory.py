"""Users in memory: made once, when the application is, and found by name."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from jwt_authz.compat.flask_auth import AuthUser, Permission, Role

from .shop import OLD_HASH, OLD_SALT, create_shop

ROLES = {
    "clerk": Role("clerk", [Permission("orders", "read")]),
    "manager": Role("manager", [Permission("orders", "cancel")]),
}


def create_app(folder: Path) -> Flask:
    bob = AuthUser("bob", role=["clerk", "manager"])
    bob.set_and_encrypt_password("biscuits")
    users = {"ann": AuthUser("ann", OLD_HASH, OLD_SALT, role="clerk"), "bob": bob}

    app = create_shop(users.get, ROLES.get, AuthUser)
    app.config["STORED_PASSWORD"] = lambda username: users[username].password
    return app
