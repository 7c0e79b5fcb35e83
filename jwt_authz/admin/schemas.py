"""Queries and bodies: what the API is asked for, by allow lists; everything else is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request
from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from ..accounts.password_rules import MIN_CHARACTERS
from ..accounts.user import MAX_TEXT, is_storable
from ..endpoints.answers import ProblemAnswer
from ..endpoints.bodies import load, read_members
from ..errors import MisuseError
from ..policy.permissions import Permission
from .user_query import Wanted

SORTS = ("username", "-username", "added", "-added")
LARGEST_PAGE = 100
LAST_PAGE = 1_000_000
LEVELS = (-(2**31), 2**31 - 1)
"""What the database's column takes."""


def storable(text: str) -> None:
    """A validator for texts that every database takes."""
    if not is_storable(text):
        raise ValidationError("This cannot be stored.")


def is_permission(text: str) -> bool:
    """Whether the text spells a permission."""
    try:
        Permission.parse(text)
    except MisuseError:
        return False
    return True


def permission(text: str) -> None:
    """A validator for permissions."""
    if not is_permission(text):
        raise ValidationError("This is no permission.")


def is_reachable(name: str) -> bool:
    """Whether the path of a URL can end in the name."""
    is_clean = name == name.strip() and name.isprintable()
    return is_clean and not {"", ".", ".."} & set(name.split("/"))


def reachable(name: str) -> None:
    """A validator for such names."""
    if not is_reachable(name):
        raise ValidationError("This cannot be part of a URL.")


class PageQuery(Schema):
    """`page`, from 1, and `page_size`, of which more than 100 counts as 100."""

    class Meta:
        unknown = RAISE

    page = fields.Integer(load_default=1, validate=validate.Range(1, LAST_PAGE))
    page_size = fields.Integer(load_default=25, validate=validate.Range(1))

    @post_load
    def capped(self, members: dict[str, Any], **_: object) -> dict[str, Any]:
        """No page is larger than the largest."""
        return {**members, "page_size": min(members["page_size"], LARGEST_PAGE)}


class UsersQuery(PageQuery):
    """Which users: by a part of the name, a role, disabled or not; sorted by one of `SORTS`."""

    search = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))
    role = fields.String(validate=storable)
    disabled = fields.Boolean(truthy={"true"}, falsy={"false"})
    sort = fields.String(load_default="username", validate=validate.OneOf(SORTS))


class ChangesQuery(PageQuery):
    """Which changes: all, or those of one subject or one role."""

    subject = fields.String(validate=storable)
    role = fields.String(validate=storable)


class NewUser(Schema):
    """A user to be made: without a password they cannot log in by one."""

    class Meta:
        unknown = RAISE

    username = fields.String(required=True, validate=storable)
    password = fields.String(load_default=None, validate=validate.Length(MIN_CHARACTERS))
    roles = fields.List(fields.String(validate=storable), load_default=list)


class RolesBody(Schema):
    """All the roles that a user is to have."""

    class Meta:
        unknown = RAISE

    roles = fields.List(fields.String(validate=storable), required=True)


class DisabledBody(Schema):
    """Whether a user is to be disabled."""

    class Meta:
        unknown = RAISE

    disabled = fields.Boolean(required=True, truthy={True}, falsy={False})


class RoleBody(Schema):
    """All that a role is to grant and to include; without a `level` it has none."""

    class Meta:
        unknown = RAISE

    permissions = fields.List(fields.String(validate=[storable, permission]), required=True)
    includes = fields.List(fields.String(validate=storable), load_default=list)
    level = fields.Integer(
        strict=True, load_default=None, allow_none=True, validate=validate.Range(*LEVELS)
    )


class NewRole(RoleBody):
    """A role to be made, which the roles of `included_by` include from then on."""

    name = fields.String(required=True, validate=[storable, reachable])
    included_by = fields.List(fields.String(validate=storable), load_default=list)


def read_query() -> dict[str, str]:
    """The query's parameters, each there once; raises a `ProblemAnswer` for one there twice."""
    if any(len(values) > 1 for _, values in request.args.lists()):
        detail = "A parameter stands there twice."
        raise ProblemAnswer(400, "invalid-request", detail, "invalid_request")
    return request.args.to_dict()


def wanted_of(members: Mapping[str, Any]) -> Wanted:
    """The users that the parameters ask for; raises a `ProblemAnswer`."""
    wanted = load(UsersQuery(), dict(members))
    wanted["search"] = wanted["search"].replace("\0", "")  # PostgreSQL's texts hold none
    return Wanted(**wanted)


def read_json(schema: Schema) -> dict[str, Any]:
    """The members of a JSON body; raises a `ProblemAnswer`."""
    if request.mimetype != "application/json":
        raise ProblemAnswer(415, "unsupported-media-type", "Send JSON.")
    return load(schema, read_members("Send JSON."))
