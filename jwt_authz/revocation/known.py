"""Known: the revocations that a process knows, made to be asked on every request.

How it works. Readers take no lock: each question is a few look-ups in dicts of which one writer
at a time changes single entries, and nothing is ever taken out before its time. Of a subject,
role, tenant or family only the newest revocation counts, so only that is kept. The ids of single
tokens are the many; each costs its text and a place in one dict, and shares with all that are
forgotten in the same minute the slot that says when.
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


class Known:
    """Statements in memory; a set that only grows until each one's `forget_at`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ids: dict[_Key, _Slot] = {}
        self._slots: dict[int, _Slot] = {}
        # Of the others the newest: when it was said, and when the last of them is forgotten.
        self._subjects: dict[_Key, tuple[float, float]] = {}
        self._claims: dict[_Key, tuple[float, float]] = {}
        self._roles: dict[_Key, tuple[float, float]] = {}
        self._tenants: dict[_Key, tuple[float, float]] = {}
        self._families: dict[_Key, tuple[float, float]] = {}
        self._everything: dict[_Key, tuple[float, float]] = {}
        self._catalogue: dict[_Key, tuple[float, float]] = {}
        self.news_of_catalogue = 0  # how many changes were announced
        self.said_last = -math.inf  # by any of them
        self.additions = 0  # while it stays the same, what was good is good
        self._newest_of = {
            "subject": self._subjects,
            "claims": self._claims,
            "role": self._roles,
            "tenant": self._tenants,
            "family": self._families,
            "everything": self._everything,
            "catalogue": self._catalogue,
        }

    def __len__(self) -> int:
        """How many things are revoked; everything is one."""
        return len(self._ids) + sum(map(len, self._newest_of.values()))

    def has_id(self, jti: str, issuer: str | None) -> bool:
        """Whether this one token is revoked."""
        return (jti if issuer is None else (jti, issuer)) in self._ids

    def has_family(self, family: str) -> bool:
        """Whether there is a revocation of this family."""
        return family in self._families

    def newest(
        self,
        subject: str | None,
        issuer: str | None,
        tenant: str | None,
        roles: Iterable[str],
    ) -> float:
        """When the newest revocation was said that concerns these; -inf where there is none."""
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
        """The same, of the revocations that end log-ins and not access tokens alone."""
        newest = self._everything.get("", _NEVER)[0] if self._everything else -math.inf
        if self._subjects and subject is not None:
            said = self._subjects.get(subject if issuer is None else (subject, issuer), _NEVER)[0]
            newest = said if said > newest else newest
        if self._tenants and tenant is not None:
            said = self._tenants.get(tenant, _NEVER)[0]
            newest = said if said > newest else newest
        return newest

    def add(self, statement: Statement) -> None:
        """Know the statement from now on."""
        with self._lock:
            if statement.kind == "jti":
                self._add_id(_key(statement.target), statement.forget_at)
            else:
                self.said_last = max(self.said_last, statement.revoked_at)
                self.news_of_catalogue += statement.kind == "catalogue"
                newest = self._newest_of[statement.kind]
                key = _key(statement.target)
                said, until = newest.get(key, _NEVER)
                newest[key] = (
                    max(said, statement.revoked_at),
                    max(until, statement.forget_at),
                )
            self.additions += 1  # last, so that who read it before looks again

    def forget(self, now: float) -> None:
        """Forget the statements whose `forget_at` has passed at `now`."""
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
        """Whether all that the statement says is known, for as long as it says it."""
        key = _key(statement.target)
        if statement.kind == "jti":
            slot = self._ids.get(key)
            return slot is not None and slot.end >= statement.forget_at
        said, until = self._newest_of[statement.kind].get(key, _NEVER)
        return said >= statement.revoked_at and until >= statement.forget_at

    def statements(self) -> Iterator[Statement]:
        """All that is known, as statements that say the same; a single token's time is lost.

        It begins anywhere among the ids: several processes that all write theirs down share the
        work, where each leaves out what another has written.
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
        slot.keys.append(key)  # first, so that an id is never there without its end
        self._ids[key] = slot


class _Slot:
    """The ids that are forgotten in one minute; `end` is the minute's end."""

    __slots__ = ("end", "keys")

    def __init__(self, end: int) -> None:
        self.end = end
        self.keys: list[_Key] = []


def _key(target: Target) -> _Key:
    value = target.value or ""
    return value if target.issuer is None else (value, target.issuer)


def _parts(key: _Key) -> tuple[str, str | None]:
    return (key, None) if isinstance(key, str) else key
