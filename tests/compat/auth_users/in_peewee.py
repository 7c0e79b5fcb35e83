"""Users in peewee, with the mixins on its models: users, their roles, and roles' permissions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from peewee import CharField, ForeignKeyField, Model, SqliteDatabase

from jwt_authz.compat.flask_auth import AuthUser, Permission, Role, get_current_user_data

from .shop import OLD_HASH, OLD_SALT, create_shop

database = SqliteDatabase(None)


class Row(Model):
    class Meta:
        database = database


class User(Row, AuthUser):
    username = CharField(unique=True)
    password = CharField()
    salt = CharField(null=True)

    def __getstate__(self) -> dict[str, Any]:
        return {"username": self.username, "role": [held.role.name for held in self.roles]}

    @classmethod
    def load_current_user(cls, apply_timeout: bool = True) -> User | None:
        data = get_current_user_data(apply_timeout)
        return cls.get_or_none(username=data["username"]) if data else None

    def replace_password(self, old: str, new: str) -> None:
        mine = (User.id == self.id) & (User.password == old)
        User.update(password=new).where(mine).execute()


class RoleRow(Row, Role):
    name = CharField(unique=True)


class PermissionRow(Row, Permission):
    role = ForeignKeyField(RoleRow, backref="permissions")
    resource = CharField()
    action = CharField()


class UserRole(Row):
    user = ForeignKeyField(User, backref="roles")
    role = ForeignKeyField(RoleRow)


def fill() -> None:
    """Two users, one with a hash of the old package's, and two roles; the other user has both."""
    clerk, manager = RoleRow.create(name="clerk"), RoleRow.create(name="manager")
    PermissionRow.create(role=clerk, resource="orders", action="read")
    PermissionRow.create(role=manager, resource="orders", action="cancel")
    ann = User.create(username="ann", password=OLD_HASH, salt=OLD_SALT)
    bob = User(username="bob")
    bob.set_and_encrypt_password("biscuits")
    bob.save()
    for user, role in [(ann, clerk), (bob, clerk), (bob, manager)]:
        UserRole.create(user=user, role=role)


def create_app(folder: Path) -> Flask:
    file = folder / "users.db"
    is_new = not file.exists()
    database.init(file)
    with database:
        database.create_tables([User, RoleRow, PermissionRow, UserRole])
        if is_new:
            fill()

    def find(username: str) -> User | None:
        return User.get_or_none(username=username)

    def load_role(name: str) -> RoleRow | None:
        return RoleRow.get_or_none(name=name)

    app = create_shop(find, load_role, User)

    @app.before_request
    def connect() -> None:
        database.connect()

    @app.teardown_request
    def give_back(error: BaseException | None) -> None:
        database.close()

    def stored_password(username: str) -> Any:
        with database:
            return User.get(username=username).password

    app.config["STORED_PASSWORD"] = stored_password
    return app
