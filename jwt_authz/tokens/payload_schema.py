"""PayloadSchema: the JSON types of the claims that become an Identity, checked by marshmallow."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields

from .claim_names import CATALOG, ClaimNames
from .compact import has_compact_form


class Names(fields.Raw):
    """A JSON array of strings; checked as a whole, since one field per item is slow."""

    default_error_messages = {"invalid": "Not a list of strings."}  # noqa: RUF012 as in its base

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self.make_error("invalid")
        return value


class Permissions(Names):
    """A JSON array of strings, or the string of the encoding `compact`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and has_compact_form(value):
            return value
        return super()._deserialize(value, attr, data, **kwargs)


class Text(fields.Raw):
    """A JSON string, unchanged."""

    default_error_messages = {"invalid": "Not a string."}  # noqa: RUF012 as in its base

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        return value


class PayloadSchema(Schema):
    """The claims of an access token that authorization reads (RFC 9068 section 2.2.3).

    Each is optional, but must not be null or have another type. Other claims are not checked.
    """

    class Meta:
        unknown = INCLUDE

    roles = Names()
    permissions = Permissions()
    scope = Text()
    tenant = Text()
    catalogue = Text(data_key=CATALOG)


@functools.lru_cache(maxsize=64)
def payload_schema(names: ClaimNames) -> Schema:
    """Return the schema for claims with these names."""
    named: dict[str, fields.Field[Any]] = {
        "roles": Names(data_key=names.roles),
        "permissions": Permissions(data_key=names.permissions),
        "scope": Text(data_key=names.scope),
        "tenant": Text(data_key=names.tenant),
    }
    return PayloadSchema.from_dict(named)()


def wrong_claims(payload: Mapping[str, Any], names: ClaimNames) -> list[str]:
    """Return the names of the claims whose JSON type is wrong, sorted."""
    try:
        payload_schema(names).load(payload)
    except ValidationError as error:
        return sorted(map(str, error.normalized_messages()))  # type: ignore[no-untyped-call]
    return []
