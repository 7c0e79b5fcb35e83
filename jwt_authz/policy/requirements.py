"""Requirements: predicates on an identity and a resource, their operators and their evaluation.

How evaluation works. `evaluate` walks the tree from left to right and returns a `Decision` with
the parts it looked at; `&` stops at the first no, `|` at the first yes. Three things are not
allowed to turn into a yes: an error (an exception, an answer that is no bool, a resource that is
missing) ends the whole decision, so that `~` cannot turn it round; what is not known stays not
known under `~` (Kleene's logic); and anything but `True` or a `Decision` denies.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, overload

from ..errors import MisuseError, StoreUnavailable
from .decision import DEPENDS, NO, YES, Decision, Verdict
from .functions import NO_RESOURCE, Takes, Undecided, told_of
from .identity import Identity, Sources
from .permissions import Permission
from .roles import Roles

_FLIPPED = {YES: NO, NO: YES, DEPENDS: DEPENDS}


class Requirement:
    """A predicate on an identity and, where it says so, a resource; a value with a name.

    Subclass it and write `fulfill(self, identity)` or `fulfill(self, identity, resource)`,
    which returns True, False or a `Decision`. Requirements are joined by `&`, `|` and `~`, also
    with strings (permissions) and callables; two of a class with equal attributes are equal.
    """

    takes: ClassVar[Takes]
    all_parts_needed: ClassVar[bool] = False
    view_argument: str | None = None
    """The argument that a view must have for it, if any."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.fulfill is not Requirement.fulfill:
            cls.takes = Takes.read(cls.fulfill, f"{cls.__name__}.fulfill", skip=1)

    def fulfill(self, identity: Any) -> bool | Decision:
        """Whether the identity meets the requirement; to be written by the subclass."""
        raise Undecided(
            f"{type(self).__name__} has no fulfill: write def fulfill(self, identity) in it"
        )

    @property
    def takes_resource(self) -> bool:
        """Whether the requirement cannot be answered without a resource."""
        return self.takes.needed

    @property
    def looks_at_subject(self) -> bool:
        """Whether the requirement itself, and not a part of it, compares the subject."""
        return False

    @property
    def sentence(self) -> str:
        """The requirement in words, to follow on "a caller who ..."."""
        return f"meets {self!r}"

    @property
    def parts(self) -> tuple[Requirement, ...]:
        """The requirements that this one is made of."""
        return ()

    def claims_of(self, identity: Any) -> tuple[str, ...]:
        """The claims that the requirement looks at in this identity's token, as far as known."""
        return ()

    def walk(self) -> Iterator[Requirement]:
        """This requirement and all that it is made of."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def evaluate(
        self,
        identity: Any,
        on: Any = NO_RESOURCE,
        overridden: Collection[Requirement] = (),
    ) -> Decision:
        """The decision about this identity and the resource `on`.

        Raises nothing but `StoreUnavailable`; any other exception is a refusal that tells of it.
        Requirements in `overridden` count as met wherever they stand in the tree.
        """
        if overridden and self in overridden:
            return Decision(YES, self, overridden=True)
        try:
            return self._judge(identity, on, overridden)
        except StoreUnavailable:
            raise
        except Exception as error:
            return Decision(NO, self, error=told_of(error))

    def analyse(self, identity: Identity) -> Verdict:
        """What the decision will be for an identity known by its roles only, without a call.

        `YES` or `NO` where roles, permissions and level settle it, else `DEPENDS`. Raises
        `MisuseError` where a role, permission or level is asked for that the catalogue lacks:
        that refuses everybody, also under `~`.
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
            f"{self!r} answered {type(answer).__name__}: return True, False or a Decision"
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
            f"{self!r} is a requirement, no answer: write & | ~ in place of and, or, not, "
            "and allowed(...) to ask"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Requirement):
            return NotImplemented
        # The repr, too, since True == 1 and a claim that is true is no claim that is 1.
        same = type(self) is type(other) and self._content() == other._content()
        return same and repr(self) == repr(other)

    def __hash__(self) -> int:
        content = self._content()
        try:
            return hash((type(self), tuple(sorted(content.items()))))
        except TypeError:  # an attribute that has no hash or no order: equal ones still agree
            return hash((type(self), tuple(sorted(content))))

    def _content(self) -> dict[str, Any]:
        """The attributes, those in slots included: what makes two of a class equal."""
        slots = (name for kind in type(self).__mro__ for name in _slots_of(kind))
        held = {name: getattr(self, name) for name in slots if hasattr(self, name)}
        return {**held, **getattr(self, "__dict__", {})}

    def __repr__(self) -> str:
        attributes = ", ".join(f"{name}={value!r}" for name, value in self._content().items())
        return f"{type(self).__name__}({attributes})"


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


Requirement.takes = Takes("fulfill", resource=False, needed=False)


class FunctionRequirement(Requirement):
    """A requirement made from a function of the identity and, where it takes two, a resource."""

    def __init__(self, function: Callable[..., Any], sentence: str = "") -> None:
        if inspect.isclass(function) or not callable(function):
            raise MisuseError(f"a requirement is made of a function, not of {function!r}")
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self._sentence = sentence
        self._takes = Takes.read(function, self.name)
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

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


@overload
def requirement(function: str) -> Callable[[Callable[..., Any]], FunctionRequirement]: ...
@overload
def requirement(function: Callable[..., Any]) -> FunctionRequirement: ...
def requirement(
    function: str | Callable[..., Any],
) -> FunctionRequirement | Callable[[Callable[..., Any]], FunctionRequirement]:
    """Make a requirement of a function: `@requirement`, or `@requirement("is the buyer")`.

    The function takes an identity, or an identity and a resource, and returns True or False.
    The sentence is what a refusal shows; it follows on "This needs a caller who ...".
    """
    if isinstance(function, str):
        return functools.partial(FunctionRequirement, sentence=function)
    return FunctionRequirement(function)


class And(Requirement):
    """Met when all its parts are; `And()` asks for nothing but an identity."""

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
    """Met when one of its parts is; it needs at least one."""

    def __init__(self, *requirements: object) -> None:
        self.requirements = _flat(Or, requirements)
        if not self.requirements:
            raise MisuseError("Or() asks for nothing: give it at least one requirement")

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
    """Met when its part is not; an error or what is not known stays a refusal."""

    def __init__(self, requirement: object) -> None:
        self.requirement = as_requirement(requirement)

    @property
    def parts(self) -> tuple[Requirement, ...]:
        return (self.requirement,)

    @property
    def sentence(self) -> str:
        part = self.requirement
        joined = isinstance(part, And | Or) and len(part.parts) > 1
        return f"is not one who {f'({part.sentence})' if joined else part.sentence}"

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        decision = self.requirement.evaluate(identity, on, overridden)
        verdict = NO if decision.error else _FLIPPED[decision.verdict]
        return Decision(verdict, self, (decision,), decision.error)

    def analyse(self, identity: Identity) -> Verdict:
        return _FLIPPED[self.requirement.analyse(identity)]

    def __repr__(self) -> str:
        return f"~{_bracketed(self.requirement)}"


_WORKED_OUT = ("_met", "_known_to")  # kept for speed, and no part of what a requirement says


class Has(Requirement):
    """What the `has_*` requirements share: one value, read from the identity alone."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self._met = Decision(YES, self)

    def _judge(self, identity: Any, on: Any, overridden: Collection[Requirement]) -> Decision:
        if not isinstance(identity, Identity):
            raise Undecided(
                f"{self!r} looks at an Identity, not at {type(identity).__name__}: "
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
        return {name: value for name, value in content.items() if name not in _WORKED_OUT}

    def _verdict(self, identity: Identity) -> Verdict:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class has_permission(Has):
    """Met by whoever holds a permission that covers this one, `resource:action`.

    With a catalogue, a permission that no role grants is a misuse, and refuses.
    """

    def __init__(self, permission: str | Permission) -> None:
        self.permission = (
            permission if isinstance(permission, Permission) else Permission.parse(permission)
        )
        super().__init__(str(self.permission))
        self._known_to: Roles | None = None  # the catalogue that was last found to know it

    @property
    def sentence(self) -> str:
        return f"has the permission {self.value}"

    def evaluate(
        self,
        identity: Any,
        on: Any = NO_RESOURCE,
        overridden: Collection[Requirement] = (),
    ) -> Decision:
        # The commonest requirement, met: in one function, for the speed of every request.
        if (
            isinstance(identity, Identity)
            and identity.catalogue is self._known_to
            and not overridden
            and not identity.permissions.held.isdisjoint(self.permission.covered_by)
        ):
            return self._met
        return super().evaluate(identity, on, overridden)

    def _verdict(self, identity: Identity) -> Verdict:
        catalogue = identity.catalogue
        if catalogue is not None and not catalogue.knows(self.permission):
            raise Undecided(
                f"no role grants {self.value!r}: add it to a Role(...), or mend the spelling"
            )
        self._known_to = catalogue
        return YES if identity.permissions.covers(self.permission.covered_by) else NO

    def _claims(self, sources: Sources) -> tuple[str, ...]:
        return sources.permissions

    def analyse(self, identity: Identity) -> Verdict:
        return self._verdict(identity)


def as_requirement(value: object) -> Requirement:
    """The requirement that a value stands for; `MisuseError` says what to write instead.

    A string or a `Permission` is `has_permission` of it; a function is a requirement by itself.
    """
    if isinstance(value, Requirement):
        return value
    if isinstance(value, str | Permission):
        return has_permission(value)
    if isinstance(value, type):
        raise MisuseError(f"{value.__name__} is a class: write {value.__name__}() for one")
    if getattr(value, "is_guard", False):
        raise MisuseError("requires(...) is a guard, no requirement: join what stands inside it")
    if isinstance(value, list | tuple | set | frozenset):
        raise MisuseError(
            f"a {type(value).__name__} is no requirement: write its parts one by one, or join "
            "them by & or |"
        )
    if isinstance(value, Mapping):
        raise MisuseError("a mapping of HTTP methods belongs into requires({...}), nowhere else")
    if callable(value):
        return FunctionRequirement(value)
    raise MisuseError(
        f"{value!r} is no requirement: write a permission 'resource:action', has_role(...), or a "
        "function of the identity; a resource is given as on=..."
    )


def _flat(kind: type[And] | type[Or], values: tuple[object, ...]) -> tuple[Requirement, ...]:
    flat: list[Requirement] = []
    for value in values:
        part = as_requirement(value)
        flat.extend(part.parts if type(part) is kind else (part,))
    return tuple(flat)


def _analysed(parts: Iterable[Requirement], identity: Identity, deciding: Verdict) -> Verdict:
    """What And and Or share: the verdict of parts that are looked at from left to right."""
    verdict = _FLIPPED[deciding]
    for part in parts:
        try:
            found = part.analyse(identity)
        except MisuseError:
            if verdict is DEPENDS:  # a part before it may decide, and then it is never reached
                return DEPENDS
            raise
        if found is deciding:
            return deciding
        if found is DEPENDS:
            verdict = DEPENDS
    return verdict


def _bracketed(part: Requirement) -> str:
    return f"({part!r})" if isinstance(part, And | Or) and len(part.parts) > 1 else repr(part)
