"""Password hashes: Argon2id, and the same work whether or not there is a hash to compare with.

A password is its UTF-8 bytes, all of them: nothing is normalized, trimmed or cut off, and every
character counts (OWASP ASVS 6.2.8).
"""

from __future__ import annotations

from base64 import b64encode
from secrets import token_bytes

from .._concurrency.slots import HASHING
from .._extras import needs_extra
from ..errors import HashingBusy, MisuseError
from .password_rules import as_secret, check_new_password

with needs_extra(__name__, "argon2-cffi", "accounts"):
    from argon2 import PasswordHasher, extract_parameters
    from argon2.exceptions import (
        HashingError,
        InvalidHashError,
        VerificationError,
        VerifyMismatchError,
    )

# OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def limit_hashing(at_once: int, waiting: int) -> None:
    """Let this process hash `at_once` passwords at once, and `waiting` more callers wait for it.

    As many callers again as are hashed at once may wait if they are known: they have logged in from
    their address lately. Further callers get HashingBusy: `POST /token` answers 503. Each password
    that is hashed takes 19 MiB, and each caller one of the server's threads: keep twice `at_once`
    plus `waiting` below the number of threads of a worker, or log-ins can keep all of them busy.
    Call this when the process starts, before passwords are hashed.
    """
    if at_once < 1 or waiting < 0:
        raise MisuseError("at least one password is hashed at once: write limit_hashing(1, 2)")
    HASHING.resize(at_once, waiting, reserved=at_once)


def hash_password(password: str) -> str:
    """Return an Argon2id hash of the password, with 19 MiB, two passes and one lane.

    Raises PasswordRefused for a password of fewer than 8 characters, more than 4,096 bytes, with
    lone surrogates, or from the list of common ones; HashingBusy, a StoreUnavailable, when there is
    no memory left to hash in, or too many are being hashed: see `limit_hashing`.
    """
    check_new_password(password)
    return _hash(password.encode())


def verify_password(hash: str | None, password: str) -> bool:
    """Return whether the password is the one that was hashed.

    Without a hash it is False after the same work; an empty or unreadable hash counts as none. A
    password of more than 4,096 bytes or with lone surrogates is False at once, whatever the hash:
    nobody can have it. Once a hash with former parameters was seen, which `upgraded_hash` replaces,
    every failure takes the work of both.

    Raises HashingBusy, a StoreUnavailable, when there is no memory left to hash in, or too many are
    being hashed: see `limit_hashing`.
    """
    secret = as_secret(password)
    if secret is None:
        return False
    return HASHING.run(_verify, hash, secret)


def is_still_good(verified: str | None, password: str, now: str | None) -> bool:
    """Whether a password that was verified is that of the hash of now, as well.

    It took a while, in which the password may have been changed, or only its hash replaced.
    """
    return now is not None and (now == verified or verify_password(now, password))


def _verify(hash: str | None, secret: bytes) -> bool:
    """Return whether the secret matches; all failures take the same work, whatever the hash."""
    found = _compare(hash, secret) if hash else None
    is_former = hash is not None and found is not None and needs_rehash(hash)
    if hash is not None and is_former:
        _former.see(hash)
    if found:
        return True
    if _former.dummy is not None and not is_former:
        _waste(_former.dummy, secret)
    if found is None or is_former:
        _waste(_DUMMY, secret)
    return False


def _compare(hash: str, secret: bytes) -> bool | None:
    """Return whether the secret is that of the hash; None if the hash is unreadable."""
    try:
        return _hasher.verify(hash, secret)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return None


def _waste(dummy: str, secret: bytes) -> None:
    # A dummy is readable, so without an answer it is the machine: not an answer about the password.
    if _compare(dummy, secret) is None:
        raise _no_memory()


def needs_rehash(hash: str) -> bool:
    """Whether the hash was made with other parameters than today's, or cannot be read."""
    try:
        return _hasher.check_needs_rehash(hash)
    except InvalidHashError:
        return True


def upgraded_hash(hash: str, password: str) -> str | None:
    """A new hash of a password just verified against this one, or None where it is up to date.

    Takes a password that today is too short, too: it is good until its owner changes it.
    """
    secret = as_secret(password)
    return _hash(secret) if secret is not None and needs_rehash(hash) else None


def _hash(secret: bytes) -> str:
    try:
        return HASHING.run(_hasher.hash, secret)
    except HashingError:
        raise _no_memory() from None


def _no_memory() -> HashingBusy:
    mebibytes = _hasher.memory_cost // 1024
    return HashingBusy(
        "Argon2 could not run, for lack of memory or threads: leave the process "
        f"{mebibytes} MiB for each log-in at the same moment, or allow fewer at once"
    )


def _unpadded(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _dummy(memory: int, passes: int, lanes: int) -> str:
    """Return a hash with these parameters that no password was ever hashed to: random bytes."""
    salt, hash = token_bytes(_hasher.salt_len), token_bytes(_hasher.hash_len)
    return f"$argon2id$v=19$m={memory},t={passes},p={lanes}${_unpadded(salt)}${_unpadded(hash)}"


class _Former:
    """The costliest parameters, other than today's, of which a hash was seen in this process."""

    def __init__(self) -> None:
        self.dummy: str | None = None
        self._cost = 0

    def see(self, hash: str) -> None:
        found = extract_parameters(hash)
        cost = found.memory_cost * found.time_cost
        if cost > self._cost:
            self.dummy = _dummy(found.memory_cost, found.time_cost, found.parallelism)
            self._cost = cost


_DUMMY = _dummy(_hasher.memory_cost, _hasher.time_cost, _hasher.parallelism)
_former = _Former()
