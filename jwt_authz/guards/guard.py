"""The guard: requirements attached to a view or another place in code.

How it works. `decide` is the only way from a guard to its decision: it authenticates the request,
evaluates the requirement, and reports the outcome to the audit. `refused` uses it for calls of
views, `insist` for `authorize` and `with`. A missing Authz, an invalid token and any verdict but
yes refuse.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from flask import Flask, Request, current_app, has_request_context
from werkzeug.exceptions import NotFound

from .._context import get_app, get_request
from ..application import KEY, AppState, current_state, require_request
from ..authentication.identity_loader import given
from ..errors import InvalidToken, MisuseError, StoreUnavailable
from ..policy.decision import YES
from ..policy.explanation import with_claims
from ..policy.functions import NO_RESOURCE
from ..policy.problem import Problem, not_allowed, token_invalid, unavailable
from ..policy.requirements import Requirement
from ..refusals import Failing, raise_response
from .arguments import (
    NO_ENTRY,
    NO_GUARD,
    NOT_GIVEN,
    refuse_unfit_fresh,
    refuse_unfit_identity,
    refuse_unfit_into,
    refuse_unfit_view,
    requirements_of,
)
from .call_path import GUARDS
from .overrides import InUse, applied
from .placement import WRAPPED, mark, view_has_head, without_self
from .vary import request_answered_by, vary_later, with_vary

View = TypeVar("View", bound=Callable[..., Any])

PASSED = "_jwt_authz_passed_unenforced"
"""The attribute of a request that was let through although a store did not answer."""


class Guard:
    """Requirements bound to a place in code; made by `requires` and `guard`.

    It is a decorator of views, also for `View.decorators`, and a context manager. `requirement`
    applies to every method, `by_method` has the complete requirement of each method with an entry.
    Guards are immutable: assigning to an attribute raises `AttributeError`.
    """

    requirement: Requirement
    by_method: Mapping[str, Requirement] | None
    on: Any
    identity: Any
    failing: Failing
    hide: bool
    optional: bool
    fresh: bool | timedelta
    enforce: bool
    into: str | None

    def __init__(
        self,
        requirements: tuple[Any, ...],
        on: Any = NO_RESOURCE,
        identity: Any = NOT_GIVEN,
        on_fail: Any = None,
        throws: Any = None,
        hide: bool = False,
        optional: bool = False,
        fresh: bool | timedelta = False,
        enforce: bool = True,
        into: str | None = None,
    ) -> None:
        requirement, by_method = requirements_of(requirements)
        if not isinstance(enforce, bool):
            raise MisuseError(f"Invalid enforce {enforce!r}: expected True or False.")
        refuse_unfit_fresh(fresh, identity)
        refuse_unfit_identity(identity)
        refuse_unfit_into(into, on)
        vars(self).update(
            requirement=requirement,
            by_method=by_method,
            on=on,
            identity=identity,
            failing=Failing(on_fail, throws),
            hide=hide,
            optional=optional,
            fresh=fresh,
            enforce=enforce,
            into=into,
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("guards are immutable: create another one with other arguments")

    is_guard = True  # so that it is not taken for a requirement

    def __bool__(self) -> bool:
        raise MisuseError(
            "requires(...) has no truth value: write if allowed(...), or with requires(...)."
        )

    def __call__(self, view: View) -> View:
        """Return the view with this guard around it; an async view is run as by Flask."""
        refuse_unfit_view(view)
        self.refuse_without_resource()
        if self.on is not NO_RESOURCE and not callable(self.on):
            raise MisuseError(
                "on= of a decorator must be a function of the view's arguments that returns the "
                "resource: write on=load_article, or call authorize(..., on=article) in the view."
            )
        is_async = inspect.iscoroutinefunction(view)
        may_answer = type(self) is Guard and self.identity is NOT_GIVEN

        @functools.wraps(view)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            app = get_app() if may_answer else None
            request = None if app is None else request_answered_by(guarded, app)
            try:
                of_url = without_self(arguments, view) if arguments else arguments
                answer = self.refused(of_url, keywords, app, request)
                if answer is None:
                    call = current_app.ensure_sync(view) if is_async else view
                    answer = call(*arguments, **keywords)
            except Exception:
                if request is not None:
                    vary_later(request)
                raise
            return answer if request is None else with_vary(answer, request)

        setattr(guarded, GUARDS, (self, *getattr(view, GUARDS, ())))
        inner: Any = view
        while inner is not None:  # the function that a route may have, below other decorators
            mark(inner, WRAPPED)
            inner = getattr(inner, "__wrapped__", None)
        return guarded  # type: ignore[return-value]

    def refuse_without_resource(self) -> None:
        """Raise `MisuseError` if a requirement needs a resource and there is no `on`."""
        asked = [self.requirement, *(self.by_method or {}).values()]
        for part in (part for whole in asked for part in whole.walk()):
            if part.takes_resource and self.on is NO_RESOURCE:
                raise MisuseError(
                    f"{part!r} needs a resource: write on=load_it, or call "
                    f"authorize({part!r}, on=it) in the view."
                )

    def requirement_for(self, method: str, has_head: bool = False) -> Requirement:
        """Return the requirement of a method; HEAD uses that of GET, unless the view has `head`."""
        if self.by_method is None:
            return self.requirement
        if method == "HEAD" and "HEAD" not in self.by_method and not has_head:
            method = "GET"
        return self.by_method.get(method, NO_ENTRY)

    def lacks(self, method: str, has_head: bool = False) -> bool:
        """Return whether a mapping has no entry for a method, which is then always refused."""
        return any(part == NO_ENTRY for part in self.requirement_for(method, has_head).walk())

    def refused(
        self,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        app: Flask | None = None,
        answered: Request | None = None,
    ) -> Any:
        """Return None if a call of a view is allowed, else return or raise the refusal.

        `arguments` do not include `self`. With `into`, add the resource to `keywords`. For
        `answered` see `AppState.authenticate`.
        """
        app = get_app() if app is None else app
        state = app.extensions.get(KEY) or current_state()
        load = None
        if self.on is not NO_RESOURCE:
            on = app.ensure_sync(self.on)
            load = functools.cache(lambda: self._load(on, arguments, keywords.copy()))
        problem, _ = self.decide(state, app, load, answered)
        if problem is not None:
            refused = self._refuse(state, problem, arguments, keywords)
            if refused is not None:
                return refused
        if load is not None and self.into is not None:
            keywords[self.into] = load()
        return None

    def _load(
        self, on: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        try:
            return on(*arguments, **keywords)
        except NotFound:
            if self.hide:  # the same response for a missing resource as for a hidden one
                raise NotFound from None
            raise

    def _refuse(
        self,
        state: AppState,
        problem: Problem,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> Any:
        if not self.is_enforced(state):
            return _let_pass(problem)
        return state.refusing.refuse(problem, self.failing, self.hide, arguments, keywords)

    def is_enforced(self, state: AppState) -> bool:
        """Return whether a negative decision refuses the call, or is only logged and counted."""
        return self.enforce and state.settings.enforce

    def decide(
        self,
        state: AppState,
        app: Flask,
        load: Callable[[], Any] | None = None,
        answered: Request | None = None,
        is_question: bool = False,
    ) -> tuple[Problem | None, Any]:
        """Return the problem, or None if the call is allowed, and the identity of the caller.

        `load` returns the resource. With `is_question`, as for `allowed`, a negative decision is
        logged at level DEBUG, and always counts as a refusal.
        """
        identity, decision, note = None, None, ""
        problem: Problem | None = None
        try:
            identity = self.caller(state, app, answered)
            if identity is not None:
                requirement, overridden = self.requirement, ()
                if self.by_method is not None:
                    method = get_request().method
                    has_head = method == "HEAD" and view_has_head(app)
                    requirement = self.requirement_for(method, has_head)
                if InUse.anything:
                    requirement, overridden = applied(requirement)
                resource = NO_RESOURCE
                if load is not None:
                    resource = load()
                    requirement = state.rules.applied(requirement, resource)
                decision = requirement.evaluate(identity, resource, overridden)
                if decision.verdict is YES and not decision.error:
                    state.audit.allowed(app, identity, decision, InUse.anything)
                    return None, identity
                decision = with_claims(decision, identity)
                problem = not_allowed(decision, state.settings.disclose)
            elif not self.optional:
                problem = state.missing_token()
        except InvalidToken as error:
            problem, note = token_invalid(error), error.detail
            error.__traceback__ = None  # its frames refer to it: avoid a cycle
        except StoreUnavailable as error:
            problem, note = unavailable(), str(error)
        if problem is None:
            state.audit.allowed(app, None, None)
        else:
            level = logging.DEBUG if is_question else logging.WARNING
            enforced = is_question or self.is_enforced(state)
            state.audit.refused(app, identity, decision, problem, note, level, enforced)
        return problem, identity

    def caller(self, state: AppState, app: Flask, answered: Request | None = None) -> Any:
        """Return `identity=`, or the token's identity; raise `InvalidToken`, also if not fresh."""
        if self.identity is not NOT_GIVEN:
            return given(self.identity, state.trust)
        found = state.authenticate(app, answered)
        if found.error is not None:
            raise found.error
        if self.fresh and found.identity is not None:
            found.check_fresh(self.fresh if isinstance(self.fresh, timedelta) else None)
        return found.identity

    def __enter__(self) -> Any:
        """Return `on` or the identity, or raise the refusal."""
        if self.into is not None:
            raise MisuseError("into= is for views: write with requires(..., on=it) as it: ...")
        if not self.enforce:
            raise MisuseError(
                "enforce=False is only for views, blueprints and applications, where flask authz "
                "check finds it: remove it from with requires(...)."
            )
        return self.insist(current_state())

    def __exit__(self, *exception: object) -> None:
        return None

    def insist(self, state: AppState) -> Any:
        """Return the resource or the identity, or raise the refusal, for `authorize` and `with`."""
        problem, identity = self.ask(state, self.on)
        if problem is not None and self.is_enforced(state):
            raise_response(state.refusing.refuse(problem, self.failing, self.hide))
        if problem is not None:
            _let_pass(problem)
        return identity if self.on is NO_RESOURCE else self.on

    def ask(
        self, state: AppState, resource: Any, *, is_question: bool = False
    ) -> tuple[Problem | None, Any]:
        """Return the result of `decide` for a resource, without refusing."""
        if self.identity is NOT_GIVEN or self.by_method is not None:
            require_request()
        return self.decide(state, get_app(), lambda: resource, is_question=is_question)

    def is_met(self, state: AppState, resource: Any) -> bool:
        """Return whether the caller meets the requirements for a resource.

        Raise the response of a 503 if that cannot be known.
        """
        problem, _ = self.ask(state, resource, is_question=True)
        if problem is not None and problem.status == 503:
            raise_response(state.refusing.refuse(problem, self.failing))
        return problem is None

    def __repr__(self) -> str:
        if self.by_method is None:
            return f"requires({self.requirement!r})"
        entries = ", ".join(f"{method}: {asked!r}" for method, asked in self.by_method.items())
        return f"requires({{{entries}}})"


def _let_pass(problem: Problem) -> None:
    """Let a call pass that would have been refused.

    If a store did not answer, `current_identity` is then falsy instead of raising the 503: the view
    would not have been called if the guard were enforced.
    """
    if problem.status == 503 and has_request_context():
        get_request().__dict__[PASSED] = True


UNGUARDED = Guard((NO_GUARD,))
"""The guard of views with neither a guard nor `exempt`, with `default="deny"`."""
