"""An application with a log-in and a guarded view, for the tests that put it under load."""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from jwt_authz import Authz, Role, Roles, exempt, requires
from jwt_authz._concurrency import slots
from jwt_authz.accounts import passwords
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.endpoints import token_blueprint

PASSWORD = "correct horse battery"
SECRET = "a secret of this server, for its own tests alone: " + 30 * "x"


def make_app(**config: Any) -> Flask:
    """Return an application behind a proxy, with ada as its only user."""
    accounts = MemoryAccounts()
    accounts.add("ada", PASSWORD, roles=["clerk"], subject="u1")
    app = Flask("login_server")
    app.config.update(JWT_SECRET_KEY=SECRET, **config)
    Authz(app, roles=Roles(Role("clerk", "orders:read")), accounts=accounts)
    app.register_blueprint(token_blueprint())
    app.add_url_rule("/orders", "orders", requires("orders:read")(lambda: "in"))
    app.add_url_rule("/nothing", "nothing", exempt(lambda: "nothing"), methods=["POST"])
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    return app


def make_unprotected_app() -> Flask:
    """Return the same at the former cost of a hash, without priorities and reserved places."""
    slots.NICENESS = 0
    slots.HASHING.resize(at_once=1, waiting=2, reserved=0)
    passwords._hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
    passwords._DUMMY = passwords._hasher.hash("of nobody")
    return make_app()
