"""Key set: the application's own keys (RFC 7517 section 5); one signs, all verify."""

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
    """An immutable set of keys: one signs, all verify, and each is for one algorithm.

    `keys` are private JWKs with `kid` and `alg`; `active` is the `kid` of the key that signs.
    Raises `MisuseError` for an unsuitable key.

    >>> from jwt_authz.tokens import KeySet
    >>> keys = KeySet.new("HS256").with_new_key().rotated()
    >>> keys.active == keys.kids[-1], len(keys.kids)
    (True, 2)
    """

    def __init__(self, keys: Iterable[Mapping[str, Any]], active: str) -> None:
        self._jwks: dict[str, dict[str, Any]] = {}
        self.verifying: dict[str, Key] = {}
        for jwk in keys:
            kid, alg = jwk.get("kid"), jwk.get("alg")
            if not isinstance(kid, str) or not kid or not isinstance(alg, str):
                raise MisuseError("Each key of a KeySet needs a kid and an alg, both strings.")
            if kid in self._jwks:
                raise MisuseError(f"Two keys have the kid {kid!r}: kids must be unique.")
            self._jwks[kid] = dict(jwk)
            self.verifying[kid] = load_jwk(jwk, alg, "verify")
        if active not in self._jwks:
            raise MisuseError(
                f"No key has the kid {active!r} of the active key: the set has "
                f"{', '.join(self._jwks)}."
            )
        self.active = active
        self.signing = load_jwk(self._jwks[active], self._jwks[active]["alg"], "sign")

    @classmethod
    def new(cls, alg: str) -> KeySet:
        """Return a set with one new key for this algorithm."""
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
        """Return a set with one more key, which only verifies; publish it before it signs."""
        return KeySet([*self._jwks.values(), new_jwk(alg or self.signing.name)], self.active)

    def rotated(self, kid: str | None = None) -> KeySet:
        """Return a set in which the newest key signs, or the one with this `kid`.

        Tokens signed with the other keys stay valid until those are retired.
        """
        return KeySet(self._jwks.values(), self.kids[-1] if kid is None else kid)

    def retired(self, kid: str) -> KeySet:
        """Return a set without this key, whose tokens become invalid.

        Raises `MisuseError` for the active key and for an unknown `kid`.
        """
        if kid == self.active:
            raise MisuseError(f"{kid!r} is the active key: rotate to another key first.")
        if kid not in self._jwks:
            raise MisuseError(f"No key has the kid {kid!r}: the set has {', '.join(self.kids)}.")
        return KeySet((jwk for k, jwk in self._jwks.items() if k != kid), self.active)

    def public(self) -> dict[str, Any]:
        """Return the JWK Set to publish: public parts only, and no secrets."""
        published = map(public_jwk, self._jwks.values())
        return {"keys": [jwk for jwk in published if jwk is not None]}

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> KeySet:
        """Return the set in a file that `write` made.

        Raises `MisuseError` if the file does not contain a key set, or if every user of the
        machine can write it: with a key that they add, they could sign tokens for any user.
        """
        refuse_world_writable(path)
        try:
            content = json.loads(Path(path).read_bytes())
            keys, active = [dict(jwk) for jwk in content["keys"]], content["active"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MisuseError(
                f"Cannot read a key set from {path} ({type(error).__name__}): "
                "create one with flask authz keys new"
            ) from None
        return cls(keys, active)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the set to a file that only its owner can read, atomically.

        An existing file keeps its owner, so that root can rotate another user's keys.
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
    """The key set in a file, reloaded when the file changes; checked at most once a second.

    A change that cannot be read is logged, and the previous keys stay in use.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._stamp: tuple[int, int, int] | None = None
        self._keys: KeySet | None = None
        self._looking: BoundedCall[None] | None = None

    def current(self, now: float, look: bool = False) -> KeySet:
        """Return the current keys; with `look`, check the file now.

        Raises `MisuseError` if the file could never be read, and `StoreUnavailable` if the file
        system hangs before there are keys.
        """
        keys = self._keys
        # The lower bound: a clock that was set back must not delay the next look.
        if keys is not None and not look and 0 < self._next_look - now <= _LOOK_SECONDS:
            return keys
        # Wait for another thread's look only if there are no keys yet, or a look is required.
        if self._lock.acquire(timeout=_LONGEST_LOOK if keys is None or look else 0):
            try:
                self._next_look = now + _LOOK_SECONDS
                self._look()
            finally:
                self._lock.release()
        if self._keys is None:
            raise StoreUnavailable(
                f"The key set could not be read from {self.path} within {_LONGEST_LOOK:g} "
                "seconds: check its file system."
            )
        return self._keys

    def _look(self) -> None:
        """Check the file, with a timeout in case the file system hangs."""
        if self._looking is not None and not self._looking.is_done:
            return  # the thread of an earlier look still hangs
        self._looking = BoundedCall(lambda _: self._read_if_changed())
        try:
            self._looking.wait(_LONGEST_LOOK)
        except TimeoutError:
            _log.error("reading the key file timed out; the previous keys stay in use")

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
            _log.error("the key file cannot be read; the previous keys stay in use: %s", error)
        self._stamp = stamp

    def _stamp_of_file(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
