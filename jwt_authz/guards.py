"""The verbs: `requires` and `guard` bind requirements to places, `allowed` and `authorize` ask.

How a guard works. It finds out who is calling (once a request), evaluates its requirement, tells
the audit, and lets the call go on or refuses. The first thing that is missing refuses: the
Authz, a good token, a verdict of yes.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from flask import Blueprint, Flask, current_app, has_request_context, request
from flask.views import View as FlaskView
from werkzeug.exceptions import NotFound
from werkzeug.local import LocalProxy

from .authentication import resolved
from .context import get_app, get_request
from .decision import NO, YES, Verdict
from .errors import InvalidToken, MisuseError, StoreUnavailable
from .explanation import with_claims
from .identity import Identity
from .overrides import InUse, applied
from .parts import KEY, Parts, current_parts, require_request
from .places import GUARDS, WRAPPED, mark, passes_unguarded
from .predicates import NO_RESOURCE
from .problem import Problem, not_allowed, token_invalid, token_missing, unavailable
from .refusals import Failing, raise_response
from .requirements import And, Requirement, as_requirement

View = TypeVar("View", bound=Callable[..., Any])

_PASSED = "_jwt_authz_passed_unenforced"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")


class _NotGiven:
    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Any = _NotGiven()


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
    ) -> None:
        always = [part for part in requirements if not isinstance(part, Mapping)]
        mappings = [_methods(part) for part in requirements if isinstance(part, Mapping)]
        self.requirement = _joined(always)
        self.by_method = _by_method(always, mappings) if mappings else None
        self.on = on
        self.identity = identity
        self.failing = Failing(on_fail, throws)
        self.hide = hide
        self.optional = optional
        self.fresh = fresh
        self.enforce = enforce
        self.is_question = False  # of `allowed`: a no is an answer there, and refuses nobody
        self._asks_the_token = identity is NOT_GIVEN and fresh is False
        if not isinstance(enforce, bool):
            raise MisuseError(f"enforce is True or False, not {enforce!r}")
        if not self._asks_the_token:
            _refuse_unfit_fresh(fresh, identity)
        is_proxy = isinstance(identity, LocalProxy)
        if not is_proxy and (inspect.isroutine(identity) or inspect.isclass(identity)):
            raise MisuseError(
                f"identity= is who is calling, not {identity!r}: call it, or write "
                "@authz.identity_loader above it"
            )

    is_guard = True  # so that it is not taken for a requirement

    def __bool__(self) -> bool:
        raise MisuseError(
            "requires(...) is a guard, no answer: write if allowed(...), or with requires(...)"
        )

    def __call__(self, view: View) -> View:
        """The view with this guard around it; one that is async is run as Flask runs it."""
        _refuse_unfit(view)
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
            requirement = self.requirement_for(get_request().method, _view_has_head(app))
        load = None
        if self.on is not NO_RESOURCE:
            arguments = _without_self(arguments)
            load = functools.partial(self._load, app.ensure_sync(self.on), arguments, keywords)
        problem, _ = self._ask(parts, app, requirement, load)
        return None if problem is None else self._refuse(parts, problem, arguments, keywords)

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
        arguments = _without_self(arguments)
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
                resource = NO_RESOURCE if load is None else load()
                decision = requirement.evaluate(identity, resource, overridden)
                if decision.verdict is YES and not decision.error:
                    parts.audit.allowed(app, identity, decision)
                    return None, identity
                decision = with_claims(decision, identity)
                problem = not_allowed(decision, parts.settings.disclose)
            elif not self.optional:
                problem = token_missing()
        except InvalidToken as error:
            problem, note = token_invalid(error), error.detail
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
            return resolved(self.identity)
        found = parts.authenticate(app)
        if found.error is not None:
            raise found.error
        if self.fresh and found.identity is not None:
            found.check_fresh(self.fresh if isinstance(self.fresh, timedelta) else None)
        return found.identity

    def __enter__(self) -> Any:
        """Ask here and now; gives `on`, or the identity; raises the refusal."""
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
            requirement = self.requirement_for(get_request().method, _view_has_head(get_app()))
        return self._ask(parts, get_app(), requirement, lambda: self.on)

    def __repr__(self) -> str:
        if self.by_method is None:
            return f"requires({self.requirement!r})"
        entries = ", ".join(f"{method}: {asked!r}" for method, asked in self.by_method.items())
        return f"requires({{{entries}}})"


def requires(
    *requirements: Any,
    on: Any = NO_RESOURCE,
    identity: Any = NOT_GIVEN,
    on_fail: Any = None,
    throws: Any = None,
    hide: bool = False,
    optional: bool = False,
    fresh: bool | timedelta = False,
    enforce: bool = True,
) -> Guard:
    """A guard: all `requirements` must be met, or the call is refused; a decorator, or `with`.

    Each is a `Requirement`, a permission's string, a function of the identity, or a mapping of
    HTTP methods to one of these. `requires()` asks for any identity. In a decorator `on` is a
    callable of the view's arguments that returns the resource, in `with` the resource itself.
    `identity` stands in for the caller. On a refusal `on_fail` (a response, or a callable of the
    view's arguments) or `throws` (an exception) is used; `hide` answers 404 in place of 403.
    `optional` lets a request without a token pass, with no identity; whoever brings one must meet
    the requirements. `fresh` asks for a fresh token (FJE's claim `fresh`) or, as a timedelta, for a
    log-in that is at most so long ago (`auth_time`). Without `enforce` nobody is refused: who would
    have been is logged and counted, and the call goes on; in a decorator alone. Raises
    `MisuseError` for what cannot work.
    """
    return Guard(requirements, on, identity, on_fail, throws, hide, optional, fresh, enforce)


def authorize(
    *requirements: Any,
    on: Any = NO_RESOURCE,
    identity: Any = NOT_GIVEN,
    on_fail: Any = None,
    throws: Any = None,
    hide: bool = False,
    fresh: bool | timedelta = False,
) -> Any:
    """Insist that the caller meets the requirements for `on`; returns `on`, else the identity.

    Raises what a guard would have answered: `NotIdentified`, `NotAllowed`, a 404 with `hide`,
    `AuthorizationUnavailable`, or what `on_fail`, `throws` and the abort function make of it.
    """
    refuse_mappings("authorize", requirements)
    guard = Guard(requirements, on, identity, on_fail, throws, hide, fresh=fresh)
    return guard.insist(current_parts())


def allowed(*requirements: Any, on: Any = NO_RESOURCE, identity: Any = NOT_GIVEN) -> bool:
    """Whether the caller meets the requirements for `on`: False without a token or with a bad one.

    Raises `MisuseError` without an Authz or, lacking `identity`, outside a request; and
    `AuthorizationUnavailable` where it cannot be known: `if not allowed(...)` must not open.
    """
    refuse_mappings("allowed", requirements)
    guard = Guard(requirements, on, identity)
    guard.is_question = True
    parts = current_parts()
    problem, _ = guard.ask(parts)
    if problem is not None and problem.status == 503:
        raise_response(parts.refusing.refuse(problem, guard.failing))
    return problem is None


def guard(
    target: Flask | Blueprint,
    *requirements: Any,
    on_fail: Any = None,
    throws: Any = None,
    enforce: bool = True,
) -> None:
    """Guard every view of a blueprint (nested ones included) or application, but for exempt ones.

    Routing errors, the `OPTIONS` that Flask answers itself and static files pass. `enforce` is
    that of `requires`. Raises `MisuseError` for a blueprint that is already registered.
    """
    if not isinstance(target, Flask | Blueprint):
        raise MisuseError(
            f"guard takes a blueprint or an application, not {type(target).__name__}: "
            "write guard(blueprint, ...), or requires(...) for a view"
        )
    made = Guard(requirements, on_fail=on_fail, throws=throws, enforce=enforce)
    made.refuse_without_resource()

    def ask_before_request() -> Any:
        if passes_unguarded(current_parts()):
            return None
        return made.refused((), request.view_args or {})

    setattr(ask_before_request, GUARDS, (made,))
    try:
        target.before_request(ask_before_request)
    except AssertionError:
        raise MisuseError(
            f"{target.name!r} is in use already: write guard(...) before it is registered"
        ) from None


def _current_identity() -> Any:
    if not has_request_context():
        return None
    try:
        return current_parts().authenticate(get_app()).identity
    except StoreUnavailable:
        if _PASSED in get_request().__dict__:
            return None
        raise


current_identity: Any = LocalProxy(_current_identity)
"""The caller's identity; falsy where there is none, also where their token is not good."""


def _let_pass(problem: Problem) -> None:
    """Let a call go on that would have been refused.

    Where a store did not answer, `current_identity` is to be falsy and not a 503: a guard that
    is enforced would have kept the call from the view.
    """
    if problem.status == 503 and has_request_context():
        get_request().__dict__[_PASSED] = True


def _refuse_unfit_fresh(fresh: Any, identity: Any) -> None:
    if not isinstance(fresh, bool) and not (isinstance(fresh, timedelta) and fresh > _NO_TIME):
        raise MisuseError(
            f"fresh= is True, or how long ago the log-in may be, not {fresh!r}: write "
            "fresh=timedelta(minutes=5)"
        )
    if fresh is not False and identity is not NOT_GIVEN:
        raise MisuseError("fresh= looks at a token, and identity= stands in for it: use one")


_NO_TIME = timedelta()


def _joined(requirements: list[Any]) -> Requirement:
    return as_requirement(requirements[0]) if len(requirements) == 1 else And(*requirements)


def _methods(mapping: Mapping[Any, Any]) -> dict[str, Requirement]:
    for method in mapping:
        if method not in _METHODS:
            known = isinstance(method, str) and method.upper() in _METHODS
            hint = f"write {method.upper()!r}" if known else f"write one of {', '.join(_METHODS)}"
            raise MisuseError(f"{method!r} is no HTTP method: {hint}")
    return {method: as_requirement(asked) for method, asked in mapping.items()}


def _by_method(always: list[Any], mappings: list[dict[str, Requirement]]) -> dict[str, Requirement]:
    """For each method the requirements that hold always, and its entry in each mapping."""
    methods = dict.fromkeys(method for mapping in mappings for method in mapping)
    return {
        method: _joined([*always, *(mapping.get(method, NO_ENTRY) for mapping in mappings)])
        for method in methods
    }


def refuse_mappings(verb: str, requirements: tuple[Any, ...]) -> None:
    if any(isinstance(part, Mapping) for part in requirements):
        raise MisuseError(f"a mapping of HTTP methods belongs into requires({{...}}), not {verb}")


def _refuse_unfit(view: Any) -> None:
    if inspect.isclass(view):
        raise MisuseError(
            f"{view.__name__} is a class: write decorators = [requires(...)] in it, or guard "
            "its methods"
        )
    if not callable(view):
        raise MisuseError(f"requires(...) decorates a view, not {type(view).__name__}")


def _view_has_head(app: Flask) -> bool:
    """Whether the view being called is a class with a `head` of its own."""
    view = app.view_functions.get(get_request().endpoint or "")
    return hasattr(getattr(view, "view_class", None), "head")


def _without_self(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """A method's arguments without its view object: what the URL gave, as for a function."""
    return arguments[1:] if arguments and isinstance(arguments[0], FlaskView) else arguments


class _Never(Requirement):
    """Met by nobody: what stands where a requirement is missing."""

    def __init__(self, name: str, sentence: str) -> None:
        self.name = name
        self._sentence = sentence

    def fulfill(self, identity: Any) -> bool:
        return False

    @property
    def sentence(self) -> str:
        return self._sentence

    def analyse(self, identity: Identity) -> Verdict:
        return NO

    def __repr__(self) -> str:
        return self.name


NO_ENTRY = _Never("no_entry_for_this_method", "may use this method")
NO_GUARD = _Never("no_guard", "may call a view that has no guard")
