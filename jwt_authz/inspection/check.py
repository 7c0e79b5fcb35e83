"""The check: runs all checks of an application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .._context import get_app
from ..application import AppState
from ..errors import MisuseError
from ..findings import CHECKS, REGISTERED, Finding, Found
from .checks import guards, issuers, keys, roles, routes, settings, store
from .inspected import Inspected

FUNCTIONS: dict[str, Callable[[Inspected], Iterable[Found]]] = {
    "AZ001": routes.denied_views,
    "AZ002": routes.open_views,
    "AZ003": routes.misplaced_guards,
    "AZ004": routes.unknown_endpoints,
    "AZ005": routes.missing_arguments,
    "AZ006": routes.never_fresh,
    "AZ007": routes.lost_guards,
    "AZ008": routes.missing_methods,
    "AZ009": guards.caches_above_guards,
    "AZ010": guards.unenforced_guards,
    "AZ011": guards.unenforced_application,
    "AZ012": guards.pushed_overrides,
    "AZ013": routes.refused_preflights,
    "AZ101": roles.unknown_permissions,
    "AZ102": roles.unknown_roles,
    "AZ103": roles.unknown_levels,
    "AZ104": roles.unknown_at_the_moment,
    "AZ105": roles.unused_permissions,
    "AZ106": roles.long_tokens,
    "AZ107": roles.live_roles_without_store,
    "AZ108": roles.compact_without_catalog,
    "AZ109": roles.not_loaded,
    "AZ110": roles.broken_rules,
    "AZ201": settings.invalid_settings,
    "AZ202": settings.invalid_jwt_settings,
    "AZ203": keys.unsigned_tokens,
    "AZ204": keys.unusable_key,
    "AZ205": keys.weak_key,
    "AZ206": keys.unusable_key_set,
    "AZ207": settings.endless_access_tokens,
    "AZ301": issuers.own_tokens_of_an_issuer,
    "AZ302": issuers.shared_secrets,
    "AZ303": issuers.compared_subjects,
    "AZ304": issuers.looked_up_subjects,
    "AZ305": issuers.plain_http,
    "AZ401": store.unusable_store,
    "AZ402": store.memory_of_many,
    "AZ403": store.late_patching,
    "AZ404": store.shared_store,
}
"""The function of each check; those of AZ5xx come from the blueprints that need them."""

FIRST = "AZ403"
"""If threads were patched too late, any other check could wait forever."""


def find(state: AppState, *, by_command: bool = False) -> list[Finding]:
    """Return what is wrong with the current application, in the order of the codes.

    Findings that `AUTHZ_SILENCE` names are left out. `by_command` also runs the checks that are
    for the command only, and loads a catalog that comes from a source.
    """
    app = get_app()
    seen = Inspected(app, state, loads_roles=by_command)
    found = list(_run(seen, FIRST))
    if found:
        return found
    silenced = seen.silenced
    for code, check in CHECKS.items():
        is_skipped = code in silenced or (check.for_command_only and not by_command)
        if not is_skipped:
            found += _run(seen, code)
    return found


def _run(seen: Inspected, code: str) -> Iterator[Finding]:
    """Run the check of a code, and yield each finding once."""
    functions: list[Callable[[], Iterable[Found]]] = []
    if code in FUNCTIONS:
        functions.append(lambda: FUNCTIONS[code](seen))
    elif seen.settings is not None:
        registered = seen.app.extensions.get(REGISTERED, ())
        functions += [function for its_code, function in registered if its_code == code]
    messages: set[str] = set()
    for message, place in (found for function in functions for found in function()):
        if message not in messages:
            messages.add(message)
            yield Finding(code, CHECKS[code].severity, message, place)


def check(state: AppState) -> list[str]:
    """Return the warnings, each with its code; raise `MisuseError` with all errors, one a line."""
    found = find(state)
    errors = [str(one) for one in found if one.severity == "error"]
    if errors:
        raise MisuseError("\n".join(errors))
    return [str(one) for one in found]
