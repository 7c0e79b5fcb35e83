"""Read the members of a request's body, JSON or a form, or refuse it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from flask import request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from ..errors import TokenMalformed
from ..refusals import ProblemAnswer
from ..tokens.jws import read_object

LONGEST_BODY = 16_384
"""The maximum size of a body in bytes."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class UnsupportedType(ProblemAnswer):
    """The body has an unsupported content type; `wanted` says what to send."""

    def __init__(self, wanted: str) -> None:
        super().__init__(415, "unsupported-media-type", wanted)


class UnsupportedGrant(ProblemAnswer):
    """The body asks for an unsupported grant (RFC 6749 section 5.2)."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, "unsupported-grant-type", detail, "unsupported_grant_type")


def read_members(wanted: str) -> dict[str, Any]:
    """Return the members of a body that is JSON or a form; `wanted` is the hint for other types.

    Raise `ProblemAnswer`, also for a member that occurs twice (RFC 6749 section 3.2).
    """
    if (request.content_length or 0) > LONGEST_BODY:
        raise _too_large()
    # The length may be missing. What was read before is kept by the request.
    text = request.stream.read(LONGEST_BODY + 1) or request.get_data()
    if len(text) > LONGEST_BODY:
        raise _too_large()
    if request.mimetype not in (JSON, FORM):
        raise UnsupportedType(wanted)
    return _form(text) if request.mimetype == FORM else _json(text)


class TokenBody(Schema):
    """A body with a `token` (RFC 7009 and RFC 7662, section 2.1); the type hint is ignored."""

    class Meta:
        unknown = EXCLUDE

    token = fields.String(required=True, validate=validate.Length(1))
    token_type_hint = fields.String()


def read_token() -> str:
    """Return the token in the body; raise `ProblemAnswer` if there is none."""
    token: str = load(TokenBody(), read_members("Send JSON or a form with token."))["token"]
    return token


def load(schema: Schema, members: dict[str, Any]) -> dict[str, Any]:
    """Return the members as loaded by the schema; raise `ProblemAnswer` for invalid ones."""
    try:
        loaded: dict[str, Any] = schema.load(members)
    except ValidationError as error:
        names = ", ".join(sorted(_known(schema, error)))
        raise ProblemAnswer(
            400, "invalid-request", f"Invalid or missing: {names}.", "invalid_request"
        ) from None
    return loaded


def _json(text: bytes) -> dict[str, Any]:
    try:
        return read_object(text)
    except TokenMalformed:
        detail = "The body is not a JSON object."
        raise ProblemAnswer(400, "invalid-request", detail, "invalid_request") from None


def _form(text: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True)
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
    except ValueError:  # not UTF-8
        pass
    raise ProblemAnswer(400, "invalid-request", "The body is not a form.", "invalid_request")


def _known(schema: Schema, error: ValidationError) -> set[str]:
    """Return the names of the invalid fields; unknown names from the caller are not repeated."""
    names = error.messages if isinstance(error.messages, dict) else {}
    return {name if name in schema.declared_fields else "another member" for name in names}


def _too_large() -> ProblemAnswer:
    return ProblemAnswer(413, "content-too-large", f"The body is longer than {LONGEST_BODY} bytes.")
