"""Safeguards of role changes, for callers with permissions that no role of theirs grants."""

from __future__ import annotations

from typing import Any, cast

import pytest
from flask import Flask

from jwt_authz import Identity, Role, Roles, has_role
from jwt_authz.admin.change import ChangeContext
from jwt_authz.admin.roles import RoleChange
from jwt_authz.admin.safeguards import Safeguards
from jwt_authz.refusals import ProblemAnswer

BEFORE = Roles(Role("admin", "users:manage", includes="shop"), Role("shop", "orders:*"))


def refusal(app: Flask, role: Role, *claimed: str) -> str | None:
    """What a foreign administrator, who claims these permissions, is answered; None for a yes."""
    change = RoleChange("change role", role.name, role)
    permissions = {"users:manage", *claimed}
    caller = Identity(
        "ann", issuer="https://id.example", roles=["admin"], permissions=permissions,
        catalogue=BEFORE,
    )  # fmt: skip
    safeguards = Safeguards(caller, False, False, has_role("admin"), BEFORE, None)
    context = ChangeContext(
        cast(Any, None), set, lambda subject, tenant: None, lambda subject: set()
    )
    with app.app_context():
        try:
            safeguards.of_catalog(context, change, BEFORE, change.applied_to(BEFORE))
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
        Role("admin", "users:manage", "pay:run", includes="shop"),
    ],
)
def test_a_role_may_be_narrowed_and_be_given_what_the_caller_holds_by_their_token(
    app: Flask, role: Role
) -> None:
    assert refusal(app, role, "pay:*", "orders:*") is None


@pytest.mark.parametrize(
    "role",
    [
        Role("shop", "orders:*", "stock:read"),
        Role("shop", "*:*"),
        Role("admin", "users:manage", "stock:read"),
    ],
)
def test_a_role_may_not_be_given_what_neither_roles_nor_token_hold(app: Flask, role: Role) -> None:
    detail = refusal(app, role, "pay:*", "orders:*")
    assert detail is not None and "which you do not hold" in detail


@pytest.mark.parametrize("role", [Role("shop", "orders:read"), Role("shop")])
def test_a_role_is_not_narrowed_by_a_caller_whose_token_lacks_what_it_grants(
    app: Flask, role: Role
) -> None:
    assert refusal(app, role) == (
        "The role shop grants the permission orders:*, which you do not hold."
    )
