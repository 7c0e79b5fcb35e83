"""The API of Flask-Allows 0.7.1: `import jwt_authz.compat.flask_allows as flask_allows`.

It works without an Authz: the identity loader of `Allows` returns the caller.
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
from ..application import KEY, AppState
from ..audit import Audit
from ..errors import MisuseError
from ..guards.call_path import GUARDS
from ..guards.guard import Guard
from ..guards.overrides import applied
from ..guards.placement import EXEMPT, exempt
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

__version__ = "0.7.1"  # the version of Flask-Allows whose API this is

View = TypeVar("View", bound=Callable[..., Any])
Loader = TypeVar("Loader", bound=Callable[[], Any])

_NO_KEYWORDS: Mapping[str, Any] = MappingProxyType({})


class Allows:
    """The extension: `Allows(app, identity_loader=...)`, or `init_app(app)` later.

    `identity_loader` is a function without parameters that returns the user. The response to a
    refusal is `on_fail` or, if it is a function, its result. If the response is None, `throws` is
    raised, an exception or an exception class.
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
        """Initialize an application; each of its requests starts with empty contexts."""
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
        """Return a decorator for views and other functions that uses this extension."""
        return _Guard(self, requirements, identity, throws, on_fail).__call__

    def fulfill(self, requirements: Iterable[Any], identity: Any = None) -> bool:
        """Return whether the user, or another identity, meets all requirements and additions.

        It does not refuse the request: a negative answer is logged at level DEBUG, unless an
        override was used.
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
        state = None if app is None else app.extensions.get(KEY)
        audit = self._audit if state is None else state.audit
        if decision:
            audit.allowed(app, identity, decision, decision.used_override)
        else:
            audit.refused(app, identity, decision, not_allowed(decision), "", level)

    def _load_identity(self) -> Any:
        if self._identity_loader is None:
            raise MisuseError("Allows has no identity loader: write Allows(identity_loader=...)")
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
        """Return None if the requirements are met, otherwise the result of `on_fail`, or raise.

        `on_fail` is called with `f_args` and `f_kwargs`. Raise `throws` if `use_on_fail_return` is
        false or the result is None. Both default to the extension's own.
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
        """Pop all overrides; raise `RuntimeError` at one that another old manager pushed."""
        self.overrides.clear()

    def clear_all_additional(self) -> None:
        """Pop all additions; raise `RuntimeError` at one that another old manager pushed."""
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
"""The current application's `Allows`; raises `RuntimeError` if there is none."""


class Permission:
    """Requirements to check in code: `if Permission(...)` or `with Permission(...)`.

    As a boolean it only checks. `with` also refuses: it calls `on_fail`, whose result is ignored,
    and raises `throws`. Both need an application context.
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
    """A native guard that delegates to an `Allows`, so that the access matrix includes it."""

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

    def is_enforced(self, state: AppState) -> bool:
        return True  # the old extension ignores AUTHZ_ENFORCE

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
    """Return a decorator for views and functions that uses the current application's `Allows`."""
    return _Guard(allows, requirements, identity, throws, on_fail).__call__


def guard_entire(
    requirements: Any, identity: Any = None, throws: Any = None, on_fail: Any = None
) -> Callable[[], Any]:
    """Return a function for `before_request` that guards all views of a blueprint or application.

    `requirements` is one requirement or an iterable. `on_fail` is called with the view's arguments
    as keywords. Views marked by `exempt_from_requirements`, routing errors and automatic `OPTIONS`
    responses are not checked.
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
    """Exempt a view from `guard_entire`, but not from its own `requires`.

    For a view class, put it in `decorators`; it has no effect on a method of a class.
    """
    exempt(f)
    return f
