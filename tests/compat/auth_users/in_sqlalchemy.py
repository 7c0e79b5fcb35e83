"""Users in SQLAlchemy, of the ready-made class; roles and permissions in tables by the mixins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)

from jwt_authz.compat.flask_auth import Permission, Role
from jwt_authz.compat.flask_auth.models.sa import get_user_class

from .shop import OLD_HASH, OLD_SALT, create_shop

session = scoped_session(sessionmaker())


class Base(DeclarativeBase):
    query = session.query_property()


User = get_user_class(Base)


class RoleRow(Base, Role):
    __tablename__ = "role"

    name: Mapped[str] = mapped_column(primary_key=True)
    permissions: Mapped[list[PermissionRow]] = relationship()


class PermissionRow(Base, Permission):
    __tablename__ = "permission"

    role: Mapped[str] = mapped_column(ForeignKey(RoleRow.name), primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(primary_key=True)


def fill() -> None:
    """Two users, one with a hash of the old package's, and two roles."""
    ann = User(username="ann", role="clerk")
    ann.password, ann.salt = OLD_HASH, OLD_SALT
    bob = User(username="bob", password="biscuits", role="manager")
    read, read_too, cancel = (
        PermissionRow(resource="orders", action=action) for action in ("read", "read", "cancel")
    )
    clerk = RoleRow(name="clerk", permissions=[read])
    manager = RoleRow(name="manager", permissions=[read_too, cancel])
    session.add_all([ann, bob, clerk, manager])
    session.commit()


def create_app(folder: Path) -> Flask:
    file = folder / "users.db"
    is_new = not file.exists()
    engine = create_engine(f"sqlite:///{file}")
    session.remove()
    session.configure(bind=engine)
    Base.metadata.create_all(engine)
    if is_new:
        fill()

    def find(username: str) -> Any:
        return User.query.filter(User.username == username).first()

    def load_role(name: str) -> RoleRow | None:
        return session.get(RoleRow, name)

    app = create_shop(find, load_role, User)

    @app.teardown_appcontext
    def give_back(error: BaseException | None) -> None:
        session.remove()

    def stored_password(username: str) -> Any:
        with engine.connect() as connection:
            return connection.scalar(select(User.password).where(User.username == username))

    app.config["STORED_PASSWORD"] = stored_password
    app.config["CLOSE"] = engine.dispose
    return app
