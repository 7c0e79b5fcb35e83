"""Flask-Allows' requirements, functions of (user) or (user, request), as native requirements.

How it works. Each old requirement is wrapped in a native one, so that guards, overrides and the
audit handle both kinds. A native decision catches what a requirement raises, but Flask-Allows lets
it propagate (for example `abort(404)`): `decide` finds the error in the `Check` and raises it.
"""

from __future__ import annotations

import functools
import inspect
import operator
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import flask

from ..errors import MisuseError
from ..guards.overrides import overrides
from ..policy.decision import DEPENDS, NO, YES, Decision
from ..policy.functions import NO_RESOURCE
from ..policy.requirements import FunctionRequirement, as_requirement
from ..policy.requirements import Requirement as NativeRequirement


class Requirement(ABC):
    """The base class of requirements: implement `fulfill(self, user)`."""

    @abstractmethod
    def fulfill(self, user: Any, request: Any = None) -> Any:
        """Return whether the user meets the requirement; a required `request` is deprecated."""

    def __call__(self, user: Any, request: Any = None) -> Any:
        return _call(self, user, flask.request if request is None else request)

    def __repr__(self) -> str:
        attributes = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"<{type(self).__name__}({attributes})>"


class ConditionalRequirement(Requirement):
    """Several requirements reduced to one answer; it is met if no requirement is left.

    `op` is a function of two booleans that reduces the answers from left to right. Evaluation
    stops when the result equals `until`. `negated` inverts the result. Overridden requirements are
    skipped.
    """

    def __init__(
        self,
        *requirements: Any,
        op: Callable[[Any, Any], Any] = operator.and_,
        until: bool | None = None,
        negated: bool | None = None,
    ) -> None:
        self.requirements = requirements
        self.op = op
        self.until = until
        self.negated = negated

    @classmethod
    def And(cls, *requirements: Any) -> ConditionalRequirement:
        """Require all; stop at the first that is not met."""
        return cls(*requirements, op=operator.and_, until=False)

    @classmethod
    def Or(cls, *requirements: Any) -> ConditionalRequirement:
        """Require one; stop at the first that is met."""
        return cls(*requirements, op=operator.or_, until=True)

    @classmethod
    def Not(cls, *requirements: Any) -> ConditionalRequirement:
        """Require that not all are met."""
        return cls(*requirements, negated=True)

    def fulfill(self, user: Any, request: Any = None) -> bool:
        asked = flask.request if request is None else request
        decision = decide(as_native(self), user, overrides.current or (), asked)
        if decision.error:  # a surrounding Not must not invert an error
            raise MisuseError(decision.error)
        return bool(decision)

    def __call__(self, user: Any, request: Any = None) -> Any:
        return self.fulfill(user, request)

    def __and__(self, other: Any) -> ConditionalRequirement:
        return self.And(self, other)

    def __or__(self, other: Any) -> ConditionalRequirement:
        return self.Or(self, other)

    def __invert__(self) -> ConditionalRequirement:
        return self.Not(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConditionalRequirement):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple[Any, ...]:
        return self.requirements, self.op, self.until, self.negated

    def __repr__(self) -> str:
        how = (self.op, self.until, self.negated)
        name = next((name for name, made_with in _FORMS.items() if made_with == how), None)
        shown = [*map(_name_of, self.requirements)]
        if name is None:
            shown += [f"op={_name_of(self.op)}", f"until={self.until}", f"negated={self.negated}"]
        return f"{name or 'C'}({', '.join(shown)})"


_FORMS = {
    "And": (operator.and_, False, None),
    "Or": (operator.or_, True, None),
    "Not": (operator.and_, None, True),
    "C": (operator.and_, None, None),
}

C = ConditionalRequirement
And = ConditionalRequirement.And
Or = ConditionalRequirement.Or
Not = ConditionalRequirement.Not


def wants_request(requirement: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """Turn a requirement of (user, request) into one of (user) that passes the current request."""

    @functools.wraps(requirement)
    def of_user(user: Any) -> Any:
        return requirement(user, flask.request)

    return of_user


class Check(Collection[NativeRequirement]):
    """A check in progress: overridden requirements, the request, and an error that was raised."""

    def __init__(self, overridden: Collection[Any], request: Any) -> None:
        self._overridden = overridden
        self.request = request
        self.raised: Exception | None = None

    def __contains__(self, requirement: object) -> bool:
        return requirement in self._overridden

    def __iter__(self) -> Iterator[Any]:
        return iter(self._overridden)

    def __len__(self) -> int:
        return len(self._overridden)


def decide(
    requirement: NativeRequirement,
    user: Any,
    overridden: Collection[Any],
    request: Any = flask.request,
) -> Decision:
    """Return the decision about a user; raise what an old requirement raised."""
    check = Check(overridden, request)
    decision = requirement.evaluate(user, NO_RESOURCE, check)
    if check.raised is not None:
        raise check.raised
    return decision


class AnyRequirement(FunctionRequirement):
    """A native requirement for an old one; equal if the wrapped function or object is equal."""

    def __init__(self, requirement: Any) -> None:
        if inspect.iscoroutinefunction(getattr(requirement, "fulfill", requirement)):
            raise MisuseError(f"{_name_of(requirement)} is async: define it with def")
        self.function = requirement
        self.name = _name_of(requirement)
        self._sentence = ""
        _takes_request(requirement)

    @property
    def takes_resource(self) -> bool:
        return False

    def _judge(self, identity: Any, on: Any, overridden: Collection[Any]) -> Decision:
        try:
            return self._ask(identity, overridden)
        except Exception as error:
            if isinstance(overridden, Check):
                overridden.raised = error
            raise

    def _ask(self, user: Any, overridden: Collection[Any]) -> Decision:
        request = overridden.request if isinstance(overridden, Check) else flask.request
        answer = _call(self.function, user, request)
        if inspect.isawaitable(answer) or inspect.isgenerator(answer) or inspect.isasyncgen(answer):
            raise MisuseError(
                f"{self.name} returned an awaitable or a generator: define it with def and return "
                "True or False"
            )
        return self._read(answer if isinstance(answer, Decision) else bool(answer))


class AnyConditional(AnyRequirement):
    """A native requirement for a `ConditionalRequirement`."""

    def __init__(self, requirement: ConditionalRequirement) -> None:
        super().__init__(requirement)
        self._old = requirement
        self._parts = tuple(map(as_native, requirement.requirements))

    @property
    def parts(self) -> tuple[NativeRequirement, ...]:
        return self._parts

    def _ask(self, user: Any, overridden: Collection[Any]) -> Decision:
        reduced: bool | None = None
        decided = []
        for part in self._parts:
            decision = part.evaluate(user, NO_RESOURCE, overridden)
            decided.append(decision)
            if decision.error or decision.verdict is DEPENDS:
                return Decision(decision.verdict, self, tuple(decided), decision.error)
            if decision.overridden:
                continue
            answer = decision.allowed
            reduced = answer if reduced is None else bool(self._old.op(reduced, answer))
            if reduced == self._old.until:
                break
        met = reduced is None or reduced != bool(self._old.negated)
        return Decision(YES if met else NO, self, tuple(decided))


def as_native(value: Any) -> NativeRequirement:
    """Return the native requirement for an old one; native ones are returned unchanged."""
    if isinstance(value, NativeRequirement) or inspect.isclass(value) or not callable(value):
        return as_requirement(value)
    reduces = getattr(type(value), "fulfill", None) is ConditionalRequirement.fulfill
    return AnyConditional(value) if reduces else AnyRequirement(value)


def _call(requirement: Any, user: Any, request: Any) -> Any:
    function = requirement.fulfill if isinstance(requirement, Requirement) else requirement
    if not _takes_request(requirement):
        return function(user)
    warnings.warn(
        f"{requirement!r}: Passing request to requirements is now deprecated: take the user alone, "
        "and import request from flask",
        DeprecationWarning,
        stacklevel=2,
    )
    return function(user, request)


def _takes_request(requirement: Any) -> bool:
    """Return whether a requirement needs (user, request), cached by function or class."""
    of_class = isinstance(requirement, Requirement)
    if not of_class and not inspect.isfunction(requirement):
        return _read(requirement)
    key = type(requirement) if of_class else requirement
    if key not in _known:
        _known[key] = _read(requirement.fulfill if of_class else requirement)
    return _known[key]


_known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def _read(function: Callable[..., Any]) -> bool:
    """Return whether a function, unwrapped from `*args` wrappers, needs two arguments."""
    try:
        signature = _signature(inspect.unwrap(function, stop=_has_own_parameters))
    except (TypeError, ValueError):  # a builtin without a signature
        return False
    return not _fits(signature, None) and _fits(signature, None, None)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function, follow_wrapped=False)


def _has_own_parameters(function: Callable[..., Any]) -> bool:
    parameters = _signature(function).parameters.values()
    return all(parameter.kind is not parameter.VAR_POSITIONAL for parameter in parameters)


def _fits(signature: inspect.Signature, *arguments: object) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _name_of(value: Any) -> str:
    return str(getattr(value, "__name__", None) or repr(value))
