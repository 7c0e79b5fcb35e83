"""Admin: one guard for a whole blueprint, and so for each view that is added to it."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from jwt_authz import guard, has_role

from .models import User, transaction

admin = Blueprint("admin", __name__, url_prefix="/admin")
guard(admin, has_role("admin"))


@admin.get("/users")
def list_users() -> ResponseReturnValue:
    with transaction() as session:
        users = session.scalars(select(User).order_by(User.username))
        return {"users": [shown(user) for user in users]}


def shown(user: User) -> dict[str, object]:
    return {
        "subject": user.subject,
        "username": user.username,
        "roles": sorted(role.name for role in user.roles),
        "disabled": user.disabled,
    }
