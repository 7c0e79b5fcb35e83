"""Blueprints for log-in, refresh, revocation and other endpoints that an API needs."""

from .introspect import introspection_blueprint
from .key_set import key_set_blueprint
from .password import password_blueprint
from .permissions import permissions_blueprint
from .refresh import refresh_blueprint
from .token import token_blueprint

__all__ = [
    "introspection_blueprint",
    "key_set_blueprint",
    "password_blueprint",
    "permissions_blueprint",
    "refresh_blueprint",
    "token_blueprint",
]
