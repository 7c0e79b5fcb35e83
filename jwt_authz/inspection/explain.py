"""Explain why a call is allowed or refused, guard by guard and claim by claim.

How it works. Each guard of a call is evaluated as in a real request: its `on` is called and all
parts of its requirement are evaluated, including guards after the one that refuses. No view,
`before_request` or refusal callback runs, and nothing is counted or logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException

from .._context import get_app
from ..application import AppState, current_state, require_request
from ..errors import InvalidToken, MisuseError, StoreUnavailable
from ..guards.arguments import NOT_GIVEN, refuse_mappings
from ..guards.call_path import class_of
from ..guards.guard import UNGUARDED, Guard
from ..guards.overrides import applied
from ..guards.placement import guards_of, is_exempt, is_static
from ..policy import explanation
from ..policy.decision import NO, Decision, printable
from ..policy.functions import NO_RESOURCE, describe_error
from ..policy.problem import (
    TYPE_PREFIX,
    Problem,
    not_allowed,
    token_invalid,
    unavailable,
)
from ..policy.requirements import Requirement


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one guard to a call.

    `status` is the status of the refusal, None if the guard allows the call. `problem` is the name
    of the problem's type, and `note` a detail that is otherwise only in the log. `decision` is None
    if the requirement was not evaluated.
    """

    guard: Guard
    decision: Decision | None = None
    status: int | None = None
    problem: str = ""
    note: str = ""
    is_enforced: bool = True

    @property
    def refuses(self) -> bool:
        """Whether the call ends here."""
        return self.status is not None and self.is_enforced

    def lines(self, asked: bool) -> Iterator[str]:
        """Yield the answer, followed by the tree of reasons."""
        answer = "allowed" if self.status is None else f"{self.status} {self.problem}".strip()
        notes = ", ".join(
            [*([] if self.is_enforced else ["not enforced"]), *([] if asked else ["not asked"])]
        )
        note = f": {self.note}" if self.note else ""
        yield printable(f"{self.guard!r}: {answer}{f' ({notes})' if notes else ''}{note}")
        yield from self.decision.lines(1) if self.decision is not None else ()

    def as_dict(self, asked: bool) -> dict[str, Any]:
        """Return the answer as JSON values."""
        tree = None if self.decision is None else self.decision.as_dict(with_errors=True)
        return {
            "guard": repr(self.guard),
            "status": self.status,
            "problem": self.problem or None,
            "note": self.note or None,
            "enforced": self.is_enforced,
            "asked": asked,
            "tree": tree,
        }


@dataclass(frozen=True, slots=True)
class CallExplanation:
    """The outcome of a call: its endpoint, and its guards in the order in which they are checked.

    `unguarded` says why there are no guards, if there are none.
    """

    call: str
    endpoint: str
    answers: tuple[Answer, ...] = ()
    unguarded: str = ""

    @property
    def status(self) -> int | None:
        """Return the status of the refusal, None if the call reaches its view."""
        return next((answer.status for answer in self.answers if answer.refuses), None)

    def __bool__(self) -> bool:
        return self.status is None

    def _asked(self) -> Iterator[tuple[Answer, bool]]:
        """Yield each guard's answer, and whether the call reaches the guard."""
        asked = True
        for answer in self.answers:
            yield answer, asked
            asked = asked and not answer.refuses

    def lines(self) -> Iterator[str]:
        """Yield the explanation as text, one line for each guard or requirement."""
        outcome = "allowed" if self.status is None else f"refused, {self.status}"
        why = f", {self.unguarded}" if self.unguarded else ""
        yield printable(f"{self.call} ({self.endpoint}): {outcome}{why}")
        for answer, asked in self._asked():
            yield from answer.lines(asked)

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON values."""
        return {
            "call": self.call,
            "endpoint": self.endpoint,
            "allowed": bool(self),
            "status": self.status,
            "unguarded": self.unguarded or None,
            "guards": [answer.as_dict(asked) for answer, asked in self._asked()],
        }


def explain(requirements: tuple[Any, ...], on: Any, identity: Any) -> Decision:
    """Return the complete decision about the caller or `identity`; an error without a caller."""
    refuse_mappings("explain", requirements)
    guard = Guard(requirements, on, identity)
    if identity is NOT_GIVEN:
        require_request()
    answer = _answer(guard, current_state(), get_app(), guard.requirement, lambda: on)
    if answer.decision is not None:
        return answer.decision
    return Decision(NO, guard.requirement, error=answer.note)


def explain_call(app: Flask, *, denies_unguarded: bool) -> CallExplanation:
    """Explain the current request, which the application does not handle.

    Raise what routing raises (404, 405), and `MisuseError` for guards of `jwt_authz.compat`.
    """
    if request.routing_exception is not None:
        raise request.routing_exception
    rule: Any = request.url_rule
    endpoint, method = rule.endpoint, request.method
    call = f"{method} {request.path}"
    if method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return CallExplanation(call, endpoint, unguarded="because Flask answers it itself")
    if is_static(app, endpoint):
        return CallExplanation(call, endpoint, unguarded="because it is a static file")
    guards = guards_of(app, endpoint, method)
    exempt = is_exempt(app, endpoint, method)
    if not guards and denies_unguarded and not exempt:
        guards = [UNGUARDED]
    answers = tuple(_answer_of_place(guard, app) for guard in guards)
    why = "because it is exempt" if exempt else "because it has no guard"
    return CallExplanation(call, endpoint, answers, "" if guards else why)


def _answer_of_place(guard: Guard, app: Flask) -> Answer:
    if type(guard) is not Guard:
        raise MisuseError(
            f"{guard!r} is a guard of jwt_authz.compat: only guards of jwt_authz itself can be "
            "explained"
        )
    view_class = class_of(app.view_functions.get(request.endpoint or ""))
    requirement = guard.requirement_for(request.method, hasattr(view_class, "head"))
    arguments = request.view_args or {}

    def load() -> Any:
        on = guard.on
        return NO_RESOURCE if on is NO_RESOURCE else app.ensure_sync(on)(**arguments)

    return _answer(guard, current_state(), app, requirement, load)


def _answer(
    guard: Guard, state: AppState, app: Flask, requirement: Requirement, load: Callable[[], Any]
) -> Answer:
    """Return a guard's answer for the caller, with all parts of its decision."""
    try:
        identity = guard.caller(state, app)
    except InvalidToken as error:
        return _refusal(guard, state, token_invalid(error), error.detail or error.sentence)
    except StoreUnavailable as error:
        return _refusal(guard, state, unavailable(), str(error))
    if identity is None:
        if guard.optional:
            return Answer(guard, note="no token was sent, and none is required")
        return _refusal(guard, state, state.missing_token(), "no token was sent")
    requirement, overridden = applied(requirement)
    try:
        resource = load()
    except HTTPException as error:
        return Answer(guard, status=error.code or 500, note="on= returned no resource")
    except Exception as error:
        return Answer(guard, status=500, note=f"on= failed: {describe_error(error)}")
    requirement = state.rules.applied(requirement, resource)
    try:
        decision = explanation.explain(requirement, identity, resource, overridden)
    except StoreUnavailable as error:
        return _refusal(guard, state, unavailable(), str(error))
    if decision:
        return Answer(guard, decision)
    return _refusal(guard, state, not_allowed(decision), "", decision)


def _refusal(
    guard: Guard, state: AppState, problem: Problem, note: str, decision: Decision | None = None
) -> Answer:
    status = 404 if guard.hide and problem.status == 403 else problem.status
    name = problem.type.removeprefix(TYPE_PREFIX)
    return Answer(guard, decision, status, name, note, guard.is_enforced(state))
