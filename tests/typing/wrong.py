"""Checked by a type checker: each line marked with an error's code must be one."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from jwt_authz import Authz, Decision, Identity, Roles, allowed, has_role, requires


@requires("orders:read")
def plain(id: int) -> str:
    return str(id)


plain("one")  # E: arg-type
plain()  # E: call-arg
returns: Callable[[int], int] = plain  # E: assignment
Authz(Flask(__name__), default="closed")  # E: arg-type
Authz(Flask(__name__), Roles())  # E: call-arg
requires("orders:read", hidden=True)  # E: call-arg
allowed("orders:read", 1, resource=2)  # E: call-arg
has_role(1)  # E: arg-type
Identity()  # E: call-arg
identity = Identity("alice")
identity.subject = "bob"  # E: misc
decision: Decision = True  # E: assignment
