"""Password hashes: Argon2id, and the same work whether or not there is a hash to compare with.

A password is its UTF-8 bytes, all of them: nothing is normalised, trimmed or cut off, and every
character counts (OWASP ASVS 6.2.8).
"""

from __future__ import annotations

import os
from base64 import b64encode
from secrets import token_bytes

from ..bounded import off_the_clock
from ..errors import MisuseError, StoreUnavailable
from .password_rules import as_secret, check_new_password
from .slots import Slots, usable_cores

try:
    from argon2 import PasswordHasher
    from argon2.exceptions import (
        HashingError,
        InvalidHashError,
        VerificationError,
        VerifyMismatchError,
    )
    from argon2.profiles import RFC_9106_LOW_MEMORY
except ImportError as error:
    raise ImportError(
        "jwt_authz.accounts hashes passwords with argon2-cffi, which is missing: "
        "pip install 'jwt_authz[accounts]'",
        name=error.name,
    ) from error

_hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)

# One hash is worked out on as many cores as it has lanes; more at once would only take memory.
_AT_ONCE = max(1, usable_cores() // RFC_9106_LOW_MEMORY.parallelism)
_WAITING = 2

_slots = Slots(_AT_ONCE, _WAITING * _AT_ONCE)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _slots.renew())


def limit_hashing(at_once: int, waiting: int) -> None:
    """Let this process hash so many passwords at once, and so many more callers wait for it.

    Each that is hashed takes 64 MiB. Further callers get StoreUnavailable: `POST /token` answers
    503. Keep the sum below the threads of a worker, or log-ins can keep all of them busy. For
    the start of a process, before passwords are hashed.
    """
    global _slots
    if at_once < 1 or waiting < 0:
        raise MisuseError("at least one password is hashed at once: write limit_hashing(1, 2)")
    _slots = Slots(at_once, waiting)


def hash_password(password: str) -> str:
    """An Argon2id hash of the password (RFC 9106 section 4, second recommended option).

    Raises PasswordRefused for a password of fewer than 8 characters, more than 4,096 bytes, with
    lone surrogates, or from the list of common ones; StoreUnavailable when there is no memory left
    to hash in, or too many are being hashed: see `limit_hashing`.
    """
    check_new_password(password)
    return _hash(password.encode())


def verify_password(hash: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed; False without a hash, after the same work.

    An empty or unreadable hash counts as none. A password of more than 4,096 bytes or with lone
    surrogates is False at once, whatever the hash: nobody's can be it. A hash with other
    parameters than today's takes its own time, until `upgraded_hash` has replaced it.

    Raises StoreUnavailable when there is no memory left to hash in, or too many are being
    hashed: see `limit_hashing`.
    """
    secret = as_secret(password)
    if secret is None:
        return False
    with off_the_clock(), _slots:
        return _verify(hash, secret)


def is_still_good(verified: str | None, password: str, now: str | None) -> bool:
    """Whether a password that was verified is that of the hash of now, as well.

    It took a while, in which the password may have been changed, or only its hash replaced.
    """
    return now is not None and (now == verified or verify_password(now, password))


def _verify(hash: str | None, secret: bytes) -> bool:
    try:
        return _hasher.verify(hash, secret) if hash else _dummy_work(secret)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return _dummy_work(secret)


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
        with off_the_clock(), _slots:
            return _hasher.hash(secret)
    except HashingError:
        raise _no_memory() from None


def _dummy_work(secret: bytes) -> bool:
    try:
        _hasher.verify(_DUMMY, secret)
    except VerifyMismatchError:
        return False
    except VerificationError:
        # The dummy is readable, so it is the machine: not an answer about the password.
        raise _no_memory() from None
    return False


def _no_memory() -> StoreUnavailable:
    mebibytes = _hasher.memory_cost // 1024
    return StoreUnavailable(
        "Argon2 could not run, for lack of memory or threads: leave the process "
        f"{mebibytes} MiB for each log-in at the same moment, or allow fewer at once"
    )


def _unpadded(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


# No password was ever hashed to this: random bytes in the form of a hash with today's parameters.
_DUMMY = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    f"${_unpadded(token_bytes(_hasher.salt_len))}${_unpadded(token_bytes(_hasher.hash_len))}"
)
