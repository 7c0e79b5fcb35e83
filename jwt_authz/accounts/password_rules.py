"""Which passwords can be set: long enough, not too long, and none that guessers try first.

There are no rules on which characters a password holds (OWASP ASVS 6.2.1, 6.2.4, 6.2.5; NIST SP
800-63B section 3.1.1.2). They are asked where a password is set, and never at a log-in.
"""

from __future__ import annotations

from unicodedata import normalize

from .._extras import needs_extra
from ..errors import PasswordRefused

with needs_extra(__name__, "zxcvbn", "accounts"):
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped] # it has no types

MIN_CHARACTERS = 8
MAX_BYTES = 4096

# More than 11,000, from passwords that were leaked; shorter ones are refused for that alone.
_COMMON = frozenset(text for text in FREQUENCY_LISTS["passwords"] if len(text) >= MIN_CHARACTERS)


def check_new_password(password: str) -> None:
    """Raises PasswordRefused for a password that cannot be set.

    That is one of fewer than 8 characters, of more than 4,096 bytes of UTF-8, with lone surrogates,
    or from the list of common ones, whatever the case and the width of its letters.
    """
    if len(password) < MIN_CHARACTERS:
        raise PasswordRefused(
            f"the password is too short: take {MIN_CHARACTERS} characters or more"
        )
    if as_secret(password) is None:
        raise PasswordRefused(
            f"the password cannot be hashed: take one of at most {MAX_BYTES} bytes of UTF-8, "
            "without lone surrogates"
        )
    if normalize("NFKC", password).casefold().strip() in _COMMON:
        raise PasswordRefused("the password is a common one, which guessers try first")


def as_secret(password: str) -> bytes | None:
    """The bytes that are hashed; None for a password that nobody can have."""
    # Each character is at least one byte, so a megabyte of text is not even encoded.
    if len(password) > MAX_BYTES:
        return None
    try:
        secret = password.encode()
    except UnicodeEncodeError:
        return None
    return secret if len(secret) <= MAX_BYTES else None
