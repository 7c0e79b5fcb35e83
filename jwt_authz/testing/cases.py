"""Test cases that call every route as every kind of caller and compare with the access matrix.

How it works. The call and the caller's token are real, and the guards decide. When the last guard
of the route has allowed the call, the call ends: no view runs, and nothing is changed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Rule, ValidationError
from werkzeug.test import create_environ

from ..application import current_state
from ..audit import UNENFORCED, decided
from ..errors import MisuseError
from ..inspection.access import NOT_IDENTIFIED, WITHOUT_ROLE, answer, caller_with
from ..inspection.matrix import Access, read_matrix
from ..policy.decision import DEPENDS, YES, Decision, Verdict
from ..policy.functions import NO_RESOURCE
from ..refusals import CompleteAnswer
from .callers import DEFAULT_SUBJECT, authz_client

_LONGEST = 64
_ATTEMPTS = 8
_SAMPLES = ("1", "0", "1.5", "x", "00000000-0000-4000-8000-000000000000")


def access_cases(
    app: Flask, *, values: Mapping[str, Any] | None = None, subject: Any = DEFAULT_SUBJECT
) -> list[AccessCase]:
    """Return a test case for each route and kind of caller whose access depends on roles alone.

    The callers are an unauthenticated one, one without a role, and one with each role of the
    catalog, all with the same `subject`. Routes are called with `values` for their parameters, and
    with generated values for those that are not listed. Access that depends on more than roles is
    omitted, and so are routes that no call reaches because another one has the same path.
    """
    with app.app_context():
        roles = tuple(current_state().catalog or ())
        callers = {NOT_IDENTIFIED: None, WITHOUT_ROLE: caller_with()}
        callers |= {role: caller_with(role) for role in roles}
        rules = {(rule.endpoint, rule.rule): rule for rule in app.url_map.iter_rules()}
        return [
            AccessCase(
                app,
                name,
                None if name == NOT_IDENTIFIED else () if name == WITHOUT_ROLE else (name,),
                subject,
                access,
                *place,
                expected,
            )
            for access in read_matrix(app)
            if (place := _place(app, access, rules[access.endpoint, access.rule], values or {}))
            for name, caller in callers.items()
            if (expected := answer(access, caller)) is not DEPENDS
        ]


@dataclass(frozen=True)
class AccessCase:
    """One caller and one route, which `check()` calls; `str()` describes it, for `ids=str`.

    `roles` are the caller's roles, None for an unauthenticated caller; `expected` is yes or no.
    """

    app: Flask = field(repr=False)
    caller: str
    roles: tuple[str, ...] | None
    subject: Any
    access: Access = field(repr=False)
    host: str
    path: str
    expected: Verdict

    def __str__(self) -> str:
        return f"{self.caller} {self.access.method} {self.access.rule}: {self.expected.value}"

    def check(self) -> None:
        """Call the route; raise `AssertionError` if the guards disagree with the matrix."""
        call = _Call(self.access)
        if self.roles is None:
            client = self.app.test_client()
        else:
            client = authz_client(self.app, roles=self.roles, subject=self.subject)
        with decided.connected_to(call.record, sender=self.app), _without_view(self.app, call):
            response = client.open(
                self.path, method=self.access.method, base_url=f"http://{self.host}/"
            )
        wrong = self._wrong(call)
        if wrong:
            raise AssertionError(
                f"the matrix says {self}, but the call of {self.path} {wrong} ({response.status})"
            )

    def _wrong(self, call: _Call) -> str:
        """Return how the call differs from the matrix, empty if it does not."""
        if self.expected is not YES:
            return "was allowed" if call.got_in else "" if call.refused else "reached no guard"
        if call.refused:
            return "was refused"
        loads = any(guard.on is not NO_RESOURCE for guard in self.access.guards)
        return "" if call.got_in or loads else "did not reach the view"


class _GotIn(CompleteAnswer):
    """End a call before its view."""

    def __init__(self) -> None:
        super().__init__(response=Response(status=204))


class _Call:
    """The outcome of one call: whether a guard refused it or all guards allowed it."""

    def __init__(self, access: Access) -> None:
        self.endpoint = access.endpoint
        self.missing = [
            (guard, guard.requirement_for(access.method, access.has_head))
            for guard in access.guards
        ]
        self.has_guards = bool(self.missing)
        self.refused = self.got_in = False

    def record(self, app: Flask, outcome: str, decision: Decision | None, **keywords: Any) -> None:
        """Record a decision; raise `_GotIn` to end the call after the last guard allowed it."""
        if outcome not in ("allowed", UNENFORCED):
            self.refused = True
            return
        for one in self.missing:
            guard, requirement = one
            is_open = guard.optional or not guard.enforce if decision is None else False
            if is_open or (decision is not None and decision.requirement == requirement):
                self.missing.remove(one)
                break
        if self.has_guards and not self.missing and not self.refused:
            self.enter()

    def enter(self) -> None:
        self.got_in = True
        raise _GotIn


@contextmanager
def _without_view(app: Flask, call: _Call) -> Iterator[None]:
    """Replace the view during the block if the route has no guard that could end the call."""
    if call.has_guards:
        yield
        return
    views: dict[str, Any] = app.view_functions
    view = views[call.endpoint]
    views[call.endpoint] = functools.wraps(view)(lambda **arguments: call.enter())
    try:
        yield
    finally:
        views[call.endpoint] = view


def _place(
    app: Flask, access: Access, rule: Rule, values: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Return a host and path that lead to a route, None if another route has all its paths."""
    for attempt in range(_ATTEMPTS):
        place = _built(app, rule, values, attempt)
        if _leads_to(app, place, access):
            return place
    return None


def _built(app: Flask, rule: Rule, values: Mapping[str, Any], attempt: int) -> tuple[str, str]:
    """Return the host and the path of a rule with its parameters filled in."""
    converters: Mapping[str, BaseConverter] = rule._converters
    filled = {
        name: values[name] if name in values else _sample(rule, name, converters[name], attempt)
        for name in converters
    }
    built = rule.build({**filled, **(rule.defaults or {})}, append_unknown=False)
    if built is None:
        raise MisuseError(
            f"{rule.rule} cannot be built with {filled}: pass other values as values={{...}}"
        )
    domain, path = built
    server = app.config["SERVER_NAME"] or "localhost"
    host = (domain or server) if app.url_map.host_matching else f"{domain}.{server}".lstrip(".")
    return host, path


def _leads_to(app: Flask, place: tuple[str, str], access: Access) -> bool:
    """Return whether a call of a host and path is routed to a route."""
    host, path = place
    environ = create_environ(path, f"http://{host}/", method=access.method)
    adapter = app.create_url_adapter(app.request_class(environ))
    try:
        found, _ = adapter.match(return_rule=True) if adapter is not None else (None, {})
    except HTTPException:
        return False
    return found is not None and (found.endpoint, found.rule) == (access.endpoint, access.rule)


def _sample(rule: Rule, name: str, converter: BaseConverter, attempt: int) -> Any:
    """Return a value that the converter accepts: at each attempt another one, if there is one."""
    listed = (str(item) for item in getattr(converter, "items", ()))
    bounds = (str(getattr(converter, bound, "")) for bound in ("min", "max"))
    texts = (*_SAMPLES, *listed, *bounds, *("1" * length for length in range(2, _LONGEST)))
    found: list[Any] = []
    for text in texts:
        with suppress(ValidationError):
            if re.fullmatch(converter.regex, text):
                found.append(converter.to_python(text))
                if len(found) > attempt:
                    break
    if not found:
        raise MisuseError(
            f"cannot generate a value for {name} in {rule.rule}: pass one, as in "
            f"values={{{name!r}: ...}}"
        )
    return found[-1]
