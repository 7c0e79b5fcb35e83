"""What the tests of Flask-Allows' names share: users, requirements, and ways to ask."""

from __future__ import annotations

from typing import Any

from flask import Flask

from jwt_authz.compat.flask_allows import Allows, Requirement


class User:
    def __init__(self, *permissions: str) -> None:
        self.permissions = permissions


ADMIN = User("admin", "view")
GUEST = User()


def always(user: Any) -> bool:
    return True


def never(user: Any) -> bool:
    return False


def is_admin(user: Any) -> bool:
    return "admin" in user.permissions


def of_user_and_request(user: Any, request: Any) -> bool:
    return is_admin(user) and request.path == "/"


class Has(Requirement):
    def __init__(self, permission: str) -> None:
        self.permission = permission

    def fulfill(self, user: Any) -> bool:  # type: ignore[override]
        return self.permission in user.permissions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Has) and self.permission == other.permission

    def __hash__(self) -> int:
        return hash(self.permission)


class Spy:
    """A requirement that counts how often it is asked, and of whom."""

    def __init__(self, answer: Any = True) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def __call__(self, user: Any) -> Any:
        self.asked.append(user)
        return self.answer


class Refused(Exception):
    pass


def ask(app: Flask, path: str = "/", user: str = "guest", method: str = "GET") -> tuple[int, str]:
    answer = app.test_client().open(path, method=method, headers={"X-User": user})
    return answer.status_code, answer.text


def fulfills(requirement: Any, user: Any = GUEST) -> bool:
    return Allows().fulfill([requirement], user)
