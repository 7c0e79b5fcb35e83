"""Flask-Allows' requirements: of whom, truthy or falsy, what comes through, and combined."""

from __future__ import annotations

import asyncio
import functools
import operator
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask, abort, request
from werkzeug.exceptions import NotFound

from jwt_authz import MisuseError
from jwt_authz.compat._allows_requirements import Check, as_native
from jwt_authz.compat.flask_allows import (
    Allows,
    And,
    C,
    ConditionalRequirement,
    Not,
    Or,
    Override,
    Requirement,
    requires,
    wants_request,
)
from tests.compat.allows_cases import (
    ADMIN,
    GUEST,
    Has,
    Spy,
    always,
    ask,
    fulfills,
    is_admin,
    never,
    of_user_and_request,
)


@pytest.fixture
def app() -> Flask:
    return Flask("allows")


# Fulfilling


def test_all_requirements_must_be_met_and_the_first_that_is_not_ends_it() -> None:
    spies = Spy(), Spy(False), Spy()
    assert not Allows().fulfill(spies, GUEST)
    assert [len(spy.asked) for spy in spies] == [1, 1, 0]
    assert Allows().fulfill([always, Spy()], GUEST)


def test_no_requirement_at_all_is_met() -> None:
    assert Allows().fulfill([], GUEST) is True
    assert Allows().fulfill(iter([]), GUEST) is True


@pytest.mark.parametrize("answer", [1, "yes", [0], object()])
def test_a_truthy_answer_is_a_yes(answer: Any) -> None:
    assert Allows().fulfill([lambda user: answer], GUEST) is True


@pytest.mark.parametrize("answer", [0, "", None, [], {}])
def test_a_falsy_answer_is_a_no(answer: Any) -> None:
    assert Allows().fulfill([lambda user: answer], GUEST) is False


def test_requirements_may_come_from_an_iterator() -> None:
    assert Allows().fulfill(iter([always]), GUEST)
    assert not Allows().fulfill((each for each in (always, never)), GUEST)


@pytest.mark.parametrize(
    "requirement",
    [is_admin, Has("admin"), functools.partial(operator.ne, GUEST), Mock(return_value=1)],
)
def test_any_callable_of_the_user_is_a_requirement(requirement: Any) -> None:
    assert fulfills(requirement, ADMIN)


@pytest.mark.parametrize("error", [TypeError("a bug"), ValueError("a bug"), NotFound()])
@pytest.mark.parametrize("wrap", [lambda r: r, Not, lambda r: Or(never, r), lambda r: ~C(r)])
def test_what_a_requirement_raises_comes_through(wrap: Any, error: Exception) -> None:
    calls = []

    def broken(user: Any) -> bool:
        calls.append(user)
        raise error

    with pytest.raises(type(error)) as caught:
        fulfills(wrap(broken))
    assert caught.value is error
    assert calls == [GUEST]


def test_a_type_error_inside_a_requirement_is_not_taken_for_a_wish_for_the_request() -> None:
    class Broken(Requirement):
        def fulfill(self, user: Any) -> bool:  # type: ignore[override]
            return len(user) > 1

    with warnings.catch_warnings(), pytest.raises(TypeError, match="has no len"):
        warnings.simplefilter("error")
        fulfills(Broken())


def test_a_requirement_may_abort(app: Flask) -> None:
    Allows(app, lambda: GUEST)
    app.add_url_rule("/", view_func=requires(lambda user: abort(404))(lambda: "passed"))
    assert ask(app)[0] == 404


def test_a_class_in_place_of_an_instance_is_reported_where_it_is_written() -> None:
    with pytest.raises(MisuseError, match=r"Has is a class: write Has\(\)"):
        requires(Has)
    with pytest.raises(MisuseError, match="Has is a class"):
        Allows().fulfill([Has], GUEST)


@pytest.mark.parametrize("value", [None, 3, object()])
def test_an_invalid_requirement_is_reported_where_it_is_written(value: Any) -> None:
    with pytest.raises(MisuseError, match="Invalid requirement"):
        requires(value)


async def async_requirement(user: Any) -> bool:
    return False


class AsyncRequirement(Requirement):
    async def fulfill(self, user: Any) -> bool:  # type: ignore[override]
        return False


def generating(user: Any) -> Iterator[bool]:
    yield False


@pytest.mark.parametrize("requirement", [async_requirement, AsyncRequirement()])
def test_an_async_requirement_is_reported_where_it_is_written(requirement: Any) -> None:
    with pytest.raises(MisuseError, match="is async: define it with def"):
        requires(requirement)


@pytest.mark.parametrize("requirement", [generating, lambda user: asyncio.Future(loop=Mock())])
def test_an_awaitable_answer_does_not_allow(requirement: Any) -> None:
    with pytest.raises(MisuseError, match="an awaitable or a generator: define it with def"):
        fulfills(requirement)


# Of user and request


@pytest.mark.parametrize(("user", "status"), [(ADMIN, 200), (GUEST, 403)])
def test_a_requirement_of_user_and_request_gets_both_and_a_warning(
    app: Flask, user: Any, status: int
) -> None:
    Allows(app, lambda: user)
    app.add_url_rule("/", view_func=requires(of_user_and_request)(lambda: "passed"))
    with pytest.warns(DeprecationWarning, match="of_user_and_request.*Passing request to req"):
        assert ask(app)[0] == status


def test_a_class_whose_fulfill_takes_the_request_gets_it_and_a_warning(app: Flask) -> None:
    class OfBoth(Requirement):
        def fulfill(self, user: Any, request: Any) -> bool:  # type: ignore[override]
            return request.path == "/here"

    with app.test_request_context("/here"), pytest.warns(DeprecationWarning, match="OfBoth"):
        assert fulfills(OfBoth())
    with app.test_request_context("/there"), pytest.warns(DeprecationWarning, match="OfBoth"):
        assert not fulfills(OfBoth())


def test_a_requirement_of_the_user_alone_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fulfills(Has("admin"), ADMIN)
        assert fulfills(And(Has("admin"), Or(is_admin)), ADMIN)


def test_one_whose_request_is_optional_is_of_the_user_alone() -> None:
    given = []

    def optional(user: Any, request: Any = None) -> bool:
        given.append(request)
        return True

    assert fulfills(optional)
    assert given == [None]


def test_wants_request_hands_the_request_on_without_a_warning(app: Flask) -> None:
    @wants_request
    def optional(user: Any, request: Any = None) -> bool:
        """Looks at the path."""
        return request is not None and request.path == "/here"

    assert (optional.__name__, optional.__doc__) == ("optional", "Looks at the path.")
    with app.test_request_context("/here"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fulfills(optional)
        assert fulfills(And(wants_request(lambda user, request: request.path == "/here")))
        assert optional(GUEST)


def decorating(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def of_user(user: Any) -> Any:
        return function(user, "from the decorator")

    return of_user


def passing_on(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def of_anything(*arguments: Any) -> Any:
        return function(*arguments)

    return of_anything


def test_the_outermost_signature_tells_unless_it_takes_anything() -> None:
    given: list[Any] = []

    def of_both(user: Any, request: Any) -> bool:
        given.append(request)
        return True

    assert fulfills(decorating(of_both))
    assert given == ["from the decorator"]
    with pytest.warns(DeprecationWarning):
        assert fulfills(passing_on(of_both))
    assert given[1] is request
    with pytest.warns(DeprecationWarning):
        assert fulfills(functools.partial(of_both))
    assert fulfills(functools.partial(of_both, request="bound"))


def test_the_signature_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fresh(user: Any) -> bool:
        return True

    assert fulfills(fresh)
    assert fulfills(Has("view"), ADMIN)
    monkeypatch.setattr("inspect.signature", Mock(side_effect=AssertionError("read again")))
    assert fulfills(fresh)
    assert fulfills(Has("admin"), ADMIN)


def test_a_requirement_that_takes_too_much_raises_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="missing 2 required positional arguments"):
        fulfills(lambda user, request, more: True)


def test_a_builtin_that_tells_no_signature_is_of_the_user_alone() -> None:
    assert fulfills(max, [0, 1])
    assert not fulfills(max, [0, 0])


# Requirements that are classes


def test_requirement_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Requirement()  # type: ignore[abstract]


def test_a_requirement_can_be_called_with_or_without_a_request(app: Flask) -> None:
    class OfBoth(Requirement):
        def fulfill(self, user: Any, request: Any) -> Any:  # type: ignore[override]
            return user, request

    assert Has("admin")(ADMIN) is True
    assert Has("admin")(ADMIN, "a request") is True
    with pytest.warns(DeprecationWarning):
        assert OfBoth()(GUEST, "a request") == (GUEST, "a request")
    with pytest.warns(DeprecationWarning):
        assert OfBoth()(GUEST) == (GUEST, request)


def test_the_repr_of_a_requirement_shows_what_it_is_made_of() -> None:
    assert repr(Has("admin")) == "<Has(permission='admin')>"


# Combined requirements


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        (And(always, always), True),
        (And(always, never), False),
        (Or(never, always), True),
        (Or(never, never), False),
        (Not(never), True),
        (Not(always), False),
        (Not(always, never), True),
        (Not(always, always), False),
        (C(always, never), False),
        (C(always, always, negated=True), False),
        (C(always, never, op=operator.xor), True),
        (C(always, always, op=operator.xor), False),
        (C(always, always, always, op=operator.xor), True),
        (Or(never, And(always, Not(never))), True),
        (C(always) & never, False),
        (C(always) & C(always), True),
        (C(never) | always, True),
        (C(never) | C(never), False),
        (~C(never), True),
        (~(C(always) & C(never)), True),
        (C(Has("admin")) | Has("view"), False),
    ],
)
def test_a_combination_is_met_as_its_name_says(requirement: Any, met: bool) -> None:
    assert fulfills(requirement) is met
    assert requirement(GUEST, None) is met
    assert requirement.fulfill(GUEST, None) is met
    assert requirement.fulfill(GUEST) is met


@pytest.mark.parametrize("combine", [C, And, Or, Not])
def test_a_combination_of_nothing_is_met(combine: Any) -> None:
    assert fulfills(combine())


@pytest.mark.parametrize(
    ("combine", "answers", "asked"),
    [
        (And, [True, False, True], 2),
        (And, [True, True, True], 3),
        (Or, [False, True, True], 2),
        (Or, [False, False, False], 3),
        (C, [False, False, True], 3),
        (functools.partial(C, until=True), [True, False], 1),
        (functools.partial(C, until=False, op=operator.or_), [True, False, False], 3),
        (functools.partial(C, until=True, op=operator.xor), [False, True, True], 2),
    ],
)
def test_the_asking_ends_at_the_answer_that_until_names(
    combine: Any, answers: list[bool], asked: int
) -> None:
    spies = [Spy(answer) for answer in answers]
    fulfills(combine(*spies))
    assert sum(len(spy.asked) for spy in spies) == asked


def test_the_answers_are_reduced_as_booleans_from_left_to_right() -> None:
    seen: list[Any] = []

    def op(left: Any, right: Any) -> bool:
        seen.append((left, right))
        return False

    assert not fulfills(C(lambda user: "yes", lambda user: 2, lambda user: None, op=op))
    assert seen == [(True, True), (False, False)]
    assert fulfills(And(lambda user: 1, lambda user: 2))


def test_an_operator_that_raises_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        fulfills(C(always, never, op=lambda left, right: left / right))


def test_a_combination_shows_what_it_was_made_with() -> None:
    made = C(always, never, op=operator.xor, until=True, negated=False)
    assert (made.requirements, made.op) == ((always, never), operator.xor)
    assert (made.until, made.negated) == (True, False)
    assert (C().op, C().until, C().negated) == (operator.and_, None, None)
    assert (And().op, And().until) == (operator.and_, False)
    assert (Or().op, Or().until) == (operator.or_, True)
    assert Not().negated is True
    assert C is ConditionalRequirement
    assert issubclass(C, Requirement)


def test_the_repr_of_a_combination_reads_like_the_source() -> None:
    nested = And(always, Or(never, Has("x")), Not(C(never)))
    assert repr(nested) == "And(always, Or(never, <Has(permission='x')>), Not(C(never)))"
    assert repr(made := C(always, op=operator.xor, until=True)) == (
        "C(always, op=xor, until=True, negated=None)"
    )
    assert fulfills(made)


def test_an_unknown_keyword_is_an_error() -> None:
    with pytest.raises(TypeError, match="untill"):
        C(always, untill=True)  # type: ignore[call-arg]


def test_combinations_are_equal_by_content() -> None:
    assert And(always, Has("x")) == And(always, Has("x"))
    assert hash(And(always, Has("x"))) == hash(And(always, Has("x")))
    assert And(always) != And(never)
    assert And(always) != Or(always)
    assert C(always, until=True) != C(always)
    assert C(always, negated=True) != C(always)
    assert C(always) != always


def test_a_subclass_of_the_combination_keeps_its_class_and_its_own_fulfill() -> None:
    class Mine(ConditionalRequirement):
        pass

    class Own(ConditionalRequirement):
        def fulfill(self, user: Any, request: Any = None) -> bool:
            return user is ADMIN

    assert type(Mine(always) & never) is Mine
    assert not fulfills(Mine(always) & never)
    assert fulfills(Own(never), ADMIN)
    assert not fulfills(Own(always))


def test_a_part_of_a_combination_may_take_the_request(app: Flask) -> None:
    with app.test_request_context("/"), pytest.warns(DeprecationWarning, match="of_user_and_req"):
        assert fulfills(And(of_user_and_request), ADMIN)
    given = []

    def of_both(user: Any, request: Any) -> bool:
        given.append(request)
        return True

    with pytest.warns(DeprecationWarning):
        assert And(of_both)(GUEST, "a request")
    assert given == ["a request"]


def test_a_check_stands_for_the_requirements_that_count_as_met() -> None:
    check = Check(Override(always), None)
    assert list(check) == [always]
    assert len(check) == 1
    assert as_native(always) in check
    assert as_native(never) not in check
