"""SQL filters: compile conditions to a SQLAlchemy criterion that agrees with checking each item."""

from .plan import Plan, criterion, model_of, models_below

__all__ = ["Plan", "criterion", "model_of", "models_below"]
