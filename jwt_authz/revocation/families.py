"""Token families: the data of a family, and the rules by which it continues or ends.

A family is a refresh token and its successors (RFC 9700 section 4.14.2). One of them is valid at a
time. Using it creates its successor; using an older one again means that someone has a copy, and
ends the family. There is one exception, for a client that did not get the response: the token that
was rotated last can be used again during the grace period, until its successor is used, and returns
the same successor.

Neither tokens nor their ids are stored, but SHA-256 digests of ids. The id of a successor is a
digest, too, of the presented id and a random seed. The seed is stored, so the same id can be
returned to a caller who presents the same token, and to no one else.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from secrets import token_hex, token_urlsafe
from typing import Literal, Protocol

from ..errors import MisuseError

Outcome = Literal["started", "rotated", "repeated", "reused", "unknown", "ended", "expired"]

_ID = re.compile(r"[A-Za-z0-9_-]{22}")

MOST_FAMILIES = 500
"""The maximum of active families of a subject; one more ends the least recently used one."""

KEPT = 3600.0
"""The seconds that an ended or expired family can be distinguished from an unknown one."""


@dataclass(frozen=True, slots=True)
class Family:
    """A token family, as its subject may see it; all times are in seconds since the epoch.

    `used_at` is the time of the last rotation, `expires_at` that at which the newest token expires,
    and `ends_at` the absolute end. `issuer` is None for this application's own subjects.
    """

    id: str
    subject: str
    issuer: str | None
    tenant: str | None
    client: str | None
    created_at: float
    used_at: float
    ends_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Rotation:
    """The result of presenting a refresh token.

    `started`, `rotated` and `repeated` have the family and the `jti` of the token to issue, which
    expires at `family.expires_at`. `reused` (the family has just been ended), `ended` and
    `expired` have only the family, `unknown` neither.
    """

    outcome: Outcome
    family: Family | None = None
    jti: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a store has of a family: digests of ids, and a revision that each change increments."""

    family: Family
    generation: str
    current: str
    previous: str | None = None
    seed: str | None = None
    rotated_at: float | None = None
    ended_at: float | None = None
    revision: int = 1

    @property
    def kept_until(self) -> float:
        """The time from which the store may delete the family."""
        return self.family.expires_at + KEPT

    def is_living(self, generation: str | None, now: float) -> bool:
        """Return whether a token of the family can still be valid."""
        return not self.has_ended(generation) and now < self.family.expires_at

    def has_ended(self, generation: str | None) -> bool:
        """Return whether the family has ended, or the store's generation in which it started.

        A new generation means that the store has lost data, so it is not known which of the
        family's tokens is the newest.
        """
        return self.ended_at is not None or self.generation != generation


class Families(Protocol):
    """The token families of a store; all methods are atomic and raise `StoreUnavailable`."""

    def start(
        self,
        subject: str,
        *,
        lifetime: float,
        idle: float,
        issuer: str | None = None,
        tenant: str | None = None,
        client: str | None = None,
    ) -> Rotation:
        """Start a family; return it with the `jti` of its first token (`started`).

        It ends after `lifetime` seconds, or if it is not used for `idle` seconds. If the subject
        has more than `MOST_FAMILIES`, end the least recently used one.
        """
        ...

    def rotate(self, family: str, presented: str, *, grace: float, idle: float) -> Rotation:
        """Use the token with the presented `jti`, and return the result; see `Rotation`.

        `grace` is the period in seconds in which it may be used again, 0 for none. The caller must
        have verified the token's signature. A call that fails has changed nothing and may be
        repeated.
        """
        ...

    def end(self, family: str) -> bool:
        """End the family; return whether it was active."""
        ...

    def end_all(self, subject: str, issuer: str | None = None) -> int:
        """End all families of the subject; return how many were active."""
        ...

    def families(self, subject: str, issuer: str | None = None) -> tuple[Family, ...]:
        """Return the active families of the subject, most recently used first."""
        ...


def judge(
    record: Record | None, presented: str, generation: str | None, now: float, grace: float
) -> Outcome:
    """Return the outcome of presenting the `jti` at this time, without changing anything."""
    if record is None:
        return "unknown"
    if record.has_ended(generation):
        return "ended"
    if now >= record.family.expires_at:
        return "expired"
    digest = digest_of(presented)
    if digest == record.current:
        return "rotated"
    if digest == record.previous and record.rotated_at is not None:
        # The distance, so that a clock that is set back does not extend the grace period.
        return "repeated" if abs(now - record.rotated_at) < grace else "reused"
    return "reused"


def apply(outcome: Outcome, record: Record, presented: str, now: float, idle: float) -> Record:
    """Return the record after the outcome; the same one if nothing changes."""
    if outcome == "reused":
        return replace(record, ended_at=now, revision=record.revision + 1)
    if outcome != "rotated":
        return record
    seed = token_hex(16)
    expires = min(now + idle, record.family.ends_at)
    return replace(
        record,
        family=replace(record.family, used_at=now, expires_at=expires),
        current=digest_of(successor_of(presented, seed)),
        previous=record.current,
        seed=seed,
        rotated_at=now,
        revision=record.revision + 1,
    )


def answer(outcome: Outcome, record: Record | None, presented: str) -> Rotation:
    """Return the result of an outcome, from the record after it."""
    if record is None:
        return Rotation("unknown")
    if outcome in ("rotated", "repeated"):
        return Rotation(outcome, record.family, successor_of(presented, record.seed or ""))
    return Rotation(outcome, record.family)


def is_id(text: object) -> bool:
    """Return whether a value has the form of a family's id."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def new_id() -> str:
    """Return a random id of 128 bits, for a family or its first token."""
    return token_urlsafe(16)


def new_family(about: FamilyOwner, now: float, lifetime: float, idle: float) -> Family:
    """Return a family that starts now, with a random id."""
    ends = now + lifetime
    return Family(new_id(), *about.fields, now, now, ends, min(now + idle, ends))


def successor_of(presented: str, seed: str) -> str:
    """Return the `jti` of the successor of the presented token."""
    digest = sha256(f"{seed}:{presented}".encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def digest_of(jti: str) -> str:
    """Return the digest of an id, as it is stored."""
    return sha256(jti.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class FamilyOwner:
    """Who logged in, and with which client: what never changes in a family.

    Raise `MisuseError` for a value that is not a string, and for an empty subject.
    """

    subject: str
    issuer: str | None = None
    tenant: str | None = None
    client: str | None = None

    def __post_init__(self) -> None:
        texts = [text for text in self.fields[1:] if text is not None]
        if not all(isinstance(text, str) for text in (self.subject, *texts)) or not self.subject:
            raise MisuseError(
                "The subject of a token family must be a string, and its issuer, tenant and client "
                "strings or None: write str(...)."
            )

    @property
    def fields(self) -> tuple[str, str | None, str | None, str | None]:
        """All four as a tuple, in the order of `Family`."""
        return self.subject, self.issuer, self.tenant, self.client

    @property
    def owner(self) -> str:
        """The digest of subject and issuer, by which a store finds a subject's families."""
        return owner_of(self.subject, self.issuer)

    def to_json(self) -> str:
        """Return all four as a JSON list."""
        return json.dumps(self.fields)

    @classmethod
    def from_json(cls, text: str | bytes) -> FamilyOwner:
        """Return the owner in the output of `to_json`; raise `ValueError` for anything else."""
        with suppress(ValueError, RecursionError, MisuseError):
            fields = json.loads(text)
            if isinstance(fields, list) and len(fields) == 4:
                return cls(*fields)
        raise ValueError("not the output of to_json")


def owner_of(subject: str, issuer: str | None) -> str:
    """Return the digest of a subject and its issuer, which no other pair has."""
    return sha256(json.dumps([subject, issuer]).encode()).hexdigest()
