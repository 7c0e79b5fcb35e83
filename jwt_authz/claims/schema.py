"""PayloadSchema: the JSON types of the claims that become an Identity, checked by marshmallow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields

from ..errors import ClaimInvalid


class Names(fields.Field[list[str]]):
    """A JSON array of strings; checked as a whole, since a field an item is slow."""

    default_error_messages = {"invalid": "is no list of strings"}  # noqa: RUF012 as in its base

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self.make_error("invalid")
        return value


class Text(fields.Field[str]):
    """A JSON string as it stands."""

    default_error_messages = {"invalid": "is no string"}  # noqa: RUF012 as in its base

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        return value


class PayloadSchema(Schema):
    """The claims of an access token that authorization reads (RFC 9068 section 2.2.3).

    Each may be missing; none may be null or have another type. Other claims pass as they are.
    """

    class Meta:
        unknown = INCLUDE

    roles = Names()
    permissions = Names()
    scope = Text()
    tenant = Text()


_schema = PayloadSchema()


def _is_plainly_good(payload: Mapping[str, Any]) -> bool:
    """The schema's answer for nearly every token, at a tenth of its time; a test compares them."""
    for name in ("roles", "permissions"):
        names = payload.get(name, [])
        if type(names) is not list or not all(type(one) is str for one in names):
            return False
    return type(payload.get("scope", "")) is str and type(payload.get("tenant", "")) is str


def check_payload(payload: Mapping[str, Any]) -> None:
    """Raises `ClaimInvalid` with the name of a claim whose JSON type is wrong."""
    if _is_plainly_good(payload):
        return
    try:
        _schema.load(payload)
    except ValidationError as error:
        names = ", ".join(sorted(map(str, error.normalized_messages())))  # type: ignore[no-untyped-call]
        raise ClaimInvalid(f"of the wrong JSON type: {names}") from None
