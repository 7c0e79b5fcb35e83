"""Hash passwords with Argon2id, and do the same work even if there is no hash to compare with.

A password is hashed as its UTF-8 bytes: it is not normalized, trimmed or truncated, and every
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
    """Let this process hash `at_once` passwords at the same time, while `waiting` callers wait.

    In addition, `at_once` known callers, who have recently logged in from their address, can wait.
    Further callers get `HashingBusy`: `POST /token` answers 503. Each hash takes 19 MiB, and each
    caller a thread of the server. Keep twice `at_once` plus `waiting` below the number of threads
    of a worker, or log-ins can occupy all of them. Call this when the process starts, before
    passwords are hashed.
    """
    if at_once < 1 or waiting < 0:
        raise MisuseError("at least one password must be hashed at once: write limit_hashing(1, 2)")
    HASHING.resize(at_once, waiting, reserved=at_once)


def hash_password(password: str) -> str:
    """Return an Argon2id hash of the password, with 19 MiB, two passes and one lane.

    Raise `PasswordRefused` for a password with fewer than 8 characters, more than 4,096 bytes or
    lone surrogates, and for a common one. Raise `HashingBusy`, a `StoreUnavailable`, if there is
    not enough memory, or if too many passwords are being hashed (see `limit_hashing`).
    """
    check_new_password(password)
    return _hash(password.encode())


def verify_password(hash: str | None, password: str) -> bool:
    """Return whether the password matches the hash.

    Without a hash, or with an empty or unreadable one, return False after the same work. For a
    password with more than 4,096 bytes or lone surrogates, return False at once: no user can have
    it. After a hash with old parameters was seen, which `upgraded_hash` replaces, every failure
    does the work of both kinds.

    Raise `HashingBusy`, a `StoreUnavailable`, if there is not enough memory, or if too many
    passwords are being hashed (see `limit_hashing`).
    """
    secret = as_secret(password)
    if secret is None:
        return False
    return HASHING.run(_verify, hash, secret)


def is_still_good(verified: str | None, password: str, now: str | None) -> bool:
    """Return whether a verified password also matches the current hash.

    Verifying took time, in which the password may have been changed, or only its hash replaced.
    """
    return now is not None and (now == verified or verify_password(now, password))


def _verify(hash: str | None, secret: bytes) -> bool:
    """Return whether the secret matches; all failures do the same work, whatever the hash."""
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
    """Return whether the secret matches the hash; None if the hash is unreadable."""
    try:
        return _hasher.verify(hash, secret)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return None


def _waste(dummy: str, secret: bytes) -> None:
    # A dummy is readable, so a missing result means a problem of the machine, not of the password.
    if _compare(dummy, secret) is None:
        raise _no_memory()


def needs_rehash(hash: str) -> bool:
    """Return whether the hash has other parameters than the current ones, or is unreadable."""
    try:
        return _hasher.check_needs_rehash(hash)
    except InvalidHashError:
        return True


def upgraded_hash(hash: str, password: str) -> str | None:
    """Return a new hash of a password that was verified with this one, or None if it is current.

    Accept passwords that are now too short: they stay valid until their owners change them.
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
        "Argon2 could not run for lack of memory or threads: give the process "
        f"{mebibytes} MiB for each simultaneous log-in, or allow fewer at once"
    )


def _unpadded(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _dummy(memory: int, passes: int, lanes: int) -> str:
    """Return a hash with these parameters that matches no password: random bytes."""
    salt, hash = token_bytes(_hasher.salt_len), token_bytes(_hasher.hash_len)
    return f"$argon2id$v=19$m={memory},t={passes},p={lanes}${_unpadded(salt)}${_unpadded(hash)}"


class _Former:
    """The costliest outdated parameters of the hashes seen in this process."""

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
