"""Keys: what signs and verifies, prepared once for one algorithm each and checked when loaded."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from jwt.algorithms import get_default_algorithms, requires_cryptography
from jwt.exceptions import InvalidKeyError

from ..errors import MisuseError
from .jws import Key
from .key_strength import SHORTEST_SECRET, UnsupportedAlgorithm, is_public_key, secret_weakness

ALGORITHMS = {
    name: algorithm for name, algorithm in get_default_algorithms().items() if name != "none"
}
"""PyJWT's objects for the algorithms that can be used here; without cryptography, HS* alone."""


def prepare_key(key: Any, algorithm: str) -> Key:
    """The key in the form that PyJWT's algorithm wants; raises `MisuseError` if it is unfit.

    `key` is a secret (str or bytes) for HS*, else a PEM text or a key object of cryptography.
    """
    found = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if found is None:
        raise MisuseError(_no_algorithm(algorithm))
    if hasattr(key, "Algorithm"):  # a PyJWK, bound to one algorithm
        if key.algorithm_name != algorithm:
            raise MisuseError(f"the key is bound to {key.algorithm_name}, not to {algorithm}")
        return Key(algorithm, key.Algorithm, key.key)
    if algorithm in SHORTEST_SECRET and is_public_key(key):
        raise MisuseError(_public_secret(algorithm))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a short secret is told by weakness()
            return Key(algorithm, found, found.prepare_key(key))
    except (InvalidKeyError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise MisuseError(
            f"the key does not fit {algorithm} ({type(error).__name__}): HS* wants a secret, "
            "the others a PEM text or a key object"
        ) from None


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
    if algorithm in SHORTEST_SECRET and isinstance(key, str | bytes):
        return _public_secret(algorithm) if is_public_key(key) else secret_weakness(key, algorithm)
    prepared = prepare_key(key, algorithm)
    return prepared.algorithm.check_key_length(prepared.prepared)


def public_key_of(key: Any, algorithm: str) -> Any:
    """The public half of a private key (PEM text or key object), for verifying what it signs."""
    private = prepare_key(key, algorithm).prepared
    if not hasattr(private, "public_key"):
        raise MisuseError("JWT_PRIVATE_KEY holds a public key: put it into JWT_PUBLIC_KEY")
    return private.public_key()


def _public_secret(algorithm: str) -> str:
    return (
        f"the secret for {algorithm} is a public key, which anyone may have: set JWT_SECRET_KEY to "
        "the output of secrets.token_hex(32), or JWT_PUBLIC_KEY and JWT_ALGORITHM to ES256, ..."
    )


def _no_algorithm(algorithm: object) -> str:
    if isinstance(algorithm, str) and algorithm in requires_cryptography:
        return f"{algorithm} needs cryptography: pip install 'jwt_authz[crypto]'"
    return f"{algorithm!r} is no algorithm to sign with: set JWT_ALGORITHM to HS256, ES256, ..."
