"""Revoking: what ends tokens, and the refresh families that would make new ones, together."""

from __future__ import annotations

from typing import Any

from .errors import MisuseError
from .jwt_extended import access_lifetime, leeway
from .parts import Parts
from .revocation import Family, target


def revoke(parts: Parts, *, keeps_families: bool = False, **named: Any) -> None:
    """End the tokens issued until now that carry the one thing named: see `Authz.revoke`."""
    view = parts.needed_revocations()
    kind, value, issuer = target(**named)
    if keeps_families and kind != "subject":
        raise MisuseError("keeps_families stands beside subject=, for one whose roles have changed")

    def end_families() -> None:
        if kind == "subject" and not keeps_families:
            view.ask_families(lambda families: families.end_all(str(value), issuer))
        if kind == "family":
            view.ask_families(lambda families: families.end(str(value)))

    end_families()
    until = view.now() + access_lifetime() + leeway() if kind == "family" else None
    view.revoke(**named, expires_at=until)
    end_families()  # of a log-in that was under way, and looked for the revocation too early


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
        revoke(parts, family=family)


def families_of(parts: Parts, subject: str, issuer: str | None = None) -> tuple[Family, ...]:
    """The living families of the subject, the one used last first; raises `StoreUnavailable`."""
    view = parts.needed_revocations()
    return view.ask_families(lambda families: families.families(subject, issuer))
