"""Compute whether the tokens of users and roles fit, before a change and for the check.

A token is drafted as a log-in would issue it, without roles. Its length with roles is then computed
for each encoding that `AUTHZ_ENCODING` allows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from ..accounts import User
from ..application import AppState
from ..errors import TokenDoesNotFit
from ..findings import Found
from ..jwt_extended.manager import Measured, Sample
from ..policy.roles import Roles
from ..tokens.claim_names import CATALOG
from ..tokens.encodings import ENCODINGS, Encoding
from ..tokens.refresh import RefreshClaims
from ..tokens.sizes import claims_of_token, written_as
from .issuing import claims_of, issue
from .own_tokens import sizes_in_words

_log = logging.getLogger("jwt_authz")

SOME_SUBJECT = 36 * "x"
"""A subject as long as a UUID, for a user who does not exist yet."""

_A_TIME = 1_900_000_000.123457  # as many digits as a real time
_FAMILY = RefreshClaims("", "", 22 * "x", _A_TIME)


def refuse_user_change(state: AppState, before: Iterable[str], after: User) -> None:
    """Raise `TokenDoesNotFit` if the user's roles no longer fit into a token.

    `before` are the previous roles. A change that does not lengthen the token is never refused.
    """
    draft = _draft(state, Measured(after.subject), after.tenant)
    if draft is not None:
        was = draft.sizes(before, state.catalog)
        _refuse(state, was, draft.sizes(after.roles, state.catalog), "of the user")


def refuse_role_change(
    state: AppState,
    before: Roles,
    after: Roles,
    role_sets: Callable[[], Collection[Collection[str]]],
) -> None:
    """Raise `TokenDoesNotFit` if a role, or all roles of one of the users, no longer fit.

    `role_sets` returns the combinations of roles that users have, and is called only if needed. A
    change that lengthens no token is never refused.
    """
    draft = _draft(state, Sample(SOME_SUBJECT), None)
    if draft is None or not _can_lengthen(state, before, after):
        return
    for name in after:
        was = draft.sizes([name], before) if name in before else {}
        _refuse(state, was, draft.sizes([name], after), f"with the role {name!r}")
    if draft.fits(after, after):  # so the roles of each user fit, too
        return
    for roles in role_sets():
        was, will = draft.sizes(roles, before), draft.sizes(roles, after)
        _refuse(state, was, will, f"with the roles {', '.join(sorted(roles))}")


def roles_too_long(state: AppState, catalog: Roles) -> Iterator[Found]:
    """Yield each role whose access tokens fit in no encoding."""
    try:
        draft = _draft(state, Sample(SOME_SUBJECT), None)
    except TokenDoesNotFit as error:
        yield Found(f"no one can log in: {error}")
        return
    if draft is None:
        return
    for name in catalog:
        sizes = draft.sizes([name], catalog)
        if not draft.fits([name], catalog):
            limit = state.settings.max_token_bytes
            yield Found(
                f"no one with the role {name!r} can log in: an access token would have "
                f"{sizes_in_words(sizes)}, and AUTHZ_MAX_TOKEN_BYTES is {limit}: set "
                "AUTHZ_ENCODING='auto', raise the limit, or shorten the role",
                {"role": name},
            )


class _Draft:
    """The claims of a token without roles, and the length around its payload."""

    def __init__(self, state: AppState, claims: dict[str, Any], around: int) -> None:
        names, encoding = state.settings.claim_names, state.settings.encoding
        dropped = {names.permissions, CATALOG}
        self._claims = {name: value for name, value in claims.items() if name not in dropped}
        self._around = around
        self._names = names
        self._allowed = ENCODINGS if encoding == "auto" else (encoding,)
        self._limit = state.settings.max_token_bytes

    def sizes(self, roles: Iterable[str], catalog: Roles | None) -> dict[Encoding, int]:
        """Return the length with these roles in each encoding that the settings allow."""
        known = sorted(name for name in roles if catalog is None or name in catalog)
        claims = {**self._claims, self._names.roles: known}
        written = written_as(claims, self._around, catalog, self._names)
        return {one.encoding: one.size for one in written if one.encoding in self._allowed}

    def fits(self, roles: Iterable[str], catalog: Roles | None) -> bool:
        """Return whether a token with these roles fits in an encoding that the settings allow."""
        sizes = self.sizes(roles, catalog)
        return not sizes or min(sizes.values()) <= self._limit


def _draft(state: AppState, subject: Sample | Measured, tenant: str | None) -> _Draft | None:
    """Return the draft for a subject; None if this application issues no tokens."""
    try:
        claims = {**claims_of(state, roles=(), tenant=tenant), "iat": _A_TIME}
        claims |= _FAMILY.shared if state.settings.store_url is not None else {}
        return _Draft(state, *claims_of_token(issue(state, subject, claims)))
    except TokenDoesNotFit:
        raise
    except Exception:  # wrong settings, no signing key, or a failing callback of the application
        _log.debug("no token could be drafted, so sizes are not checked", exc_info=True)
        return None


def _can_lengthen(state: AppState, before: Roles, after: Roles) -> bool:
    """Return whether the change may lengthen tokens; with `auto`, only a new name does."""
    return state.settings.encoding not in ("auto", "roles") or not after.keys() <= before.keys()


def _refuse(
    state: AppState, was: Mapping[Encoding, int], will: Mapping[Encoding, int], whose: str
) -> None:
    limit, shortest = state.settings.max_token_bytes, min(will.values(), default=0)
    if shortest <= max(limit, min(was.values(), default=0)):
        return
    raise TokenDoesNotFit(
        f"an access token {whose} would have {sizes_in_words(will)}, and AUTHZ_MAX_TOKEN_BYTES is "
        f"{limit}: give fewer roles, shorten their names, or raise this limit and your server's"
    )
