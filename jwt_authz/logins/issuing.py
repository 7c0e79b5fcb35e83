"""Issue the application's own tokens: their claims, times and size."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from time import time
from typing import Any

from ..application import AppState
from ..jwt_extended.manager import check_subject
from ..jwt_extended.own_claims import own_claims
from ..policy.permissions import Permission
from ..tokens.encodings import write_claims
from ..tokens.refresh import LOGGED_IN_AT
from .access_token import TYP, issue_token


def claims_of(
    state: AppState,
    *,
    roles: Iterable[str],
    permissions: Iterable[str | Permission] | None = None,
    tenant: str | None = None,
    scope: str | Iterable[str] | None = None,
) -> dict[str, Any]:
    """Return the claims of a token with these roles; see `Authz.claims`."""
    settings = state.settings
    return write_claims(
        settings.encoding,
        state.catalog,
        roles,
        permissions,
        tenant,
        scope,
        settings.claim_names,
    )


def issue(
    state: AppState,
    subject: Any,
    claims: dict[str, Any],
    *,
    fresh: bool | timedelta = False,
    expires: timedelta | None = None,
    typ: str = TYP,
) -> str:
    """Return an encoded access token with these claims, as in RFC 9068; see `Authz.issue`.

    A fresh token gets the time of the log-in as `auth_time`, unless the claims have it.
    """
    check_subject(subject)
    more: dict[str, Any] = own_claims(state.settings)
    if fresh:
        view = state.revocations
        more[LOGGED_IN_AT] = int(time() if view is None else view.now())
    return issue_token(subject, {**more, **claims}, fresh, expires, typ)
