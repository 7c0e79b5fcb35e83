"""VerifiedCache: verified tokens by digest, bounded in bytes, which a flood cannot empty.

How it works. A new entry enters `_young`, a queue of a tenth of the bytes. What is pushed out of
it moves on to `_settled` if there is room, or if it was hit more often than the entry that it
would push out there; otherwise it is dropped, and that entry goes to the back of its queue. So a
flood of tokens that come once or twice passes through the small queue and leaves the others be.
An entry not hit for an hour counts as never hit, or yesterday's crowd would hold the room.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

_YOUNG_SHARE = 0.1
_IDLE_SECONDS = 3_600.0
_SWEEP_SECONDS = 30.0
_OVERHEAD = 940  # bytes of an entry beyond its payload: objects, header, its place in two dicts


class Entry:
    """A verified token as the cache keeps it; `value` is whatever was made of the token.

    `expires` and `starts` are seconds since the epoch; `size` its bytes; `shared` an object that
    other entries may hold, too, with `shared_size` bytes that are counted once for all of them.
    """

    __slots__ = ("expires", "hits", "seen", "shared", "shared_size", "size", "starts", "value")

    def __init__(
        self,
        value: Any,
        expires: float,
        starts: float,
        size: int,
        shared: object = None,
        shared_size: int = 0,
    ) -> None:
        self.value = value
        self.expires = expires
        self.starts = starts
        self.size = size + _OVERHEAD
        self.shared = shared
        self.shared_size = shared_size
        self.hits = 0
        self.seen = 0.0


class VerifiedCache:
    """A map of digests to `Entry`s of at most `limit` bytes; 0 keeps nothing. Thread safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._entries: dict[bytes, Entry] = {}
        self._young: OrderedDict[bytes, Entry] = OrderedDict()
        self._settled: OrderedDict[bytes, Entry] = OrderedDict()
        self._young_size = 0
        self._size = 0
        self._holders: dict[int, int] = {}
        self._next_sweep = 0.0
        self._hits_of_gone = 0
        self._misses = 0
        self._lock = threading.Lock()

    def get(self, digest: bytes, now: float) -> Entry | None:
        """The entry, hit once more, whether its time is over or not; None if there is none."""
        if not 0 < self._next_sweep - now <= _SWEEP_SECONDS:  # due, or the clock was set back
            self._sweep(now)
        entry = self._entries.get(digest)
        if entry is not None:
            entry.hits += 1
            entry.seen = now
        return entry

    def put(self, digest: bytes, entry: Entry, now: float) -> None:
        """Keep an entry, if it fits at all; others may have to go.

        Where there is one already, whose time was over, it is the same token's: it is renewed.
        """
        if entry.size + entry.shared_size > self.limit * _YOUNG_SHARE:
            return
        entry.seen = now
        with self._lock:
            known = self._entries.get(digest)
            if known is not None:
                known.value, known.starts, known.expires = entry.value, entry.starts, entry.expires
            else:
                self._entries[digest] = self._young[digest] = entry
                self._young_size += entry.size
                self._hold(entry)
                self._make_room(now)

    def count_miss(self) -> None:
        """Count a token that had to be verified."""
        with self._lock:
            self._misses += 1

    @property
    def counts(self) -> tuple[int, int]:
        """How often an entry was found, and how often a token had to be verified."""
        with self._lock:
            hits = sum(entry.hits for entry in self._entries.values())
            return self._hits_of_gone + hits, self._misses

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """The bytes that the entries take, what they share counted once."""
        return self._size

    def _make_room(self, now: float) -> None:
        while self._size > self.limit or self._young_size > self.limit * _YOUNG_SHARE:
            if not self._young:  # what is shared outgrew the rest
                self._release(*self._settled.popitem(last=False))
                continue
            digest, entry = self._young.popitem(last=False)
            self._young_size -= entry.size
            self._settle(digest, entry, now)

    def _settle(self, digest: bytes, entry: Entry, now: float) -> None:
        if self._size > self.limit and not self._replaces_the_oldest(entry, now):
            self._release(digest, entry)
        else:
            self._settled[digest] = entry

    def _replaces_the_oldest(self, entry: Entry, now: float) -> bool:
        """Push out the oldest settled entry if it was hit less; else it goes to the back."""
        if not self._settled:
            return False
        digest, oldest = self._settled.popitem(last=False)
        if _worth(oldest, now) < _worth(entry, now):
            self._release(digest, oldest)
            return True
        self._settled[digest] = oldest
        return False

    def _sweep(self, now: float) -> None:
        with self._lock:
            if 0 < self._next_sweep - now <= _SWEEP_SECONDS:
                return  # another thread has just done it
            self._next_sweep = now + _SWEEP_SECONDS
            for digest in [d for d, entry in self._entries.items() if entry.expires <= now]:
                young = self._young.pop(digest, None)
                if young is not None:
                    self._young_size -= young.size
                self._settled.pop(digest, None)
                self._release(digest, self._entries[digest])

    def _hold(self, entry: Entry) -> None:
        self._size += entry.size
        if entry.shared_size:
            holders = self._holders.get(id(entry.shared), 0)
            self._holders[id(entry.shared)] = holders + 1
            if not holders:
                self._size += entry.shared_size

    def _release(self, digest: bytes, entry: Entry) -> None:
        del self._entries[digest]
        self._hits_of_gone += entry.hits
        self._size -= entry.size
        if entry.shared_size:
            holders = self._holders.pop(id(entry.shared)) - 1
            if holders:
                self._holders[id(entry.shared)] = holders
            else:
                self._size -= entry.shared_size


def _worth(entry: Entry, now: float) -> int:
    return entry.hits if now - entry.seen < _IDLE_SECONDS else 0
