"""Filters: conditions as a criterion of SQLAlchemy, which lets through what the item check would.

Needs the extra `sqlalchemy`, which is asked for when the first rule for a mapped class is made.
"""

try:
    import sqlalchemy  # noqa: F401
except ImportError as error:
    raise ImportError(
        "rules for mapped classes and filters need SQLAlchemy, which is missing: "
        "pip install 'jwt_authz[sqlalchemy]'",
        name=error.name,
    ) from error

from .plans import criterion, model_of, models_below, read_plan

__all__ = ["criterion", "model_of", "models_below", "read_plan"]
