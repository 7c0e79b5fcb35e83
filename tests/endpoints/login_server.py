"""An application with a log-in and a guarded view, for the tests that put it under load."""

from __future__ import annotations

from flask import Flask

from jwt_authz import Authz, Role, Roles, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.endpoints import token_blueprint

PASSWORD = "correct horse battery"
SECRET = "a secret of this server, for its own tests alone: " + 30 * "x"


def make_app() -> Flask:
    """Without a limit on guesses, so that every log-in is looked at."""
    accounts = MemoryAccounts()
    accounts.add("ada", PASSWORD, roles=["clerk"], subject="u1")
    app = Flask("login_server")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_LOGIN_RATE="")
    Authz(app, roles=Roles(Role("clerk", "orders:read")), accounts=accounts)
    app.register_blueprint(token_blueprint())
    app.add_url_rule("/orders", "orders", requires("orders:read")(lambda: "in"))
    return app
