"""SQL filters: compile conditions to a SQLAlchemy criterion that agrees with checking each item."""

from .columns import check_expression
from .plan import Plan, criterion, model_of, models_below

__all__ = ["Plan", "check_expression", "criterion", "model_of", "models_below"]
