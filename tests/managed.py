"""Applications on one database and one store, as several processes have them, for the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from jwt_authz import Authz, requires
from jwt_authz.accounts import models
from jwt_authz.accounts.sqlalchemy import SQLAlchemyAccounts, SQLAlchemyRoles
from jwt_authz.application import KEY
from jwt_authz.cli.main import authz as commands
from jwt_authz.endpoints import refresh_blueprint, token_blueprint
from tests.patience import eventually

PASSWORD = "correct horse battery staple"


class Process:
    """An application with connections of its own, and what a test asks it."""

    def __init__(self, folder: Path, store: str | None = "", **config: Any) -> None:
        self.engine = create_engine(f"sqlite:///{folder / 'app.db'}")
        models.metadata.create_all(self.engine)
        sessions = sessionmaker(self.engine)
        self.accounts = SQLAlchemyAccounts(sessions, models.User)
        self.roles = SQLAlchemyRoles(sessions, models.Role)
        self.app = app = Flask("managed")
        url = f"sqlite:///{folder / 'revocations.db'}" if store == "" else store
        app.config.update(JWT_SECRET_KEY="m" * 40, AUTHZ_STORE_URL=url, **config)
        self.authz = Authz(app, roles=self.roles, accounts=self.accounts)
        app.register_blueprint(token_blueprint())
        app.register_blueprint(refresh_blueprint())
        app.add_url_rule("/read", "read", requires("orders:read")(lambda: "in"))
        app.add_url_rule("/write", "write", requires("orders:write")(lambda: "in"))
        with app.app_context():
            if url is not None:
                self.authz.prepare_store()

    def close(self) -> None:
        view = self.app.extensions[KEY]._revocations
        if view is not None:
            view.stop()
            view.store.close()
        self.engine.dispose()

    def run(self, *arguments: str, input: str | None = None) -> Result:
        """What `flask authz ...` does."""
        return self.app.test_cli_runner().invoke(commands, arguments, input=input)

    def log_in(self, username: str = "ann", password: str = PASSWORD) -> dict[str, Any]:
        """The tokens of a log-in, or the problem."""
        body = {"username": username, "password": password}
        answer: dict[str, Any] = self.app.test_client().post("/token", json=body).get_json()
        return answer

    def status(self, tokens: dict[str, Any], path: str = "/read") -> int:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return self.app.test_client().get(path, headers=headers).status_code

    def refresh(self, tokens: dict[str, Any]) -> Any:
        body = {"refresh_token": tokens["refresh_token"]}
        return self.app.test_client().post("/token/refresh", json=body)


def becomes(wanted: int, ask: Callable[[], int]) -> bool:
    """Wait until an answer becomes the one that is wanted; fail the test if it never does."""
    eventually(lambda: ask() == wanted)
    return True
