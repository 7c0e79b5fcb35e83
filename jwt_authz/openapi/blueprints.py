"""The request and response schemas of this package's own blueprints, for generated documents."""

from __future__ import annotations

import inspect
from typing import Any

from marshmallow import Schema, fields

from ..endpoints.bodies import TokenBody
from ..endpoints.families import end_families, end_one_family, show_families
from ..endpoints.introspect import introspect
from ..endpoints.key_set import show_key_set
from ..endpoints.permissions import show_permissions
from ..endpoints.refresh import RefreshBody, refresh
from ..endpoints.revoke import revoke_token
from ..endpoints.token import Credentials, log_in
from .documented import Documentation


class TokensSchema(Schema):
    """An access token and, with a store, a refresh token (RFC 6749 section 5.1)."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    refresh_token = fields.String()


class LogIn(Schema):
    """A log-in that can still be refreshed; times are in seconds since the epoch."""

    id = fields.String(required=True)
    client = fields.String(required=True, allow_none=True)
    created_at = fields.Integer(required=True)
    used_at = fields.Integer(required=True)
    expires_at = fields.Integer(required=True)
    is_current = fields.Boolean(required=True)


class LogIns(Schema):
    """The caller's log-ins."""

    families = fields.List(fields.Nested(LogIn), required=True)


class Introspection(Schema):
    """Whether a token is active and, if so, its claims (RFC 7662 section 2.2)."""

    active = fields.Boolean(required=True)


class JWKSet(Schema):
    """Public keys (RFC 7517 section 5)."""

    keys = fields.List(fields.Dict(), required=True)


class Rights(Schema):
    """The caller's rights; a permission may have `*` for either part."""

    permissions = fields.List(fields.String(), required=True)
    roles = fields.List(fields.String(), required=True)
    scopes = fields.List(fields.String(), required=True)
    level = fields.Integer(required=True)
    tenant = fields.String()


_DOCUMENTED = {
    log_in: Documentation(Credentials, None, {200: TokensSchema}),
    refresh: Documentation(RefreshBody, None, {200: TokensSchema}),
    revoke_token: Documentation(TokenBody, None, {200: None}),
    show_families: Documentation(None, None, {200: LogIns}),
    end_families: Documentation(None, None, {204: None}),
    end_one_family: Documentation(None, None, {204: None}),
    introspect: Documentation(TokenBody, None, {200: Introspection}),
    show_key_set: Documentation(None, None, {200: JWKSet}),
    show_permissions: Documentation(None, None, {200: Rights, 304: None}),
}


def documentation_of_blueprints(view: Any) -> Documentation | None:
    """Return the documentation of one of this package's views, None for any other view."""
    return _DOCUMENTED.get(inspect.unwrap(view)) if callable(view) else None
