"""Strength: whether a secret is long enough, unknown to the world, and no asymmetric key's text."""

from __future__ import annotations

import functools
import re
from base64 import b64decode
from typing import Any

try:
    from cryptography.exceptions import UnsupportedAlgorithm as UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:  # without it there is no asymmetric key to be taken for a secret
    serialization = None  # type: ignore[assignment]
    UnsupportedAlgorithm = ValueError  # type: ignore[misc, assignment]
    _POINTS: tuple[Any, ...] = ()
else:
    _load_private = functools.partial(serialization.load_der_private_key, password=None)
    _POINTS = tuple(
        functools.partial(ec.EllipticCurvePublicKey.from_encoded_point, curve())
        for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, ec.SECP256K1)
    )

SHORTEST_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The bytes that a secret needs at least (RFC 7518 section 3.2)."""

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
    """Whether a secret is some text of an asymmetric key, whatever stands around it.

    Whoever knows a public key could sign with it (CVE-2022-29217 and its kin).
    """
    text = secret.encode("utf-8", "replace") if isinstance(secret, str) else secret
    if not isinstance(text, bytes):
        return False
    if _KEY_TEXT.search(text):
        return True
    runs = [b64decode(run + b"==") for run in _BASE64_RUN.findall(text) if len(run) % 4 != 1]
    return any(_loads_as_key(form) for form in (text, text.strip(), *runs))


_KEY_TEXT = re.compile(rb'-----BEGIN|"kty"\s*:|ssh-(rsa|dss|ed25519)|ecdsa-sha2-|sk-(ssh|ecdsa)-')
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/]{40,}")


def _loads_as_key(form: bytes) -> bool:
    if serialization is None:
        return False
    points = _POINTS if form.startswith(b"\x04") else ()  # SEC 1: an uncompressed point
    for load in (serialization.load_der_public_key, _load_private, *points):
        try:
            load(form)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        return True
    return False


def secret_weakness(secret: str | bytes, algorithm: str) -> str | None:
    """What is wrong with an HMAC secret, in words that say what to do; None if nothing is."""
    text = secret.encode("utf-8", "replace") if isinstance(secret, str) else secret
    advice = f"set JWT_SECRET_KEY to the output of secrets.token_hex({SHORTEST_SECRET[algorithm]})"
    if text.strip().lower() in WELL_KNOWN_SECRETS:
        return f"the secret stands in a tutorial, where everybody can read it: {advice}"
    if len(text) < SHORTEST_SECRET[algorithm]:
        wanted = SHORTEST_SECRET[algorithm]
        return f"the secret for {algorithm} has {len(text)} bytes and needs {wanted}: {advice}"
    return None
