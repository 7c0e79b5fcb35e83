"""Keys: prepares and checks the keys that sign and verify, each for one algorithm."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from jwt.algorithms import get_default_algorithms, requires_cryptography
from jwt.exceptions import InvalidKeyError

from ..errors import MisuseError
from .edwards import EDWARDS, NAMES
from .jws import Key
from .key_strength import SHORTEST_SECRET, UnsupportedAlgorithm, is_public_key, secret_weakness

ALGORITHMS = {
    name: algorithm
    for name, algorithm in {**EDWARDS, **get_default_algorithms()}.items()
    if name != "none"
}
"""PyJWT's objects for the supported algorithms; without cryptography, only HS*."""


def prepare_key(key: Any, algorithm: str) -> Key:
    """Return the key in the form that PyJWT's algorithm expects.

    `key` is a secret (str or bytes) for HS*, else a PEM text or a key object of cryptography.
    Raises `MisuseError` for an unsuitable key or algorithm.
    """
    found = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if found is None:
        raise MisuseError(_no_algorithm(algorithm))
    if hasattr(key, "Algorithm"):  # a PyJWK, bound to one algorithm
        if key.algorithm_name != algorithm:
            raise MisuseError(f"The key is for {key.algorithm_name}, not for {algorithm}.")
        return Key(algorithm, key.Algorithm, key.key)
    if algorithm in SHORTEST_SECRET and is_public_key(key):
        raise MisuseError(_public_secret(algorithm))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # weakness() reports a short secret
            return Key(algorithm, found, found.prepare_key(key))
    except (InvalidKeyError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise MisuseError(
            f"Unsuitable key for {algorithm} ({type(error).__name__}): expected a secret for HS*, "
            "else a PEM text or a key object."
        ) from None


def prepare_keys(key: Any, algorithms: Iterable[str]) -> dict[str, Key]:
    """Return a verifying key for each algorithm that the key fits; leave out the others."""
    prepared = {}
    for algorithm in algorithms:
        try:
            prepared[algorithm] = prepare_key(key, algorithm)
        except MisuseError:
            continue
    return prepared


def weakness(key: Any, algorithm: str) -> str | None:
    """Return what is wrong with a key's strength, and what to do; None if it is strong enough."""
    if algorithm in SHORTEST_SECRET and isinstance(key, str | bytes):
        return _public_secret(algorithm) if is_public_key(key) else secret_weakness(key, algorithm)
    prepared = prepare_key(key, algorithm)
    return prepared.algorithm.check_key_length(prepared.prepared)


def public_key_of(key: Any, algorithm: str) -> Any:
    """Return the public key of a private key (PEM text or key object)."""
    private = prepare_key(key, algorithm).prepared
    if not hasattr(private, "public_key"):
        raise MisuseError("JWT_PRIVATE_KEY is a public key: set it as JWT_PUBLIC_KEY.")
    return private.public_key()


def _public_secret(algorithm: str) -> str:
    return (
        f"the secret for {algorithm} is a public key, which anyone may have: set JWT_SECRET_KEY to "
        "the output of secrets.token_hex(32), or JWT_PUBLIC_KEY and JWT_ALGORITHM to ES256, ..."
    )


def _no_algorithm(algorithm: object) -> str:
    if isinstance(algorithm, str) and algorithm in requires_cryptography.union(NAMES):
        return f"{algorithm} needs cryptography: pip install 'jwt_authz[crypto]'"
    return f"Unsupported signing algorithm {algorithm!r}: set JWT_ALGORITHM to HS256, ES256, ..."
