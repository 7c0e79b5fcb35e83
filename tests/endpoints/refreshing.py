"""What the tests of refresh tokens share: an application, its users, and what they ask of it."""

from __future__ import annotations

from typing import Any

import jwt
from flask import Flask
from werkzeug.test import TestResponse

from jwt_authz import Authz, Role, Roles, current_identity, exempt, has_role, requires
from jwt_authz.accounts.memory import MemoryAccounts
from jwt_authz.application import KEY
from jwt_authz.endpoints import introspection_blueprint, refresh_blueprint, token_blueprint
from jwt_authz.revocation import RevocationView

SECRET = "a secret of the tests of refresh tokens: " + 32 * "r"
PASSWORD = "correct horse battery staple"
PROBLEM = "application/problem+json"
TYPE = "urn:jwt-authz:problem:"


def make_app(url: str | None, **settings: Any) -> Flask:
    """An application on the store, prepared, with the users ada (manager), bob (clerk), eve."""
    app = Flask("refreshing")
    app.config.update(JWT_SECRET_KEY=SECRET, AUTHZ_STORE_URL=url, AUTHZ_LOGIN_RATE="", **settings)
    authz = Authz(app, roles=catalog(), accounts=people())
    for blueprint in (
        token_blueprint(),
        refresh_blueprint(),
        introspection_blueprint(has_role("auditor")),
    ):
        app.register_blueprint(blueprint)
    app.add_url_rule("/me", "me", requires()(lambda: current_identity.subject))
    app.add_url_rule("/write", "write", requires("orders:write")(lambda: "written"))
    app.add_url_rule("/open", "open", exempt(lambda: "open"))
    if url is not None:
        with app.app_context():
            view_of(app).store.prepare()
    assert authz is app.extensions["jwt_authz"]
    return app


def catalog() -> Roles:
    return Roles(
        Role("clerk", "orders:read"),
        Role("manager", "orders:write", includes="clerk"),
        Role("auditor"),
    )


def people() -> MemoryAccounts:
    accounts = MemoryAccounts()
    for name, role, tenant in (
        ("ada", "manager", "north"),
        ("bob", "clerk", "south"),
        ("eve", "auditor", None),
    ):
        accounts.add(name, PASSWORD, roles=[role], tenant=tenant, subject=name)
    return accounts


def close(app: Flask) -> None:
    """End the thread that follows the store, and give back the store's connections."""
    view = app.extensions[KEY]._revocations
    if view is not None:
        view.stop()
        view.store.close()


def view_of(app: Flask) -> RevocationView:
    view: RevocationView = app.extensions[KEY].needed_revocations()
    return view


def authz_of(app: Flask) -> Authz:
    authz: Authz = app.extensions["jwt_authz"]
    return authz


def log_in(app: Flask, who: str = "ada") -> dict[str, Any]:
    """The members of the answer to a log-in."""
    body = {"username": who, "password": PASSWORD}
    answer = app.test_client().post("/token", json=body)
    assert answer.status_code == 200, answer.text
    members: dict[str, Any] = answer.json
    return members


def refresh(app: Flask, token: str, **keywords: Any) -> TestResponse:
    keywords = keywords or {"json": {"refresh_token": token}}
    return app.test_client().post("/token/refresh", **keywords)


def refreshed(app: Flask, token: str) -> dict[str, Any]:
    """The members of the answer to a refresh that succeeds."""
    answer = refresh(app, token)
    assert answer.status_code == 200, answer.text
    members: dict[str, Any] = answer.json
    return members


def ask(app: Flask, token: str, path: str = "/me", method: str = "GET", **keywords: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client().open(path, method=method, headers=headers, **keywords)


def status(app: Flask, token: str, path: str = "/me") -> int:
    code: int = ask(app, token, path).status_code
    return code


def payload(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def signed(claims: dict[str, Any], secret: str = SECRET, **headers: Any) -> str:
    """A token with exactly these claims."""
    return jwt.encode(claims, secret, "HS256", headers=headers)
