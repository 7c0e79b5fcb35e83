"""The caller's own log-ins: `GET /token/families` lists them, `DELETE` ends one or all."""

from __future__ import annotations

from flask import Response, jsonify
from werkzeug.exceptions import NotFound

from ..context import get_app
from ..errors import MisuseError
from ..parts import current_parts
from ..problem import token_invalid, token_missing
from ..revocation import Family
from ..revoking import end_family, families_of, revoke
from .answers import refuse


def show_families() -> Response:
    """List the log-ins that can still be refreshed, the one used last first; times in seconds."""
    subject, issuer, current = _caller()
    found = families_of(current_parts(), subject, issuer)
    response = jsonify(families=[_shown(family, current) for family in found])
    response.headers["Cache-Control"] = "no-store"
    return response


def end_families() -> Response:
    """Log the caller out everywhere: all their families and tokens end, this request's, too."""
    subject, issuer, _ = _caller()
    revoke(current_parts(), subject=subject, issuer=issuer)
    return Response(status=204)


def end_one_family(family: str) -> Response:
    """End one of the caller's log-ins; 404 for one that is not theirs, or not living."""
    subject, issuer, _ = _caller()
    if not end_family(current_parts(), family, subject, issuer):
        raise NotFound
    return Response(status=204)


def _caller() -> tuple[str, str | None, str | None]:
    """The caller's subject, their issuer (None for this application), and their token's family."""
    found = current_parts().authenticate(get_app())
    if found.identity is None:  # let through by AUTHZ_ENFORCE=False: nobody has log-ins
        refuse(token_missing() if found.error is None else token_invalid(found.error), "families")
    if found.token is None:
        subject = getattr(found.identity, "subject", None)
        if not isinstance(subject, str):
            raise MisuseError("whose log-ins? the identity loader gives no Identity")
        return subject, None, None
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
