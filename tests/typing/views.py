"""Checked by a type checker: what is guarded keeps its signature."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, assert_type

from flask import Blueprint, Flask
from flask.views import MethodView

from jwt_authz import (
    Authz,
    Decision,
    Identity,
    NotAllowed,
    Permission,
    Problem,
    Requirement,
    Role,
    Roles,
    allowed,
    authorize,
    exempt,
    guard,
    has_claim,
    has_level,
    has_permission,
    has_role,
    has_scope,
    requirement,
    requires,
)
from jwt_authz.findings import Finding

app = Flask(__name__)
authz = Authz(app, roles=Roles(Role("clerk", "orders:read", level=1)), default="deny")


@requires("orders:read")
def plain(id: int, *, deep: bool = False) -> str:
    return f"{id} {deep}"


@requires({"GET": "orders:read"}, on=lambda id: id, hide=True, enforce=False)
async def later(id: int) -> str:
    return str(id)


@app.route("/<int:id>")
@requires(has_role("clerk") & ~has_scope("x") | "orders:read")
def routed(id: int) -> dict[str, int]:
    return {"id": id}


def check_signatures() -> None:
    of_plain: Callable[[int], str] = plain
    of_later: Callable[[int], Awaitable[str]] = later
    assert_type(plain(1, deep=True), str)
    assert_type(routed(1), dict[str, int])
    assert [of_plain, of_later]


class Orders(MethodView):
    decorators = [requires()]  # noqa: RUF012

    @requires("orders:create")
    def post(self, id: int) -> str:
        return str(id)


assert_type(Orders().post(1), str)


@requirement("is the buyer of this order")
def buyer(identity: Identity, order: Any) -> bool:
    return bool(identity.subject == order.buyer)


@requirement
def anybody(identity: Identity) -> bool:
    return True


class Weekday(Requirement):
    def fulfill(self, identity: Identity) -> bool:
        return True


def check_requirements() -> None:
    tree: Requirement = buyer & anybody | ~has_level(1) & "orders:read"
    assert_type(tree, Requirement)
    assert_type("orders:read" | has_claim("x", 1), Requirement)
    assert_type(Weekday() & has_permission(Permission("orders", "read")), Requirement)
    assert_type(tree.evaluate(Identity("alice")), Decision)
    assert_type(allowed(tree, on=1), bool)
    authorize(tree, on=1)
    with requires(tree):
        pass


def check_places(blueprint: Blueprint) -> None:
    guard(blueprint, has_role("clerk"), throws=NotAllowed)
    guard(app)
    exempt("static", app)


def abort(problem: Problem) -> tuple[dict[str, Any], int]:
    return problem.as_dict(), problem.status


@authz.identity_loader
def load(subject: str, claims: dict[str, Any]) -> Identity:
    return Identity(subject)


assert_type(load("alice", {}), Identity)
assert_type(authz.issue("alice", roles=["clerk"]), str)
assert_type(authz.claims(roles=["clerk"]), dict[str, Any])
assert_type(authz.check(), list[str])
assert_type(authz.findings(), list[Finding])
assert_type(authz.counts, dict[str, int])
