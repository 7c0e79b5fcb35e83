"""The caller's own log-ins: `GET /token/families` lists them, `DELETE` ends one or all."""

from __future__ import annotations

from flask import Response

from .._context import get_app
from ..application import current_state
from ..errors import MisuseError
from ..jwt_extended.own_claims import own_claims
from ..logins.revoking import end_family, families_of, revoke
from ..policy.problem import token_invalid
from ..refusals import NotIdentified, ProblemAnswer, unstored
from ..revocation import Family, Target


def show_families() -> Response:
    """List the log-ins that can still be refreshed, most recently used first; times in seconds."""
    subject, issuer, current = caller()
    found = families_of(current_state(), subject, issuer)
    return unstored({"families": [_shown(family, current) for family in found]})


def end_families() -> Response:
    """Log the caller out everywhere: end all their families and tokens, this request's included."""
    subject, issuer, _ = caller()
    revoke(current_state(), Target("subject", subject, issuer))
    return Response(status=204)


def end_one_family(family: str) -> Response:
    """End one of the caller's log-ins; 404 for one that is not theirs or has ended."""
    subject, issuer, _ = caller()
    state = current_state()
    if all(one.id != family for one in families_of(state, subject, issuer)):
        raise ProblemAnswer(404, "log-in-unknown", "You have no log-in with this id.")
    end_family(state, family)
    return Response(status=204)


def caller() -> tuple[str, str | None, str | None]:
    """Return the caller's subject, issuer (None for this application), and their token's family."""
    state = current_state()
    found = state.authenticate(get_app())
    if found.identity is None:  # let through by AUTHZ_ENFORCE=False, but there is no subject
        problem = state.missing_token() if found.error is None else token_invalid(found.error)
        state.audit.refused(get_app(), None, None, problem, "log-ins")
        raise state.refusing.refusal(NotIdentified, problem)
    if found.token is None:
        subject = getattr(found.identity, "subject", None)
        if not isinstance(subject, str):
            raise MisuseError("the subject is unknown: return an Identity from the identity loader")
        issuer = getattr(found.identity, "issuer", None)
        own = own_claims(state.settings)["iss"]
        return subject, None if issuer == own else issuer, None
    identity = found.token.identity
    return identity.subject, None if found.token.is_own else identity.issuer, found.token.family


def _shown(family: Family, current: str | None) -> dict[str, object]:
    return {
        "id": family.id,
        "client": family.client,
        "created_at": int(family.created_at),
        "used_at": int(family.used_at),
        "expires_at": int(family.expires_at),
        "is_current": family.id == current,
    }
