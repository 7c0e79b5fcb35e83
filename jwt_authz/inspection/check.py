"""The check for misuse: what is wrong with an application that uses this library, in sentences."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from flask import Flask, current_app, request, request_started
from werkzeug.exceptions import InternalServerError

from .._concurrency.patching import refuse_late_patching
from .._context import get_app
from ..application import CHECKS, Parts, current_parts
from ..authentication.authenticator import IdentitySource
from ..conditions.rules import Rules
from ..errors import MisuseError, StoreUnavailable
from ..guards.overrides import InUse
from ..guards.placement import is_static
from ..jwt_extended.bridge import (
    has_own_key,
    has_user_lookup,
    manager_of,
    misconfigured,
    own_claims,
)
from ..logins.token_sizes import roles_too_long
from ..policy.functions import NO_RESOURCE
from ..policy.requirements import has_permission
from ..policy.roles import Roles
from ..policy.standard import has_level, has_role
from .matrix import Access, read_matrix
from .subjects import places_of_subject
from .unused import unasked

LONGEST_CHECK = 5.0
"""Seconds for which a request waits for the check that another one began."""

_log = logging.getLogger("jwt_authz")


def find_misuse(
    parts: Parts, source: IdentitySource | None, *, denies_unguarded: bool
) -> tuple[list[str], list[str]]:
    """The errors and the warnings of the current application, each a sentence.

    `source` is its identity loader.
    """
    app = get_app()
    # Roles that change at run time may lack a name for a while: it is refused, and warned of here.
    lasting = None if parts.has_live_roles else parts.catalogue
    takes_token = source is None or source.takes_token
    accesses = list(read_matrix(app))
    errors = [*_settings_errors(parts), *_unknown_endpoints(app, parts)]
    errors += _rule_errors(parts.rules)
    told = dict.fromkeys(_catalogue_errors(accesses, parts.roles_known, parts.rules))
    errors += dict.fromkeys(_catalogue_errors(accesses, lasting, parts.rules))
    if not takes_token:
        errors += [_never_fresh(access) for access in accesses if access.asks_for_fresh]
    if denies_unguarded:
        errors += [bare(access) for access in accesses if access.is_bare]
    # With a foreign issuer, which grants permissions of its own, one may be unknown here.
    warnings = [text for text in told if text not in errors]
    warnings += _unenforced(parts)
    warnings += [text for access in accesses for text in _access_warnings(access)]
    if parts.trust is not None:
        looks_up = (source is not None and takes_token) or has_user_lookup(manager_of(app))
        warnings += parts.trust.warnings(looks_up, places_of_subject(accesses, parts.rules))
    warnings += [
        f"an override or addition was pushed in {where}" for where in sorted(InUse.pushed_at)
    ]
    with suppress(MisuseError, ImportError):  # of a store: reported when it is needed
        warnings += parts.sharing_warnings()
    for check in app.extensions.get(CHECKS, ()):
        try:
            warnings += check()
        except MisuseError as error:
            errors.append(str(error))
    return errors, warnings


def find_unsaid(app: Flask, roles: Roles | None) -> tuple[list[str], list[str]]:
    """What `flask authz check` tells beside misuse: errors, and warnings, each a sentence.

    The errors are views of which nothing was said, parts of classes that lose a guard, and roles
    whose tokens are too long; the warnings permissions that the catalogue grants and nothing asks
    for.
    """
    accesses = list(read_matrix(app))
    lost = (_left_out(one, *one.left_out) for one in accesses if one.left_out is not None)
    errors = [*lost, *(bare(access) for access in accesses if access.is_bare)]
    if roles is not None:
        errors += roles_too_long(current_parts(), roles)
    warnings = [
        f"nothing asks for {permission!r}, which a role grants: guard a view by it, or take it out"
        for permission in (
            unasked(accesses, roles, current_parts().rules) if roles is not None else ()
        )
    ]
    return errors, warnings


def _left_out(access: Access, part: str, parent: str) -> str:
    return (
        f"{access.method} {access.rule} ({access.endpoint}) lost a guard: {part} overrides "
        f"{parent} without one, so write @requires(...) for {part}, or @exempt if everybody may "
        "call it"
    )


class FirstRequest:
    """Checks the application before its first request is answered, and until it has passed.

    On Flask's signal and not in `before_request`, so that nothing is left on the way of the
    requests that follow.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passed = False
        self._misuse = ""

    def __call__(self, app: Flask, **keywords: Any) -> None:
        if request.endpoint is not None and is_static(app, request.endpoint):
            return
        if not self._lock.acquire(timeout=LONGEST_CHECK):
            raise StoreUnavailable("the check before the first request is still running")
        try:
            if not self._passed and not self._misuse:
                self._check(app)
        finally:
            self._lock.release()
        if self._misuse:
            # While one develops, the page says what the log says.
            raise InternalServerError(self._misuse if app.debug or app.testing else None)

    def _check(self, app: Flask) -> None:
        try:
            refuse_late_patching()
            for warning in app.extensions["jwt_authz"].check():
                _log.warning("%s", warning)
            _refuse_memory_of_many(current_parts())
        except MisuseError as error:
            self._misuse = str(error)
            _log.error("every request is refused, for misuse of jwt_authz:\n%s", self._misuse)
        else:
            self._passed = True
            request_started.disconnect(self, app)


def _refuse_memory_of_many(parts: Parts) -> None:
    """What the first request alone can tell: that the server runs several processes."""
    if parts.settings.store_url == "memory:" and request.environ.get("wsgi.multiprocess"):
        raise MisuseError(
            "AUTHZ_STORE_URL='memory:' keeps revocations in one process, and the server runs "
            "several: set it to redis://... or a SQLAlchemy URL"
        )


def bare(access: Access) -> str:
    """What to write for a view of which nothing was said."""
    return (
        f"{access.method} {access.rule} ({access.endpoint}) has no guard: write @requires(...) on "
        "the view, guard(...) on its blueprint, or @exempt if everybody may call it"
    )


def _never_fresh(access: Access) -> str:
    return (
        f"{access.method} {access.rule} ({access.endpoint}) is always refused: fresh=True looks at "
        "a token, and the identity loader takes the identity from elsewhere"
    )


def _settings_errors(parts: Parts) -> Iterator[str]:
    try:
        encoding, keys = parts.settings.encoding, parts.keys
    except MisuseError as error:
        yield from str(error).splitlines()
        has_key_set = bool(current_app.config.get("AUTHZ_KEYS_FILE"))
        yield from misconfigured(has_key_set, needs_key=parts.trust is None)
    else:
        try:
            if parts.settings.store_url is not None:
                parts.needed_revocations()  # opens the store, and connects to nothing
        except (MisuseError, ImportError) as error:
            yield str(error)
        if parts.has_live_roles and parts.settings.store_url is None:
            yield (
                "the roles come from a source, and no store tells the processes of a change: set "
                "AUTHZ_STORE_URL, or write Authz(app, roles=source.load()) for roles that never "
                "change"
            )
        has_roles = parts.has_live_roles or parts.roles_known is not None
        if encoding == "compact" and not has_roles:
            yield "AUTHZ_ENCODING='compact' needs a catalogue: write Authz(app, roles=Roles(...))"
        trust = parts.trust
        yield from misconfigured(keys is not None, needs_key=trust is None)
        if trust is not None and (keys is not None or has_own_key()):
            yield from trust.errors(own_claims(parts.settings)["iss"])


def _unknown_endpoints(app: Flask, parts: Parts) -> Iterator[str]:
    for endpoint in sorted(parts.exempt_endpoints - app.view_functions.keys()):
        yield f"exempt({endpoint!r}) names an endpoint that the application does not have"


def _rule_errors(rules: Rules) -> Iterator[str]:
    for action, model, _ in rules:
        try:
            rules.applied_to(has_permission(action), model)
        except MisuseError as error:
            yield str(error)


def _catalogue_errors(
    accesses: list[Access], catalogue: Roles | None, rules: Rules
) -> Iterator[str]:
    for access in accesses:
        yield from _access_errors(access, catalogue, rules)
    for action, model, rule in rules:
        for asked in rule.walk():
            text = _unknown(asked, catalogue)
            if text is not None and not _has_rule(asked, rules, but=action):
                yield f"the rule of {action!r} for {model.__name__}: {text}"


def _access_errors(access: Access, catalogue: Roles | None, rules: Rules) -> Iterator[str]:
    if access.is_guarded_in_vain:
        yield (
            f"{access.method} {access.rule} ({access.endpoint}) is open: its guard stands above "
            "the route decorator, so write @requires(...) below @app.route(...)"
        )
    for guard in access.guards:
        for asked in guard.requirement_for(access.method, access.has_head).walk():
            name = asked.view_argument
            if name is not None and name not in access.arguments:
                yield (
                    f"{access.method} {access.rule} ({access.endpoint}) is always refused: "
                    f"{asked!r} needs the argument {name}, so write <{name}> in the rule, or "
                    "@exempt on the view"
                )
    for guard in access.guards if catalogue is not None else ():
        for asked in guard.requirement_for(access.method, access.has_head).walk():
            text = _unknown(asked, catalogue)
            is_ruled = guard.on is not NO_RESOURCE and _has_rule(asked, rules)
            if text is not None and not is_ruled:
                yield f"{access.endpoint}: {text}"


def _has_rule(asked: Any, rules: Rules, but: str = "") -> bool:
    """Whether a rule answers a permission, which then needs no role that grants it."""
    return isinstance(asked, has_permission) and asked.value != but and asked.permission in rules


def _unknown(asked: Any, catalogue: Roles | None) -> str | None:
    """What the catalogue does not know of a requirement, in a sentence; None if it knows all."""
    if catalogue is None:
        return None
    if isinstance(asked, has_role) and asked.value not in catalogue:
        return f"no role is named {asked.value!r}: add Role({asked.value!r}, ...) to Roles(...)"
    if isinstance(asked, has_permission) and not catalogue.knows(asked.permission):
        return f"no role grants {asked.value!r}: add it to a Role(...), or mend the spelling"
    if isinstance(asked, has_level) and isinstance(asked.value, str):
        try:
            catalogue.level_named(asked.value)
        except MisuseError as error:
            return str(error)
    return None


def _unenforced(parts: Parts) -> Iterator[str]:
    try:
        enforce = parts.settings.enforce
    except MisuseError:  # an error that is told already
        return
    if not enforce:
        yield (
            "AUTHZ_ENFORCE=False: no guard of the application refuses anybody, so set it to True "
            "once the log has no 'would have been refused' that you did not expect"
        )


def _access_warnings(access: Access) -> Iterator[str]:
    if access.has_cache_above_guard:
        yield (
            f"{access.method} {access.rule} ({access.endpoint}) has a cache above its guard, "
            "which gives one caller's answer to everyone: write the cache below @requires(...), "
            "and cache only what all callers may see"
        )
    for guard in access.guards:
        if not guard.enforce:
            yield (
                f"{access.method} {access.rule} ({access.endpoint}) refuses nobody: {guard!r} has "
                "enforce=False, so take that out once the log has no 'would have been refused' "
                "that you did not expect"
            )
        if guard.lacks(access.method, access.has_head):
            refused = "is always refused" if guard.enforce else "would always be refused"
            yield (
                f"{access.method} {access.rule} ({access.endpoint}) {refused}: "
                f"requires({{...}}) has no entry for {access.method}"
            )
