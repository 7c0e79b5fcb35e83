"""Statement: tokens that were issued before a moment are no longer valid.

A statement is about one token (`jti`), a subject, a subject's claims (their access tokens, but not
their log-ins), a role, a tenant, a token family (the access tokens that came with its refresh
tokens), or everything. One kind revokes nothing: it announces that the role catalog has changed.
Tokens and subjects are identified together with the issuer, since `jti` and `sub` are unique for
one issuer only (RFC 7519 sections 4.1.2 and 4.1.7). Roles and tenants are the application's own, in
tokens of all issuers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import MisuseError, StoreUnavailable

WITH_ISSUER = frozenset({"jti", "subject", "claims"})
_WITHOUT_VALUE = frozenset({"everything", "catalogue"})
KINDS = WITH_ISSUER | _WITHOUT_VALUE | {"role", "tenant", "family"}

SLACK = 3600.0
"""The seconds that a statement outlives its tokens, in case a clock is set back."""
LATEST = 9e9 - 60
"""The maximum of `forget_at`, a full minute: stores count microseconds up to 2**53 (year 2255)."""


class Target(NamedTuple):
    """What a statement is about; `issuer` is None for this application's own tokens."""

    kind: str
    value: str | None = None
    issuer: str | None = None


EVERYTHING = Target("everything")
CATALOG = Target("catalogue")


@dataclass(frozen=True, slots=True)
class Statement:
    """Tokens with `value` that were not issued after `revoked_at` are no longer valid.

    `kind` is one of `KINDS`; the kind `catalogue` means that the roles were changed before
    `revoked_at`. `issuer` is None for this application's own tokens. `revoked_at` and `forget_at`
    are in seconds since the epoch, with fractions; after `forget_at`, these tokens have expired.
    """

    kind: str
    value: str | None
    issuer: str | None
    revoked_at: float
    forget_at: float

    @property
    def target(self) -> Target:
        """What the statement is about."""
        return Target(self.kind, self.value, self.issuer)

    def to_json(self) -> str:
        """Return the statement as a JSON list, as stores have it."""
        return json.dumps(
            [self.kind, self.value, self.issuer, self.revoked_at, self.forget_at],
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Statement:
        """Return the statement in the output of `to_json`.

        Raise `StoreUnavailable` for anything else: an invalid statement could be about any token,
        so no token may be accepted.
        """
        try:
            fields = json.loads(text if isinstance(text, str) else text.decode())
        except (ValueError, RecursionError):
            fields = None
        if not _is_statement(fields):
            raise StoreUnavailable(
                "the store has a revocation that cannot be read: check that nothing else writes to "
                "it, and upgrade this process if a newer version of jwt_authz wrote it"
            )
        kind, value, issuer, revoked_at, forget_at = fields
        return cls(kind, value, issuer, float(revoked_at), float(forget_at))


def target_of(
    *, everything: bool = False, issuer: str | None = None, **criteria: str | None
) -> Target:
    """Return the target of the one criterion that is given: `subject="ann"`, `everything=True`.

    Raise `MisuseError` if none or several are given, or an invalid one.
    """
    given: dict[str, str | None] = {k: v for k, v in criteria.items() if v is not None}
    if everything is not False:
        given["everything"] = None
    if len(given) != 1 or everything not in (True, False):
        raise MisuseError(
            "A revocation needs exactly one criterion: write one of jti=, subject=, role=, "
            "tenant=, family= or everything=True."
        )
    ((kind, value),) = given.items()
    return checked(Target(kind, value, issuer))


def checked(target: Target) -> Target:
    """Return the target; raise `MisuseError` if a store could not hold a statement about it."""
    if not _is_target(target):
        raise MisuseError(
            f"Invalid revocation of a {target.kind}: expected a string that is not empty, and an "
            "issuer only with jti= or subject=. Write str(...)."
        )
    return target


def _is_statement(fields: Any) -> bool:
    return (
        isinstance(fields, list)
        and len(fields) == 5
        and _is_target(Target(*fields[:3]))
        and all(map(_is_time, fields[3:]))
    )


def _is_target(made: Target) -> bool:
    kind, value, issuer = made
    if not isinstance(kind, str) or kind not in KINDS:
        return False
    if issuer is not None and (kind not in WITH_ISSUER or not _is_text(issuer)):
        return False
    return value is None if kind in _WITHOUT_VALUE else _is_text(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_time(value: Any) -> bool:
    # Stores count microseconds up to 2**53, in the year 2255.
    return type(value) in (int, float) and 0 <= value < 9e9
