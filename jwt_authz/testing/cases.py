"""Cases: every kind of caller against every route, called, where the matrix says yes or no.

How it works. The call is real, and so is the caller's token; the guards decide. When the last of
the route's guards has let the call in, it ends there: no view runs, and nothing is changed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Rule, ValidationError

from ..application import current_parts
from ..audit import UNENFORCED, decided
from ..errors import MisuseError
from ..inspection.access import NOT_IDENTIFIED, WITHOUT_ROLE, answer, caller_with
from ..inspection.matrix import Access, read_matrix
from ..policy.decision import DEPENDS, YES, Decision, Verdict
from ..policy.functions import NO_RESOURCE
from .callers import SOMEBODY, authz_client

_LONGEST = 64
_MADE_UP = ("1", "0", "1.5", "x", "00000000-0000-4000-8000-000000000000")


def access_cases(
    app: Flask, *, values: Mapping[str, Any] | None = None, subject: Any = SOMEBODY
) -> list[AccessCase]:
    """A case for each route and kind of caller whose access the roles settle.

    The callers are nobody, one without a role, and one with each role of the catalogue, all of
    them `subject`. Routes are called with `values` for their parameters, and made-up ones for
    those that are not named. What depends on more than roles is left out.
    """
    with app.app_context():
        roles = tuple(current_parts().catalogue or ())
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
                *_place(app, rules[access.endpoint, access.rule], values or {}),
                expected,
            )
            for access in read_matrix(app)
            for name, caller in callers.items()
            if (expected := answer(access, caller)) is not DEPENDS
        ]


@dataclass(frozen=True)
class AccessCase:
    """One caller and one route: `check()` calls it; its text names it, for `ids=str`.

    `roles` are the caller's, None for one who is not identified; `expected` is yes or no.
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
        """Call the route; raises `AssertionError` unless the guards answer as the matrix does."""
        call = _Call(self.access)
        if self.roles is None:
            client = self.app.test_client()
        else:
            client = authz_client(self.app, roles=self.roles, subject=self.subject)
        with decided.connected_to(call.hear, sender=self.app), _without_view(self.app, call):
            response = client.open(
                self.path, method=self.access.method, base_url=f"http://{self.host}/"
            )
        wrong = self._wrong(call)
        if wrong:
            raise AssertionError(
                f"{self}, says the matrix; the call of {self.path} {wrong} ({response.status})"
            )

    def _wrong(self, call: _Call) -> str:
        """What is wrong with how a call ended, empty where nothing is."""
        if self.expected is not YES:
            return "was let in" if call.got_in else "" if call.refused else "met no guard"
        if call.refused:
            return "was refused"
        loads = any(guard.on is not NO_RESOURCE for guard in self.access.guards)
        return "" if call.got_in or loads else "did not come to the view"


class _GotIn(HTTPException):
    """Ends a call where the view would begin; without a code, Flask hands its response on."""

    def __init__(self) -> None:
        super().__init__(response=Response(status=204))


class _Call:
    """What becomes of one call: whether a guard refused it, or all of them let it in."""

    def __init__(self, access: Access) -> None:
        self.endpoint = access.endpoint
        self.missing = [
            (guard, guard.requirement_for(access.method, access.has_head))
            for guard in access.guards
        ]
        self.has_guards = bool(self.missing)
        self.refused = self.got_in = False

    def hear(self, app: Flask, outcome: str, decision: Decision | None, **keywords: Any) -> None:
        """Hear a decision; ends the call by `_GotIn` when it was the last one to be had."""
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
    """Where no guard stands that could end the call, another view stands in for the real one."""
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


def _place(app: Flask, rule: Rule, values: Mapping[str, Any]) -> tuple[str, str]:
    """The host and the path of a rule, its parameters filled in."""
    converters: Mapping[str, BaseConverter] = rule._converters
    filled = {
        name: values[name] if name in values else _made_up(rule, name, converters[name])
        for name in converters
    }
    built = rule.build({**filled, **(rule.defaults or {})}, append_unknown=False)
    if built is None:
        raise MisuseError(f"{rule.rule} cannot be built with {filled}: give others as values=")
    domain, path = built
    server = app.config["SERVER_NAME"] or "localhost"
    host = (domain or server) if app.url_map.host_matching else f"{domain}.{server}".lstrip(".")
    return host, path


def _made_up(rule: Rule, name: str, converter: BaseConverter) -> Any:
    """A value that the converter takes."""
    listed = (str(item) for item in getattr(converter, "items", ()))
    bounds = (str(getattr(converter, bound, "")) for bound in ("min", "max"))
    texts = (*_MADE_UP, *listed, *bounds, *("1" * length for length in range(2, _LONGEST)))
    for text in texts:
        try:
            if re.fullmatch(converter.regex, text):
                return converter.to_python(text)
        except ValidationError:
            continue
    raise MisuseError(
        f"no value is made up for {name} in {rule.rule}: give one, as in values={{{name!r}: ...}}"
    )
