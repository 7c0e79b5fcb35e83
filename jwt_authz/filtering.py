"""Filtering: rules registered for models, and the criterion of what a caller may have of a list."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .arguments import NOT_GIVEN, refuse_mappings
from .context import get_app
from .errors import InvalidToken, MisuseError, StoreUnavailable
from .guards import Guard
from .overrides import applied
from .parts import current_parts, require_request
from .permissions import Permission
from .problem import unavailable
from .refusals import Failing, raise_response
from .requirements import Requirement, as_requirement
from .rules import Rules


def add_rule(
    rules: Rules, action: str | Permission, model: type, requirement: object
) -> Requirement:
    """Register a rule, its types checked against the columns of a model that is mapped."""
    read = as_requirement(requirement)
    if hasattr(model, "__mapper__"):
        _filters().read_plan(read, model)
    return rules.add(action, model, read)


def criterion(asked: object, entity: Any, identity: Any) -> Any:
    """The criterion of the rows that the caller may have; `false()` where nobody is calling.

    Raises `MisuseError` for what cannot be a filter, and `AuthorizationUnavailable` where it is
    not known whether the caller's token is still good.
    """
    refuse_mappings("filter", (asked,))
    filters = _filters()
    model = filters.model_of(entity)
    parts = current_parts()
    requirement, overridden = applied(as_requirement(asked))
    ruled = _ruled(parts.rules, requirement, model, filters.models_below(model))
    if isinstance(asked, str | Permission) and ruled is requirement:
        raise MisuseError(
            f"{asked!r} has no rule for {model.__name__}: write authz.rule({str(asked)!r}, "
            f"{model.__name__}, ...), or give filter a requirement"
        )
    guard = Guard((requirement,), identity=identity)
    if identity is NOT_GIVEN:
        require_request()
    try:
        caller = guard.caller(parts, get_app())
    except InvalidToken:
        caller = None
    except StoreUnavailable:
        raise_response(parts.refusing.refuse(unavailable(), Failing(None, None)))
    return filters.criterion(ruled, entity, caller, overridden)


def _ruled(rules: Rules, requirement: Requirement, model: type, below: list[type]) -> Requirement:
    """The requirement by the rules for the model, which have to be those of all its rows."""
    ruled = rules.applied_to(requirement, model)
    others = (rules.models_of(requirement) | rules.models_of(ruled)).intersection(below)
    for other in others:
        raise MisuseError(
            f"{other.__name__} has a rule of its own, and its rows are among those of "
            f"{model.__name__}: filter the models that have no models below them"
        )
    return ruled


def _filters() -> Any:
    # By name, so that only who has mapped models needs SQLAlchemy.
    return import_module(f"{__package__}.filters")
