"""What the tests of the administration share: an application on a database, its users, callers."""

from __future__ import annotations

from typing import Any

from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker
from werkzeug.test import TestResponse

from jwt_authz import Authz, Role, Roles, current_identity, has_role, requires
from jwt_authz.accounts import models
from jwt_authz.accounts.sqlalchemy import RoleMixin, SQLAlchemyRoles, UserMixin
from jwt_authz.admin import (
    AdminAccounts,
    ChangeMixin,
    admin_api_blueprint,
    admin_page_blueprint,
)
from jwt_authz.application import KEY
from jwt_authz.endpoints import refresh_blueprint, token_blueprint

SECRET = "a secret of the tests of administration: " + 32 * "a"
PASSWORD = "correct horse battery staple"
PROBLEM = "application/problem+json"
USERS = "/admin/api/users"


class Base(DeclarativeBase):
    pass


class RoleRow(RoleMixin, Base):
    __tablename__ = "roles"


class UserRow(UserMixin, Base):
    __tablename__ = "users"
    __role__ = RoleRow


class Change(ChangeMixin, Base):
    __tablename__ = "admin_changes"


ADMIN = has_role("admin")

ROWS = Base, UserRow, Change
"""Tables for a catalog in code."""

STORED = models.Base, models.User, models.Change
"""Tables that also hold the catalog."""


def catalog() -> Roles:
    return Roles(
        Role("viewer", "articles:read"),
        Role("editor", "articles:write", includes="viewer"),
        Role("admin", "users:manage", includes="editor"),
        Role("auditor"),
    )


def stored_catalog(sessions: Any) -> SQLAlchemyRoles:
    """The same catalog in the database."""
    stored = SQLAlchemyRoles(sessions, models.Role)
    for role in catalog().values():
        stored.add(role.name, *role.permissions, includes=role.includes, level=role.level)
    return stored


def make_app(url: str, tables: Any = ROWS, administrator: Any = ADMIN, **settings: Any) -> Flask:
    """An application with ann (admin), bob (editor), cy (no role), on new tables."""
    base, user, change = tables
    app = Flask("administration")
    app.config.update(
        {"JWT_SECRET_KEY": SECRET, "AUTHZ_STORE_URL": "memory:", "AUTHZ_LOGIN_RATE": "", **settings}
    )
    engine = create_engine(url)
    base.metadata.create_all(engine)
    sessions = sessionmaker(engine)
    accounts = AdminAccounts(sessions, user, change)
    roles = stored_catalog(sessions) if tables is STORED else catalog()
    Authz(app, roles=roles, accounts=accounts, default="deny")
    for blueprint in (
        token_blueprint(),
        refresh_blueprint(),
        admin_api_blueprint(administrator),
        admin_page_blueprint(administrator),
    ):
        app.register_blueprint(blueprint)
    app.add_url_rule("/me", "me", requires()(lambda: current_identity.subject))
    app.add_url_rule("/vault", "vault", requires("users:manage")(lambda: "gold"))
    app.add_url_rule("/write", "write", requires("articles:write")(lambda: "written"))
    app.extensions["engine"] = engine
    for name, roles in (("ann", ["admin"]), ("bob", ["editor"]), ("cy", [])):
        accounts.add(name, PASSWORD, roles=roles, subject=name)
    with app.app_context():
        app.extensions["jwt_authz"].prepare_store()
    return app


def close(app: Flask) -> None:
    """Give back what the application opened."""
    app.extensions["engine"].dispose()
    view = app.extensions[KEY]._revocations
    if view is not None:
        view.stop()
        view.store.close()


def tokens(app: Flask, who: str) -> dict[str, Any]:
    """The answer to a log-in."""
    answer = app.test_client().post("/token", json={"username": who, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def ask(app: Flask, token: str, method: str, path: str, **keywords: Any) -> TestResponse:
    """The response for the bearer of the token; a change accepts any version by default."""
    headers = {"Authorization": f"Bearer {token}", "If-Match": "*", **keywords.pop("headers", {})}
    return app.test_client().open(path, method=method, headers=headers, **keywords)
