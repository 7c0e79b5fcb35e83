"""Seed: the tables, and users and a first article for each tenant, wherever they are missing.

With a new database the store of revocations is new as well, and is prepared.
"""

from __future__ import annotations

import secrets
import threading
import time

from flask import Flask
from sqlalchemy import Engine, inspect, select
from sqlalchemy.orm import Session

from jwt_authz import MisuseError
from jwt_authz.accounts.passwords import hash_password
from jwt_authz.errors import StoreUnavailable

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

_hashing = threading.Lock()  # a process hashes few passwords at once


def seed(app: Flask, new_passwords: bool) -> None:
    """Fill the database in one transaction, and keep the passwords given for `announce`.

    Users of an earlier start keep theirs, unless `new_passwords` or `FLASK_DEMO_PASSWORD` is set.
    """
    engine: Engine = app.extensions["sessions"].kw["bind"]
    chosen: str | None = app.config.get("DEMO_PASSWORD")
    try:
        is_new, known = what_is_there(engine)
        passwords = {
            name: chosen or secrets.token_urlsafe(12)
            for name in USERS
            if name not in known or chosen or new_passwords
        }
        # Before the transaction, since all other workers wait for that.
        with _hashing:
            hashes = {name: hashed(password) for name, password in passwords.items()}
        if is_new:  # first, so that a start that ends before the users are there is repeated whole
            prepare_store(app)
        with engine.begin() as connection, Session(connection) as session:
            connection.exec_driver_sql(LOCKS[engine.dialect.name])
            given = fill(session, hashes, replaces=bool(chosen or new_passwords))
        app.extensions["demo_passwords"] = {name: passwords[name] for name in given}
    finally:
        engine.dispose()  # a server may fork its workers now, which must not share a connection


def what_is_there(engine: Engine) -> tuple[bool, set[str]]:
    """Return whether the database is new, and the names of the users in it."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(User.__tablename__):
            return True, set()
        return False, set(connection.scalars(select(User.username)))


def prepare_store(app: Flask) -> None:
    """Prepare the store, which another worker may be preparing at this moment."""
    for pause in (0.1, 0.5, 1, 2, 0):
        try:
            app.extensions["jwt_authz"].prepare_store()
            return
        except StoreUnavailable:
            if not pause:
                raise
        time.sleep(pause)


def fill(session: Session, hashes: dict[str, str], replaces: bool) -> list[str]:
    """Add what is missing; return whose password was set, who may be there by now."""
    Base.metadata.create_all(session.connection())
    users = {user.username: user for user in session.scalars(select(User))}
    given = [name for name in hashes if replaces or name not in users]
    for name in given:
        user = users.get(name) or new_user(session, name)
        user.password_hash = hashes[name]
    session.flush()
    for id, author in FIRST_ARTICLES.items():
        if session.get(Article, id) is None:
            session.add(first_article(session, id, author))
    session.flush()
    return given


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
