"""Audit: a signal and a counter for every decision, a log record for every refusal.

Neither the record nor the counter ever holds a token, a claim's value or a line break from
outside; what is logged of a call is the endpoint and the method, which the application chose.
Who was refused stands in the signal, for receivers that may know.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from blinker import Namespace
from flask import Flask, has_request_context, request

from .decision import Decision
from .problem import Problem

_OUTCOMES = {401: "not identified", 403: "refused", 503: "unavailable"}

decided = Namespace().signal("jwt-authz-decided")
"""Sent with the application and `outcome` (`allowed`, `refused`, `not identified`, `unavailable`),
`identity`, `decision` and `problem`, each of these three None where there is none."""

_log = logging.getLogger("jwt_authz")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"})


class Audit:
    """Counts the decisions of one application since its process began; thread safe."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[str, int]:
        """How many decisions had which outcome: a copy."""
        with self._lock:
            return dict(self._counts)

    def record(
        self,
        app: Flask,
        identity: Any,
        decision: Decision | None,
        problem: Problem | None,
        note: str = "",
    ) -> None:
        """Count the decision, tell the signal's receivers, and log it where it is due."""
        outcome = "allowed" if problem is None else _OUTCOMES[problem.status]
        with self._lock:
            self._counts[outcome] = self._counts.get(outcome, 0) + 1
        if decided.receivers:
            decided.send(
                app, outcome=outcome, identity=identity, decision=decision, problem=problem
            )
        if problem is not None and _log.isEnabledFor(logging.WARNING):
            _log.warning(
                "%s", _text(outcome, decision, problem, note), extra=_extra(outcome, problem)
            )
        elif problem is None and _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s", _text(outcome, decision, None), extra=_extra(outcome, None))


def _text(outcome: str, decision: Decision | None, problem: Problem | None, note: str = "") -> str:
    parts = [outcome, _place()]
    if problem is not None:
        parts += [problem.type, problem.instance]
    if note:
        parts.append(note)
    if decision is not None:
        parts.append("; ".join(line for line in decision.lines()))
    return " | ".join(parts)


def _place() -> str:
    if not has_request_context():
        return "outside a request"
    method = request.method if request.method in _METHODS else "another method"
    return f"{method} {request.endpoint or 'no endpoint'}"


def _extra(outcome: str, problem: Problem | None) -> dict[str, Any]:
    return {
        "authz_outcome": outcome,
        "authz_problem": problem.type if problem is not None else None,
        "authz_instance": problem.instance if problem is not None else None,
    }
