"""Endpoints: blueprints that an application registers for what every such API needs."""

from .token import token_blueprint

__all__ = ["token_blueprint"]
