"""Keys: what signs and verifies, prepared once for one algorithm each and checked when loaded."""

from __future__ import annotations

import functools
import re
import warnings
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from jwt.algorithms import get_default_algorithms, requires_cryptography
from jwt.exceptions import InvalidKeyError

from ..errors import MisuseError
from .jws import Key

try:
    from cryptography.exceptions import UnsupportedAlgorithm
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

_ALGORITHMS = {
    name: algorithm for name, algorithm in get_default_algorithms().items() if name != "none"
}


def prepare_key(key: Any, algorithm: str) -> Key:
    """The key in the form that PyJWT's algorithm wants; raises `MisuseError` if it is unfit.

    `key` is a secret (str or bytes) for HS*, else a PEM text or a key object of cryptography.
    """
    found = _ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if found is None:
        raise MisuseError(_no_algorithm(algorithm))
    if hasattr(key, "Algorithm"):  # a PyJWK, bound to one algorithm
        if key.algorithm_name != algorithm:
            raise MisuseError(f"the key is bound to {key.algorithm_name}, not to {algorithm}")
        return Key(algorithm, key.Algorithm, key.key)
    if algorithm in SHORTEST_SECRET and is_public_key(key):
        raise MisuseError(f"the secret for {algorithm} is a public key, which anybody may have")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a short secret is told by weakness()
            return Key(algorithm, found, found.prepare_key(key))
    except (InvalidKeyError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise MisuseError(
            f"the key does not fit {algorithm} ({type(error).__name__}): HS* wants a secret, "
            "the others a PEM text or a key object"
        ) from None


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
    for load in (serialization.load_der_public_key, _load_private, *_POINTS):
        try:
            load(form)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        return True
    return False


def prepare_keys(key: Any, algorithms: Iterable[str]) -> dict[str, Key]:
    """A verifying key for each of the algorithms that it fits; the others are left out."""
    prepared = {}
    for algorithm in algorithms:
        try:
            prepared[algorithm] = prepare_key(key, algorithm)
        except MisuseError:
            continue
    return prepared


def weakness(key: Any, algorithm: str) -> str | None:
    """What is wrong with a key's strength, in words that say what to do; None if nothing is."""
    shortest = SHORTEST_SECRET.get(algorithm)
    if shortest is not None and isinstance(key, str | bytes):
        secret = key.encode("utf-8", "replace") if isinstance(key, str) else key
        size = len(secret)
        if secret.strip().lower() in WELL_KNOWN_SECRETS:
            return (
                "the secret stands in a tutorial, where everybody can read it: set "
                f"JWT_SECRET_KEY to the output of secrets.token_hex({shortest})"
            )
        if size < shortest:
            return (
                f"the secret for {algorithm} has {size} bytes and needs {shortest}: set "
                f"JWT_SECRET_KEY to the output of secrets.token_hex({shortest})"
            )
        return None
    prepared = prepare_key(key, algorithm)
    return prepared.algorithm.check_key_length(prepared.prepared)


def public_key_of(key: Any, algorithm: str) -> Any:
    """The public half of a private key (PEM text or key object), for verifying what it signs."""
    return prepare_key(key, algorithm).prepared.public_key()


def _no_algorithm(algorithm: object) -> str:
    if isinstance(algorithm, str) and algorithm in requires_cryptography:
        return f"{algorithm} needs cryptography: pip install 'jwt_authz[crypto]'"
    return f"{algorithm!r} is no algorithm to sign with: set JWT_ALGORITHM to HS256, ES256, ..."
