"""A store in Redis (6.2 and later, or Valkey), which several processes and machines share.

Every operation is one script, so it happens as a whole or not at all, and the server's own clock
times it. A process that gets no answer in time has to try again later; a script that runs after
its caller has given up does nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any

from .. import sharing
from ..families import (
    KEPT,
    MOST_FAMILIES,
    Family,
    FamilyOwner,
    Outcome,
    Rotation,
    digest_of,
    is_id,
    new_id,
    owner_of,
    successor_of,
)
from ..log import TIMEOUT, LogEntry, Page
from ..statements import EVERYTHING, Statement, Target
from . import redis_family_scripts as of_families
from . import redis_scripts as scripts
from .redis_clients import open_redis
from .redis_server import RedisListener, RedisServer, from_us, to_text, to_us

PAGE = 1_000


class RedisStore:
    """Revocations and refresh families in a Redis database; any thread may call it.

    `client` is a `redis.Redis` or another client with its methods, with short time-outs of its own
    and without retries: `from_url` makes one. Applications that share a database are kept apart by
    the `namespace` of each. No call takes longer than `timeout` seconds.
    `clock` is for tests. All methods raise StoreUnavailable when the server does not answer, or
    answers that it cannot (READONLY, OOM, LOADING, NOAUTH and the like).
    """

    known = None

    def __init__(
        self,
        client: Any,
        namespace: str = "",
        timeout: float = TIMEOUT,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._keys = f"{{authz:{namespace}}}:" if namespace else "{authz}:"
        self._server = RedisServer(client, self._keys + "mark", timeout, clock)
        self._generation: str | None = None
        self._seen: tuple[str, str, int, float] | None = None

    @classmethod
    def from_url(cls, url: str, namespace: str = "", timeout: float = TIMEOUT) -> RedisStore:
        """Return a store for a URL: that of a server, of Sentinels, or of a cluster."""
        client = open_redis(url, timeout / 2)  # so that a second try has as much
        return cls(client, namespace, timeout)

    def prepare(self, *, is_new: bool = True) -> None:
        """Say that the database is new: nothing was revoked in it before, and nothing was lost.

        Without it the first process finds that out and revokes all tokens issued before, since a
        new database looks like one that has lost its contents. Nothing is done unless `is_new`.
        """
        if is_new:
            self._server.run(scripts.PREPARE, token_hex(16), read=int)

    def close(self) -> None:
        """Close the connections."""
        self._server.client.close()

    def revoke(self, target: Target, forget_at: float, not_before: float = 0.0) -> LogEntry:
        """Write a statement: see `Log`."""
        times = to_us(not_before), to_us(forget_at)
        return self._server.run_in_time(
            scripts.REVOKE, _head(target), *times, read=lambda answer: _entry(*answer[2:])
        )

    def add(self, statements: Sequence[Statement]) -> list[int]:
        """Write statements again as they are: see `Log`."""
        fields = ((_head(s.target), to_us(s.revoked_at), to_us(s.forget_at)) for s in statements)
        flat = [field for three in fields for field in three]
        return self._server.run(scripts.ADD, *flat, read=lambda positions: [*map(int, positions)])

    def establish(
        self, expected: str | None, generation: str, revoke_until: float | None = None
    ) -> str:
        """Begin a new generation: see `Log`."""
        everything = ("", "") if revoke_until is None else (_head(EVERYTHING), to_us(revoke_until))
        return self._server.run(
            scripts.ESTABLISH, expected or "", generation, *everything, read=to_text
        )

    def read(self, after: int, witness: LogEntry | None) -> Page:
        """The entries after a position: see `Log`."""
        seen = ("", "") if witness is None else (witness.position, witness.shelf)
        asked = time.monotonic()
        args = after, PAGE, *seen, *self._family_seen()
        page = self._server.run(scripts.READ, *args, read=_page, always=True)
        self._server.clock.answered(page.now, asked, time.monotonic())
        self._generation = page.generation
        return page

    def record(self, application: str) -> list[str]:
        """Keep the record of an application, and return all: see `sharing.Shared`."""
        kept = to_us(sharing.KEPT)
        return self._server.run(
            scripts.RECORD, application, kept, read=lambda records: [*map(to_text, records)]
        )

    def listen(self) -> RedisListener:
        """A listener for the calling thread: see `Log`."""
        return RedisListener(self._server.client, self._keys + "news")

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
        id, jti = new_id(), new_id()
        whose, times = (about.owner, about.to_json()), (to_us(lifetime), to_us(idle))
        return self._server.run_in_time(
            of_families.START,
            id,
            *whose,
            *times,
            digest_of(jti),
            MOST_FAMILIES,
            read=lambda answer: Rotation("started", self._family(id, answer), jti),
        )

    def rotate(self, family: str, presented: str, *, grace: float, idle: float) -> Rotation:
        """Take the token presented, and tell what comes of it: see `Families`."""
        if not is_id(family):
            return Rotation("unknown")
        seed = token_hex(16)
        digests = digest_of(presented), digest_of(successor_of(presented, seed))

        def read(answer: Any) -> Rotation:
            outcome: Outcome = to_text(answer[0])  # type: ignore[assignment]
            found = None if outcome == "unknown" else self._family(family, answer)
            is_good = outcome in ("rotated", "repeated")
            jti = successor_of(presented, to_text(answer[4])) if is_good else None
            return Rotation(outcome, found, jti)

        times = to_us(grace), to_us(idle)
        return self._server.run_in_time(
            of_families.ROTATE, family, *digests, seed, *times, read=read
        )

    def end(self, family: str) -> bool:
        """End the family; whether it was living: see `Families`."""
        return is_id(family) and bool(self._server.run(of_families.END, family, read=int))

    def end_all(self, subject: str, issuer: str | None = None) -> int:
        """End all families of the subject; how many were living."""
        return self._server.run(of_families.END_ALL, owner_of(subject, issuer), read=int)

    def families(self, subject: str, issuer: str | None = None) -> tuple[Family, ...]:
        """The living families of the subject, the one used last first."""

        def read(living: Any) -> list[Family]:
            return [_family(to_text(id), shown) for id, shown in living]

        found = self._server.run(of_families.LIST, owner_of(subject, issuer), read=read)
        return tuple(sorted(found, key=lambda family: family.used_at, reverse=True))

    def _family(self, id: str, answer: Any) -> Family:
        """The family of an answer; at the next reading of the log it must still be as new."""
        found = _family(id, answer[5])
        self._seen = (to_text(answer[2]), id, int(answer[3]), found.expires_at + KEPT)
        return found

    def _family_seen(self) -> tuple[str, int]:
        """The family last seen by this process and its revision, where it must be there."""
        seen, now = self._seen, self._server.clock.latest()
        if seen is None or now is None or seen[0] != self._generation or now > seen[3] - 1:
            return "", 0
        return seen[1], seen[2]


def _page(answer: Any) -> Page:
    now, generation, intact, position, complete, entries = answer
    return Page(
        from_us(now),
        to_text(generation) or None,
        bool(intact),
        int(position),
        bool(complete),
        [_entry(*entry) for entry in entries],
    )


def _entry(position: Any, shelf: Any, body: Any) -> LogEntry:
    return LogEntry(int(position), Statement.from_json(body), int(shelf))


def _family(id: str, shown: Any) -> Family:
    about = FamilyOwner.from_json(shown[0])
    return Family(id, *about.fields, *map(from_us, shown[1:]))


def _head(target: Target) -> str:
    """The JSON of a statement up to its times, which the script adds."""
    return json.dumps(target, separators=(",", ":"))[:-1]
