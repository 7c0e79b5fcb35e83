"""Admin: one guard for a whole blueprint, and so for each view that is added to it.

An admin reaches the users of their own tenant, and all users where they have no tenant. What they
change is in force at once: tokens with the old roles are refused, and the next refresh brings the
new ones. To change roles, the log-in must be recent. The page at `/admin/` keeps the same rules and
the same trail.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import and_

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue
from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy import ColumnElement, select, true
from werkzeug.exceptions import NotFound
from werkzeug.http import quote_etag

from jwt_authz import (
    Authz,
    Identity,
    accounts,
    authorize,
    current_identity,
    guard,
    has_role,
    requirement,
    requires,
)
from jwt_authz.admin import Administration, if_match
from jwt_authz.admin.api import FRESH

from .bodies import read_body, read_json, storable
from .models import User, transaction
from .roles import roles
from .rules import is_of_same_tenant

NAMES = fields.List(fields.String(validate=validate.OneOf(roles)), required=True)

admin = Blueprint("admin", __name__, url_prefix="/admin")
guard(admin, has_role("admin"))
administration = Administration((has_role("admin"),))
holds_all_roles = reduce(and_, map(has_role, roles))  # whose tokens a revocation ends is not known


@admin.get("/users")
def list_users() -> ResponseReturnValue:
    with transaction() as session:
        users = session.scalars(select(User).where(reachable()).order_by(User.username))
        names = {user: [role.name for role in user.roles] for user in users}
        return {"users": [shown(user, names[user]) for user in names]}


@admin.get("/users/<username>")
def show_user(username: str) -> ResponseReturnValue:
    user, version = administration.versioned(subject_of(username))
    return shown(user, user.roles), {"ETag": quote_etag(version)}


@admin.put("/users/<username>/roles")
@requires(fresh=FRESH)
def set_roles(username: str) -> ResponseReturnValue:
    names = read_json(NAMES)
    _, version = administration.give_roles(subject_of(username), names, if_match())
    return "", 204, {"ETag": quote_etag(version)}


@admin.post("/revocations")
def revoke() -> ResponseReturnValue:
    authz: Authz = current_app.extensions["jwt_authz"]
    what = read_body(Revocation())
    authorize(has_no_tenant | is_of_same_tenant, on={"tenant": tenant_of(what)})
    if "subject" in what and administration.accounts.find(what["subject"]) is not None:
        administration.end_sessions(what["subject"])  # refused for a user who holds more
    else:
        authorize(has_role(what["role"]) if "role" in what else holds_all_roles)
        authz.revoke(**what)
    return "", 204


@requirement("has no tenant")
def has_no_tenant(identity: Identity) -> bool:
    return identity.tenant is None


def subject_of(username: str) -> str:
    """The subject of a user whom the caller reaches; a 404 if no user has this name."""
    storable(username)
    with transaction() as session:
        named = select(User.subject).where(User.username == username, reachable())
        subject = session.scalar(named)
    if subject is None:
        raise NotFound("There is no user of this name.")
    return subject


def reachable() -> ColumnElement[bool]:
    """The criterion of the users of the caller's tenant; of all users where they have none."""
    tenant = current_identity.tenant
    return true() if tenant is None else User.tenant == tenant


def tenant_of(what: dict[str, str]) -> str | None:
    """The one tenant whose tokens a revocation ends; None where they may be of any."""
    if "subject" not in what:
        return what.get("tenant")
    with transaction() as session:
        return session.scalar(select(User.tenant).where(User.subject == what["subject"]))


def is_true(value: object) -> None:
    """A validator for what is said by `true` alone."""
    if value is not True:
        raise ValidationError("Send true.")


class Revocation(Schema):
    """What to revoke: one of these."""

    jti = fields.String(validate=[validate.Length(1, 255), storable])
    subject = fields.String(validate=[validate.Length(1, 255), storable])
    role = fields.String(validate=validate.OneOf(roles))
    tenant = fields.String(validate=[validate.Length(1, 255), storable])
    everything = fields.Raw(validate=is_true)

    @validates_schema
    def is_of_one_thing(self, body: dict[str, object], **keywords: object) -> None:
        if len(body) != 1:
            raise ValidationError("Send one of jti, subject, role, tenant and everything.")


def shown(user: User | accounts.User, roles: Iterable[str]) -> dict[str, object]:
    return {
        "subject": user.subject,
        "username": user.username,
        "roles": sorted(roles),
        "disabled": user.disabled,
    }
