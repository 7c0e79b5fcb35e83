"""Bodies: the JSON of a request, as a marshmallow schema wants it."""

from __future__ import annotations

from typing import Any

from flask import request
from marshmallow import Schema, ValidationError, fields
from werkzeug.exceptions import BadRequest


def read_body(schema: Schema) -> dict[str, Any]:
    """The members of the request's body as the schema loads them; see `read_json`."""
    members: dict[str, Any] = schema.load(read_value())
    return members


def read_json(field: fields.Field[Any]) -> Any:
    """The request's body, one value that the field takes.

    Raises the exceptions of what is answered 400 (broken JSON), 413 (too large), 415 (another
    content type) and, by marshmallow's `ValidationError`, 422.
    """
    return field.deserialize(read_value())


def read_value() -> Any:
    """The JSON value of the request's body, whatever it is."""
    request.get_data()
    if request.content_length is None:
        request.stream.read(1)  # a body of untold length ends at the limit: past it this is 413
    try:
        return request.get_json()
    except (BadRequest, RecursionError):
        raise BadRequest("The body is not JSON.") from None


def boolean(value: object) -> None:
    """A validator for true and false, for which 1 and "yes" do not stand."""
    if not isinstance(value, bool):
        raise ValidationError("Send true or false.")


def storable(text: str) -> None:
    """A validator for texts that every database takes: Unicode without NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError("Lone surrogates are not text.") from None
    if "\0" in text:
        raise ValidationError("NUL characters cannot be stored.")
