"""Verified-token cache: by digest, bounded in bytes, and resistant to floods of tokens.

How it works. A new entry enters `_young`, a queue with a tenth of the bytes. An entry that is
evicted from it moves to `_settled` if there is room, or if it was hit more often than the entry
that it would evict there; otherwise it is dropped, and the other entry moves to the back of its
queue. So a flood of tokens that are used once or twice passes through the small queue and evicts
nothing else. An entry that was not hit for an hour counts as never hit.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

_YOUNG_SHARE = 0.1
_IDLE_SECONDS = 3_600.0
_SWEEP_SECONDS = 30.0
_OVERHEAD = 940  # bytes of an entry beyond its payload: objects, header, entries in two dicts


class CacheEntry:
    """A verified token in the cache; `value` is any object that was made from the token.

    `expires` and `starts` are seconds since the epoch, and `size` is in bytes. `shared` is an
    object that other entries may also refer to; its `shared_size` bytes are counted once.
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
    """A mapping of digests to entries, of at most `limit` bytes (0 disables it). Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._entries: dict[bytes, CacheEntry] = {}
        self._young: OrderedDict[bytes, CacheEntry] = OrderedDict()
        self._settled: OrderedDict[bytes, CacheEntry] = OrderedDict()
        self._young_size = 0
        self._size = 0
        self._holders: dict[int, int] = {}
        self._next_sweep = 0.0
        self._hits_of_gone = 0
        self._misses = 0
        self._lock = threading.Lock()

    def get(self, digest: bytes, now: float) -> CacheEntry | None:
        """Return the entry, even if it has expired, and count the hit; None if there is none."""
        if not 0 < self._next_sweep - now <= _SWEEP_SECONDS:  # due, or the clock was set back
            self._sweep(now)
        entry = self._entries.get(digest)
        if entry is not None:
            entry.hits += 1
            entry.seen = now
        return entry

    def put(self, digest: bytes, entry: CacheEntry, now: float) -> None:
        """Add an entry if it fits; this may evict others.

        An existing, expired entry is that of the same token, and is renewed.
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
        """The number of hits, and of tokens that had to be verified."""
        with self._lock:
            hits = sum(entry.hits for entry in self._entries.values())
            return self._hits_of_gone + hits, self._misses

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """The number of bytes of all entries, shared objects counted once."""
        return self._size

    def _make_room(self, now: float) -> None:
        while self._size > self.limit or self._young_size > self.limit * _YOUNG_SHARE:
            if not self._young:  # the shared objects outgrew the rest
                self._release(*self._settled.popitem(last=False))
                continue
            digest, entry = self._young.popitem(last=False)
            self._young_size -= entry.size
            self._settle(digest, entry, now)

    def _settle(self, digest: bytes, entry: CacheEntry, now: float) -> None:
        if self._size > self.limit and not self._replaces_the_oldest(entry, now):
            self._release(digest, entry)
        else:
            self._settled[digest] = entry

    def _replaces_the_oldest(self, entry: CacheEntry, now: float) -> bool:
        """Evict the oldest settled entry if it was hit less often; else move it to the back."""
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
                return  # another thread has just swept
            self._next_sweep = now + _SWEEP_SECONDS
            for digest in [d for d, entry in self._entries.items() if entry.expires <= now]:
                young = self._young.pop(digest, None)
                if young is not None:
                    self._young_size -= young.size
                self._settled.pop(digest, None)
                self._release(digest, self._entries[digest])

    def _hold(self, entry: CacheEntry) -> None:
        self._size += entry.size
        if entry.shared_size:
            holders = self._holders.get(id(entry.shared), 0)
            self._holders[id(entry.shared)] = holders + 1
            if not holders:
                self._size += entry.shared_size

    def _release(self, digest: bytes, entry: CacheEntry) -> None:
        del self._entries[digest]
        self._hits_of_gone += entry.hits
        self._size -= entry.size
        if entry.shared_size:
            holders = self._holders.pop(id(entry.shared)) - 1
            if holders:
                self._holders[id(entry.shared)] = holders
            else:
                self._size -= entry.shared_size


def _worth(entry: CacheEntry, now: float) -> int:
    return entry.hits if now - entry.seen < _IDLE_SECONDS else 0
