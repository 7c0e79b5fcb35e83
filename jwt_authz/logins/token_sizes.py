"""Token sizes: the users and roles whose tokens fit, asked before a change and by the check.

A token is drafted as a log-in would make it, without roles. Its length with roles is then computed
for each encoding that `AUTHZ_ENCODING` allows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from ..accounts import User
from ..application import Parts
from ..errors import TokenDoesNotFit
from ..findings import Found
from ..jwt_extended.manager import Measured, Sample
from ..policy.roles import Roles
from ..tokens.claim_names import CATALOGUE
from ..tokens.encodings import ENCODINGS, Encoding
from ..tokens.refresh import RefreshClaims
from ..tokens.sizes import claims_of_token, written_as
from .issuing import claims_of, issue
from .own_tokens import sizes_in_words

_log = logging.getLogger("jwt_authz")

SOME_SUBJECT = 36 * "x"
"""A subject as long as a UUID: stands for that of a user who is not there yet."""

_A_TIME = 1_900_000_000.123457  # as many digits as a time has
_FAMILY = RefreshClaims("", "", 22 * "x", _A_TIME)


def refuse_user_change(parts: Parts, before: Iterable[str], after: User) -> None:
    """Raise `TokenDoesNotFit` if the user's roles no longer fit into a token.

    `before` are the roles until now: a change that makes the token no longer is never refused.
    """
    draft = _draft(parts, Measured(after.subject), after.tenant)
    if draft is not None:
        was = draft.sizes(before, parts.catalogue)
        _refuse(parts, was, draft.sizes(after.roles, parts.catalogue), "of the user")


def refuse_role_change(
    parts: Parts,
    before: Roles,
    after: Roles,
    role_sets: Callable[[], Collection[Collection[str]]],
) -> None:
    """Raise `TokenDoesNotFit` if a role, or all roles of one of the users, no longer fit.

    `role_sets` returns the roles that users have together, and is called only if it matters. A
    change that makes no token longer is never refused.
    """
    draft = _draft(parts, Sample(SOME_SUBJECT), None)
    if draft is None or not _can_lengthen(parts, before, after):
        return
    for name in after:
        was = draft.sizes([name], before) if name in before else {}
        _refuse(parts, was, draft.sizes([name], after), f"with the role {name!r}")
    if draft.fits(after, after):  # then so do the roles of each user
        return
    for roles in role_sets():
        was, will = draft.sizes(roles, before), draft.sizes(roles, after)
        _refuse(parts, was, will, f"with the roles {', '.join(sorted(roles))}")


def roles_too_long(parts: Parts, catalogue: Roles) -> Iterator[Found]:
    """Yield each role whose access tokens fit in no encoding."""
    try:
        draft = _draft(parts, Sample(SOME_SUBJECT), None)
    except TokenDoesNotFit as error:
        yield Found(f"no one can log in: {error}")
        return
    if draft is None:
        return
    for name in catalogue:
        sizes = draft.sizes([name], catalogue)
        if not draft.fits([name], catalogue):
            limit = parts.settings.max_token_bytes
            yield Found(
                f"no one with the role {name!r} can log in: an access token would have "
                f"{sizes_in_words(sizes)}, and AUTHZ_MAX_TOKEN_BYTES is {limit}: set "
                "AUTHZ_ENCODING='auto', raise the limit, or shorten the role",
                {"role": name},
            )


class _Draft:
    """The claims of a token without roles, and what stands around its payload."""

    def __init__(self, parts: Parts, claims: dict[str, Any], around: int) -> None:
        names, encoding = parts.settings.claim_names, parts.settings.encoding
        dropped = {names.permissions, CATALOGUE}
        self._claims = {name: value for name, value in claims.items() if name not in dropped}
        self._around = around
        self._names = names
        self._allowed = ENCODINGS if encoding == "auto" else (encoding,)
        self._limit = parts.settings.max_token_bytes

    def sizes(self, roles: Iterable[str], catalogue: Roles | None) -> dict[Encoding, int]:
        """Return the length with these roles in each encoding that the settings allow."""
        known = sorted(name for name in roles if catalogue is None or name in catalogue)
        claims = {**self._claims, self._names.roles: known}
        written = written_as(claims, self._around, catalogue, self._names)
        return {one.encoding: one.size for one in written if one.encoding in self._allowed}

    def fits(self, roles: Iterable[str], catalogue: Roles | None) -> bool:
        """Return whether a token with these roles fits in an encoding that the settings allow."""
        sizes = self.sizes(roles, catalogue)
        return not sizes or min(sizes.values()) <= self._limit


def _draft(parts: Parts, subject: Sample | Measured, tenant: str | None) -> _Draft | None:
    """Return the draft for a subject; None if this application issues no tokens."""
    try:
        claims = {**claims_of(parts, roles=(), tenant=tenant), "iat": _A_TIME}
        claims |= _FAMILY.shared if parts.settings.store_url is not None else {}
        return _Draft(parts, *claims_of_token(issue(parts, subject, claims)))
    except TokenDoesNotFit:
        raise
    except (
        Exception
    ):  # wrong settings, no key to sign with, or a callback of the application that fails
        _log.debug("no token was drafted, so that no size is checked", exc_info=True)
        return None


def _can_lengthen(parts: Parts, before: Roles, after: Roles) -> bool:
    """Return whether tokens may be longer after: under `auto` by a new role's name only."""
    return parts.settings.encoding not in ("auto", "roles") or not after.keys() <= before.keys()


def _refuse(
    parts: Parts, was: Mapping[Encoding, int], will: Mapping[Encoding, int], whose: str
) -> None:
    limit, shortest = parts.settings.max_token_bytes, min(will.values(), default=0)
    if shortest <= max(limit, min(was.values(), default=0)):
        return
    raise TokenDoesNotFit(
        f"an access token {whose} would have {sizes_in_words(will)}, and AUTHZ_MAX_TOKEN_BYTES is "
        f"{limit}: give fewer or shorter roles, or raise the limit and that of your server"
    )
