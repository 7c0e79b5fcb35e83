"""Requirements: predicates on an identity and a resource, their operators and their evaluation.

How evaluation works. `evaluate` walks the tree from left to right and returns a `Decision` with
the parts that it evaluated; `&` stops at the first no, `|` at the first yes. Three things never
become a yes: an error (an exception, an answer that is not a bool, a missing resource) ends the
whole decision, so that `~` cannot invert it; the unknown stays unknown under `~` (Kleene's
logic); and anything but `True` or a `Decision` denies.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self, overload

from ..errors import MisuseError, StoreUnavailable
from .decision import DEPENDS, NO, YES, Decision, Verdict
from .functions import NO_RESOURCE, Parameters, Undecided, describe_error
from .identity import Identity, Sources
from .permissions import Permission
from .roles import Roles

_FLIPPED = {YES: NO, NO: YES, DEPENDS: DEPENDS}


class Requirement:
    """A predicate on an identity and, optionally, a resource; a value with a readable `repr`.

    Subclass it and write `fulfill(self, identity)` or `fulfill(self, identity, resource)`,
    which returns True, False or a `Decision`. Combine requirements with `&`, `|` and `~`, also
    with strings (permissions) and functions. Two of one class with equal attributes are equal.

    >>> from jwt_authz import Identity, Requirement
    >>> class from_country(Requirement):
    ...     def __init__(self, code):
    ...         self.code = code
    ...     def fulfill(self, identity):
    ...         return identity.claims.get("country") == self.code
    >>> from_country("FI") & ~from_country("SE")
    from_country(code='FI') & ~from_country(code='SE')
    >>> bool(from_country("FI").evaluate(Identity("7", claims={"country": "FI"})))
    True
    """

    takes: ClassVar[Parameters]
    all_parts_needed: ClassVar[bool] = False
    parts_are_about_related: ClassVar[bool] = False
    """Whether the parts are evaluated on related objects, and not on the resource."""
    view_argument: str | None = None
    """The name of the argument that a guarded view must have, if any."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.fulfill is not Requirement.fulfill:
            cls.takes = Parameters.read(cls.fulfill, f"{cls.__name__}.fulfill", skip=1)

    def fulfill(self, identity: Any) -> bool | Decision:
        """Return whether the identity meets the requirement; subclasses implement it."""
        raise Undecided(
            f"{type(self).__name__} has no method fulfill: write def fulfill(self, identity)"
        )

    @property
    def takes_resource(self) -> bool:
        """Whether the requirement cannot be evaluated without a resource."""
        return self.takes.needed

    @property
    def looks_at_subject(self) -> bool:
        """Whether the requirement itself, not one of its parts, compares the subject."""
        return False

    @property
    def sentence(self) -> str:
        """The requirement in words, to follow "Requires a caller who"."""
        return f"meets {self!r}"

    @property
    def parts(self) -> tuple[Requirement, ...]:
        """The requirements that this one is made of."""
        return ()

    def claims_of(self, identity: Any) -> tuple[str, ...]:
        """Return the names of the claims of this identity that the requirement reads, if known."""
        return ()

    def walk(self) -> Iterator[Requirement]:
        """Yield this requirement and, recursively, its parts."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def evaluate(
        self,
        identity: Any,
        on: Any = NO_RESOURCE,
        overridden: Collection[Requirement] = (),
    ) -> Decision:
        """Return the decision about this identity and the resource `on`.

        Requirements in `overridden` count as met anywhere in the tree. Raises only
        `StoreUnavailable`; any other exception becomes the decision's `error`, which refuses.
        """
        if overridden and self in overridden:
            return Decision(YES, self, overridden=True)
        try:
            return self._judge(identity, on, overridden)
        except StoreUnavailable:
            raise
        except Exception as error:
            return Decision(NO, self, error=describe_error(error))

    def analyse(self, identity: Identity) -> Verdict:
        """Return the verdict for an identity of which only the roles are known, without a call.

        `YES` or `NO` if roles, permissions and level decide, else `DEPENDS`. Raises `MisuseError`
        if a required role, permission or level is not in the catalog: that refuses every caller,
        also under `~`.
        """
        return DEPENDS

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        return self._read(self.takes.call(self.fulfill, identity, on))

    def _read(self, answer: object) -> Decision:
        if answer is True:
            return Decision(YES, self)
        if answer is False:
            return Decision(NO, self)
        if isinstance(answer, Decision):
            return Decision(answer.verdict, self, (answer,), answer.error)
        raise Undecided(
            f"{self!r} returned {type(answer).__name__}, expected True, False or a Decision"
        )

    def __and__(self, other: object) -> Requirement:
        return And(self, other)

    def __rand__(self, other: object) -> Requirement:
        return And(other, self)

    def __or__(self, other: object) -> Requirement:
        return Or(self, other)

    def __ror__(self, other: object) -> Requirement:
        return Or(other, self)

    def __invert__(self) -> Requirement:
        return Not(self)

    def __bool__(self) -> bool:
        raise MisuseError(
            f"The requirement {self!r} has no truth value: combine requirements with & | ~ "
            "instead of and, or, not; call allowed(...) to evaluate one."
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Requirement):
            return NotImplemented
        # The repr, too: True == 1, but a claim that is true differs from one that is 1.
        same = type(self) is type(other) and self._content() == other._content()
        return same and repr(self) == repr(other)

    def __hash__(self) -> int:
        content = self._content()
        try:
            return hash((type(self), tuple(sorted(content.items()))))
        except TypeError:  # an attribute without hash or order; equal requirements still agree
            return hash((type(self), tuple(sorted(content))))

    def _content(self) -> dict[str, Any]:
        """Return the attributes, those in slots included, that make two of one class equal."""
        slots = (name for kind in type(self).__mro__ for name in _slots_of(kind))
        held = {name: getattr(self, name) for name in slots if hasattr(self, name)}
        return {**held, **getattr(self, "__dict__", {})}

    def __repr__(self) -> str:
        attributes = ", ".join(f"{name}={value!r}" for name, value in self._content().items())
        return f"{type(self).__name__}({attributes})"


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


Requirement.takes = Parameters("fulfill", resource=False, needed=False)


class FunctionRequirement(Requirement):
    """A requirement made from a function of the identity and, where it takes two, a resource."""

    def __init__(self, function: Callable[..., Any], sentence: str = "") -> None:
        if inspect.isclass(function) or not callable(function):
            raise MisuseError(f"A requirement needs a function, not {function!r}.")
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self._sentence = sentence
        self._takes = Parameters.read(function, self.name)
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle it by name; a function that no module holds, such as a lambda, is left out."""
        path: str = getattr(self, "__qualname__", "")
        held: Any = sys.modules.get(self.__module__)
        for name in path.split("."):
            held = getattr(held, name, None)
        if held is self:
            return path
        if held is self.function:
            return type(self), (self.function, self._sentence)
        return UnpickledFunction, (self.name, self.sentence)

    def __copy__(self) -> Self:
        return self  # a copy could not differ, and may hold a lambda

    def __deepcopy__(self, memo: object) -> Self:
        return self

    @property
    def takes_resource(self) -> bool:
        return self._takes.needed

    @property
    def sentence(self) -> str:
        return self._sentence or f"meets {self.name}"

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        return self._read(self._takes.call(self.function, identity, on))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Requirement):
            return NotImplemented
        return isinstance(other, FunctionRequirement) and self.function == other.function

    def __hash__(self) -> int:
        try:
            return hash(self.function)
        except TypeError:  # a callable object without a hash
            return hash(type(self.function))

    def __repr__(self) -> str:
        return self.name


class UnpickledFunction(Requirement):
    """Stands for a requirement whose function could not be pickled: it can only be printed."""

    def __init__(self, name: str, sentence: str) -> None:
        self.name = name
        self._sentence = sentence

    @property
    def sentence(self) -> str:
        return self._sentence

    def fulfill(self, identity: Any) -> bool:
        raise Undecided(
            f"{self.name} was not pickled: define it with def at the top of a module to evaluate "
            "it in another process"
        )

    def __repr__(self) -> str:
        return self.name


@overload
def requirement(function: str) -> Callable[[Callable[..., Any]], FunctionRequirement]: ...
@overload
def requirement(function: Callable[..., Any]) -> FunctionRequirement: ...
def requirement(
    function: str | Callable[..., Any],
) -> FunctionRequirement | Callable[[Callable[..., Any]], FunctionRequirement]:
    """Turn a function into a requirement: `@requirement`, or `@requirement("is the buyer")`.

    The function takes an identity, or an identity and a resource, and returns True or False.
    The sentence is what a refusal shows, after "Requires a caller who". Raises `MisuseError` for
    an async function or other parameters.

    >>> from jwt_authz import Identity, requirement
    >>> @requirement("is the buyer")
    ... def buyer(identity, order):
    ...     return order["buyer"] == identity.subject
    >>> bool(buyer.evaluate(Identity("7"), {"buyer": "7"}))
    True
    >>> buyer.evaluate(Identity("8"), {"buyer": "7"}).sentence
    'is the buyer'
    """
    if isinstance(function, str):
        return functools.partial(FunctionRequirement, sentence=function)
    return FunctionRequirement(function)


class And(Requirement):
    """Met if all its parts are met; `And()` is met by any identity."""

    all_parts_needed = True

    def __init__(self, *requirements: object) -> None:
        self.requirements = _flat(And, requirements)

    @property
    def parts(self) -> tuple[Requirement, ...]:
        return self.requirements

    @property
    def sentence(self) -> str:
        sentences = (
            f"({part.sentence})" if isinstance(part, Or) else part.sentence
            for part in self.requirements
        )
        return " and ".join(sentences) or "is identified"

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        verdict, decided = YES, []
        for part in self.requirements:
            decision = part.evaluate(identity, on, overridden)
            decided.append(decision)
            if decision.error or decision.verdict is NO:
                return Decision(NO, self, tuple(decided), decision.error)
            if decision.verdict is DEPENDS:
                verdict = DEPENDS
        return Decision(verdict, self, tuple(decided))

    def analyse(self, identity: Identity) -> Verdict:
        return _analysed(self.requirements, identity, deciding=NO)

    def __repr__(self) -> str:
        return " & ".join(map(_bracketed, self.requirements)) or "any identity"


class Or(Requirement):
    """Met if one of its parts is met; it needs at least one."""

    def __init__(self, *requirements: object) -> None:
        self.requirements = _flat(Or, requirements)
        if not self.requirements:
            raise MisuseError("Or() needs at least one requirement.")

    @property
    def parts(self) -> tuple[Requirement, ...]:
        return self.requirements

    @property
    def sentence(self) -> str:
        return " or ".join(part.sentence for part in self.requirements)

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        verdict, decided = NO, []
        for part in self.requirements:
            decision = part.evaluate(identity, on, overridden)
            decided.append(decision)
            if decision.error:
                return Decision(NO, self, tuple(decided), decision.error)
            if decision.verdict is YES:
                return Decision(YES, self, tuple(decided))
            if decision.verdict is DEPENDS:
                verdict = DEPENDS
        return Decision(verdict, self, tuple(decided))

    def analyse(self, identity: Identity) -> Verdict:
        return _analysed(self.requirements, identity, deciding=YES)

    def __repr__(self) -> str:
        return " | ".join(map(_bracketed, self.requirements))


class Not(Requirement):
    """Met if its part is not met; an error, or an unknown value, stays a refusal."""

    def __init__(self, requirement: object) -> None:
        self.requirement = as_requirement(requirement)

    @property
    def parts(self) -> tuple[Requirement, ...]:
        return (self.requirement,)

    @property
    def sentence(self) -> str:
        part = self.requirement
        joined = isinstance(part, And | Or) and len(part.parts) > 1
        return f"is not someone who {f'({part.sentence})' if joined else part.sentence}"

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        decision = self.requirement.evaluate(identity, on, overridden)
        verdict = NO if decision.error else _FLIPPED[decision.verdict]
        return Decision(verdict, self, (decision,), decision.error)

    def analyse(self, identity: Identity) -> Verdict:
        return _FLIPPED[self.requirement.analyse(identity)]

    def __repr__(self) -> str:
        return f"~{_bracketed(self.requirement)}"


_CACHED = ("_met", "_known_to")  # attributes that do not count when requirements are compared


class Has(Requirement):
    """The base of the `has_*` requirements: one value, compared with the identity alone."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self._met = Decision(YES, self)

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        if not isinstance(identity, Identity):
            raise Undecided(
                f"{self!r} needs an Identity, not {type(identity).__name__}: "
                "return an Identity from the identity loader"
            )
        verdict = self._verdict(identity)
        return self._met if verdict is YES else Decision(verdict, self)

    def claims_of(self, identity: Any) -> tuple[str, ...]:
        return self._claims(identity.sources) if isinstance(identity, Identity) else ()

    def _claims(self, sources: Sources) -> tuple[str, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Requirement):
            return NotImplemented
        same = type(self) is type(other) and repr(self) == repr(other)
        return same and self._content() == other._content()

    def __hash__(self) -> int:
        return hash((type(self), repr(self)))

    def _content(self) -> dict[str, Any]:
        content = super()._content()
        return {name: value for name, value in content.items() if name not in _CACHED}

    def _verdict(self, identity: Identity) -> Verdict:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class has_permission(Has):
    """Require a permission that covers `resource:action`.

    If the application has a catalog, a permission that no role grants refuses every caller.
    Raises `MisuseError` for an invalid permission.

    >>> from jwt_authz import Identity, has_permission
    >>> clerk = Identity("7", permissions=["orders:*"])
    >>> bool(has_permission("orders:read").evaluate(clerk))
    True
    >>> bool(has_permission("users:read").evaluate(clerk))
    False
    """

    def __init__(self, permission: str | Permission) -> None:
        self.permission = (
            permission if isinstance(permission, Permission) else Permission.parse(permission)
        )
        super().__init__(str(self.permission))
        self._known_to: Roles | None = None  # the last catalog that was found to grant it

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known_to": None}  # no catalog in a pickled requirement

    @property
    def sentence(self) -> str:
        return f"has the permission {self.value}"

    def evaluate(
        self,
        identity: Any,
        on: Any = NO_RESOURCE,
        overridden: Collection[Requirement] = (),
    ) -> Decision:
        # The most common case, in one function: every request takes it.
        if (
            isinstance(identity, Identity)
            and identity.catalogue is self._known_to
            and not overridden
            and not identity.permissions.held.isdisjoint(self.permission.covered_by)
        ):
            return self._met
        return super().evaluate(identity, on, overridden)

    def _verdict(self, identity: Identity) -> Verdict:
        catalog = identity.catalogue
        if catalog is not None and not catalog.knows(self.permission):
            raise Undecided(
                f"no role grants {self.value!r}: add it to a Role(...), or fix the spelling"
            )
        self._known_to = catalog
        return YES if identity.permissions.covers(self.permission.covered_by) else NO

    def _claims(self, sources: Sources) -> tuple[str, ...]:
        return sources.permissions

    def analyse(self, identity: Identity) -> Verdict:
        return self._verdict(identity)


def as_requirement(value: object) -> Requirement:
    """Return the requirement that a value stands for.

    A string or a `Permission` becomes `has_permission`, a function a `FunctionRequirement`.
    Raises `MisuseError` for anything else.
    """
    if isinstance(value, Requirement):
        return value
    if isinstance(value, str | Permission):
        return has_permission(value)
    if isinstance(value, type):
        raise MisuseError(f"{value.__name__} is a class: write {value.__name__}().")
    if getattr(value, "is_guard", False):
        raise MisuseError(
            "requires(...) is a guard, not a requirement: combine the requirements inside it."
        )
    if isinstance(value, list | tuple | set | frozenset):
        raise MisuseError(
            f"A {type(value).__name__} is not a requirement: pass its items as separate arguments, "
            "or combine them with & or |."
        )
    if isinstance(value, Mapping):
        raise MisuseError("A mapping of HTTP methods is only valid in requires({...}).")
    if callable(value):
        return FunctionRequirement(value)
    raise MisuseError(
        f"Invalid requirement {value!r}: expected a permission 'resource:action', has_role(...) "
        "or a function of the identity. Pass a resource with on=."
    )


def _flat(kind: type[And] | type[Or], values: tuple[object, ...]) -> tuple[Requirement, ...]:
    flat: list[Requirement] = []
    for value in values:
        part = as_requirement(value)
        flat.extend(part.parts if type(part) is kind else (part,))
    return tuple(flat)


def _analysed(parts: Iterable[Requirement], identity: Identity, deciding: Verdict) -> Verdict:
    """Return the verdict of And or Or, whose parts are evaluated from left to right."""
    verdict = _FLIPPED[deciding]
    for part in parts:
        try:
            found = part.analyse(identity)
        except MisuseError:
            if verdict is DEPENDS:  # an earlier part may decide, and this one is not reached
                return DEPENDS
            raise
        if found is deciding:
            return deciding
        if found is DEPENDS:
            verdict = DEPENDS
    return verdict


def _bracketed(part: Requirement) -> str:
    return f"({part!r})" if isinstance(part, And | Or) and len(part.parts) > 1 else repr(part)
