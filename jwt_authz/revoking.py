"""Revoking: what ends tokens, and the refresh families that would make new ones, together."""

from __future__ import annotations

from .errors import MisuseError
from .jwt_extended import access_lifetime, leeway
from .parts import Parts
from .revocation import Family, RevocationView, Target


def revoke(parts: Parts, what: Target, *, keeps_families: bool = False) -> None:
    """End the tokens issued until now that carry the thing named: see `Authz.revoke`."""
    if keeps_families and what.kind != "subject":
        raise MisuseError("keeps_families stands beside subject=, for one whose roles have changed")
    view = parts.needed_revocations()
    if what.kind == "family":
        view.ask_families(lambda families: families.end(str(what.value)))
        # Access tokens alone carry it; what becomes of refresh tokens the family itself says.
        view.write(what, view.now() + access_lifetime() + leeway())
    elif what.kind == "subject" and not keeps_families:
        _end_families(view, what)
        view.write(what)
        _end_families(view, what)  # of a log-in that looked for the revocation too early
    else:
        view.write(what)


def _end_families(view: RevocationView, whose: Target) -> None:
    view.ask_families(lambda families: families.end_all(str(whose.value), whose.issuer))


def end_family(
    parts: Parts, family: str, subject: str | None = None, issuer: str | None = None
) -> bool:
    """End a family and the access tokens that came with it; whether it was living.

    With a subject, only if it is that subject's. Raises `StoreUnavailable`.
    """
    view = parts.needed_revocations()
    was_living = view.ask_families(lambda families: families.end(family, subject, issuer))
    if was_living or subject is None:
        end_access_tokens(parts, family)
    return was_living


def end_access_tokens(parts: Parts, family: str) -> None:
    """End the access tokens of a family that is ended already, unless it has been done."""
    if not parts.needed_revocations().knows_family(family):
        revoke(parts, Target("family", family))


def families_of(parts: Parts, subject: str, issuer: str | None = None) -> tuple[Family, ...]:
    """The subject's log-ins that can still be refreshed, the one used last first.

    Raises `StoreUnavailable`, and `MisuseError` for a subject that is no text.
    """
    if not isinstance(subject, str):
        raise MisuseError(f"a subject is a text, not {type(subject).__name__}: write user.subject")
    view = parts.needed_revocations()
    found = view.ask_families(lambda families: families.families(subject, issuer))
    return tuple(one for one in found if not _is_over(view, one))


def _is_over(view: RevocationView, family: Family) -> bool:
    """Whether it lies before a revocation of its tenant, or of everything."""
    newest = view.newest(None, issuer=family.issuer, tenant=family.tenant)
    return newest is not None and family.created_at <= newest
