"""Seed: the tables, and users and a first article for each tenant, wherever they are missing.

With a new database the store of revocations is new as well, and is told so.
"""

from __future__ import annotations

import secrets

from flask import Flask
from sqlalchemy import Engine, inspect, select
from sqlalchemy.orm import Session

from jwt_authz import MisuseError
from jwt_authz.accounts.passwords import hash_password

from .models import Article, Base, Role, User

USERS = {  # by name: their role and their tenant
    "viewer": ("viewer", "north"),
    "editor": ("editor", "north"),
    "admin": ("admin", "north"),
    "viewer.south": ("viewer", "south"),
    "editor.south": ("editor", "south"),
    "admin.south": ("admin", "south"),
    "operator": ("admin", None),
}
FIRST_ARTICLES = {1: "editor", 2: "editor.south"}

# Workers that start at the same moment seed one after the other.
LOCKS = {"postgresql": "SELECT pg_advisory_xact_lock(9457)", "sqlite": "BEGIN IMMEDIATE"}


def seed(app: Flask, new_passwords: bool) -> None:
    """Fill the database in one transaction, and keep the passwords given for `announce`.

    Users of an earlier start keep theirs, unless `new_passwords` or `FLASK_DEMO_PASSWORD` is set.
    """
    engine: Engine = app.extensions["sessions"].kw["bind"]
    try:
        with engine.begin() as connection, Session(connection) as session:
            connection.exec_driver_sql(LOCKS[engine.dialect.name])
            is_new = not inspect(connection).has_table(User.__tablename__)
            fill(app, session, new_passwords)
        if is_new:
            app.extensions["jwt_authz"].prepare_store()
    finally:
        engine.dispose()  # a server may fork its workers now, which must not share a connection


def fill(app: Flask, session: Session, new_passwords: bool) -> None:
    chosen: str | None = app.config.get("DEMO_PASSWORD")
    Base.metadata.create_all(session.connection())
    users = {user.username: user for user in session.scalars(select(User))}
    app.extensions["demo_passwords"] = given = {
        name: chosen or secrets.token_urlsafe(12)
        for name in USERS
        if name not in users or chosen or new_passwords
    }
    for name, password in given.items():
        user = users.get(name) or new_user(session, name)
        user.password_hash = hashed(password)
    session.flush()
    for id, author in FIRST_ARTICLES.items():
        if session.get(Article, id) is None:
            session.add(first_article(session, id, author))
    session.flush()


def new_user(session: Session, name: str) -> User:
    role_name, tenant = USERS[name]
    role = session.scalar(select(Role).where(Role.name == role_name)) or Role(name=role_name)
    user = User(username=name, roles=[role], tenant=tenant)
    session.add(user)
    return user


def hashed(password: str) -> str:
    try:
        return hash_password(password)
    except MisuseError as error:
        raise MisuseError(f"FLASK_DEMO_PASSWORD: {error}") from None


def first_article(session: Session, id: int, author: str) -> Article:
    user = session.scalars(select(User).where(User.username == author)).one()
    return Article(
        id=id,
        author=user.subject,
        tenant=user.tenant,
        title="Who may do what",
        body=f"All of {user.tenant} read this article, its author and admins edit it, "
        "admins delete it.",
    )


def announce(app: Flask) -> None:
    """Print the passwords that nobody but this process knows."""
    if not app.config.get("DEMO_PASSWORD"):
        for name, password in app.extensions["demo_passwords"].items():
            print(f"password of {name}: {password}", flush=True)
