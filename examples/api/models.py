"""Models: the application's own base, with users, roles and changes by jwt_authz's mixins."""

from __future__ import annotations

from contextlib import AbstractContextManager

from flask import Flask, current_app
from sqlalchemy import Identity, String, Text, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from jwt_authz.accounts.sqlalchemy import RoleMixin, UserMixin
from jwt_authz.admin import ChangeMixin

LONGEST_TITLE = 200
LARGEST_ID = 2**31 - 1


class Base(DeclarativeBase):
    pass


class Role(RoleMixin, Base):
    __tablename__ = "roles"


class User(UserMixin, Base):
    __tablename__ = "users"
    __role__ = Role


class Change(ChangeMixin, Base):
    __tablename__ = "admin_changes"


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(Identity(start=3), primary_key=True)  # 1 and 2 are seeded
    tenant: Mapped[str] = mapped_column(String(255), index=True)  # its author's
    author: Mapped[str] = mapped_column(String(255))  # a subject
    title: Mapped[str] = mapped_column(String(LONGEST_TITLE))
    body: Mapped[str] = mapped_column(Text)
    draft: Mapped[bool] = mapped_column(default=False)


def connect(app: Flask) -> sessionmaker[Session]:
    """The sessions of the application, on the database that its settings name."""
    sessions = sessionmaker(create_engine(app.config["DATABASE_URL"], pool_pre_ping=True))
    app.extensions["sessions"] = sessions
    return sessions


def transaction() -> AbstractContextManager[Session]:
    """A session of the current application: committed at the end, rolled back on an exception."""
    sessions: sessionmaker[Session] = current_app.extensions["sessions"]
    return sessions.begin()
