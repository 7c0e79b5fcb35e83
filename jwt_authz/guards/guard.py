"""The guard: requirements bound to a place in code, and how it lets a call go on or refuses it.

How it works. A guard finds out who is calling (once a request), evaluates its requirement, tells
the audit, and lets the call go on or refuses. The first thing that is missing refuses: the
Authz, a good token, a verdict of yes.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from flask import Flask, current_app, has_request_context
from werkzeug.exceptions import NotFound

from .._context import get_app, get_request
from ..application import KEY, Parts, current_parts, require_request
from ..authentication.authenticator import given
from ..errors import InvalidToken, MisuseError, StoreUnavailable
from ..policy.decision import YES
from ..policy.explanation import with_claims
from ..policy.functions import NO_RESOURCE
from ..policy.problem import Problem, not_allowed, token_invalid, token_missing, unavailable
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
from .overrides import InUse, applied
from .placement import GUARDS, WRAPPED, mark, view_has_head, without_self

View = TypeVar("View", bound=Callable[..., Any])

PASSED = "_jwt_authz_passed_unenforced"
"""On a request, under this name: that it goes on though a store did not answer."""


class Guard:
    """Requirements bound to a place in code; made by `requires` and `guard`.

    A decorator for views and for `View.decorators`, and a context manager. `requirement` is what
    holds for every method, `by_method` the whole requirement for each method that has an entry.
    """

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
        self.requirement, self.by_method = requirements_of(requirements)
        self.on = on
        self.identity = identity
        self.failing = Failing(on_fail, throws)
        self.hide = hide
        self.optional = optional
        self.fresh = fresh
        self.enforce = enforce
        self.into = into
        self.is_question = False  # of `allowed`: a no is an answer there, and refuses nobody
        self._asks_the_token = identity is NOT_GIVEN and fresh is False
        if not isinstance(enforce, bool):
            raise MisuseError(f"enforce is True or False, not {enforce!r}")
        if not self._asks_the_token:
            refuse_unfit_fresh(fresh, identity)
        refuse_unfit_identity(identity)
        refuse_unfit_into(into, on)

    is_guard = True  # so that it is not taken for a requirement

    def __bool__(self) -> bool:
        raise MisuseError(
            "requires(...) is a guard, no answer: write if allowed(...), or with requires(...)"
        )

    def __call__(self, view: View) -> View:
        """The view with this guard around it; one that is async is run as Flask runs it."""
        refuse_unfit_view(view)
        self.refuse_without_resource()
        if self.on is not NO_RESOURCE and not callable(self.on):
            raise MisuseError(
                "on= of a decorator is a callable of the view's arguments that returns the "
                "resource: write on=load_article, or decide inside by authorize(..., on=article)"
            )
        is_async = inspect.iscoroutinefunction(view)
        is_plain = self.on is NO_RESOURCE and self.by_method is None and type(self) is Guard

        @functools.wraps(view)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            if is_plain:  # in `refused` word for word, a function less for most requests
                app = get_app()
                parts = app.extensions.get(KEY) or current_parts()
                problem, _ = self._ask(parts, app, self.requirement, None)
                refused = None
                if problem is not None:
                    refused = self._refuse(parts, problem, arguments, keywords)
            else:
                refused = self.refused(arguments, keywords)
            if refused is not None:
                return refused
            if is_async:
                return current_app.ensure_sync(view)(*arguments, **keywords)
            return view(*arguments, **keywords)

        setattr(guarded, GUARDS, (self, *getattr(view, GUARDS, ())))
        inner: Any = view
        while inner is not None:  # what a route may have been given, below other decorators
            mark(inner, WRAPPED)
            inner = getattr(inner, "__wrapped__", None)
        return guarded  # type: ignore[return-value]

    def refuse_without_resource(self) -> None:
        """Raises `MisuseError` where a requirement looks at a resource and `on` gives none."""
        asked = [self.requirement, *(self.by_method or {}).values()]
        for part in (part for whole in asked for part in whole.walk()):
            if part.takes_resource and self.on is NO_RESOURCE:
                raise MisuseError(
                    f"{part!r} looks at a resource and none is given: write on=load_it, or decide "
                    f"inside by authorize({part!r}, on=it)"
                )

    def requirement_for(self, method: str, has_head: bool = False) -> Requirement:
        """What holds for a method; HEAD uses GET's entry unless the view has a `head`."""
        if self.by_method is None:
            return self.requirement
        if method == "HEAD" and "HEAD" not in self.by_method and not has_head:
            method = "GET"
        return self.by_method.get(method, NO_ENTRY)

    def lacks(self, method: str, has_head: bool = False) -> bool:
        """Whether a mapping has no entry for a method, which is then always refused."""
        return any(part == NO_ENTRY for part in self.requirement_for(method, has_head).walk())

    def refused(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """None where the call may go on, else the response that refuses it; or it raises."""
        app = get_app()
        parts = app.extensions.get(KEY) or current_parts()
        requirement = self.requirement
        if self.by_method is not None:
            requirement = self.requirement_for(get_request().method, view_has_head(app))
        load = None
        if self.on is not NO_RESOURCE:
            on, given = app.ensure_sync(self.on), without_self(arguments)
            load = functools.cache(lambda: self._load(on, given, keywords.copy()))
        problem, _ = self._ask(parts, app, requirement, load)
        refused = None
        if problem is not None:
            refused = self._refuse(parts, problem, arguments, keywords)
        if refused is None and load is not None and self.into is not None:
            keywords[self.into] = load()
        return refused

    def _load(
        self, on: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        try:
            return on(*arguments, **keywords)
        except NotFound:
            if self.hide:  # what is not there is answered as what is hidden, to the letter
                raise NotFound from None
            raise

    def _refuse(
        self, parts: Parts, problem: Problem, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        if not self.is_enforced(parts):
            return _let_pass(problem)
        arguments = without_self(arguments)
        return parts.refusing.refuse(problem, self.failing, self.hide, arguments, keywords)

    def is_enforced(self, parts: Parts) -> bool:
        """Whether a no refuses; where it does not, the call is logged and goes through."""
        return self.is_question or (self.enforce and parts.settings.enforce)

    def _ask(
        self, parts: Parts, app: Flask, requirement: Requirement, load: Callable[[], Any] | None
    ) -> tuple[Problem | None, Any]:
        """Find out who is calling, evaluate, and tell the audit: the path of every request.

        Returns the problem, None where it is allowed, and the identity.
        """
        identity, decision, note = None, None, ""
        problem: Problem | None = None
        try:
            if self._asks_the_token:
                found = parts.authenticate(app)
                if found.error is not None:
                    raise found.error
                identity = found.identity
            else:
                identity = self.caller(parts, app)
            if identity is not None:
                overridden: Any = ()
                if InUse.anything:
                    requirement, overridden = applied(requirement)
                resource = NO_RESOURCE
                if load is not None:
                    resource = load()
                    requirement = parts.rules.applied(requirement, resource)
                decision = requirement.evaluate(identity, resource, overridden)
                if decision.verdict is YES and not decision.error:
                    parts.audit.allowed(app, identity, decision, InUse.anything)
                    return None, identity
                decision = with_claims(decision, identity)
                problem = not_allowed(decision, parts.settings.disclose)
            elif not self.optional:
                problem = token_missing()
        except InvalidToken as error:
            problem, note = token_invalid(error), error.detail
            error.__traceback__ = None  # its frames hold what holds it
        except StoreUnavailable as error:
            problem, note = unavailable(), str(error)
        if problem is None:
            parts.audit.allowed(app, None, None)
        else:
            level = logging.DEBUG if self.is_question else logging.WARNING
            enforced = self.is_enforced(parts)
            parts.audit.refused(app, identity, decision, problem, note, level, enforced)
        return problem, identity

    def caller(self, parts: Parts, app: Flask) -> Any:
        """The identity given, or the token's, fresh if it must be; raises an `InvalidToken`."""
        if self.identity is not NOT_GIVEN:
            return given(self.identity, parts.trust)
        found = parts.authenticate(app)
        if found.error is not None:
            raise found.error
        if self.fresh and found.identity is not None:
            found.check_fresh(self.fresh if isinstance(self.fresh, timedelta) else None)
        return found.identity

    def __enter__(self) -> Any:
        """Ask here and now; gives `on`, or the identity; raises the refusal."""
        if self.into is not None:
            raise MisuseError("into= is for a view: write with requires(..., on=it) as it: ...")
        if not self.enforce:
            raise MisuseError(
                "enforce=False belongs on a view, blueprint or application, where flask authz "
                "check sees it: take it out of with requires(...)"
            )
        return self.insist(current_parts())

    def __exit__(self, *exception: object) -> None:
        return None

    def insist(self, parts: Parts) -> Any:
        """What `authorize` and `with` share: the resource or the identity, or a refusal raised."""
        problem, identity = self.ask(parts)
        if problem is not None and self.is_enforced(parts):
            raise_response(parts.refusing.refuse(problem, self.failing, self.hide))
        if problem is not None:
            _let_pass(problem)
        return identity if self.on is NO_RESOURCE else self.on

    def ask(self, parts: Parts) -> tuple[Problem | None, Any]:
        """The problem, or None, and the identity, for the resource `on` itself."""
        if self.identity is NOT_GIVEN or self.by_method is not None:
            require_request()
        requirement = self.requirement
        if self.by_method is not None:
            requirement = self.requirement_for(get_request().method, view_has_head(get_app()))
        return self._ask(parts, get_app(), requirement, lambda: self.on)

    def __repr__(self) -> str:
        if self.by_method is None:
            return f"requires({self.requirement!r})"
        entries = ", ".join(f"{method}: {asked!r}" for method, asked in self.by_method.items())
        return f"requires({{{entries}}})"


def _let_pass(problem: Problem) -> None:
    """Let a call go on that would have been refused.

    Where a store did not answer, `current_identity` is to be falsy and not a 503: a guard that
    is enforced would have kept the call from the view.
    """
    if problem.status == 503 and has_request_context():
        get_request().__dict__[PASSED] = True


UNGUARDED = Guard((NO_GUARD,))
"""What stands, under `default="deny"`, on a view with neither guard nor `exempt`."""
