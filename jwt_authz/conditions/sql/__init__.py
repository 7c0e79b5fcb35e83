"""Filters: conditions as a criterion of SQLAlchemy, that lets through what an item check would."""

from .plan import Plan, criterion, model_of, models_below

__all__ = ["Plan", "criterion", "model_of", "models_below"]
