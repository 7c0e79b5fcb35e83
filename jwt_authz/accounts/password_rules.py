"""Check new passwords: not too short, not too long, and not a common one.

There are no rules about the characters of a password (OWASP ASVS 6.2.1, 6.2.4, 6.2.5; NIST SP
800-63B section 3.1.1.2). The checks apply when a password is set, and never at a log-in.
"""

from __future__ import annotations

from unicodedata import normalize

from .._extras import needs_extra
from ..errors import PasswordRefused

with needs_extra(__name__, "zxcvbn", "accounts"):
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped] # it has no types

MIN_CHARACTERS = 8
MAX_BYTES = 4096

# More than 11,000 leaked passwords; shorter ones are refused for their length.
_COMMON = frozenset(text for text in FREQUENCY_LISTS["passwords"] if len(text) >= MIN_CHARACTERS)


def check_new_password(password: str) -> None:
    """Raise `PasswordRefused` for a password that cannot be set.

    This is one with fewer than 8 characters, more than 4,096 bytes of UTF-8 or lone surrogates, or
    one from the list of common passwords, ignoring the case and width of its letters.
    """
    if len(password) < MIN_CHARACTERS:
        raise PasswordRefused(
            f"the password is too short: use at least {MIN_CHARACTERS} characters"
        )
    if as_secret(password) is None:
        raise PasswordRefused(
            f"the password cannot be hashed: use at most {MAX_BYTES} bytes of UTF-8, "
            "without lone surrogates"
        )
    if normalize("NFKC", password).casefold().strip() in _COMMON:
        raise PasswordRefused("the password is too common, so attackers try it first")


def as_secret(password: str) -> bytes | None:
    """Return the bytes to hash; None for a password that no user can have."""
    # Each character has at least one byte, so a megabyte of text need not be encoded.
    if len(password) > MAX_BYTES:
        return None
    try:
        secret = password.encode()
    except UnicodeEncodeError:
        return None
    return secret if len(secret) <= MAX_BYTES else None
