"""Users in a JSON file: read at each log-in, and written again when a hash is replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask import Flask

from jwt_authz.compat.flask_auth import AuthUser

from .in_memory import ROLES
from .shop import OLD_HASH, OLD_SALT, create_shop


class FileUser(AuthUser):
    file: Path

    @classmethod
    def read(cls) -> dict[str, dict[str, Any]]:
        return dict(json.loads(cls.file.read_text()))

    @classmethod
    def find(cls, username: str) -> FileUser | None:
        kept = cls.read().get(username)
        return None if kept is None else cls(username, **kept)

    def save(self) -> None:
        users = self.read() if self.file.exists() else {}
        users[self.username] = {"password": self.password, "salt": self.salt, "role": self.role}
        written = self.file.with_suffix(".new")
        written.write_text(json.dumps(users, indent=2))
        written.replace(self.file)

    def replace_password(self, old: str, new: str) -> None:
        super().replace_password(old, new)
        self.save()


def create_app(folder: Path) -> Flask:
    class User(FileUser):
        file = folder / "users.json"

    if not User.file.exists():
        User("ann", OLD_HASH, OLD_SALT, role="clerk").save()
        bob = User("bob", role=["clerk", "manager"])
        bob.set_and_encrypt_password("biscuits")
        bob.save()

    app = create_shop(User.find, ROLES.get, User)
    app.config["STORED_PASSWORD"] = lambda username: User.read()[username]["password"]
    return app
