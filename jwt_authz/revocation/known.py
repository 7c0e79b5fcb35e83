"""KnownRevocations: the revocations in the memory of a process, fast to query on every request.

How it works. Readers take no lock: each query is a few look-ups in dicts, of which one writer at a
time changes single entries, and nothing is removed before it expires. Only the newest revocation of
a subject, role, tenant or family is kept, since no other matters. Ids of single tokens may be many:
each takes its text and an entry in a dict, and all that expire in the same minute share one slot
with the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from secrets import randbelow
from threading import Lock

from .statements import Statement, Target

SLOT = 60
_NEVER = (-math.inf, -math.inf)
_Key = str | tuple[str, str | None]


class KnownRevocations:
    """A set of statements, each of which stays until its `forget_at`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ids: dict[_Key, _Slot] = {}
        self._slots: dict[int, _Slot] = {}
        # For everything else, the time of the newest, and when the last one can be forgotten.
        self._subjects: dict[_Key, tuple[float, float]] = {}
        self._claims: dict[_Key, tuple[float, float]] = {}
        self._roles: dict[_Key, tuple[float, float]] = {}
        self._tenants: dict[_Key, tuple[float, float]] = {}
        self._families: dict[_Key, tuple[float, float]] = {}
        self._everything: dict[_Key, tuple[float, float]] = {}
        self._catalog: dict[_Key, tuple[float, float]] = {}
        self.catalog_changes = 0  # the number of announced changes
        self.last_revoked_at = -math.inf  # of all statements
        self.additions = 0  # while it stays the same, valid tokens stay valid
        self._newest_of = {
            "subject": self._subjects,
            "claims": self._claims,
            "role": self._roles,
            "tenant": self._tenants,
            "family": self._families,
            "everything": self._everything,
            "catalogue": self._catalog,
        }

    def __len__(self) -> int:
        """Return the number of revoked targets; everything counts as one."""
        return len(self._ids) + sum(map(len, self._newest_of.values()))

    def has_id(self, jti: str, issuer: str | None) -> bool:
        """Return whether this single token is revoked."""
        return (jti if issuer is None else (jti, issuer)) in self._ids

    def has_family(self, family: str) -> bool:
        """Return whether this family is revoked."""
        return family in self._families

    def newest(
        self,
        subject: str | None,
        issuer: str | None,
        tenant: str | None,
        roles: Iterable[str],
    ) -> float:
        """Return the time of the newest revocation that applies to these; -inf if there is none."""
        newest = self.newest_of_logins(subject, issuer, tenant)
        if self._claims and subject is not None:
            said = self._claims.get(subject if issuer is None else (subject, issuer), _NEVER)[0]
            newest = said if said > newest else newest
        if self._roles:
            for role in roles:
                said = self._roles.get(role, _NEVER)[0]
                newest = said if said > newest else newest
        return newest

    def newest_of_logins(
        self, subject: str | None, issuer: str | None, tenant: str | None
    ) -> float:
        """Return the same for revocations that end log-ins, not only access tokens."""
        newest = self._everything.get("", _NEVER)[0] if self._everything else -math.inf
        if self._subjects and subject is not None:
            said = self._subjects.get(subject if issuer is None else (subject, issuer), _NEVER)[0]
            newest = said if said > newest else newest
        if self._tenants and tenant is not None:
            said = self._tenants.get(tenant, _NEVER)[0]
            newest = said if said > newest else newest
        return newest

    def add(self, statement: Statement) -> None:
        """Add a statement."""
        with self._lock:
            if statement.kind == "jti":
                self._add_id(_key(statement.target), statement.forget_at)
            else:
                self.last_revoked_at = max(self.last_revoked_at, statement.revoked_at)
                self.catalog_changes += statement.kind == "catalogue"
                newest = self._newest_of[statement.kind]
                key = _key(statement.target)
                said, until = newest.get(key, _NEVER)
                newest[key] = (
                    max(said, statement.revoked_at),
                    max(until, statement.forget_at),
                )
            self.additions += 1  # last, so that a reader that was faster reads again

    def forget(self, now: float) -> None:
        """Remove the statements whose `forget_at` is before `now`."""
        with self._lock:
            for end in [end for end in self._slots if end < now]:
                slot = self._slots.pop(end)
                for key in slot.keys:
                    if self._ids.get(key) is slot:
                        del self._ids[key]
            for newest in self._newest_of.values():
                for key in [key for key, (_, until) in newest.items() if until < now]:
                    del newest[key]

    def covers(self, statement: Statement) -> bool:
        """Return whether the statement adds nothing to what is known, until its `forget_at`."""
        key = _key(statement.target)
        if statement.kind == "jti":
            slot = self._ids.get(key)
            return slot is not None and slot.end >= statement.forget_at
        said, until = self._newest_of[statement.kind].get(key, _NEVER)
        return said >= statement.revoked_at and until >= statement.forget_at

    def statements(self) -> Iterator[Statement]:
        """Yield statements for everything that is known, without the times of single tokens.

        It begins at a random id: if several processes write theirs to the store, and each omits
        what another has written, they share the work.
        """
        with self._lock:
            ids = list(self._ids.items())
            others = [(k, list(newest.items())) for k, newest in self._newest_of.items()]
        begin = randbelow(len(ids) or 1)
        for key, slot in chain(islice(ids, begin, None), islice(ids, begin)):
            yield Statement("jti", *_parts(key), revoked_at=0.0, forget_at=float(slot.end))
        for kind, items in others:
            for key, (said, until) in items:
                value, issuer = _parts(key)
                yield Statement(kind, value or None, issuer, said, until)

    def after_fork(self) -> None:
        """Drop a lock that another thread of the parent process may have held."""
        self._lock = Lock()

    def _add_id(self, key: _Key, forget_at: float) -> None:
        end = math.ceil(forget_at / SLOT) * SLOT
        kept = self._ids.get(key)
        if kept is not None and kept.end >= end:
            return
        slot = self._slots.get(end)
        if slot is None:
            slot = self._slots[end] = _Slot(end)
        slot.keys.append(key)  # first, so that no id lacks its end
        self._ids[key] = slot


class _Slot:
    """The ids that are removed in the same minute, which ends at `end`."""

    __slots__ = ("end", "keys")

    def __init__(self, end: int) -> None:
        self.end = end
        self.keys: list[_Key] = []


def _key(target: Target) -> _Key:
    value = target.value or ""
    return value if target.issuer is None else (value, target.issuer)


def _parts(key: _Key) -> tuple[str, str | None]:
    return (key, None) if isinstance(key, str) else key
