"""KeySet: an application's own keys (RFC 7517 section 5): one signs, all of them verify."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .._concurrency.bounded import BoundedCall
from ..errors import MisuseError, StoreUnavailable
from ..policy.trusted_files import refuse_world_writable
from .jwk import load_jwk, new_jwk, public_jwk
from .jws import Key

_LOOK_SECONDS = 1.0
_LONGEST_LOOK = 2.0
_log = logging.getLogger("jwt_authz.tokens")


class KeySet:
    """One active signing key and any number of verifying ones, each bound to one algorithm.

    `keys` are private JWKs with `kid` and `alg`; `active` the `kid` of the one that signs.
    Immutable: a change makes another. Raises `MisuseError` for a key that is unfit.
    """

    def __init__(self, keys: Iterable[Mapping[str, Any]], active: str) -> None:
        self._jwks: dict[str, dict[str, Any]] = {}
        self.verifying: dict[str, Key] = {}
        for jwk in keys:
            kid, alg = jwk.get("kid"), jwk.get("alg")
            if not isinstance(kid, str) or not kid or not isinstance(alg, str):
                raise MisuseError("a key of a KeySet needs a kid and an alg, both strings")
            if kid in self._jwks:
                raise MisuseError(f"two keys have the kid {kid!r}: a kid is given once")
            self._jwks[kid] = dict(jwk)
            self.verifying[kid] = load_jwk(jwk, alg, "verify")
        if active not in self._jwks:
            raise MisuseError(f"no key has the kid {active!r}, which is to be the active one")
        self.active = active
        self.signing = load_jwk(self._jwks[active], self._jwks[active]["alg"], "sign")

    @classmethod
    def new(cls, alg: str) -> KeySet:
        """A set with one new key for this algorithm."""
        jwk = new_jwk(alg)
        return cls([jwk], jwk["kid"])

    @property
    def kids(self) -> tuple[str, ...]:
        """The `kid` of each key, oldest first."""
        return tuple(self._jwks)

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms that the keys are bound to."""
        return frozenset(key.name for key in self.verifying.values())

    def with_new_key(self, alg: str | None = None) -> KeySet:
        """A set with one more key, which verifies; publish it before it signs."""
        return KeySet([*self._jwks.values(), new_jwk(alg or self.signing.name)], self.active)

    def rotated(self, kid: str | None = None) -> KeySet:
        """A set whose newest key signs, or the one of this `kid`.

        What the others signed is good until they are retired.
        """
        return KeySet(self._jwks.values(), self.kids[-1] if kid is None else kid)

    def retired(self, kid: str) -> KeySet:
        """A set without this key: what it signed is refused from now on. Not for the active one."""
        if kid == self.active:
            raise MisuseError(f"{kid!r} is the active key: rotate to another before you retire it")
        if kid not in self._jwks:
            raise MisuseError(f"no key has the kid {kid!r}: the set has {', '.join(self.kids)}")
        return KeySet((jwk for k, jwk in self._jwks.items() if k != kid), self.active)

    def public(self) -> dict[str, Any]:
        """The JWK Set to publish: public parts alone, and no secrets at all."""
        published = map(public_jwk, self._jwks.values())
        return {"keys": [jwk for jwk in published if jwk is not None]}

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> KeySet:
        """Return the set in a file that `write` made.

        Raises `MisuseError` if the file has no key set, or if every user of the machine may write
        it: a key that someone adds signs tokens for any user.
        """
        refuse_world_writable(path)
        try:
            content = json.loads(Path(path).read_bytes())
            keys, active = [dict(jwk) for jwk in content["keys"]], content["active"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MisuseError(
                f"no key set can be read from {path} ({type(error).__name__}): "
                "make one by flask authz keys new"
            ) from None
        return cls(keys, active)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Put the set into a file that its owner alone may read, at once or not at all.

        A file that is there keeps its owner, so that root can rotate another user's keys.
        """
        target = Path(os.path.realpath(path))
        content = json.dumps({"active": self.active, "keys": list(self._jwks.values())}, indent=1)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                if target.exists():
                    shutil.chown(file.name, target.stat().st_uid, target.stat().st_gid)
                os.replace(file.name, target)
            except BaseException:
                os.unlink(file.name)
                raise


class KeyFile:
    """The key set in a file, read anew when the file changes: looked at once a second at most.

    A change that cannot be read is logged, and the keys that were read last stay in use.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._stamp: tuple[int, int, int] | None = None
        self._keys: KeySet | None = None
        self._looking: BoundedCall[None] | None = None

    def current(self, now: float, look: bool = False) -> KeySet:
        """The keys as of now; `look` looks at the file at once. `MisuseError` if never readable.

        Raises StoreUnavailable if the file system hangs before there are keys.
        """
        keys = self._keys
        # Between the look before and the next: a clock that was set back must not wait for it.
        if keys is not None and not look and 0 < self._next_look - now <= _LOOK_SECONDS:
            return keys
        # Nobody waits for another's look, unless there are no keys yet or the look is needed.
        if self._lock.acquire(timeout=_LONGEST_LOOK if keys is None or look else 0):
            try:
                self._next_look = now + _LOOK_SECONDS
                self._look()
            finally:
                self._lock.release()
        if self._keys is None:
            raise StoreUnavailable(
                f"the key set could not be read from {self.path} within {_LONGEST_LOOK:g} seconds: "
                "check the file system that it is on"
            )
        return self._keys

    def _look(self) -> None:
        """Look at the file, for so long as a file system may take that is not hanging."""
        if self._looking is not None and not self._looking.is_done:
            return  # the thread of an earlier look still hangs
        self._looking = BoundedCall(lambda _: self._read_if_changed())
        try:
            self._looking.wait(_LONGEST_LOOK)
        except TimeoutError:
            _log.error("the key file does not answer, and the keys that were read last stay in use")

    def _read_if_changed(self) -> None:
        stamp = self._stamp_of_file()
        if self._keys is None or stamp != self._stamp:
            self._read(stamp)

    def _read(self, stamp: tuple[int, int, int] | None) -> None:
        try:
            self._keys = KeySet.read(self.path)
        except MisuseError as error:
            if self._keys is None:
                raise
            _log.error("the keys that were read last stay in use: %s", error)
        self._stamp = stamp

    def _stamp_of_file(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
