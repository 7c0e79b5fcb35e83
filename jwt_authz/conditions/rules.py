"""Rules: the requirement of an action on a model, registered once, which replaces the permission.

How it works. If a resource is given, each `has_permission` in a requirement whose action has a
rule for the resource's class is replaced by the rule. Inside the rule, its own permission is
evaluated on the identity alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from ..errors import MisuseError
from ..policy.decision import Decision
from ..policy.functions import NO_RESOURCE
from ..policy.permissions import Permission
from ..policy.requirements import And, Not, Or, Requirement, as_requirement, has_permission
from . import HasAny, one_instant

Found = TypeVar("Found")
_MOST_KEPT = 1_024
Expression = Callable[[Any], Any]
"""Returns the SQL of an attribute, given the model or an alias of it."""
Replace = Callable[[has_permission], Requirement]
"""Returns what takes the place of a permission: its rule, or the permission itself."""


class Ruled(Requirement):
    """A permission on a resource of these models, replaced by the rule."""

    all_parts_needed = True

    def __init__(self, asked: has_permission, models: tuple[type, ...], rule: Requirement) -> None:
        self.asked = asked
        self.models = models
        self.rule = rule

    @property
    def sentence(self) -> str:
        return self.rule.sentence

    @property
    def parts(self) -> tuple[Requirement, ...]:
        return (self.rule,)

    def evaluate(
        self,
        identity: Any,
        on: Any = NO_RESOURCE,
        overridden: Collection[Requirement] = (),
    ) -> Decision:
        decision = self.asked_overridden(overridden)
        return decision or super().evaluate(identity, on, overridden)

    def asked_overridden(self, overridden: Collection[Requirement]) -> Decision | None:
        """Return the decision if an override replaces the permission, else None."""
        if overridden and self.asked in overridden:
            return self.asked.evaluate(None, NO_RESOURCE, overridden)
        return None

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        with one_instant():
            decision = self.rule.evaluate(identity, on, overridden)
        return Decision(decision.verdict, self, (decision,), decision.error)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Requirement):
            return NotImplemented
        return isinstance(other, Ruled) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Any, ...]:
        return (self.asked, self.models, self.rule)

    def __repr__(self) -> str:
        models = " or ".join(model.__name__ for model in self.models)
        return f"rule({self.asked.value!r}, {models})"


class Rules:
    """The rules of an Authz, by action and model."""

    def __init__(self) -> None:
        self._rules: dict[str, dict[type, Requirement]] = {}
        self.expressions: dict[tuple[type, str], Expression] = {}
        self._made: dict[tuple[str, type], Ruled | None] = {}
        self._kept: dict[Any, Any] = {}

    def add(self, action: str | Permission, model: type, requirement: object) -> Requirement:
        """Register a rule; raise `MisuseError` if it is invalid or the model already has one."""
        permission = action if isinstance(action, Permission) else Permission.parse(action)
        name = str(permission)
        if "*" in name:
            raise MisuseError(
                f"A rule is for one action, not for {name!r}: register a rule for each action."
            )
        if not isinstance(model, type):
            raise MisuseError(f"A rule is for a class, not for {model!r}: pass the class.")
        models = self._rules.setdefault(name, {})
        if model in models:
            raise MisuseError(
                f"{name!r} already has a rule for {model.__name__}: write one rule, and combine "
                "its requirements with & or |."
            )
        models[model] = as_requirement(requirement)
        self._made.clear()
        self._kept.clear()
        return models[model]

    def add_expression(self, model: type, name: str, sql: Expression) -> None:
        """Register the SQL of an attribute that is not a column of the model."""
        self.expressions[model, name] = sql
        self._kept.clear()

    def __iter__(self) -> Iterator[tuple[str, type, Requirement]]:
        """Yield each action and model that has a rule, with its requirement."""
        for name, models in self._rules.items():
            for model, rule in models.items():
                yield name, model, rule

    def __contains__(self, permission: object) -> bool:
        """Return whether the action of a `Permission` has a rule for some model."""
        return str(permission) in self._rules

    def kept(self, key: Any, make: Callable[[], Found]) -> Found:
        """Return the cached value for a key; registering a rule empties the cache."""
        try:
            return self._kept[key]  # type: ignore[no-any-return]
        except KeyError:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            made = self._kept[key] = make()
            return made

    def models_of(self, requirement: Requirement) -> set[type]:
        """Return the models for which a permission in the requirement has a rule."""
        return {
            model
            for part in requirement.walk()
            if isinstance(part, has_permission)
            for model in self._rules.get(part.value, ())
        }

    def applied(self, requirement: Requirement, on: Any) -> Requirement:
        """Return the requirement with the rules for the class of `on` applied."""
        if not self._rules or on is NO_RESOURCE:
            return requirement
        return self.applied_to(requirement, on.__class__)  # of a proxy: the class of its target

    def applied_to(self, requirement: Requirement, model: type) -> Requirement:
        """Return the requirement with the rules for this class applied.

        Raises `MisuseError` for rules that refer to each other, and for a permission with a rule
        inside a requirement of a custom class, which would evaluate it without the rule.
        """
        return self._replaced(requirement, lambda asked: self._ruled(asked, model, ()))

    def applied_to_some(self, requirement: Requirement) -> Requirement:
        """Return the requirement with the rules for all models, for a resource of unknown class."""
        return self._replaced(requirement, self._ruled_somehow)

    def _ruled(self, asked: has_permission, model: type, inside: tuple[str, ...]) -> Requirement:
        name = asked.value
        if name not in self._rules or inside[-1:] == (name,):
            return asked
        if name in inside:
            raise MisuseError(
                f"The rules of {' and '.join(map(repr, inside))} for {model.__name__} refer to "
                "each other: move what they share to a separate requirement."
            )
        if (name, model) not in self._made:
            self._made[name, model] = self._make(asked, model, (*inside, name))
        made = self._made[name, model]
        return asked if made is None else made

    def _make(self, asked: has_permission, model: type, inside: tuple[str, ...]) -> Ruled | None:
        models = self._rules[asked.value]
        nearest = next((kind for kind in model.__mro__ if kind in models), None)
        if nearest is None:
            return None
        rule = self._replaced(models[nearest], lambda part: self._ruled(part, model, inside))
        return Ruled(asked, (nearest,), rule)

    def _ruled_somehow(self, asked: has_permission) -> Requirement:
        models = self._rules.get(asked.value)
        return asked if models is None else Ruled(asked, tuple(models), Or(*models.values()))

    def _replaced(self, requirement: Requirement, replace: Replace) -> Requirement:
        """Return the requirement with its permissions replaced; itself if nothing changes."""
        if isinstance(requirement, has_permission):
            return replace(requirement)
        if isinstance(requirement, Ruled):
            return requirement
        if type(requirement) is Not:
            part = self._replaced(requirement.requirement, replace)
            return requirement if part is requirement.requirement else Not(part)
        if type(requirement) is And or type(requirement) is Or:
            parts = [self._replaced(part, replace) for part in requirement.parts]
            same = all(map(operator.is_, parts, requirement.parts))
            return requirement if same else type(requirement)(*parts)
        self._refuse_rules_inside(requirement, replace)
        return requirement

    def _refuse_rules_inside(self, requirement: Requirement, replace: Replace) -> None:
        """Raise `MisuseError` for a permission inside that would be evaluated without its rule."""
        for part in requirement.walk():
            if isinstance(part, HasAny):  # the related objects may be of any class
                for inner in part.walk():
                    if isinstance(inner, has_permission) and inner.permission in self:
                        raise MisuseError(
                            f"{part!r} contains {inner.value!r}, which has a rule that cannot be "
                            "applied inside it: write the conditions of the rule instead."
                        )
            if isinstance(part, has_permission) and replace(part) is not part:
                raise MisuseError(
                    f"{requirement!r} contains {part.value!r}, which has a rule that cannot be "
                    "applied inside it: combine the parts with & | ~ instead."
                )
