"""Endpoints: blueprints that an application registers for what every such API needs."""

from .key_set import key_set_blueprint
from .token import token_blueprint

__all__ = ["key_set_blueprint", "token_blueprint"]
