"""Findings: what the check reports, each under one of the stable codes of `CHECKS`.

A code is never reused: a check that is removed takes its code with it. `docs/checking.md` explains
each code under an anchor of its name.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from flask.sansio.app import App

from .errors import MisuseError

Severity = Literal["error", "warning"]
Place = Mapping[str, str]
"""Where something was found: `endpoint`, `method` and `rule`, or `role`, `setting`, ..."""

REGISTERED = "jwt_authz.checks"
"""Under this name `app.extensions` has the checks that blueprints add."""


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of finding: its code, its severity and what it is about, in a sentence.

    A check for the command only is run by `flask authz check`, and not by `Authz.check` or before
    the first request.
    """

    code: str
    severity: Severity
    title: str
    can_be_silenced: bool = True
    for_command_only: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: its code and severity, a sentence that says what to do, and the place.

    `place` is None if the finding is about the whole application.
    """

    code: str
    severity: Severity
    message: str
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"

    @property
    def docs(self) -> str:
        """The section of the documentation that explains the code."""
        return f"docs/checking.md#{self.code.lower()}"

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as an object for JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "place": None if self.place is None else dict(self.place),
            "docs": self.docs,
        }


class Found(NamedTuple):
    """What the function of a check yields: a message, and the place."""

    message: str
    place: Place | None = None


_ROWS = (
    # Routes and guards.
    Check("AZ001", "error", 'A view has no guard, and `default="deny"` refuses everyone.'),
    Check("AZ002", "error", "A view has no guard, and anyone may call it.", for_command_only=True),
    Check("AZ003", "error", "A guard stands above the route decorator.", can_be_silenced=False),
    Check("AZ004", "error", "`exempt` names an endpoint that does not exist."),
    Check("AZ005", "error", "A guard needs a URL argument that the route does not have."),
    Check("AZ006", "error", "A guard asks for a fresh token where no token is read."),
    Check("AZ007", "error", "An overriding method loses its guard.", for_command_only=True),
    Check("AZ008", "warning", "A mapping of requirements lacks a method of the route."),
    Check("AZ009", "warning", "A cache stands above a guard."),
    Check("AZ010", "warning", "A guard has `enforce=False`."),
    Check("AZ011", "warning", "`AUTHZ_ENFORCE` is False."),
    Check("AZ012", "warning", "An override or addition was pushed."),
    Check("AZ013", "warning", "A guard refuses the preflights of its view."),
    # Roles, permissions and rules.
    Check("AZ101", "error", "No role grants a permission that a guard or rule names."),
    Check("AZ102", "error", "The catalog lacks a role that a guard or rule names."),
    Check("AZ103", "error", "The catalog lacks a level that a guard or rule names."),
    Check("AZ104", "warning", "A guard or rule names what the catalog lacks at the moment."),
    Check("AZ105", "warning", "Nothing asks for a permission.", for_command_only=True),
    Check("AZ106", "error", "The tokens of a role are too long.", for_command_only=True),
    Check("AZ107", "error", "The roles come from a source, and there is no store."),
    Check("AZ108", "error", "The encoding `compact` has no catalog."),
    Check("AZ109", "warning", "The catalog could not be loaded.", for_command_only=True),
    Check("AZ110", "error", "A rule cannot be applied."),
    # Settings, keys and tokens.
    Check("AZ201", "error", "An `AUTHZ_*` setting is invalid.", can_be_silenced=False),
    Check("AZ202", "error", "A `JWT_*` setting is invalid.", can_be_silenced=False),
    Check("AZ203", "error", "The algorithm `none` is configured.", can_be_silenced=False),
    Check("AZ204", "error", "The key is missing or cannot be used."),
    Check("AZ205", "error", "The key is weak.", can_be_silenced=False),
    Check("AZ206", "error", "The file of keys cannot be used."),
    Check("AZ207", "error", "Access tokens never expire."),
    # Other issuers.
    Check(
        "AZ301", "error", "Own tokens have the `iss` of a trusted issuer.", can_be_silenced=False
    ),
    Check("AZ302", "warning", "An issuer shares its secret."),
    Check("AZ303", "warning", "A subject is compared that some callers do not have."),
    Check("AZ304", "warning", "Users are looked up by the subjects of another issuer."),
    Check("AZ305", "warning", "The keys of an issuer are fetched over plain http."),
    # Store and server.
    Check("AZ401", "error", "The store cannot be used."),
    Check("AZ402", "error", "Several processes use a store in memory.", can_be_silenced=False),
    Check("AZ403", "error", "Threads were patched too late.", can_be_silenced=False),
    Check("AZ404", "warning", "Another application uses the same store."),
    # Log-in and administration.
    Check("AZ501", "error", "A log-in has no accounts."),
    Check("AZ502", "error", "A blueprint needs a store."),
    Check("AZ503", "error", "Refresh tokens never expire."),
    Check("AZ504", "error", "The accounts do not support a change of passwords."),
    Check("AZ505", "error", "The accounts do not support administration."),
    Check("AZ506", "error", "The rate limit of log-ins cannot be used."),
    Check("AZ507", "warning", "Log-ins have no rate limit."),
    Check("AZ508", "warning", "Requests arrive from a proxy that is not configured."),
)

CHECKS: dict[str, Check] = {check.code: check for check in _ROWS}
"""All checks by their codes: the one list of them."""


def add_check(app: App, code: str, find: Callable[[], Iterable[Found]]) -> None:
    """Add a check to an application, once, for what a blueprint of it needs.

    It runs in the application's context, and only if the settings are valid.
    """
    registered = app.extensions.setdefault(REGISTERED, [])
    if (code, find) not in registered:
        registered.append((code, find))


def misuse_of(attempt: Callable[[], object]) -> Iterator[Found]:
    """Yield the lines of the `MisuseError`, or of the missing extra, that an attempt raises."""
    try:
        attempt()
    except (MisuseError, ImportError) as error:
        yield from map(Found, str(error).splitlines())


def wrong_codes(codes: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with codes to be silenced, each in a sentence."""
    for code in codes:
        check = CHECKS.get(code)
        if check is None:
            yield f"has the unknown code {code!r}: did you mean {' or '.join(_near(code))}?"
        elif not check.can_be_silenced:
            yield f"has {code}, which cannot be silenced: fix what it reports"


def _near(code: str) -> list[str]:
    """Return the codes that are most like a misspelled one, those of the same theme first."""
    wanted = code.upper()
    near = difflib.get_close_matches(wanted, CHECKS, n=len(CHECKS)) or ["AZ001"]
    return sorted(near, key=lambda one: one[:3] != wanted[:3])[:3]
