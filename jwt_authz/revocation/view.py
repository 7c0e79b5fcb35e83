"""RevocationView: this process's copy of all revocations, which every request reads.

A request reads the copy and its age, and waits for the store only if the copy was never loaded.
`known.py` has the copy, `keeper.py` keeps it up to date, and `follower.py` repairs a store that
has lost data.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from ..errors import MisuseError
from .families import Families
from .keeper import Keeper
from .known import KnownRevocations
from .log import MICROSECONDS, Log, MarkMissing
from .statements import CATALOG, EVERYTHING, LATEST, SLACK, Statement, Target, checked
from .store import Store
from .stores.memory import MemoryStore

_Result = TypeVar("_Result")


class RevocationView:
    """The revocations that this process knows, and their age. Thread-safe.

    All times are in seconds: `longest` is the maximum lifetime of a token, leeway included;
    `max_age` the age above which `check_age` raises; `interval` the time between two reads of the
    store; `first_load` the time that the first requests wait for the first read. A view of a store
    in memory shares its data, and has no age.
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
                "Invalid interval: expected a number of seconds above 0 and below max_age."
            )
        self.store = store
        self._longest = longest
        self._max_age = max_age
        self._latest_iat = 0.0
        self._known = KnownRevocations() if store.known is None else store.known
        self._keeper: Keeper | None = None
        if store.known is None:
            self._keeper = Keeper(
                cast(Log, store),
                self._known,
                longest=longest,
                interval=interval,
                first_load=first_load,
            )

    # For every request

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
        """Return whether a token with these claims is revoked, as far as this process knows.

        An own token has an `iat` with fractions of a second, and is revoked unless that is later
        than the revocation. A foreign `iat` counts in whole seconds: the token is revoked unless
        it was issued in a later second, and if it has no `iat`. Revocations of a claim that is not
        passed, such as the subject of a refresh token, do not apply. A process that did not know
        of a revocation yet may have issued a token to a family, so such a token is also revoked
        unless its log-in (`logged_in_at`) is later than any revocation of its subject, its tenant
        or everything. Raise `StoreUnavailable` if the revocations were never loaded; `check_age`
        checks how old they are.
        """
        keeper = self._keeper
        if keeper is not None and not keeper.is_loaded:
            keeper.load()
        signer = None if is_own else issuer or ""
        if jti is not None and self._known.has_id(jti, signer):
            return True
        if family is not None and self._known.has_family(family):
            return True  # whenever it was issued: a family that has ended cannot continue
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
        """A number that changes with each revocation; while it stays, valid tokens stay valid."""
        return self._known.additions

    def is_login_over(
        self, subject: str, began: float, *, tenant: str | None, issuer: str | None = None
    ) -> bool:
        """Return whether a revocation of its subject, its tenant or everything ended a log-in.

        `began` is its time. Raise `StoreUnavailable` if the revocations were never loaded.
        """
        self.now()  # loads them
        return not began > self._known.newest_of_logins(subject, issuer, tenant)

    def knows_id(self, jti: str) -> bool:
        """Return whether this one of the application's own tokens is known to be revoked."""
        return self._known.has_id(jti, None)

    def knows_family(self, family: str) -> bool:
        """Return whether the access tokens of this family are known to be revoked."""
        return self._known.has_family(family)

    def check_age(self, max_age: float | None = None) -> None:
        """Raise `StoreUnavailable` if the view is older than `max_age` or was never loaded."""
        if self._keeper is not None:
            self._keeper.check_age(self._max_age if max_age is None else max_age)

    def age(self) -> float:
        """Return the seconds since the store was last read completely; 0 for a store in memory."""
        return 0.0 if self._keeper is None else self._keeper.age()

    # For the role catalog

    def mark_of_catalogue(self) -> tuple[object, ...]:
        """Return a value that differs if the catalog may have changed; call it before loading it.

        Raise `StoreUnavailable` if the revocations were never loaded.
        """
        if self._keeper is None:
            return (self._known.catalog_changes,)
        if not self._keeper.is_loaded:
            self._keeper.load()
        return (*self._keeper.mark, self._known.catalog_changes)

    def call_after_look(self, function: Callable[[tuple[float, float]], None]) -> bool:
        """Call a function after each read of the store; return False if nothing reads it.

        Its argument is the start of the previous read, by the monotonic and the wall clock:
        whatever is new was written after that.
        """
        if self._keeper is None:
            return False
        self._keeper.after_look.append(function)
        return True

    # For log-ins

    def newest(
        self,
        subject: str | None,
        *,
        issuer: str | None = None,
        tenant: str | None = None,
        roles: Iterable[str] = (),
    ) -> float | None:
        """Return the time of the newest revocation that applies to these; None if there is none.

        `issuer` is None for this application's own subjects. Raise `StoreUnavailable` if the
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
        """Return the `iat` of a new token: the store's time, after every revocation of these.

        Call it before the subject's roles are read: if they change in between, the revocation is
        later than the token, and ends it.
        """
        newest = self.newest(subject, issuer=issuer, tenant=tenant, roles=roles)
        ticks = math.floor(self.now() * MICROSECONDS)  # as stores count, so that none rounds it
        if newest is not None:
            ticks = max(ticks, round(newest * MICROSECONDS) + 1)
        iat = ticks / MICROSECONDS
        self._latest_iat = max(self._latest_iat, iat)
        return iat

    def now(self) -> float:
        """Return the store's time, or a slightly earlier one.

        Raise `StoreUnavailable` if the store was never read.
        """
        if self._keeper is None:
            return cast(MemoryStore, self.store).now()
        if not self._keeper.is_loaded:
            self._keeper.load()
        return self._keeper.clock.earliest()

    def after_all(self) -> float:
        """Return the store's time or that of the last known revocation, whichever is later."""
        return max(self.now(), self._known.last_revoked_at)

    # Revoking

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

    def write(self, target: Target, expires_at: float | None = None) -> Statement:
        """Do what `revoke` does, under its name of version 0.1, with a warning until 0.3."""
        message = "RevocationView.write is now revoke: the old name will be removed in 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self.revoke(target, expires_at)

    def announce_catalogue(self) -> None:
        """Announce to all processes that the role catalog has changed; see `revoke`."""
        self.revoke(CATALOG)

    def prepare_store(self, *, is_new: bool) -> None:
        """Initialize the store; unless it is new, revoke all tokens issued before now.

        Do nothing if it was prepared before.
        """
        self.store.prepare(is_new=is_new)
        if not is_new and self._keeper is not None:
            self._keeper.begin_untrusted()

    def distrust_store(self) -> None:
        """Revoke all tokens issued before now, and end all token families, in all processes.

        For operators who have restored an old copy of the store, or have another reason to assume
        that it lacks something that no running process knows.
        """
        if self._keeper is None:
            self.revoke(EVERYTHING)
        else:
            self._keeper.distrust()

    def ask_families(self, work: Callable[[Families], _Result]) -> _Result:
        """Call `work` with the token families of the store, and return its result.

        Raise `StoreUnavailable`.
        """
        return self._repaired(lambda: work(self.store))

    # The thread that keeps the view up to date

    def refresh(self) -> None:
        """Read the store now, in this thread; raise `StoreUnavailable`."""
        if self._keeper is not None:
            self._keeper.refresh()

    def stop(self) -> None:
        """Stop the thread; the view ages from now on."""
        if self._keeper is not None:
            self._keeper.stop()

    def _repaired(self, work: Callable[[], _Result]) -> _Result:
        """Return the result of `work`; if the store has lost its data, repair it and try again.

        Raise `StoreUnavailable`.
        """
        try:
            return work()
        except MarkMissing:
            self.refresh()  # which repairs the store
            return work()
