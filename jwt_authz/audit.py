"""Audit: a signal and a counter for every decision, a log record for every refusal.

Changes of users and roles have a signal and a log record of their own.

Allowed calls are logged at level DEBUG, or at WARNING if an override was used.

Log records of decisions contain the endpoint, the method and the requirements, but no token, no
value of a claim and no line break from outside. The caller is only in the signal. The record of a
change names the user or the role that was changed.
"""

from __future__ import annotations

import itertools
import logging
import threading
from typing import Any

from blinker import Namespace
from flask import Flask, has_request_context, request

from .policy.decision import Decision
from .policy.explanation import with_claims
from .policy.identity import Identity
from .policy.problem import Problem

_OUTCOMES = {
    401: "not identified",
    403: "refused",
    429: "not identified",
    503: "unavailable",
}
UNENFORCED = "would have been refused"

decided = Namespace().signal("jwt-authz-decided")
"""Sent with the application and `outcome` (`allowed`, `refused`, `not identified`, `unavailable`,
`would have been refused`), `identity`, `decision` and `problem`, each of these three None where
there is none."""

changed = Namespace().signal("jwt-authz-changed")
"""Sent with the application after a change of users or roles: `by` is the author, `action` what was
done ("users disable" by a command, "disable user" by the admin API or page), `name` the name of the
user or role, and `subject` the subject of the user, or None for a role."""

_log = logging.getLogger("jwt_authz")
_DEBUG = logging.DEBUG
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"})


class Audit:
    """Counts the decisions of one application since its process started; thread-safe."""

    def __init__(self) -> None:
        self._count_allowed = itertools.count().__next__  # thread-safe without a lock
        self._times_read = 0
        self._refused = dict.fromkeys((*_OUTCOMES.values(), UNENFORCED), 0)
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[str, int]:
        """The number of decisions by outcome, as a copy."""
        with self._lock:
            allowed = self._count_allowed() - self._times_read  # reading it counts one
            self._times_read += 1
            return {"allowed": allowed, **self._refused}

    def allowed(
        self, app: Flask, identity: Any, decision: Decision | None, overrides: bool = False
    ) -> None:
        """Count a decision to allow, send the signal, and log it at the level that applies.

        `overrides` says that an override may have stood in, which is logged at WARNING.
        """
        self._count_allowed()
        if decided.receivers or overrides or _log.isEnabledFor(_DEBUG):
            self._tell_allowed(app, identity, decision)

    def _tell_allowed(self, app: Flask, identity: Any, decision: Decision | None) -> None:
        if decided.receivers:
            _send(app, "allowed", identity, decision, None)
        used_override = decision is not None and decision.used_override
        level = logging.WARNING if used_override else _DEBUG
        if _log.isEnabledFor(level):
            told = None if decision is None else with_claims(decision, identity)
            text = _text("allowed", identity, told)
            _log.log(level, "%s", text, extra=_extra("allowed", identity, None))

    def refused(
        self,
        app: Flask,
        identity: Any,
        decision: Decision | None,
        problem: Problem,
        note: str,
        level: int = logging.WARNING,
        enforced: bool = True,
    ) -> None:
        """Count a refusal, send the signal, and log it with its reasons.

        `note` says what was wrong with the token, or which store did not answer. `level` is
        DEBUG if the decision only answers a question, as in `allowed`. A refusal that is not
        `enforced` lets the call pass.
        """
        outcome = _OUTCOMES[problem.status] if enforced else UNENFORCED
        with self._lock:
            self._refused[outcome] += 1
        if decided.receivers:
            _send(app, outcome, identity, decision, problem)
        if _log.isEnabledFor(level):
            text = _text(outcome, identity, decision, problem.type, problem.instance, note)
            _log.log(level, "%s", text, extra=_extra(outcome, identity, problem))


def tell_change(app: Flask, by: str, action: str, name: str, subject: str | None = None) -> None:
    """Send `changed` and log the change at the level INFO."""
    changed.send(app, by=by, action=action, name=name, subject=subject)
    extra = {
        "authz_change": action,
        "authz_by": by,
        "authz_name": name,
        "authz_subject": subject,
    }
    _log.info("%s", _fields("changed", f"{action} {name}", f"by {by}"), extra=extra)


def _send(
    app: Flask, outcome: str, identity: Any, decision: Decision | None, problem: Problem | None
) -> None:
    decided.send(app, outcome=outcome, identity=identity, decision=decision, problem=problem)


def _text(outcome: str, identity: Any, decision: Decision | None, *more: str) -> str:
    used = "used after change" if _is_outdated(identity) else ""
    text = _fields(outcome, _place(), used, *more)
    return text if decision is None else f"{text} | {_tree(decision)}"


def _fields(*fields: str) -> str:
    """Return the fields as one line; ` | ` and line breaks in a field are escaped."""
    return " | ".join(_escaped(field, "|") for field in fields if field)


def _tree(decision: Decision) -> str:
    """Return the lines of the tree as one line; `;` in a line is escaped."""
    return "; ".join(_escaped(line, ";") for line in decision.lines())


def _escaped(text: str, separator: str) -> str:
    """Return the text with the separator, backslashes and what cannot be printed escaped."""
    text = text.replace("\\", "\\\\").replace(separator, f"\\x{ord(separator):02x}")
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def _is_outdated(identity: Any) -> bool:
    return isinstance(identity, Identity) and identity.is_outdated


def _place() -> str:
    if not has_request_context():
        return "outside a request"
    method = request.method if request.method in _METHODS else "another method"
    return f"{method} {request.endpoint or 'no endpoint'}"


def _extra(outcome: str, identity: Any, problem: Problem | None) -> dict[str, Any]:
    return {
        "authz_outcome": outcome,
        "authz_problem": problem.type if problem is not None else None,
        "authz_instance": problem.instance if problem is not None else None,
        "authz_used_after_change": _is_outdated(identity),
    }
