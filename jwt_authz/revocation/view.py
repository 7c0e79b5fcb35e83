"""RevocationView: a process's own copy of the revocations, from which every request is answered.

How it works. A request asks what is in this process's memory, and how old that is; it never waits
for the store, but for the very first load, and then only for so long. A thread follows the store:
it is told of news where the store can tell, and looks for itself every `interval` seconds anyway.
It is started by the first request in each process, again after a fork, and again when it died.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from threading import Event, Lock, Thread
from typing import cast
from weakref import ReferenceType, ref

from ..errors import MisuseError, StoreUnavailable
from .follower import Follower
from .forks import renew_after_fork
from .known import Known
from .log import Entry, Listener, Log, MarkMissing
from .memory import MemoryStore
from .statements import RESOLUTION, SLACK, Statement, Target, target
from .stores import Store

FORGET_EVERY = 60.0
RETRY = 0.1

_log = logging.getLogger("jwt_authz.revocation")


class RevocationView:
    """What is revoked, as far as this process knows, and how old its knowledge is.

    `longest` is the seconds that the longest token lives, leeway included; `max_age` the age from
    which `check_age` refuses; `interval` the seconds between two looks into the store;
    `first_load` those that the first requests may wait for the first look. Any thread may call it.
    """

    def __init__(
        self,
        store: Store,
        *,
        longest: float,
        max_age: float = 5.0,
        interval: float = 0.5,
        first_load: float = 2.0,
    ) -> None:
        if not 0 < interval < max_age:
            raise MisuseError(
                "a view must be renewed before it is too old: write an interval below max_age"
            )
        self.store = store
        self._longest = longest
        self._max_age = max_age
        self._interval = interval
        self._first_load = first_load
        self._known = store.known if store.known is not None else Known()
        self._follower: Follower | None = None
        if store.known is None:
            self._follower = Follower(cast(Log, store), self._known, longest, 2 * interval)
        self._latest_iat = 0.0
        self._fresh = (-math.inf, -math.inf)  # by the monotonic clock and by the wall clock
        self._forgot_at = time.monotonic()
        self._is_stopped = False
        self._is_failing = False
        self.after_fork()
        renew_after_fork(self)

    # What every request asks

    def is_revoked(
        self,
        *,
        jti: str | None,
        subject: str | None,
        issued_at: float | None,
        issuer: str | None = None,
        tenant: str | None = None,
        roles: Iterable[str] = (),
        is_own: bool = True,
    ) -> bool:
        """Whether a token with these claims is no longer good, by what this process knows.

        An own token has an `iat` with its fraction, and is dead where that is not after the
        revocation. A foreign one's is taken for whole seconds: it is dead where its `iat` is not
        after the second of the revocation, and so is one without. Of a claim that is left out (a
        refresh token's subject, say) revocations are not looked at. Raises StoreUnavailable where
        the revocations were never loaded; how old they are is `check_age`'s to say.
        """
        if not self._is_loaded:
            self._load()
        signer = None if is_own else issuer or ""
        if jti is not None and self._known.has_id(jti, signer):
            return True
        newest = self._known.newest(subject, signer, tenant, roles)
        if newest == -math.inf:
            return False
        if issued_at is None:
            return True
        # Said so that an `iat` that is no number (NaN) is not good either.
        return not (issued_at > newest if is_own else issued_at >= math.floor(newest) + 1)

    def check_age(self, max_age: float | None = None) -> None:
        """Raises StoreUnavailable where the view is older than `max_age`, or was never loaded."""
        if self._follower is None:
            return
        if not self._is_loaded:
            self._load()
        age = self.age()
        if age > 2 * self._interval:
            self._keep_following()
        if age > (self._max_age if max_age is None else max_age):
            raise StoreUnavailable(
                "what is revoked was last read too long ago: look whether the store of "
                "revocations runs and answers"
            )

    def age(self) -> float:
        """The seconds since all that was in the store was known here; 0 with a store in memory.

        The longer one by the monotonic and by the wall clock: the one stands still while the
        machine does, and the other may be set back.
        """
        if self._follower is None:
            return 0.0
        monotonic, wall = self._fresh
        return max(time.monotonic() - monotonic, time.time() - wall)

    # What a log-in asks

    def newest(
        self,
        subject: str | None,
        *,
        issuer: str | None = None,
        tenant: str | None = None,
        roles: Iterable[str] = (),
    ) -> float | None:
        """When the newest revocation was said that concerns these; None where there is none."""
        newest = self._known.newest(subject, issuer, tenant, roles)
        return None if newest == -math.inf else newest

    def next_iat(
        self,
        subject: str | None,
        *,
        issuer: str | None = None,
        tenant: str | None = None,
        roles: Iterable[str] = (),
    ) -> float:
        """The `iat` of a token to be issued: the store's time, after all that concerns these.

        Ask for it before the subject's roles are read: of a change made in between, the
        revocation then comes later than the token, and ends it.
        """
        if not self._is_loaded:
            self._load()
        newest = self._known.newest(subject, issuer, tenant, roles)
        iat = max(self.now(), newest + RESOLUTION)
        self._latest_iat = max(self._latest_iat, iat)
        return iat

    def now(self) -> float:
        """The store's clock as far as it is known here, and rather too early than too late."""
        if self._follower is None:
            return cast(MemoryStore, self.store).now()
        return self._follower.clock.earliest()

    # What ends tokens

    def revoke(
        self,
        *,
        jti: str | None = None,
        subject: str | None = None,
        role: str | None = None,
        tenant: str | None = None,
        everything: bool = False,
        issuer: str | None = None,
        expires_at: float | None = None,
    ) -> Statement:
        """Revoke the tokens issued until now that carry the one thing given.

        `issuer` names the foreign issuer of a `jti` or `subject`; `expires_at` is when the last of
        the tokens expires, leeway included, by default `longest` from now. The store holds the
        statement and this process heeds it when this returns; the others do within moments.
        Raises MisuseError unless exactly one thing is given, StoreUnavailable where the store
        does not take it: then nothing may be taken for revoked.
        """
        what = target(
            jti=jti,
            subject=subject,
            role=role,
            tenant=tenant,
            everything=everything,
            issuer=issuer,
        )
        if not self._is_loaded:
            self._load()
        until = self.now() + self._longest if expires_at is None else expires_at
        entry = self._write(what, until + SLACK)
        self._known.add(entry.statement)
        if self._follower is not None:
            self._follower.wrote(entry)
        return entry.statement

    def distrust_store(self) -> None:
        """Revoke all tokens issued before now, and end all refresh families, in all processes.

        For an operator who has put back an old copy of the store, or has other reasons to think
        that it lacks something that no running process knows.
        """
        if self._follower is None:
            self.revoke(everything=True)
            return
        with self._refreshing:
            self._follower.distrust()

    # How it is kept fresh

    def refresh(self) -> bool:
        """Look into the store now; whether there was news. Raises StoreUnavailable."""
        if self._follower is None:
            return False
        with self._refreshing:
            # What is read was there when it was asked for; what came later may be missing.
            began = time.monotonic(), time.time()
            is_news = self._follower.follow()
            self._fresh = began
            self._forget_now_and_then()
        self._is_loaded = True
        self._first.set()
        return is_news

    def stop(self) -> None:
        """End the thread; the view gets older from now on."""
        self._is_stopped = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * self._interval + 1)

    def after_fork(self) -> None:
        """What belongs to a process: locks, a thread, and a first look into the store."""
        self._known.after_fork()
        self._refreshing = Lock()
        self._starting = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        self._first = Event()
        self._give_up_at: float | None = None
        self._is_loaded = self._follower is None

    def _load(self) -> None:
        """Wait for the first look into the store, until those who wait may wait no longer."""
        self._keep_following()
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._first_load
        if not self._first.wait(max(0.0, self._give_up_at - time.monotonic())):
            raise StoreUnavailable(
                "the store of revocations has not answered yet: look whether it runs, and what "
                "AUTHZ_STORE_URL names"
            )

    def _keep_following(self) -> None:
        """Start the thread, unless it lives."""
        with self._starting:
            is_alive = self._thread is not None and self._thread.is_alive()
            if is_alive or self._is_stopped:
                return
            arguments = (ref(self), cast(Log, self.store).listen(), self._stop)
            self._thread = Thread(
                target=_follow, args=arguments, name="jwt_authz-revocations", daemon=True
            )
            self._thread.start()

    def _look(self) -> bool:
        """`refresh` for the thread: it goes on whatever happens."""
        try:
            is_news = self.refresh()
        except StoreUnavailable as error:
            if not self._is_failing:
                _log.warning("the revocations cannot be read: %s", error)
            self._is_failing = True
            return False
        except Exception:
            _log.exception("the revocations cannot be read")
            self._is_failing = True
            return False
        if self._is_failing:
            _log.warning("the revocations can be read again")
        self._is_failing = False
        return is_news

    def _pause(self) -> float:
        return self._interval if self._is_loaded else min(RETRY, self._interval)

    def _write(self, what: Target, forget_at: float) -> Entry:
        try:
            return self.store.revoke(what, forget_at, self._latest_iat)
        except MarkMissing:
            self.refresh()  # which mends the store
            return self.store.revoke(what, forget_at, self._latest_iat)

    def _forget_now_and_then(self) -> None:
        if time.monotonic() - self._forgot_at > FORGET_EVERY:
            self._forgot_at = time.monotonic()
            self._known.forget(min(time.time(), self.now()))


def _follow(view_of: ReferenceType[RevocationView], listener: Listener, stop: Event) -> None:
    """The thread: it looks, waits for news, and ends with the view."""
    is_told = False
    try:
        while not stop.is_set():
            view = view_of()
            if view is None:
                return
            if view._look() and not is_told:
                listener.close()  # it should have told; it listens anew
            pause = view._pause()
            del view
            is_told = listener.wait(pause, stop)
    finally:
        listener.close()
