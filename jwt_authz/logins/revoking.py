"""Revoke tokens, together with the token families that would issue new ones."""

from __future__ import annotations

import math
from typing import Any

from ..application import AppState
from ..errors import MisuseError
from ..jwt_extended.times import access_lifetime, leeway
from ..revocation import Family, Target
from ..tokens.refresh import number_or_none
from ..tokens.verifier import START_LEEWAY


def revoke(state: AppState, target: Target, *, keeps_families: bool = False) -> None:
    """End the tokens issued until now that match the target; see `Authz.revoke`.

    The revocation is written first, and is what counts. Ending the families only frees space.
    """
    view = state.needed_revocations()
    if keeps_families:
        if target.kind != "subject":
            raise MisuseError(
                "keeps_families requires subject=: use it for a subject whose roles have changed"
            )
        view.revoke(target._replace(kind="claims"))
    elif target.kind == "family":
        end_family(state, str(target.value))
    else:
        view.revoke(target)
        if target.kind == "subject":
            view.ask_families(lambda families: families.end_all(str(target.value), target.issuer))


def end_family(state: AppState, family: str) -> None:
    """End a family and the access tokens that came with it; raise `StoreUnavailable`.

    The access tokens come first, so that the call can be repeated if it fails halfway.
    """
    end_access_tokens(state, family)
    state.needed_revocations().ask_families(lambda families: families.end(family))


def end_access_tokens(state: AppState, family: str) -> None:
    """End the access tokens of a family that has already ended, unless this was done before."""
    view = state.needed_revocations()
    if not view.knows_family(family):
        # This concerns only access tokens: refresh tokens depend on the family itself.
        view.revoke(Target("family", family), view.now() + access_lifetime() + leeway())


def has_expired(state: AppState, payload: dict[str, Any]) -> bool:
    """Return whether a token with this payload has expired, even if a clock is slow.

    Raise `StoreUnavailable` if the store's clock is not known.
    """
    view = state.needed_revocations()
    view.check_age()
    return _end_of(payload) + START_LEEWAY <= view.now()


def end_token(state: AppState, jti: str, payload: dict[str, Any]) -> None:
    """End the one token with this id and payload; raise `StoreUnavailable`."""
    state.needed_revocations().revoke(Target("jti", jti), _end_of(payload))


def _end_of(payload: dict[str, Any]) -> float:
    """Return when a token expires at the latest; without a valid `exp` it never does."""
    expires = number_or_none(payload.get("exp"))
    return math.inf if expires is None else expires + leeway()


def families_of(state: AppState, subject: str, issuer: str | None = None) -> tuple[Family, ...]:
    """Return the subject's log-ins that can still be refreshed, the most recently used first.

    Raise `StoreUnavailable`, and `MisuseError` for a subject that is not a string.
    """
    if not isinstance(subject, str):
        raise MisuseError(
            f"a subject must be a string, not {type(subject).__name__}: write user.subject"
        )
    view = state.needed_revocations()
    found = view.ask_families(lambda families: families.families(subject, issuer))
    return tuple(
        family
        for family in found
        if not view.is_login_over(subject, family.created_at, tenant=family.tenant, issuer=issuer)
    )
