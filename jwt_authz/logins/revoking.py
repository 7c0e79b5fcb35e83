"""Revoking: what ends tokens, and the refresh families that would make new ones, together."""

from __future__ import annotations

import math
from typing import Any

from ..application import Parts
from ..errors import MisuseError
from ..jwt_extended.bridge import access_lifetime, leeway
from ..revocation import Family, Target
from ..tokens.refresh import number_or_none
from ..tokens.verifier import START_LEEWAY


def revoke(parts: Parts, what: Target, *, keeps_families: bool = False) -> None:
    """End the tokens issued until now that carry the thing named: see `Authz.revoke`.

    The statement comes first and is what counts; that families are ended besides makes room.
    """
    view = parts.needed_revocations()
    if keeps_families:
        if what.kind != "subject":
            raise MisuseError(
                "keeps_families stands beside subject=, for one whose roles have changed"
            )
        view.write(what._replace(kind="claims"))
    elif what.kind == "family":
        end_family(parts, str(what.value))
    else:
        view.write(what)
        if what.kind == "subject":
            view.ask_families(lambda families: families.end_all(str(what.value), what.issuer))


def end_family(parts: Parts, family: str) -> None:
    """End a family and the access tokens that came with it; raises `StoreUnavailable`.

    In this order, so that it can be repeated where it fails in the middle.
    """
    end_access_tokens(parts, family)
    parts.needed_revocations().ask_families(lambda families: families.end(family))


def end_access_tokens(parts: Parts, family: str) -> None:
    """End the access tokens of a family that is ended already, unless it has been done."""
    view = parts.needed_revocations()
    if not view.knows_family(family):
        # Access tokens alone carry it; what becomes of refresh tokens the family itself says.
        view.write(Target("family", family), view.now() + access_lifetime() + leeway())


def has_expired(parts: Parts, payload: dict[str, Any]) -> bool:
    """Return whether a token with this payload has expired, even by a clock that is slow.

    Raise `StoreUnavailable` if the store's clock is not known.
    """
    view = parts.needed_revocations()
    view.check_age()
    return _end_of(payload) + START_LEEWAY <= view.now()


def end_token(parts: Parts, jti: str, payload: dict[str, Any]) -> None:
    """End the one token with this id and payload; raise `StoreUnavailable`."""
    parts.needed_revocations().revoke(jti=jti, expires_at=_end_of(payload))


def _end_of(payload: dict[str, Any]) -> float:
    """Return when a token expires at the latest; one without a proper `exp` never does."""
    expires = number_or_none(payload.get("exp"))
    return math.inf if expires is None else expires + leeway()


def families_of(parts: Parts, subject: str, issuer: str | None = None) -> tuple[Family, ...]:
    """The subject's log-ins that can still be refreshed, the one used last first.

    Raises `StoreUnavailable`, and `MisuseError` for a subject that is no text.
    """
    if not isinstance(subject, str):
        raise MisuseError(f"a subject is a text, not {type(subject).__name__}: write user.subject")
    view = parts.needed_revocations()
    found = view.ask_families(lambda families: families.families(subject, issuer))
    return tuple(
        family
        for family in found
        if not view.is_login_over(subject, family.created_at, tenant=family.tenant, issuer=issuer)
    )
