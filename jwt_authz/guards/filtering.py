"""Filtering: register rules for models, and make the SQL criterion of a list for the caller."""

from __future__ import annotations

import operator
from importlib import import_module
from typing import Any

from .._context import get_app
from .._extras import needs_extra
from ..application import AppState, current_state, require_request
from ..authentication.identity_loader import given
from ..conditions.rules import Rules
from ..errors import InvalidToken, MisuseError, StoreUnavailable
from ..policy.permissions import Permission
from ..policy.problem import unavailable
from ..policy.requirements import Requirement, as_requirement
from ..refusals import Failing, raise_response
from .arguments import NOT_GIVEN, refuse_mappings, refuse_unfit_identity
from .guard import Guard
from .overrides import InUse, applied


def add_rule(
    rules: Rules, action: str | Permission, model: type, requirement: object
) -> Requirement:
    """Register a rule; check its types against the columns if the model is mapped."""
    read = as_requirement(requirement)
    if hasattr(model, "__mapper__"):
        _filters().Plan(read, model, rules.expressions)
    return rules.add(action, model, read)


def add_expression(rules: Rules, model: type, name: str, sql: Any) -> None:
    """Register the SQL of a hybrid or an expression; raise `MisuseError` if it is unsuitable."""
    made = sql if sql is not None else operator.attrgetter(name)
    _filters().check_expression(model, name, made)
    rules.add_expression(model, name, made)


def criterion(asked: object, entity: Any, identity: Any) -> Any:
    """Return the criterion of the rows that the caller may see; `false()` without a caller.

    Raise `MisuseError` if SQL cannot express it, and `AuthorizationUnavailable` if it is not known
    whether the caller's token is still valid.
    """
    state = current_state()
    what = applied(as_requirement(asked)) if InUse.anything else (asked, ())
    plan = _planned(state.rules, asked, what[0], entity)
    try:
        caller = _caller(state, identity)
    except InvalidToken:
        caller = None
    except StoreUnavailable:
        raise_response(state.refusing.refuse(unavailable(), Failing(None, None)))
    return plan.fill(entity, caller, what[1])


def _caller(state: AppState, identity: Any) -> Any:
    if identity is NOT_GIVEN:
        require_request()
        return _ANYBODY.caller(state, get_app())
    refuse_unfit_identity(identity)
    return given(identity, state.trust)


_ANYBODY = Guard(())


def _planned(rules: Rules, asked: object, what: Any, entity: Any) -> Any:
    """Return the plan for a requirement and a model, which is cached."""
    filters = _filters()
    model = filters.model_of(entity)

    def read() -> Any:
        refuse_mappings("filter", (asked,))
        requirement = as_requirement(what)
        ruled = rules.applied_to(requirement, model)
        if isinstance(asked, str | Permission) and ruled is requirement:
            raise MisuseError(
                f"{str(asked)!r} has no rule for {model.__name__}: write "
                f"authz.rule({str(asked)!r}, {model.__name__}, ...), or pass a requirement."
            )
        _refuse_rules_below(rules, model, filters.models_below(model), requirement, ruled)
        return filters.Plan(ruled, model, rules.expressions)

    try:
        return rules.kept((what, model), read)
    except TypeError:  # not hashable, and not a requirement
        return read()


def _refuse_rules_below(
    rules: Rules, model: type, below: list[type], *requirements: Requirement
) -> None:
    """Raise `MisuseError` if some rows of a model belong to a subclass with its own rule."""
    asked = {other for requirement in requirements for other in rules.models_of(requirement)}
    for other in asked.intersection(below):
        raise MisuseError(
            f"{other.__name__} has its own rule, and its rows are among those of "
            f"{model.__name__}: filter each of the models without subclasses instead."
        )


def _filters() -> Any:
    # By name, so that only applications with mapped models need SQLAlchemy.
    with needs_extra("a filter or a rule for a mapped class", "SQLAlchemy", "sqlalchemy"):
        return import_module("jwt_authz.conditions.sql")
