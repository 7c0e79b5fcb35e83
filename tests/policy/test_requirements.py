"""Requirements: predicates that are values, their operators, their names and their misuse."""

import asyncio
import functools
import re
from dataclasses import dataclass
from typing import Any

import pytest

from jwt_authz import (
    Decision,
    Identity,
    MisuseError,
    Permission,
    Requirement,
    Role,
    Roles,
    has_claim,
    has_level,
    has_permission,
    has_role,
    has_scope,
    requirement,
)
from jwt_authz.errors import StoreUnavailable
from jwt_authz.policy.decision import DEPENDS, NO, YES
from jwt_authz.policy.functions import NO_RESOURCE
from jwt_authz.policy.requirements import And, FunctionRequirement, Not, Or, as_requirement
from tests.cases import Dice, library_requirement, written_with_operators
from tests.steps import steps_of

SOMEONE = Identity("u1", roles=["clerk"], permissions=["orders:*"])  # type: ignore[arg-type]
SECRET = "alice@example.org"


def always(identity: Identity) -> bool:
    return True


def never(identity: Identity) -> bool:
    return False


@requirement("is the buyer of this order")
def buyer(identity: Identity, order: Any) -> bool:
    return bool(identity.subject == order)


class Weekday(Requirement):
    """An application's requirement with one argument."""

    def __init__(self, day: Any) -> None:
        self.day = day

    def fulfill(self, identity: Any) -> bool:
        return bool(self.day == "monday")


class Owner(Requirement):
    """One with two arguments."""

    def fulfill(self, identity: Any, resource: Any) -> bool:  # type: ignore[override]
        return bool(identity.subject == resource)


# Operators


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        ("orders:read" & has_role("a"), has_permission("orders:read") & has_role("a")),
        (has_role("a") & "orders:read", has_role("a") & has_permission("orders:read")),
        ("orders:read" | has_role("a"), has_permission("orders:read") | has_role("a")),
        (has_role("a") | "orders:read", has_role("a") | has_permission("orders:read")),
        (always & has_role("a"), requirement(always) & has_role("a")),
        (has_role("a") & always, has_role("a") & requirement(always)),
        (always | has_role("a"), requirement(always) | has_role("a")),
        (has_role("a") | always, has_role("a") | requirement(always)),
        (Permission("a", "b") & has_role("a"), has_permission("a:b") & has_role("a")),
        (has_role("a") | Permission("a", "b"), has_role("a") | has_permission("a:b")),
        (And("a:b", always), has_permission("a:b") & always),
        (Or("a:b", always), has_permission("a:b") | always),
        (Not("a:b"), ~has_permission("a:b")),
    ],
    ids=lambda value: repr(value),
)
def test_strings_and_callables_can_be_on_either_side_of_an_operator(asked: Any, same: Any) -> None:
    assert isinstance(asked, Requirement)
    assert asked == same
    assert repr(asked) == repr(same)


@pytest.mark.parametrize("left", [always, never], ids=["yes", "no"])
@pytest.mark.parametrize("right", [always, never], ids=["yes", "no"])
def test_the_operators_mean_and_or_and_not(left: Any, right: Any) -> None:
    a, b = requirement(left), requirement(right)
    yes_a, yes_b = left is always, right is always
    assert bool((a & b).evaluate(SOMEONE)) is (yes_a and yes_b)
    assert bool((a | b).evaluate(SOMEONE)) is (yes_a or yes_b)
    assert bool((~a).evaluate(SOMEONE)) is (not yes_a)


def test_parts_after_the_deciding_one_are_not_called() -> None:
    called: list[str] = []

    def noting(name: str, answer: bool) -> Requirement:
        def predicate(identity: Identity) -> bool:
            called.append(name)
            return answer

        return requirement(predicate)

    yes, no, late = noting("yes", True), noting("no", False), noting("late", True)
    for asked, expected in (
        (yes & no & late, ["yes", "no"]),
        (no | yes | late, ["no", "yes"]),
        (~no | late, ["no"]),
        ((yes | late) & no, ["yes", "no"]),
        (has_claim("plan", "gold") & no & late, ["no"]),
        (has_claim("plan", "gold") | yes | late, ["yes"]),
        (has_claim("plan", "gold") & late, ["late"]),
    ):
        called.clear()
        asked.evaluate(SOMEONE)
        assert called == expected, asked


def test_and_of_nothing_asks_for_any_identity() -> None:
    assert And().evaluate(SOMEONE)
    assert And().analyse(SOMEONE) is YES
    assert repr(And()) == "any identity"
    assert And().sentence == "is identified"


def test_or_of_nothing_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="needs at least one requirement"):
        Or()


@pytest.mark.parametrize(
    "ask",
    [
        lambda r: r and r,
        lambda r: r or r,
        lambda r: not r,
        lambda r: bool(r),
        lambda r: 1 if r else 0,
        lambda r: [x for x in [1] if r],
    ],
    ids=["and", "or", "not", "bool", "if", "comprehension"],
)
def test_and_or_and_not_on_requirements_raise(ask: Any) -> None:
    for one in (has_role("a"), has_role("a") & always, requirement(always), Weekday("monday")):
        with pytest.raises(MisuseError, match=r"with & \| ~ instead of and, or, not"):
            ask(one)


# Names


@pytest.mark.parametrize(
    "source",
    [
        "has_permission('orders:read')",
        "has_role('a') & has_scope('b')",
        "has_role('a') & ~has_role('b')",
        "~(has_role('a') & has_role('b'))",
        "has_role('a') | (has_role('b') & has_role('c'))",
        "(has_role('a') | has_role('b')) & has_role('c')",
        "~has_level(2) | has_level('admin')",
        "~~has_claim('plan')",
        "has_claim('plan', 'gold') & has_claim('tier', 1.5) & has_claim('beta', True)",
        "has_claim('odd', \"it's\") | has_claim('list', ['a', 1])",
        "buyer | has_role('manager')",
        "always & buyer & ~never",
    ],
)
def test_the_repr_of_a_requirement_reads_like_its_source(source: str) -> None:
    names = {**globals(), "always": requirement(always), "never": requirement(never)}
    asked = eval(source, names)
    assert repr(asked) == source


def test_evaluating_the_repr_of_a_requirement_returns_an_equal_one() -> None:
    names = {**globals()}
    for seed in range(500):
        dice = Dice(seed)
        tree = dice.tree(dice.catalog())
        if "opaque" in repr(tree):
            continue
        asked = written_with_operators(tree)
        assert eval(repr(asked), names) == asked
        assert repr(eval(repr(asked), names)) == repr(asked)


def test_a_requirement_of_the_application_is_named_after_its_class_and_attributes() -> None:
    assert repr(Weekday("monday") & Owner()) == "Weekday(day='monday') & Owner()"
    assert repr(Weekday(("a", 1))) == "Weekday(day=('a', 1))"


def test_functions_are_named_after_themselves() -> None:
    assert repr(requirement(always)) == "always"
    assert repr(as_requirement(functools.partial(always))) == "partial"
    assert repr(as_requirement(Callable(True))) == "Callable"
    assert repr(has_role("a") & (lambda identity: True)) == "has_role('a') & <lambda>"


def test_sentences_are_made_of_the_parts_sentences() -> None:
    assert has_permission("a:b").sentence == "has the permission a:b"
    assert has_role("a").sentence == "has the role a"
    assert has_scope("a").sentence == "was granted the scope a"
    assert has_level(2).sentence == "has the level 2 or a higher one"
    assert has_claim("a").sentence == "has the claim a"
    assert has_claim("a", 1).sentence == "has the claim a with the value 1"
    assert buyer.sentence == "is the buyer of this order"
    assert (buyer & has_role("a")).sentence == "is the buyer of this order and has the role a"
    assert (buyer | ~has_role("a")).sentence == (
        "is the buyer of this order or is not someone who has the role a"
    )
    assert (~(buyer | has_role("a")) & has_role("b")).sentence == (
        "is not someone who (is the buyer of this order or has the role a) and has the role b"
    )
    assert requirement(always).sentence == "meets always"
    assert Weekday("monday").sentence == "meets Weekday(day='monday')"


def test_a_requirement_walks_through_all_its_parts() -> None:
    asked = has_role("a") & ~(has_role("b") | "c:d")
    assert [repr(part) for part in asked.walk()] == [
        "has_role('a') & ~(has_role('b') | has_permission('c:d'))",
        "has_role('a')",
        "~(has_role('b') | has_permission('c:d'))",
        "has_role('b') | has_permission('c:d')",
        "has_role('b')",
        "has_permission('c:d')",
    ]


# Equality and hash


class Callable:
    """A callable object that compares by content."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __call__(self, identity: Any) -> Any:
        return self.answer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Callable) and self.answer == other.answer

    def __hash__(self) -> int:
        return hash(self.answer)


@dataclass
class Unhashable:
    """A callable object without a hash, as a plain dataclass is."""

    answer: bool

    def __call__(self, identity: Any) -> bool:
        return self.answer


EQUAL = [
    lambda: has_permission("a:b"),
    lambda: has_permission(Permission("a", "b")),
    lambda: has_role("a"),
    lambda: has_scope("a"),
    lambda: has_level(1),
    lambda: has_level("a"),
    lambda: has_claim("a"),
    lambda: has_claim("a", True),
    lambda: has_claim("a", 1),
    lambda: has_claim("a", ["x", {"y": 1}]),
    lambda: requirement(always),
    lambda: as_requirement(Callable("a")),
    lambda: Weekday("monday"),
    lambda: Weekday(["monday", {"x": 1}]),
    lambda: Owner(),
    lambda: has_role("a") & has_claim("b", [1]) & always,
    lambda: has_role("a") | Weekday(["x"]),
    lambda: ~(has_role("a") | "b:c"),
    lambda: And(),
    lambda: as_requirement(Unhashable(True)),
]


@pytest.mark.parametrize("make", EQUAL, ids=lambda make: repr(make()))
def test_requirements_of_the_same_content_are_equal_and_have_one_hash(make: Any) -> None:
    assert make() == make()
    assert hash(make()) == hash(make())
    assert len({make(), make()}) == 1


DIFFERENT = [
    has_permission("a:b"),
    has_permission("a:*"),
    has_role("a"),
    has_role("b"),
    has_scope("a"),
    has_level(1),
    has_level("a"),
    has_claim("a"),
    has_claim("a", True),
    has_claim("a", 1),
    has_claim("a", "1"),
    has_claim("a", "True"),
    has_claim("a", None),
    has_claim("a", [True]),
    has_claim("a", [1]),
    has_claim("a", {"x": True}),
    has_claim("a", {"x": 1}),
    has_claim("b"),
    requirement(always),
    requirement(never),
    Weekday("monday"),
    Weekday("tuesday"),
    Weekday(True),
    Weekday(1),
    Owner(),
    has_role("a") & has_role("b"),
    has_role("b") & has_role("a"),
    has_role("a") | has_role("b"),
    ~has_role("a"),
    ~has_claim("a", True),
    ~has_claim("a", 1),
    ~~has_role("a"),
    And(),
    has_claim("a", True) & always,
    has_claim("a", 1) & always,
    as_requirement(Callable(1)),
    as_requirement(Callable(2)),
]


def test_requirements_of_different_content_are_not_equal() -> None:
    for place, one in enumerate(DIFFERENT):
        for other in DIFFERENT[place + 1 :]:
            assert one != other, (one, other)
            assert other != one, (one, other)
    assert len(set(DIFFERENT)) == len(DIFFERENT)


def test_a_requirement_is_equal_to_nothing_else() -> None:
    assert has_permission("a:b") != "a:b"
    assert has_role("a") != "a"
    assert requirement(always) != always
    assert has_role("a") != None  # noqa: E711 the operator is under test


def test_a_subclass_with_equal_attributes_is_another_requirement() -> None:
    class Workday(Weekday):
        pass

    assert Workday("monday") != Weekday("monday")
    assert Weekday("monday") != Workday("monday")


def test_attributes_kept_in_slots_count_as_well() -> None:
    class Slotted(Requirement):
        __slots__ = ("day",)

        def __init__(self, day: str) -> None:
            self.day = day

        def fulfill(self, identity: Any) -> bool:
            return True

    assert Slotted("monday") == Slotted("monday")
    assert Slotted("monday") != Slotted("tuesday")
    assert repr(Slotted("monday")) == "Slotted(day='monday')"


# What a requirement returns


@pytest.mark.parametrize("answer", [None, 0, 1, "", "yes", [], [1], (), {}, 1.0, object(), NO])
def test_returning_neither_a_bool_nor_a_decision_refuses(answer: Any) -> None:
    def predicate(identity: Identity) -> Any:
        return answer

    class Answers(Requirement):
        def fulfill(self, identity: Any) -> Any:
            return answer

    for asked in (requirement(predicate), Answers()):
        for stands in (asked, ~asked, asked | always, ~asked | always):
            decision = stands.evaluate(SOMEONE)
            assert not decision
            assert decision.error


def test_the_error_for_a_wrong_return_value_names_its_type_but_not_its_value() -> None:
    decision = requirement(lambda identity: SECRET).evaluate(SOMEONE)
    assert "returned str, expected True, False or a Decision" in decision.error
    assert SECRET not in decision.error


@pytest.mark.parametrize("verdict", [YES, NO, DEPENDS])
@pytest.mark.parametrize("error", ["", "it broke"])
def test_a_returned_decision_counts_as_it_is(verdict: Any, error: str) -> None:
    answer = Decision(verdict, has_role("inner"), error=error)
    asked = requirement(lambda identity: answer)
    decision = asked.evaluate(SOMEONE)
    assert decision.verdict is verdict
    assert bool(decision) is bool(answer)
    assert decision.error == error
    assert "has_role('inner')" in str(decision)
    assert bool((~asked).evaluate(SOMEONE)) is (verdict is NO and not error)
    for joined in (asked & always, always & asked, asked & asked, asked | never, never | asked):
        assert bool(joined.evaluate(SOMEONE)) is bool(answer)
        assert joined.evaluate(SOMEONE).error == error
    assert bool((asked | always).evaluate(SOMEONE)) is (not error)
    assert bool((~asked | never).evaluate(SOMEONE)) is (verdict is NO and not error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        KeyError(SECRET),
        RuntimeError(f"\r\n{SECRET}"),
        ExceptionGroup(SECRET, [ValueError(SECRET)]),
        UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
        OSError(2, SECRET, SECRET),
        RecursionError(SECRET),
        AssertionError(SECRET),
        TypeError(SECRET),
        StopIteration(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_refuses_and_its_text_is_never_shown(error: Exception) -> None:
    """SECURITY 1.28, 2.49."""

    def raises(identity: Identity) -> bool:
        try:
            raise LookupError(SECRET)
        except LookupError:
            raise error from None

    class Raises(Requirement):
        def fulfill(self, identity: Any) -> bool:
            raise error

    for asked in (requirement(raises), Raises()):
        for stands in (asked, ~asked, always & asked, asked | always):
            decision = stands.evaluate(SOMEONE)
            assert not decision
            assert type(error).__name__ in decision.error
            assert SECRET not in decision.error
            assert SECRET not in str(decision)
            assert "\n" not in decision.error


@pytest.mark.parametrize(
    "ask",
    [
        lambda identity: identity.has_permission(identity.claims["email"]),
        lambda identity: identity.claims["email"] in identity.permissions,
        lambda identity: identity.has_level(identity.claims["email"]),
        lambda identity: identity.catalogue.level_named(identity.claims["email"]) > 0,
        lambda identity: bool(Permission.parse(identity.claims["email"])),
        lambda identity: bool(Permission("user", identity.claims["email"])),
        lambda identity: bool(Identity("x", roles=identity.claims["email"])),
    ],
    ids=["permission", "in", "level", "catalog", "parse", "Permission", "Identity"],
)
def test_our_own_errors_do_not_contain_a_claim_value_either(ask: Any) -> None:
    identity = Identity(
        "u1",
        claims={"email": SECRET},  # type: ignore[arg-type]
        catalogue=Roles(Role("clerk", level=1)),
    )
    decision = requirement(ask).evaluate(identity)
    assert decision.error
    assert SECRET not in str(decision)


def test_an_exception_is_reported_by_its_type_and_place() -> None:
    def inner() -> bool:
        raise ZeroDivisionError

    def outer(identity: Identity) -> bool:
        return inner()

    error = requirement(outer).evaluate(SOMEONE).error
    assert re.fullmatch(r"ZeroDivisionError in inner \(test_requirements\.py, line \d+\)", error)


def test_a_store_that_does_not_answer_is_neither_an_allow_nor_a_refusal() -> None:
    def asks_a_store(identity: Identity) -> bool:
        raise StoreUnavailable("no answer")

    for asked in (requirement(asks_a_store), ~requirement(asks_a_store), asks_a_store | buyer):
        with pytest.raises(StoreUnavailable):
            asked.evaluate(SOMEONE)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_exceptions_that_end_the_program_are_not_refusals(error: type[BaseException]) -> None:
    def raises(identity: Identity) -> bool:
        raise error

    with pytest.raises(error):
        (~requirement(raises)).evaluate(SOMEONE)


def test_a_tree_too_deep_to_evaluate_is_refused() -> None:
    """SECURITY F12."""
    asked: Requirement = requirement(always)
    for _ in range(20_000):
        asked = Not(asked)
    decision = asked.evaluate(SOMEONE)
    assert not decision
    assert decision.error


# Resources


def test_a_resource_reaches_only_functions_that_take_one() -> None:
    seen: list[tuple[Any, ...]] = []

    def one(identity: Any) -> bool:
        seen.append((identity,))
        return True

    def two(identity: Any, resource: Any) -> bool:
        seen.append((identity, resource))
        return True

    def perhaps(identity: Any, resource: Any = "default") -> bool:
        seen.append((identity, resource))
        return True

    def many(*arguments: Any) -> bool:
        seen.append(arguments)
        return True

    requirement(one).evaluate(SOMEONE, "thing")
    requirement(two).evaluate(SOMEONE, "thing")
    requirement(perhaps).evaluate(SOMEONE, "thing")
    requirement(perhaps).evaluate(SOMEONE)
    requirement(many).evaluate(SOMEONE, "thing")
    requirement(many).evaluate(SOMEONE)
    assert [arguments[1:] for arguments in seen] == [
        (),
        ("thing",),
        ("thing",),
        ("default",),
        ("thing",),
        (),
    ]
    assert all(arguments[0] is SOMEONE for arguments in seen)


@pytest.mark.parametrize(
    "resource", [None, 0, False, "", [], object()], ids=lambda value: type(value).__name__
)
def test_a_falsy_resource_is_a_resource(resource: Any) -> None:
    given: list[Any] = []

    def takes(identity: Any, thing: Any) -> bool:
        given.append(thing)
        return True

    assert requirement(takes).evaluate(SOMEONE, resource)
    assert given == [resource]


def test_a_requirement_without_the_resource_it_needs_refuses_and_says_what_to_write() -> None:
    for asked in (buyer, Owner()):
        for stands in (asked, ~asked, asked | always):
            decision = stands.evaluate(SOMEONE)
            assert not decision
            assert re.search(
                r"(buyer|Owner\.fulfill) needs a resource, but none was given: write on=",
                decision.error,
            )


def test_a_subclass_with_one_argument_never_gets_the_resource() -> None:
    assert Weekday("monday").evaluate(SOMEONE)
    assert Weekday("monday").evaluate(SOMEONE, "thing")
    assert not Weekday("friday").evaluate(SOMEONE, "thing")


def test_a_subclass_with_two_arguments_gets_the_resource() -> None:
    assert Owner().evaluate(SOMEONE, "u1")
    assert not Owner().evaluate(SOMEONE, "u2")


def test_a_fulfill_that_comes_from_a_base_class_is_called_as_it_is_written() -> None:
    class OfTheSame(Owner):
        pass

    class Mixin:
        def fulfill(self, identity: Any, resource: Any) -> bool:
            return bool(identity.subject == resource)

    class Mixed(Mixin, Requirement):  # type: ignore[misc]
        pass

    class Narrowed(Owner):
        def fulfill(self, identity: Any) -> bool:  # type: ignore[override]
            return True

    for asked in (OfTheSame(), Mixed()):
        decision = asked.evaluate(SOMEONE, "u1")
        assert decision, decision.error
        assert not asked.evaluate(SOMEONE, "u2")
    assert Narrowed().evaluate(SOMEONE, "u2")


def test_a_requirement_made_by_the_decorator_can_still_be_called() -> None:
    assert isinstance(buyer, FunctionRequirement)
    assert buyer(SOMEONE, "u1") is True
    assert buyer(SOMEONE, "u2") is False
    assert buyer.__name__ == "buyer"


# Misuse


class Argumentless(Requirement):
    def fulfill(self, identity: Any) -> bool:
        return True


@pytest.mark.parametrize("kind", [Argumentless, Weekday, Owner, int, Identity, Requirement])
@pytest.mark.parametrize(
    "put",
    [as_requirement, lambda c: has_role("a") & c, lambda c: c | has_role("a"), Not, And, Or],
    ids=["as_requirement", "&", "|", "Not", "And", "Or"],
)
def test_a_class_in_place_of_an_instance_raises_at_once(kind: type, put: Any) -> None:
    with pytest.raises(
        MisuseError, match=rf"{kind.__name__} is a class: write {kind.__name__}\(\)"
    ):
        put(kind)


class AnswersItself:
    def __init__(self, identity: Any) -> None:
        self.identity = identity


@pytest.mark.parametrize("value", [AnswersItself, Argumentless, None, 42, ["a:b"], object(), b"x"])
def test_the_decorator_refuses_what_is_not_a_function(value: Any) -> None:
    with pytest.raises(MisuseError):
        requirement(value)
    with pytest.raises(MisuseError):
        requirement("is someone")(value)


async def asynchronous(identity: Any) -> bool:
    return True


async def generating(identity: Any) -> Any:
    yield True


class AsyncCallable:
    async def __call__(self, identity: Any) -> bool:
        return True


@functools.wraps(asynchronous)
def wrapping(*arguments: Any) -> Any:
    return asynchronous(*arguments)


@pytest.mark.parametrize(
    "function",
    [asynchronous, functools.partial(asynchronous), wrapping, AsyncCallable(), generating],
    ids=["function", "partial", "wrapped", "object", "generator"],
)
@pytest.mark.parametrize("put", [requirement, as_requirement, lambda f: has_role("a") & f])
def test_an_async_function_raises_at_once(function: Any, put: Any) -> None:
    with pytest.raises(MisuseError, match=r"is async, but a requirement must be a plain function"):
        put(function)


def test_an_async_fulfill_raises_when_the_class_is_written() -> None:
    with pytest.raises(MisuseError, match=r"Late\.fulfill is async"):

        class Late(Requirement):
            async def fulfill(self, identity: Any) -> bool:  # type: ignore[override]
                return True


def takes_none() -> bool:
    return True


def takes_three(identity: Any, resource: Any, third: Any) -> bool:
    return True


def takes_keyword(identity: Any, *, needed: Any) -> bool:
    return True


def takes_keyword_only(*, identity: Any) -> bool:
    return True


@pytest.mark.parametrize("function", [takes_none, takes_three, takes_keyword, takes_keyword_only])
def test_a_function_of_the_wrong_arguments_raises_at_once(function: Any) -> None:
    with pytest.raises(MisuseError, match=rf"{function.__name__} takes .*\(identity, resource\)"):
        requirement(function)
    with pytest.raises(MisuseError):
        has_role("a") | function


def test_a_fulfill_of_the_wrong_arguments_raises_when_the_class_is_written() -> None:
    with pytest.raises(MisuseError, match=r"None\.fulfill|Bare\.fulfill"):

        class Bare(Requirement):
            def fulfill(self) -> bool:  # type: ignore[override]
                return True

    with pytest.raises(MisuseError, match=r"Greedy\.fulfill takes"):

        class Greedy(Requirement):
            def fulfill(self, identity: Any, resource: Any, third: Any) -> bool:  # type: ignore[override]
                return True


def test_more_arguments_than_are_given_are_fine_where_they_have_defaults() -> None:
    def generous(
        identity: Any, resource: Any = None, *rest: Any, extra: int = 1, **more: Any
    ) -> bool:
        return resource == "thing"

    assert requirement(generous).evaluate(SOMEONE, "thing")
    assert not requirement(generous).evaluate(SOMEONE)


def test_a_method_and_a_partial_are_functions_like_any_other() -> None:
    class Rules:
        def first(self, identity: Any) -> bool:
            return True

        def second(self, identity: Any, resource: Any) -> bool:
            return bool(resource == "thing")

    rules = Rules()
    assert requirement(rules.first).evaluate(SOMEONE)
    assert requirement(rules.second).evaluate(SOMEONE, "thing")
    bound = functools.partial(lambda wanted, identity: identity.subject == wanted, "u1")
    assert requirement(bound).evaluate(SOMEONE)


def test_a_subclass_without_fulfill_refuses_and_says_what_to_write() -> None:
    class Empty(Requirement):
        pass

    decision = Empty().evaluate(SOMEONE)
    assert not decision
    assert "write def fulfill(self, identity)" in decision.error
    assert not (~Empty()).evaluate(SOMEONE)


@pytest.mark.parametrize(
    "value", [None, 1, True, 1.5, b"a:b", ["a:b"], ("a:b",), {"a:b"}, object()]
)
@pytest.mark.parametrize(
    "put", [as_requirement, lambda v: has_role("a") & v, lambda v: has_role("a") | v, Not]
)
def test_an_invalid_requirement_raises_at_once(value: Any, put: Any) -> None:
    with pytest.raises(MisuseError, match=r"Invalid requirement|is not a requirement"):
        put(value)


@pytest.mark.parametrize("text", ["", "admin", "orders", "orders:read:now", "is the buyer"])
def test_an_invalid_permission_raises_at_once(text: str) -> None:
    for put in (as_requirement, has_permission, Not, lambda t: has_role("a") & t):
        with pytest.raises(MisuseError, match="Invalid permission"):
            put(text)


def test_a_mapping_of_methods_is_only_valid_in_a_guard() -> None:
    for put in (as_requirement, And, lambda m: m | has_role("a")):
        with pytest.raises(MisuseError, match="mapping of HTTP methods"):
            put({"GET": "orders:read"})


@pytest.mark.parametrize("verb", [has_role, has_scope, has_claim])
@pytest.mark.parametrize("value", ["", None, 1, True, ["a", "b"], ("a",), has_role("a")])
def test_a_requirement_on_a_name_takes_one_name(verb: Any, value: Any) -> None:
    with pytest.raises(MisuseError, match=rf"{verb.__name__}\(\.\.\.\) takes one name, a string"):
        verb(value)


@pytest.mark.parametrize("level", [True, False, None, 1.5, [1], b"admin"])
def test_a_level_is_a_number_or_a_name(level: Any) -> None:
    with pytest.raises(MisuseError, match="expected a number or the name of a role"):
        has_level(level)


@pytest.mark.parametrize(
    "identity", [None, "u1", object(), {"sub": "u1"}, 1], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize(
    "asked",
    [has_permission("a:b"), has_role("a"), has_scope("a"), has_level(0), has_claim("a"), And()],
    ids=repr,
)
def test_an_object_that_is_not_an_identity_meets_no_built_in_requirement(
    identity: Any, asked: Requirement
) -> None:
    if asked == And():
        asked = asked & has_level(0)
    for stands in (asked, ~asked):
        decision = stands.evaluate(identity)
        assert not decision
        assert "needs an Identity" in decision.error


# The built-in requirements with a catalog

SHOP = Roles(Role("clerk", "orders:read", level=1), Role("manager", "orders:*", includes="clerk"))


def shopper(*roles: str, **more: Any) -> Identity:
    held = SHOP.permissions_of(roles)
    return Identity("u1", roles=roles, permissions=held, catalogue=SHOP, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (has_role("manger"), r"no role is named 'manger': add Role\('manger'"),
        (has_permission("oders:read"), "no role grants 'oders:read': add it to a Role"),
        (has_level("owner"), "Unknown level 'owner'"),
        (has_level("manager"), "role 'manager' has no level"),
    ],
    ids=repr,
)
def test_an_unknown_name_refuses_also_under_not(asked: Any, message: str) -> None:
    for identity in (shopper("manager"), shopper()):
        for stands in (asked, ~asked, asked | always):
            decision = stands.evaluate(identity)
            assert not decision
            assert re.search(message, decision.error)


def test_an_included_role_is_held_but_not_the_role_that_includes_it() -> None:
    assert has_role("clerk").evaluate(shopper("manager"))
    assert not has_role("manager").evaluate(shopper("clerk"))
    assert (~has_role("manager")).evaluate(shopper("clerk"))


def test_a_level_is_met_by_the_same_and_by_higher_ones() -> None:
    assert has_level(1).evaluate(shopper("manager"))
    assert has_level("clerk").evaluate(shopper("manager"))
    assert not has_level(2).evaluate(shopper("manager"))
    assert has_level(0).evaluate(shopper())
    assert not has_level("clerk").evaluate(shopper())
    assert has_level(-1).evaluate(shopper())


CLAIM_CASES = [
    # claim, wanted, met: None is unknown, "error" another JSON type
    ("gold", "gold", True),
    ("gold", "Gold", False),
    ("gold", "gol", False),
    (1, 1, True),
    (1, 1.0, True),
    (1.5, 1.5, True),
    (2, 1, False),
    (True, True, True),
    (False, False, True),
    (True, False, False),
    ({"a": 1}, {"a": 1}, True),
    ({"a": 1}, {"a": 2}, False),
    (["a", "b"], "a", True),
    (["a", "b"], "c", False),
    ([], "a", False),
    ([1], True, False),
    ([True], 1, False),
    ([1.0], 1, True),
    (["1"], 1, False),
    ([["a"]], "a", False),
    ([{"a": 1}], {"a": 1}, True),
    (["a", "b"], ["a", "b"], True),
    (["b", "a"], ["a", "b"], False),
    (None, "gold", None),
    (None, True, None),
    (True, 1, "error"),
    (1, True, "error"),
    (0, False, "error"),
    ("1", 1, "error"),
    ("true", True, "error"),
    ("gold", ["gold"], "error"),
    ({"gold": 1}, "gold", "error"),
    # At any depth, true is not 1.
    ([True], [1], False),
    ({"admin": 1}, {"admin": True}, False),
    ([{"admin": 1}], {"admin": True}, False),
    ({"a": [0]}, {"a": [False]}, False),
]


@pytest.mark.parametrize(("claim", "wanted", "met"), CLAIM_CASES)
def test_a_claim_is_met_by_the_same_json_value(claim: Any, wanted: Any, met: Any) -> None:
    identity = Identity("u1", claims={"claim": claim})  # type: ignore[arg-type]
    asked = has_claim("claim", wanted)
    assert bool(asked.evaluate(identity)) is (met is True)
    assert bool((~asked).evaluate(identity)) is (met is False)
    assert bool(asked.evaluate(identity).error) is (met == "error")


@pytest.mark.parametrize("claim", [0, 1, "", "x", True, [], {}, 0.0])
def test_has_claim_without_a_value_is_met_by_a_claim_that_is_present(claim: Any) -> None:
    identity = Identity("u1", claims={"claim": claim})  # type: ignore[arg-type]
    assert has_claim("claim").evaluate(identity)
    assert not (~has_claim("claim")).evaluate(identity)


@pytest.mark.parametrize("claims", [{}, {"claim": None}, {"claim": False}, {"Claim": True}])
def test_has_claim_without_a_value_is_not_met_if_missing_null_or_false(
    claims: dict[str, Any],
) -> None:
    assert not has_claim("claim").evaluate(Identity("u1", claims=claims))  # type: ignore[arg-type]


def test_an_error_about_a_claim_names_it_but_not_its_value() -> None:
    identity = Identity("u1", claims={"plan": SECRET})  # type: ignore[arg-type]
    error = has_claim("plan", 1).evaluate(identity).error
    assert "the claim plan does not have the JSON type" in error
    assert SECRET not in error


# Overrides


def test_an_overridden_requirement_counts_as_met_wherever_it_stands() -> None:
    admin = has_role("admin")
    for asked in (admin, admin & has_role("clerk"), never | admin, ~~admin):
        assert not asked.evaluate(SOMEONE)
        assert asked.evaluate(SOMEONE, overridden={admin})
    assert not (~admin).evaluate(SOMEONE, overridden={admin})
    assert not has_role("other").evaluate(SOMEONE, overridden={admin})


def test_an_override_does_not_apply_to_a_value_that_python_calls_equal() -> None:
    for one, other in ((has_claim("a", True), has_claim("a", 1)), (Weekday(True), Weekday(1))):
        assert one.evaluate(SOMEONE, overridden={one})
        assert not one.evaluate(SOMEONE, overridden={other})
        assert not other.evaluate(SOMEONE, overridden=[one])


class Broken(Requirement):
    """A requirement that cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise ValueError(SECRET)

    __hash__ = Requirement.__hash__

    def fulfill(self, identity: Any) -> bool:
        return True


@pytest.mark.parametrize("asked", [Unhashable(True), Broken()], ids=["unhashable", "broken"])
@pytest.mark.parametrize("kind", [set, list, frozenset, tuple])
def test_a_requirement_that_cannot_be_compared_makes_no_evaluation_raise(
    asked: Any, kind: Any
) -> None:
    overridden = kind([has_role("a"), Weekday("monday")])
    decision = as_requirement(asked).evaluate(SOMEONE, overridden=overridden)
    assert isinstance(decision, Decision)
    assert SECRET not in decision.error


# Costs


def test_checking_a_permission_costs_the_same_for_any_size_of_catalog() -> None:
    def steps(count: int, wanted: str) -> int:
        roles = Roles(*(Role(f"r{n}", f"thing{n}:read") for n in range(count)))
        identity = Identity("u1", roles=["r0"], permissions=["thing0:read"], catalogue=roles)  # type: ignore[arg-type]
        asked = has_permission(wanted.format(count - 1))
        return steps_of(lambda: asked.evaluate(identity))

    for wanted in ("thing{}:read", "thing{}:*"):
        assert steps(20_000, wanted) < 1.5 * steps(10, wanted), wanted


def test_evaluating_takes_steps_in_proportion_to_the_parts() -> None:
    def steps(count: int) -> int:
        asked = And(*(has_role("clerk") for _ in range(count)))
        return steps_of(lambda: asked.evaluate(SOMEONE))

    assert steps(8_000) < 8 * 1.2 * steps(1_000)


def test_the_marker_for_no_resource_has_a_readable_repr() -> None:
    assert repr(NO_RESOURCE) == "NO_RESOURCE"
    assert library_requirement(("opaque", "resource")).evaluate(SOMEONE, NO_RESOURCE).error


def test_a_subclass_of_a_built_in_requirement_is_equal_by_its_own_attributes_too() -> None:
    class TenantRole(has_role):
        def __init__(self, name: str, tenant: str) -> None:
            super().__init__(name)
            self.tenant = tenant

    assert TenantRole("admin", "north") == TenantRole("admin", "north")
    assert TenantRole("admin", "north") != TenantRole("admin", "south")
    assert len({TenantRole("admin", "north"), TenantRole("admin", "south")}) == 2
    overridden = (TenantRole("admin", "north"),)
    assert not TenantRole("admin", "south").evaluate(SOMEONE, overridden=overridden)
