"""The queries and bodies of the API, as allow lists; everything else is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request
from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from ..accounts.password_rules import MIN_CHARACTERS
from ..accounts.user import MAX_TEXT, is_storable
from ..endpoints.bodies import load, read_members
from ..errors import MisuseError
from ..policy.decision import DEPENDS, NO, YES
from ..policy.permissions import Permission
from ..refusals import ProblemAnswer
from .user_query import Wanted

SORTS = ("username", "-username", "added", "-added")
ANSWERS = tuple(verdict.value for verdict in (YES, NO, DEPENDS))
LARGEST_PAGE = 100
LAST_PAGE = 1_000_000
LEVELS = (-(2**31), 2**31 - 1)
"""The range of the database column."""


def storable(text: str) -> None:
    """Validate that every database can store a text."""
    if not is_storable(text):
        raise ValidationError("This cannot be stored.")


def is_permission(text: str) -> bool:
    """Return whether the text is a valid permission."""
    try:
        Permission.parse(text)
    except MisuseError:
        return False
    return True


def permission(text: str) -> None:
    """Validate a permission."""
    if not is_permission(text):
        raise ValidationError("This is not a permission.")


def is_reachable(name: str) -> bool:
    """Return whether the path of a URL can end with the name."""
    is_clean = name == name.strip() and name.isprintable()
    return is_clean and not {"", ".", ".."} & set(name.split("/"))


def reachable(name: str) -> None:
    """Validate a name that is part of a URL."""
    if not is_reachable(name):
        raise ValidationError("This cannot be part of a URL.")


class PageQuery(Schema):
    """`page`, from 1, and `page_size`, at most 100."""

    class Meta:
        unknown = RAISE

    page = fields.Integer(load_default=1, validate=validate.Range(1, LAST_PAGE))
    page_size = fields.Integer(load_default=25, validate=validate.Range(1))

    @post_load
    def capped(self, members: dict[str, Any], **_: object) -> dict[str, Any]:
        """Limit the size of a page."""
        return {**members, "page_size": min(members["page_size"], LARGEST_PAGE)}


class UsersQuery(PageQuery):
    """Which users: by a part of the name, a role and their state; sorted by one of `SORTS`."""

    search = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))
    role = fields.String(validate=storable)
    disabled = fields.Boolean(truthy={"true"}, falsy={"false"})
    sort = fields.String(load_default="username", validate=validate.OneOf(SORTS))


class ChangesQuery(PageQuery):
    """Which changes: all, or those of one subject or one role."""

    subject = fields.String(validate=storable)
    role = fields.String(validate=storable)


class RolesQuery(PageQuery):
    """Which roles of the catalog: by a part of the name or of a permission."""

    search = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))


class AccessQuery(Schema):
    """Which part of the access matrix: rows by route, method and answer, columns by role."""

    class Meta:
        unknown = RAISE

    route = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))
    method = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))
    role = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))
    answer = fields.String(load_default="", validate=validate.OneOf(["", *ANSWERS]))
    page = fields.Integer(load_default=1, validate=validate.Range(1, LAST_PAGE))
    roles_page = fields.Integer(load_default=1, validate=validate.Range(1, LAST_PAGE))


class NewUser(Schema):
    """A new user; without a password, they cannot log in with one."""

    class Meta:
        unknown = RAISE

    username = fields.String(required=True, validate=storable)
    password = fields.String(load_default=None, validate=validate.Length(MIN_CHARACTERS))
    roles = fields.List(fields.String(validate=storable), load_default=list)


class RolesBody(Schema):
    """All roles of a user."""

    class Meta:
        unknown = RAISE

    roles = fields.List(fields.String(validate=storable), required=True)


class DisabledBody(Schema):
    """Whether to disable or enable a user."""

    class Meta:
        unknown = RAISE

    disabled = fields.Boolean(required=True, truthy={True}, falsy={False})


class RoleBody(Schema):
    """Everything that a role grants and includes; without `level`, it has none."""

    class Meta:
        unknown = RAISE

    permissions = fields.List(fields.String(validate=[storable, permission]), required=True)
    includes = fields.List(fields.String(validate=storable), load_default=list)
    level = fields.Integer(
        strict=True, load_default=None, allow_none=True, validate=validate.Range(*LEVELS)
    )


class NewRole(RoleBody):
    """A new role, which the roles in `included_by` will include."""

    name = fields.String(required=True, validate=[storable, reachable])
    included_by = fields.List(fields.String(validate=storable), load_default=list)


def read_query() -> dict[str, str]:
    """Return the query's parameters; raise `ProblemAnswer` if one occurs twice."""
    if any(len(values) > 1 for _, values in request.args.lists()):
        detail = "A parameter occurs twice."
        raise ProblemAnswer(400, "invalid-request", detail, "invalid_request")
    return request.args.to_dict()


def wanted_of(members: Mapping[str, Any]) -> Wanted:
    """Return which users the parameters ask for; raise `ProblemAnswer` for invalid ones."""
    wanted = load(UsersQuery(), dict(members))
    wanted["search"] = wanted["search"].replace("\0", "")  # PostgreSQL texts cannot contain it
    return Wanted(**wanted)


def read_json(schema: Schema) -> dict[str, Any]:
    """Return the members of a JSON body; raise `ProblemAnswer` if it is invalid."""
    if request.mimetype != "application/json":
        raise ProblemAnswer(415, "unsupported-media-type", "Send JSON.")
    return load(schema, read_members("Send JSON."))
