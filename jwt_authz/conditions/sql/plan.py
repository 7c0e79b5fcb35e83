"""Plans: compiles a requirement for a model once, then fills it in for each caller.

How it works. What depends on the identity alone is decided when a plan is filled, and does not
appear in the SQL. `~` is pushed inwards to each condition, so that an unknown value is neither in
its yes nor in its no and the criterion needs no `coalesce`. As when checking an item, an error
after the part that decides does not count: `sound` says for which rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, inspect, not_, or_, true
from sqlalchemy.orm import Mapper

from ...errors import MisuseError
from ...policy.decision import NO, YES, Decision
from ...policy.requirements import And, Has, Not, Or, Requirement
from ..comparisons import Condition, HasAny
from ..operands import attr, one_instant
from ..rules import Expression, Ruled
from .columns import exists, read_relation
from .leaves import Call, Criterion, Node, read_leaf

Question = Callable[[Node, Call], Criterion]


class _Part(Node):
    """The node of one requirement, which an override may replace."""

    def __init__(self, requirement: Requirement, node: Node) -> None:
        self._requirement = requirement
        self._node = node

    def yes(self, call: Call) -> Criterion:
        return self._is_met(call) or self._node.yes(call)

    def no(self, call: Call) -> Criterion:
        return False if self._is_met(call) else self._node.no(call)

    def sound(self, call: Call) -> Criterion:
        return self._is_met(call) or self._node.sound(call)

    def _is_met(self, call: Call) -> bool:
        if not call.overridden:
            return False
        asked = self._requirement
        if isinstance(asked, Ruled) and asked.asked_overridden(call.overridden):
            return True
        return asked in call.overridden


class _Settled(Node):
    """A requirement that depends on the identity alone."""

    def __init__(self, requirement: Requirement) -> None:
        self._requirement = requirement

    def yes(self, call: Call) -> Criterion:
        return bool(self._decide(call))

    def no(self, call: Call) -> Criterion:
        decision = self._decide(call)
        return decision.verdict is NO and not decision.error

    def sound(self, call: Call) -> Criterion:
        return not self._decide(call).error

    def _decide(self, call: Call) -> Decision:
        return self._requirement.evaluate(call.identity)


class _Turned(Node):
    """`~` of a part."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def yes(self, call: Call) -> Criterion:
        return self._node.no(call)

    def no(self, call: Call) -> Criterion:
        return self._node.yes(call)

    def sound(self, call: Call) -> Criterion:
        return self._node.sound(call)


class _Joined(Node):
    """`&` or `|` of parts, which are evaluated from left to right until one decides."""

    def __init__(self, nodes: tuple[Node, ...], deciding: object) -> None:
        self._nodes = nodes
        self._is_decided_by_yes = deciding is YES

    def yes(self, call: Call) -> Criterion:
        return (_one_of if self._is_decided_by_yes else _each_of)(self._nodes, _yes, call)

    def no(self, call: Call) -> Criterion:
        return (_each_of if self._is_decided_by_yes else _one_of)(self._nodes, _no, call)

    def sound(self, call: Call) -> Criterion:
        decides = _yes if self._is_decided_by_yes else _no
        sound: Criterion = True
        for node in reversed(self._nodes):
            rest = sound if sound is True else _either(decides(node, call), sound)
            sound = _both(node.sound(call), rest)
        return sound


class _Related(Node):
    """Whether one of the objects of a to-many relation meets a requirement, as `HasAny` does."""

    def __init__(self, path: tuple[str, ...], node: Node) -> None:
        self._path = path
        self._node = node

    def yes(self, call: Call) -> Criterion:
        return _both(exists(call.entity, self._path, self._where(call, _yes)), self.sound(call))

    def no(self, call: Call) -> Criterion:
        *way, relation = self._path
        others = self._where(call, _not_no)

        def none(owner: Any) -> ColumnElement[bool]:
            return ~exists(owner, (relation,), others)

        # The relation of an object that is NULL is unknown, and not empty.
        return exists(call.entity, tuple(way), none) if way else none(call.entity)

    def sound(self, call: Call) -> Criterion:
        return not_(exists(call.entity, self._path, self._where(call, _unsound)))

    def _where(self, call: Call, ask: Question) -> Callable[[Any], Any]:
        def where(target: Any) -> Any:
            found = ask(self._node, Call(call.identity, target, call.overridden))
            if isinstance(found, bool):
                return true() if found else false()
            return found

        return where


def _not_no(node: Node, call: Call) -> Criterion:
    """Return where a node says anything but no, also unknown or an error."""
    return _not_surely(_both(node.no(call), node.sound(call)))


def _unsound(node: Node, call: Call) -> Criterion:
    return _not_surely(node.sound(call))


def _not_surely(found: Criterion) -> Criterion:
    return not found if isinstance(found, bool) else not_(func.coalesce(found, false()))


def _yes(node: Node, call: Call) -> Criterion:
    return node.yes(call)


def _no(node: Node, call: Call) -> Criterion:
    return node.no(call)


def _each_of(nodes: tuple[Node, ...], ask: Question, call: Call) -> Criterion:
    found: Criterion = True
    for node in nodes:
        if found is False:
            break
        found = _both(found, ask(node, call))
    return found


def _one_of(nodes: tuple[Node, ...], ask: Question, call: Call) -> Criterion:
    """Return where a node says so, and those before it, which did not decide, met no error."""
    found: Criterion = False
    for node in reversed(nodes):
        if found is not False:
            found = _both(node.sound(call), found)
        found = _either(ask(node, call), found)
    return found


def _both(one: Criterion, other: Criterion) -> Criterion:
    if isinstance(one, bool):
        return other if one else False
    if isinstance(other, bool):
        return one if other else False
    return and_(one, other)


def _either(one: Criterion, other: Criterion) -> Criterion:
    if isinstance(one, bool):
        return True if one else other
    if isinstance(other, bool):
        return True if other else one
    return or_(one, other)


class Plan:
    """A requirement on a model's rows; `opaque` are the parts that SQL cannot express."""

    def __init__(
        self,
        requirement: Requirement,
        model: type,
        expressions: Mapping[tuple[type, str], Expression] | None = None,
    ) -> None:
        """Raise `MisuseError` for an attribute that is not a column, and for different kinds.

        `expressions` has the SQL of other attributes, by model and name.
        """
        self.opaque: list[Requirement] = []
        self._expressions = expressions or {}
        self._node = self._read(requirement, _mapper_of(model))

    def fill(
        self, entity: Any, identity: Any, overridden: Collection[Requirement] = ()
    ) -> ColumnElement[bool]:
        """Return the criterion for one caller; without one (None) it matches no row.

        `entity` is the model, or an `aliased` one. Raises `MisuseError` if a part is opaque.
        """
        if self.opaque:
            listed = " and ".join(map(repr, self.opaque))
            raise MisuseError(
                f"{listed} cannot be compiled to SQL, because it is a function: write it with "
                "attr(...), or call allowed(..., on=item) for each item."
            )
        if identity is None:
            return false()
        with one_instant():
            found = self._node.yes(Call(identity, entity, overridden))
        if isinstance(found, bool):
            return true() if found else false()
        return found

    def _read(self, requirement: Requirement, mapper: Mapper[Any]) -> Node:
        return _Part(requirement, self._node_of(requirement, mapper))

    def _node_of(self, requirement: Requirement, mapper: Mapper[Any]) -> Node:
        kind = type(requirement)
        if type(requirement) is Not:
            return _Turned(self._read(requirement.requirement, mapper))
        if kind is And or kind is Or:
            nodes = tuple(self._read(part, mapper) for part in requirement.parts)
            return _Joined(nodes, YES if kind is Or else NO)
        if isinstance(requirement, Ruled):
            return self._read(requirement.rule, mapper)
        if isinstance(requirement, HasAny) and isinstance(requirement.left, attr):
            related = read_relation(requirement.left, mapper)
            return _Related(requirement.left.path, self._read(requirement.inner, related))
        leaf = read_leaf(requirement, mapper, self._expressions)
        if leaf is not None:
            return leaf
        if not isinstance(requirement, Condition | Has):
            self.opaque.append(requirement)
        return _Settled(requirement)


def criterion(
    requirement: Requirement, entity: Any, identity: Any, overridden: Collection[Requirement] = ()
) -> ColumnElement[bool]:
    """Return the criterion of the rows for which this identity meets the requirement."""
    return Plan(requirement, model_of(entity)).fill(entity, identity, overridden)


def model_of(entity: Any) -> type:
    """Return the mapped class of an entity; raise `MisuseError` if it is not mapped."""
    model: type = _mapper_of(entity).class_
    return model


def models_below(model: type) -> list[type]:
    """Return the mapped classes that inherit from a mapped class."""
    return [mapper.class_ for mapper in _mapper_of(model).self_and_descendants][1:]


def _mapper_of(entity: Any) -> Mapper[Any]:
    found = inspect(entity, raiseerr=False)
    if isinstance(found, Mapper) or getattr(found, "is_aliased_class", False):
        mapper: Mapper[Any] = found.mapper
        return mapper
    raise MisuseError(
        f"{entity!r} is neither a class mapped by SQLAlchemy nor aliased(...) of one: pass one "
        "of these."
    )
