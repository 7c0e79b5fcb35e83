"""The rules of a change of a role, for callers whose permissions do not all come of their roles."""

from __future__ import annotations

from typing import Any, cast

import pytest
from flask import Flask

from jwt_authz import Identity, Role, Roles, has_role
from jwt_authz.admin.accounts import Turn
from jwt_authz.admin.roles import RoleChange
from jwt_authz.admin.rules import Rules
from jwt_authz.endpoints.answers import ProblemAnswer

BEFORE = Roles(Role("admin", "users:manage"), Role("shop", "orders:*"))


def refusal(app: Flask, role: Role, *claimed: str) -> str | None:
    """What a foreign administrator, who claims these permissions, is answered; None for a yes."""
    change = RoleChange("change role", role.name, role)
    permissions = {"users:manage", *claimed}
    caller = Identity(
        "ann", issuer="https://id.example", roles=["admin"], permissions=permissions,
        catalogue=BEFORE,
    )  # fmt: skip
    rules = Rules(caller, False, False, has_role("admin"), BEFORE, None)
    turn = Turn(cast(Any, None), lambda first="": iter(()), lambda subject, tenant: None)
    with app.app_context():
        try:
            rules.of_catalogue(turn, change, BEFORE, change.applied_to(BEFORE))
        except ProblemAnswer as problem:
            return problem.description
    return None


@pytest.mark.parametrize(
    "role",
    [
        Role("shop", "orders:read"),
        Role("shop", "orders:read", "orders:write"),
        Role("shop"),
        Role("shop", "orders:*", "pay:run"),
        Role("admin", "users:manage", "pay:run"),
    ],
)
def test_a_role_may_be_narrowed_and_be_given_what_the_caller_holds_by_their_token(
    app: Flask, role: Role
) -> None:
    assert refusal(app, role, "pay:*") is None


@pytest.mark.parametrize(
    "role",
    [
        Role("shop", "orders:*", "stock:read"),
        Role("shop", "*:*"),
        Role("admin", "users:manage", "orders:read"),
    ],
)
def test_a_role_may_not_be_given_what_neither_roles_nor_token_hold(app: Flask, role: Role) -> None:
    told = refusal(app, role, "pay:*")
    assert told is not None and "only permissions that you hold yourself" in told
