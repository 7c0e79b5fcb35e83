"""Flask-Allows 0.7.1 by its old names: `import jwt_authz.compat.flask_allows as flask_allows`.

Needs no Authz on the application: who is calling is what `Allows`'s identity loader returns.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from flask import Flask, Request, Response, current_app, has_app_context, request
from werkzeug.exceptions import Forbidden
from werkzeug.local import LocalProxy

from .._context import get_app
from ..application import KEY, Parts
from ..audit import Audit
from ..errors import MisuseError
from ..guards.guard import Guard
from ..guards.overrides import applied
from ..guards.placement import EXEMPT, GUARDS, exempt
from ..policy.decision import Decision
from ..policy.problem import not_allowed
from ..policy.requirements import And as NativeAnd
from ..policy.requirements import Requirement as NativeRequirement
from ._allows_contexts import (
    Additional,
    AdditionalManager,
    Override,
    OverrideManager,
    current_additions,
    current_overrides,
)
from ._allows_requirements import (
    And,
    C,
    ConditionalRequirement,
    Not,
    Or,
    Requirement,
    as_native,
    decide,
    wants_request,
)

__all__ = [
    "Additional",
    "AdditionalManager",
    "Allows",
    "And",
    "C",
    "ConditionalRequirement",
    "Not",
    "Or",
    "Override",
    "OverrideManager",
    "Permission",
    "Requirement",
    "allows",
    "current_additions",
    "current_overrides",
    "exempt_from_requirements",
    "guard_entire",
    "requires",
    "wants_request",
]

__version__ = "0.7.1"  # whose names and behaviour these are

View = TypeVar("View", bound=Callable[..., Any])
Loader = TypeVar("Loader", bound=Callable[[], Any])

_NO_KEYWORDS: Mapping[str, Any] = MappingProxyType({})


class Allows:
    """The extension: `Allows(app, identity_loader=...)`, or `init_app(app)` later.

    `identity_loader` is a function without parameters that returns the user. On a refusal
    `on_fail` is the response, or a function that returns it; where that is None, `throws` is
    raised, an exception or a class of one.
    """

    def __init__(
        self,
        app: Flask | None = None,
        identity_loader: Callable[[], Any] | None = None,
        throws: Any = Forbidden,
        on_fail: Any = None,
    ) -> None:
        self._identity_loader = identity_loader
        self._audit = Audit()
        self.throws = throws
        self.on_fail: Any = on_fail if callable(on_fail) else lambda *args, **kwargs: on_fail
        self.overrides = OverrideManager()
        self.additional = AdditionalManager()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Bind this to an application; each of its requests begins with empty contexts."""
        app.extensions["allows"] = self
        app.before_request(self._start_contexts)
        app.after_request(self._end_contexts)

    def _start_contexts(self) -> None:
        self.overrides.push(Override())
        self.additional.push(Additional())

    def _end_contexts(self, response: Response) -> Response:
        self.clear_all_overrides()
        self.clear_all_additional()
        return response

    def identity_loader(self, f: Loader) -> Loader:
        """Set the function without parameters that returns the user; also a decorator."""
        self._identity_loader = f
        return f

    def requires(
        self, *requirements: Any, throws: Any = None, on_fail: Any = None, identity: Any = None
    ) -> Callable[[View], View]:
        """A decorator of views and other functions, which asks this extension."""
        return _Guard(self, requirements, identity, throws, on_fail).__call__

    def fulfill(self, requirements: Iterable[Any], identity: Any = None) -> bool:
        """Return whether the user, or another identity, meets all requirements and additions.

        A question refuses nobody: a no is logged at the level DEBUG, unless an override was used.
        """
        return self._decide(requirements, identity, logging.DEBUG)

    def _decide(self, requirements: Iterable[Any], identity: Any, level: int) -> bool:
        if identity is None:
            identity = self._load_identity()
        asked, overridden = applied(NativeAnd(*map(as_native, requirements)), as_native)
        decision = decide(asked, identity, overridden)
        self._record(identity, decision, logging.WARNING if decision.used_override else level)
        return bool(decision)

    def _record(self, identity: Any, decision: Decision, level: int) -> None:
        """Record a decision in the audit of the application's Authz, if it has one."""
        app: Any = get_app() if has_app_context() else None
        parts = None if app is None else app.extensions.get(KEY)
        audit = self._audit if parts is None else parts.audit
        if decision:
            audit.allowed(app, identity, decision, decision.used_override)
        else:
            audit.refused(app, identity, decision, not_allowed(decision), "", level)

    def _load_identity(self) -> Any:
        if self._identity_loader is None:
            raise MisuseError("nobody says who is calling: write Allows(identity_loader=...)")
        return _called(self._identity_loader)

    def run(
        self,
        requirements: Iterable[Any],
        identity: Any = None,
        throws: Any = None,
        on_fail: Any = None,
        f_args: Iterable[Any] = (),
        f_kwargs: Mapping[str, Any] = _NO_KEYWORDS,
        use_on_fail_return: bool = True,
    ) -> Any:
        """Ask, and refuse: None where it is allowed, else the answer of `on_fail`; or it raises.

        `on_fail` gets `f_args` and `f_kwargs`. Without `use_on_fail_return`, or where it answers
        None, `throws` is raised. Both stand for this extension's own where they are given.
        """
        if self._decide(requirements, identity, logging.WARNING):
            return None
        response = self.on_fail if on_fail is None else on_fail
        if callable(response):
            response = _called(response, *f_args, **f_kwargs)
        if use_on_fail_return and response is not None:
            return response
        if throws is None:
            throws = self.throws
        raise Forbidden if throws is None else throws

    def clear_all_overrides(self) -> None:
        """End all overrides; raises `RuntimeError` at one that another old manager pushed."""
        self.overrides.clear()

    def clear_all_additional(self) -> None:
        """End all additions; raises `RuntimeError` at one that another old manager pushed."""
        self.additional.clear()


def _called(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    if inspect.iscoroutinefunction(function):
        function = current_app.ensure_sync(function)
    return function(*arguments, **keywords)


def _get_allows() -> Allows:
    try:
        return current_app.extensions["allows"]  # type: ignore[no-any-return]
    except KeyError:
        raise RuntimeError("Flask-Allows not configured against current app") from None


allows: Any = LocalProxy(_get_allows)
"""The current application's `Allows`; raises `RuntimeError` where there is none."""


class Permission:
    """Requirements to ask of the user: `if Permission(...)`, and `with Permission(...)`.

    As a boolean it only asks. `with` refuses, too: it calls `on_fail`, whose answer does not
    count, and raises `throws`. Needs an application context when it is asked.
    """

    def __init__(
        self, *requirements: Any, throws: Any = None, identity: Any = None, on_fail: Any = None
    ) -> None:
        self.requirements = requirements
        self.throws = throws
        self.identity = identity
        self.on_fail = on_fail

    def __bool__(self) -> bool:
        return bool(allows.fulfill(self.requirements, identity=self.identity))

    def __enter__(self) -> None:
        allows.run(
            self.requirements,
            identity=self.identity,
            throws=self.throws,
            on_fail=self.on_fail,
            use_on_fail_return=False,
        )

    def __exit__(self, *exception: object) -> None:
        return None


class _Guard(Guard):
    """A guard of this library that asks an `Allows`; the matrix shows it like any other."""

    _asked: tuple[Any, ...]
    _extension: Any

    def __init__(
        self, extension: Any, requirements: Iterable[Any], identity: Any, throws: Any, on_fail: Any
    ) -> None:
        asked = tuple(requirements)
        super().__init__(
            tuple(map(as_native, asked)), identity=identity, on_fail=on_fail, throws=throws
        )
        vars(self).update(_asked=asked, _extension=extension)

    def is_enforced(self, parts: Parts) -> bool:
        return True  # the extension asked refuses, whatever AUTHZ_ENFORCE says

    def refused(
        self,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        app: Flask | None = None,
        answered: Request | None = None,
    ) -> Any:
        return self._extension.run(
            self._asked,
            identity=self.identity,
            throws=self.failing.throws,
            on_fail=self.failing.on_fail,
            f_args=arguments,
            f_kwargs=keywords,
        )


def requires(
    *requirements: Any, throws: Any = None, on_fail: Any = None, identity: Any = None
) -> Callable[[View], View]:
    """A decorator of views and other functions, which asks the current application's `Allows`."""
    return _Guard(allows, requirements, identity, throws, on_fail).__call__


def guard_entire(
    requirements: Any, identity: Any = None, throws: Any = None, on_fail: Any = None
) -> Callable[[], Any]:
    """A function for `before_request` of a blueprint or application, which guards all views.

    `requirements` are several, or one. `on_fail` gets the view's arguments by their names. Views
    marked by `exempt_from_requirements`, routing errors and the `OPTIONS` that Flask answers
    itself pass.
    """
    one = callable(requirements) or isinstance(requirements, NativeRequirement)
    made = _Guard(allows, (requirements,) if one else requirements, identity, throws, on_fail)

    def ask_before_request() -> Any:
        return None if _passes() else made.refused((), request.view_args or {})

    setattr(ask_before_request, GUARDS, (made,))
    return ask_before_request


def _passes() -> bool:
    rule = request.url_rule
    if rule is None or request.routing_exception is not None:
        return True
    if request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return True
    return getattr(current_app.view_functions.get(rule.endpoint), EXEMPT, False)


def exempt_from_requirements(f: View) -> View:
    """Let a view pass `guard_entire`, but not a `requires` of its own; for classes in `decorators`.

    It has no effect on a method of a class.
    """
    exempt(f)
    return f
