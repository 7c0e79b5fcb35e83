"""An application whose users' database accepts connections and never answers."""

from __future__ import annotations

import os
import socket

from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from jwt_authz import Authz
from jwt_authz._concurrency.deadlines import Deadline
from jwt_authz.accounts import models
from jwt_authz.accounts.sqlalchemy import SQLAlchemyAccounts
from jwt_authz.endpoints import token_blueprint

UNPROTECTED = "TEST_WITHOUT_DEADLINES"


def make_app() -> Flask:
    if os.environ.get(UNPROTECTED):
        Deadline.run = lambda deadline, call: call()  # type: ignore[method-assign]
    silent = socket.create_server(("127.0.0.1", 0), backlog=1_000)
    url = f"postgresql+psycopg://user@127.0.0.1:{silent.getsockname()[1]}/shop"
    app = Flask("silent_server")
    app.config.update(JWT_SECRET_KEY="a secret of this server alone: " + 30 * "x")
    app.extensions["silent"] = silent  # kept open
    Authz(app, accounts=SQLAlchemyAccounts(sessionmaker(create_engine(url)), models.User))
    app.register_blueprint(token_blueprint())
    app.add_url_rule("/open", "open", lambda: "open")
    return app
