"""Refresh families: what is kept of one, and the rules by which it goes on or dies.

A family is a refresh token and all that are rotated out of it (RFC 9700 section 4.14.2). One
token of it is good at a time. Using it makes its successor; using an older one again means that
someone has a copy, and ends the family. The one exception is a repeat: the token just rotated,
within the grace, while its successor is still the newest, is answered with that same successor,
for a client whose answer was lost.

No token is kept and no token's id. Of an id there is the SHA-256 digest. A successor's id is
itself a digest, of the id presented and of a random seed: the seed is kept, so the id can be
given again to a caller who presents the same token, and to no one else.
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
"""Living families that a subject may have: one more ends the one used the longest ago."""

KEPT = 3600.0
"""Seconds that an ended or expired family can still be distinguished from an unknown one."""


@dataclass(frozen=True, slots=True)
class Family:
    """A refresh family as it may be shown to its subject; all times are seconds since the epoch.

    `expires_at` is the end of the newest token (the idle end, at most `ends_at`), `used_at` the
    last rotation, `ends_at` the absolute end; `issuer` is None for this application's subjects.
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
    """What came of presenting a refresh token.

    `started`, `rotated` and `repeated` carry the family and the `jti` of the token to issue, which
    expires at `family.expires_at`. `reused` (the family has just been ended), `ended` and
    `expired` carry the family alone; `unknown` carries nothing.
    """

    outcome: Outcome
    family: Family | None = None
    jti: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a store keeps of a family: digests of ids, and a revision that each change counts up."""

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
        """When the store may forget the family."""
        return self.family.expires_at + KEPT

    def is_living(self, generation: str | None, now: float) -> bool:
        """Whether a token of the family can still be good."""
        return not self.has_ended(generation) and now < self.family.expires_at

    def has_ended(self, generation: str | None) -> bool:
        """Whether the family was ended, or the store's generation, in which it was started.

        A new generation says that the store had forgotten something, and so that it is not known
        which of the family's tokens is the newest.
        """
        return self.ended_at is not None or self.generation != generation


class Families(Protocol):
    """The refresh families of a store; all methods raise StoreUnavailable. Each is atomic."""

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
        """A new family and the `jti` of its first token (`started`).

        It ends for good after `lifetime` seconds, and when it is not used for `idle` seconds. Of
        more than `MOST_FAMILIES` of a subject the one used the longest ago is ended.
        """
        ...

    def rotate(self, family: str, presented: str, *, grace: float, idle: float) -> Rotation:
        """Take the token with the `jti` presented, and tell what comes of it: see `Rotation`.

        `grace` is the seconds in which a repeat is answered, 0 for none. The caller has verified
        the token's signature. A call that fails has counted nothing and may be repeated.
        """
        ...

    def end(self, family: str) -> bool:
        """End the family; whether it was living."""
        ...

    def end_all(self, subject: str, issuer: str | None = None) -> int:
        """End all families of the subject; how many were living."""
        ...

    def families(self, subject: str, issuer: str | None = None) -> tuple[Family, ...]:
        """The living families of the subject, the one used last first."""
        ...


def judge(
    record: Record | None, presented: str, generation: str | None, now: float, grace: float
) -> Outcome:
    """What presenting the `jti` means for the family at this time; changes nothing."""
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
        # The distance, so that a clock that stepped back does not stretch the grace.
        return "repeated" if abs(now - record.rotated_at) < grace else "reused"
    return "reused"


def apply(outcome: Outcome, record: Record, presented: str, now: float, idle: float) -> Record:
    """The record after the outcome; the same one where nothing changes."""
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
    """The rotation to tell, from the record as it is after the outcome."""
    if record is None:
        return Rotation("unknown")
    if outcome in ("rotated", "repeated"):
        return Rotation(outcome, record.family, successor_of(presented, record.seed or ""))
    return Rotation(outcome, record.family)


def is_id(text: object) -> bool:
    """Whether the text can be a family's id at all."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def new_id() -> str:
    """A random id of 128 bits, for a family or its first token."""
    return token_urlsafe(16)


def new_family(about: About, now: float, lifetime: float, idle: float) -> Family:
    """A family that starts now, under a random id."""
    ends = now + lifetime
    return Family(new_id(), *about.fields, now, now, ends, min(now + idle, ends))


def successor_of(presented: str, seed: str) -> str:
    """The `jti` of the token that follows the one presented."""
    digest = sha256(f"{seed}:{presented}".encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def digest_of(jti: str) -> str:
    """What is kept of an id."""
    return sha256(jti.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class About:
    """Whose family it is: the part that never changes.

    Raises MisuseError for a value that is not text, and for a subject that is empty.
    """

    subject: str
    issuer: str | None = None
    tenant: str | None = None
    client: str | None = None

    def __post_init__(self) -> None:
        texts = [text for text in self.fields[1:] if text is not None]
        if not all(isinstance(text, str) for text in (self.subject, *texts)) or not self.subject:
            raise MisuseError(
                "a refresh family has a subject that is text, and an issuer, tenant and client "
                "that are text or None: write str(...)"
            )

    @property
    def fields(self) -> tuple[str, str | None, str | None, str | None]:
        """The four as a tuple, in the order in which `Family` has them."""
        return self.subject, self.issuer, self.tenant, self.client

    @property
    def owner(self) -> str:
        """A digest of subject and issuer, by which a store finds a subject's families."""
        return owner_of(self.subject, self.issuer)

    def to_json(self) -> str:
        """The four as a JSON list."""
        return json.dumps(self.fields)

    @classmethod
    def from_json(cls, text: str | bytes) -> About:
        """What `to_json` wrote; raises ValueError for anything else."""
        with suppress(ValueError, RecursionError, MisuseError):
            fields = json.loads(text)
            if isinstance(fields, list) and len(fields) == 4:
                return cls(*fields)
        raise ValueError("this is not what to_json writes")


def owner_of(subject: str, issuer: str | None) -> str:
    """A digest of a subject and its issuer; no two pairs share one."""
    return sha256(json.dumps([subject, issuer]).encode()).hexdigest()
