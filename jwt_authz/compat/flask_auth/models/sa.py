"""The API of `flaskext.auth.models.sa`: a user model for SQLAlchemy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ...._extras import needs_extra
from ..auth import AuthUser, get_current_user_data

with needs_extra(__name__, "SQLAlchemy 2", "accounts,sqlalchemy"):
    from sqlalchemy import Column, DateTime, Integer, String, update
    from sqlalchemy.orm import object_session

__all__ = ["get_user_class"]


def get_user_class(declarative_base: Any) -> Any:
    """Return a `User` model on a declarative base such as Flask-SQLAlchemy's `db.Model`.

    A `password` that is passed to the constructor is hashed. `load_current_user` uses the base's
    `query`, which is Flask-SQLAlchemy's or a scoped session's `query_property()`.
    """

    class User(declarative_base, AuthUser):  # type: ignore[misc]
        if not hasattr(declarative_base, "__tablename__"):
            __tablename__ = "user"

        id = Column(Integer, primary_key=True)
        username = Column(String(80), unique=True, nullable=False)
        password = Column(String(120), nullable=False)
        salt = Column(String(80))
        role = Column(String(80))
        created = Column(DateTime, default=_now)
        modified = Column(DateTime)

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **keywords)
            password = keywords.get("password")
            if password is not None and not self.id:
                self.set_and_encrypt_password(password)

        def __getstate__(self) -> dict[str, Any]:
            names = ("id", "username", "role", "created", "modified")
            return {name: getattr(self, name) for name in names}

        def replace_password(self, old: str, new: str) -> None:
            """Store the new hash, unless the password has changed since it was verified.

            Commit immediately, including what was flushed before; if the user's session has
            pending changes, leave the commit to the application.
            """
            if not _replaced_in_database(self, old, new):
                super().replace_password(old, new)

        @classmethod
        def load_current_user(cls, apply_timeout: bool = True) -> Any:
            data = get_current_user_data(apply_timeout)
            if not data:
                return None
            return cls.query.filter(cls.username == data["username"]).one_or_none()

    return User


def _replaced_in_database(user: Any, old: str, new: str) -> bool:
    """Replace the hash in the database if it is still the old one; return False for a new user."""
    session = object_session(user)
    if session is None or user in session.new:
        return False
    is_alone = not (session.new or session.dirty or session.deleted)
    users = type(user)
    mine = (users.id == user.id, users.password == old)
    session.execute(update(users).where(*mine).values(password=new))
    if is_alone:
        session.commit()
    return True


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
