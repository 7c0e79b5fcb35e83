"""Key strength: refuses secrets that are short, well known, or an asymmetric key."""

from __future__ import annotations

import functools
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from typing import Any

try:
    from cryptography.exceptions import UnsupportedAlgorithm as UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:  # without it, no asymmetric key can be mistaken for a secret
    UnsupportedAlgorithm = ValueError  # type: ignore[misc, assignment]
    _DER_LOADERS: tuple[Any, ...] = ()
    _POINTS: tuple[Any, ...] = ()
else:
    _DER_LOADERS = (
        serialization.load_der_public_key,
        functools.partial(serialization.load_der_private_key, password=None),
    )
    _POINTS = tuple(
        functools.partial(ec.EllipticCurvePublicKey.from_encoded_point, curve())
        for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, ec.SECP256K1)
    )

SHORTEST_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The minimum length of a secret, in bytes (RFC 7518 section 3.2)."""

WELL_KNOWN_SECRETS = frozenset(
    text.encode()
    for text in (
        "a-string-secret-at-least-256-bits-long",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        "your-256-bit-secret",
        "your-384-bit-secret",
        "your-512-bit-secret",
        "change-me-to-a-long-random-string-of-characters",
        "this-is-a-very-long-secret-key-that-should-be-changed",
        "super-secret-key-that-is-at-least-32-bytes-long",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "thisisasecretkeythatislongenoughforhs256",
    )
)
"""Secrets that documentation and tutorials show, in lower case."""


def is_public_key(secret: Any) -> bool:
    """Return whether a secret contains an asymmetric key, in any encoding, with any text around it.

    Anyone who knows a public key could sign with it (CVE-2022-29217 and others like it).
    """
    text = secret.encode("utf-8", "replace") if isinstance(secret, str) else secret
    if not isinstance(text, bytes):
        return False
    return any(_holds_key(form) for form in _forms(text))


_KEY_TEXT = re.compile(
    rb"""-----BEGIN|["']kty["']\s*:|ssh-(rsa|dss|ed25519)|ecdsa-sha2-|sk-(ssh|ecdsa)-"""
)
_HEX_RUN = re.compile(rb"(?:[0-9A-Fa-f]{2}){30,}")
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/]{40,}")
# The separators between the lines of an encoded key, a literal `\n` included; then those between
# the bytes of a hexadecimal dump.
_BETWEEN = re.compile(rb"(?<=[A-Za-z0-9+/_-]{16})(?:\s|\\[rnt])+")
_BETWEEN_BYTES = re.compile(rb"[\s:,;.]+|0x|\\x|\\[rnt]", re.IGNORECASE)


def _forms(text: bytes) -> Iterator[bytes]:
    """Yield the text, and its possible decodings from base64, base64url and hexadecimal."""
    yield text
    yield text.strip()
    for joined in (text, _BETWEEN.sub(b"", text)):
        for run in _BASE64_RUN.findall(joined.translate(_FROM_URL_SAFE)):
            for skipped in range(4):  # a preceding word shifts the encoding
                shifted = run[skipped:]
                yield b64decode(shifted[: len(shifted) - (len(shifted) % 4 == 1)] + b"==")
    for joined in (text, _BETWEEN_BYTES.sub(b"", text)):
        for run in _HEX_RUN.findall(joined):
            yield bytes.fromhex(run.decode())


_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _holds_key(form: bytes) -> bool:
    """Return whether the bytes are or contain a key."""
    if _KEY_TEXT.search(form):
        return True
    points = _POINTS if form.startswith(b"\x04") else ()  # SEC 1: an uncompressed point
    return any(_loads(form, points)) or any(
        any(_loads(_der(form[found.start() :]), _DER_LOADERS)) for found in _DER.finditer(form)
    )


# A DER sequence, short or long; that of the shortest public key, Ed25519's, has 42 bytes.
_DER = re.compile(rb"\x30(?=[\x2a-\x7f]|\x81|\x82)")


def _der(form: bytes) -> bytes:
    """Return a DER sequence without what follows it."""
    header, length = 2, form[1]
    if length > 0x80:
        header += length - 0x80
        length = int.from_bytes(form[2:header], "big")
    return form[: header + length]


def _loads(form: bytes, loaders: Iterable[Callable[[bytes], Any]]) -> Iterator[bool]:
    for load in loaders:
        try:
            load(form)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        yield True


def secret_weakness(secret: str | bytes, algorithm: str) -> str | None:
    """Return what is wrong with an HMAC secret, and what to do; None if it is strong enough."""
    text = secret.encode("utf-8", "replace") if isinstance(secret, str) else secret
    advice = f"set JWT_SECRET_KEY to the output of secrets.token_hex({SHORTEST_SECRET[algorithm]})"
    if text.strip().lower() in WELL_KNOWN_SECRETS:
        return f"the secret is a well-known example from documentation: {advice}"
    if len(text) < SHORTEST_SECRET[algorithm]:
        wanted = SHORTEST_SECRET[algorithm]
        return f"the secret for {algorithm} has {len(text)} bytes and needs {wanted}: {advice}"
    return None
