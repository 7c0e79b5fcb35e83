"""Store failed log-ins in the memory of a process, with a bounded size."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any

from limits.storage import MovingWindowSupport, Storage

MOST_WINDOWS = 16_384
MOST_MARKS = 65_536
"""How many windows and marks are kept; the least recently used are dropped first."""


class AttemptsInMemory(Storage, MovingWindowSupport):
    """A storage for `limits` with moving windows and marks; thread-safe, without its own thread.

    The memory storage of `limits` keeps a key for each name that was ever tried.
    """

    STORAGE_SCHEME = None

    def __init__(self, most_windows: int = MOST_WINDOWS, most_marks: int = MOST_MARKS) -> None:
        super().__init__()
        self._most_windows = most_windows
        self._most_marks = most_marks
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, list[float]] = OrderedDict()
        self._marks: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        """An exception that never occurs here: memory always answers."""
        return MemoryError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add `amount` entries to a window; return False if it would then exceed `limit`."""
        with self._lock:
            window = self._fresh(key, expiry)
            if len(window) + amount > limit:
                return False
            self._windows[key] = [*window, *[time.time()] * amount]
            _bound(self._windows, key, self._most_windows)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest entry of a window was added, and the number of entries."""
        with self._lock:
            window = self._fresh(key, expiry)
            return (window[0], len(window)) if window else (time.time(), 0)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Increment a mark and return it; it expires `expiry` seconds after the first time."""
        with self._lock:
            count, until = self._mark(key) or (0, time.time() + expiry)
            self._marks[key] = (count + amount, until)
            _bound(self._marks, key, self._most_marks)
            return count + amount

    def get(self, key: str) -> int:
        """Return the count of a mark, 0 if there is none."""
        with self._lock:
            found = self._mark(key)
            if found is None:
                return 0
            self._marks.move_to_end(key)  # marks in use stay, for example that of a shared address
            return found[0]

    def get_expiry(self, key: str) -> float:
        """Return when a mark expires, in seconds since 1970."""
        with self._lock:
            return (self._mark(key) or (0, time.time()))[1]

    def clear(self, key: str) -> None:
        """Remove a window or a mark."""
        with self._lock:
            self._windows.pop(key, None)
            self._marks.pop(key, None)

    def check(self) -> bool:
        """Return whether the storage answers."""
        return True

    def reset(self) -> int:
        """Remove everything, and return the number of removed entries."""
        with self._lock:
            found = len(self._windows) + len(self._marks)
            self._windows.clear()
            self._marks.clear()
            return found

    def _fresh(self, key: str, expiry: int) -> list[float]:
        now = time.time()  # later entries were added before the clock was set back
        return [added for added in self._windows.get(key, ()) if now - expiry < added <= now]

    def _mark(self, key: str) -> tuple[int, float] | None:
        found = self._marks.get(key)
        return found if found is not None and time.time() < found[1] else None


def _bound(kept: OrderedDict[str, Any], key: str, most: int) -> None:
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
