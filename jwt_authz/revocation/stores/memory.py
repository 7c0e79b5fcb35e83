"""A store in the process's memory: for tests and first steps; gone at a restart.

Several processes would each have their own, and none know what the others revoked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from ..._concurrency.forks import renew_after_fork
from ..families import (
    MOST_FAMILIES,
    Family,
    FamilyOwner,
    Record,
    Rotation,
    answer,
    apply,
    digest_of,
    judge,
    new_family,
    new_id,
    owner_of,
)
from ..known import KnownRevocations
from ..log import MICROSECONDS, LogEntry
from ..statements import Statement, Target

GENERATION = "memory"
SWEEP_EVERY = 60.0


class MemoryStore:
    """Revocations and refresh families of this process alone; any thread may call it.

    `known` is what the process's view answers from. `clock` is for tests: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.known = KnownRevocations()
        self._clock = clock
        self._lock = Lock()
        self._position = 0
        self._issued = 0.0
        self._swept_at = clock()
        self._records: dict[str, Record] = {}
        self._owned: dict[str, set[str]] = {}
        renew_after_fork(self)

    def prepare(self, *, is_new: bool = True) -> None:
        """Nothing has to be made."""

    def close(self) -> None:
        """Nothing was opened."""

    def record(self, application: str) -> list[str]:
        """Return nothing: no other application is in this process's memory."""
        return []

    def now(self) -> float:
        """The store's clock, in seconds since the epoch."""
        return self._clock()

    def revoke(self, target: Target, forget_at: float, not_before: float = 0.0) -> LogEntry:
        """Know the statement from now on, said now or at `not_before`, if that is later."""
        with self._lock:
            now = self._clock()
            self._position = max(math.ceil(now * MICROSECONDS), self._position + 1)
            # Not before any token, also where the clock was set back since it was issued.
            said = max(self._position / MICROSECONDS, not_before, self._issued)
            entry = LogEntry(self._position, Statement(*target, said, forget_at))
            self.known.add(entry.statement)
            self._sweep(now)
        return entry

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
        """A new family and the `jti` of its first token: see `Families`."""
        about = FamilyOwner(subject, issuer, tenant, client)
        with self._lock:
            now, jti = self._clock(), new_id()
            family = new_family(about, now, lifetime, idle)
            self._issued = max(self._issued, now)
            self._records[family.id] = Record(family, GENERATION, digest_of(jti))
            self._owned.setdefault(about.owner, set()).add(family.id)
            for record in self._living(subject, issuer, now)[MOST_FAMILIES:]:
                self._end(record, now)
            self._sweep(now)
        return Rotation("started", family, jti)

    def rotate(self, family: str, presented: str, *, grace: float, idle: float) -> Rotation:
        """Take the token presented, and tell what comes of it: see `Families`."""
        with self._lock:
            now = self._clock()
            record = self._records.get(family)
            outcome = judge(record, presented, GENERATION, now, grace)
            if outcome == "rotated":
                self._issued = max(self._issued, now)
            if record is not None:
                record = self._records[family] = apply(outcome, record, presented, now, idle)
        return answer(outcome, record, presented)

    def end(self, family: str) -> bool:
        """End the family; whether it was living: see `Families`."""
        with self._lock:
            found = self._records.get(family)
            return found is not None and self._end(found, self._clock())

    def end_all(self, subject: str, issuer: str | None = None) -> int:
        """End all families of the subject; how many were living."""
        with self._lock:
            now = self._clock()
            return sum(self._end(record, now) for record in self._of(subject, issuer))

    def families(self, subject: str, issuer: str | None = None) -> tuple[Family, ...]:
        """The living families of the subject, the one used last first."""
        with self._lock:
            return tuple(one.family for one in self._living(subject, issuer, self._clock()))

    def after_fork(self) -> None:
        """Drop locks that other threads of the parent process may have held."""
        self._lock = Lock()
        self.known.after_fork()

    def _living(self, subject: str, issuer: str | None, now: float) -> list[Record]:
        """The living ones of the subject, the one used last first."""
        living = [one for one in self._of(subject, issuer) if one.is_living(GENERATION, now)]
        return sorted(living, key=lambda one: one.family.used_at, reverse=True)

    def _of(self, subject: str, issuer: str | None) -> list[Record]:
        return [self._records[id] for id in self._owned.get(owner_of(subject, issuer), ())]

    def _end(self, record: Record, now: float) -> bool:
        if not record.is_living(GENERATION, now):
            return False
        ended = replace(record, ended_at=now, revision=record.revision + 1)
        self._records[record.family.id] = ended
        self._disown(record.family)
        return True

    def _disown(self, family: Family) -> None:
        """Take the family out of those that its subject's are looked for among."""
        owner = owner_of(family.subject, family.issuer)
        owned = self._owned.get(owner, set())
        owned.discard(family.id)
        if not owned:
            self._owned.pop(owner, None)

    def _sweep(self, now: float) -> None:
        if abs(now - self._swept_at) < SWEEP_EVERY:
            return
        self._swept_at = now
        self.known.forget(now)
        for id, record in list(self._records.items()):
            if record.kept_until < now:
                del self._records[id]
                self._disown(record.family)
