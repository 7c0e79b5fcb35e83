"""RevocationView: a process's own copy of the revocations, from which every request is answered.

A request asks what is in this process's memory, and how old that is; it never waits for the store
but for the very first load. `keeper.py` says how the copy is kept fresh, `follower.py` what
becomes of it when the store forgets, `known.py` how it stands in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from ..errors import MisuseError
from .families import Families
from .keeper import Keeper
from .known import Known
from .log import MICROSECONDS, Log, MarkMissing
from .statements import CATALOGUE, EVERYTHING, LATEST, SLACK, Statement, Target, checked
from .store import Store
from .stores.memory import MemoryStore

_Result = TypeVar("_Result")


class RevocationView:
    """What is revoked, as far as this process knows, and how old its knowledge is.

    `longest` is the seconds that the longest token lives, leeway included; `max_age` the age from
    which `check_age` refuses; `interval` the seconds between two looks into the store;
    `first_load` those that the first requests may wait for the first look. With a store in memory
    the view is the store's own, and never ages. Any thread may call it.
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
        self._latest_iat = 0.0
        self._known = Known() if store.known is None else store.known
        self._keeper: Keeper | None = None
        if store.known is None:
            self._keeper = Keeper(
                cast(Log, store),
                self._known,
                longest=longest,
                interval=interval,
                first_load=first_load,
            )

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
        family: str | None = None,
        logged_in_at: float | None = None,
        is_own: bool = True,
    ) -> bool:
        """Whether a token with these claims is no longer good, by what this process knows.

        An own token has an `iat` with its fraction, and is dead where that is not after the
        revocation. A foreign one's is taken for whole seconds: it is dead where its `iat` is not
        after the second of the revocation, and so is one without. Of a claim that is left out (a
        refresh token's subject, say) revocations are not looked at. A token of a family, which may
        have been issued by a process that did not know yet, is also dead where its log-in
        (`logged_in_at`) is not after a revocation of its subject, its tenant or of everything.
        Raises StoreUnavailable where the revocations were never loaded; how old they are is
        `check_age`'s to say.
        """
        keeper = self._keeper
        if keeper is not None and not keeper.is_loaded:
            keeper.load()
        signer = None if is_own else issuer or ""
        if jti is not None and self._known.has_id(jti, signer):
            return True
        if family is not None and self._known.has_family(family):
            return True  # whenever it was issued: a family that was ended stays so
        newest = self._known.newest(subject, signer, tenant, roles)
        if newest == -math.inf:
            return False
        if issued_at is None:
            return True
        began = None if family is None else logged_in_at
        if began is not None and not began > self._known.newest_of_logins(subject, signer, tenant):
            return True
        # Negated so that an `iat` of NaN is not valid either.
        return not (issued_at > newest if is_own else issued_at >= math.floor(newest) + 1)

    @property
    def additions(self) -> int:
        """A number that changes with each revocation known here: until then what is good stays."""
        return self._known.additions

    def is_login_over(
        self, subject: str, began: float, *, tenant: str | None, issuer: str | None = None
    ) -> bool:
        """Whether a log-in that began at that time was ended: by subject, tenant or everything.

        Raises StoreUnavailable where the revocations were never loaded.
        """
        self.now()  # which loads them
        return not began > self._known.newest_of_logins(subject, issuer, tenant)

    def knows_id(self, jti: str) -> bool:
        """Whether it is known here that this one token of the application's own is revoked."""
        return self._known.has_id(jti, None)

    def knows_family(self, family: str) -> bool:
        """Whether it is known here that the access tokens of this family are revoked."""
        return self._known.has_family(family)

    def check_age(self, max_age: float | None = None) -> None:
        """Raises StoreUnavailable where the view is older than `max_age`, or was never loaded."""
        if self._keeper is not None:
            self._keeper.check_age(self._max_age if max_age is None else max_age)

    def age(self) -> float:
        """The seconds since all that was in the store was known here; 0 with a store in memory."""
        return 0.0 if self._keeper is None else self._keeper.age()

    # What the role catalog asks

    def mark_of_catalogue(self) -> tuple[object, ...]:
        """Return a value that differs whenever the catalog may have changed; ask before loading it.

        Raises StoreUnavailable where the revocations were never loaded.
        """
        if self._keeper is None:
            return (self._known.news_of_catalogue,)
        if not self._keeper.is_loaded:
            self._keeper.load()
        return (*self._keeper.mark, self._known.news_of_catalogue)

    def have_heeded(self, heed: Callable[[tuple[float, float]], None]) -> bool:
        """Have this called after each look into the store; whether anybody looks at all.

        It is given when the look before began, by the monotonic and by the wall clock: what is new
        was said after that.
        """
        if self._keeper is None:
            return False
        self._keeper.heeds.append(heed)
        return True

    # What a log-in asks

    def newest(
        self,
        subject: str | None,
        *,
        issuer: str | None = None,
        tenant: str | None = None,
        roles: Iterable[str] = (),
    ) -> float | None:
        """When the newest revocation was said that concerns these; None where there is none.

        `issuer` is None for this application's own subjects. Raises StoreUnavailable where the
        revocations were never loaded.
        """
        if self._keeper is not None and not self._keeper.is_loaded:
            self._keeper.load()
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
        newest = self.newest(subject, issuer=issuer, tenant=tenant, roles=roles)
        ticks = math.floor(self.now() * MICROSECONDS)  # as stores count, so that none rounds it
        if newest is not None:
            ticks = max(ticks, round(newest * MICROSECONDS) + 1)
        iat = ticks / MICROSECONDS
        self._latest_iat = max(self._latest_iat, iat)
        return iat

    def now(self) -> float:
        """The store's clock as far as it is known here, and rather too early than too late.

        Raises StoreUnavailable where the store was never asked.
        """
        if self._keeper is None:
            return cast(MemoryStore, self.store).now()
        if not self._keeper.is_loaded:
            self._keeper.load()
        return self._keeper.clock.earliest()

    def after_all(self) -> float:
        """The store's time, or when the last revocation known here was said, if that is later."""
        return max(self.now(), self._known.said_last)

    # What ends tokens

    def revoke(self, target: Target, expires_at: float | None = None) -> Statement:
        """Revoke the tokens issued until now that the target describes.

        `expires_at` is when the last of them expires, leeway included; by default `longest`
        seconds from now. When this returns, the store holds the statement and this process applies
        it; the others do within moments. Raise `MisuseError` for an invalid target, and
        `StoreUnavailable` if the store fails: then nothing may be assumed to be revoked.
        """
        now = self.now()
        until = now + self._longest if expires_at is None else expires_at
        forget_at = min(until + SLACK, LATEST)
        checked(target)
        entry = self._repaired(lambda: self.store.revoke(target, forget_at, self._latest_iat))
        self._known.add(entry.statement)
        if self._keeper is not None:
            self._keeper.wrote(entry)
        return entry.statement

    def announce_catalogue(self) -> None:
        """Announce to all processes that the role catalog has changed; see `revoke`."""
        self.revoke(CATALOGUE)

    def prepare_store(self, *, is_new: bool) -> None:
        """Make what the store needs, once; unless it is new, revoke all tokens issued before now.

        A store that was prepared before is left as it is.
        """
        self.store.prepare(is_new=is_new)
        if not is_new and self._keeper is not None:
            self._keeper.begin_untrusted()

    def distrust_store(self) -> None:
        """Revoke all tokens issued before now, and end all refresh families, in all processes.

        For an operator who has put back an old copy of the store, or has other reasons to think
        that it lacks something that no running process knows.
        """
        if self._keeper is None:
            self.revoke(EVERYTHING)
        else:
            self._keeper.distrust()

    def ask_families(self, work: Callable[[Families], _Result]) -> _Result:
        """What the work gives, for the refresh families of the store; raises StoreUnavailable."""
        return self._repaired(lambda: work(self.store))

    # The thread that keeps it fresh

    def refresh(self) -> None:
        """Look into the store now, in this thread; raises StoreUnavailable."""
        if self._keeper is not None:
            self._keeper.refresh()

    def stop(self) -> None:
        """End the thread; the view gets older from now on."""
        if self._keeper is not None:
            self._keeper.stop()

    def _repaired(self, work: Callable[[], _Result]) -> _Result:
        """Return what the work returns; repair a store that has forgotten, and ask it again.

        Raises StoreUnavailable.
        """
        try:
            return work()
        except MarkMissing:
            self.refresh()  # which repairs the store
            return work()
