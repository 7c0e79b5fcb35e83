"""Keys: what signs and verifies, prepared once for one algorithm each and checked when loaded."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from jwt.algorithms import get_default_algorithms
from jwt.exceptions import InvalidKeyError

from ..errors import MisuseError
from .jws import Key

SHORTEST_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The bytes that a secret needs at least (RFC 7518 section 3.2)."""

_ALGORITHMS = {
    name: algorithm for name, algorithm in get_default_algorithms().items() if name != "none"
}
_NEEDS_CRYPTOGRAPHY = ("RS", "PS", "ES", "Ed")


def prepare_key(key: Any, algorithm: str) -> Key:
    """The key in the form that PyJWT's algorithm wants; raises `MisuseError` if it is unfit.

    `key` is a secret (str or bytes) for HS*, else a PEM text or a key object of cryptography.
    """
    found = _ALGORITHMS.get(algorithm)
    if found is None:
        raise MisuseError(_no_algorithm(algorithm))
    if hasattr(key, "Algorithm"):  # a PyJWK, bound to one algorithm
        if key.algorithm_name != algorithm:
            raise MisuseError(f"the key is bound to {key.algorithm_name}, not to {algorithm}")
        return key.Algorithm, key.key
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a short secret is told by weakness()
            return found, found.prepare_key(key)
    except (InvalidKeyError, TypeError, ValueError) as error:
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
    shortest = SHORTEST_SECRET.get(algorithm)
    if shortest is not None and isinstance(key, str | bytes):
        size = len(key.encode() if isinstance(key, str) else key)
        if size < shortest:
            return (
                f"the secret for {algorithm} has {size} bytes and needs {shortest}: set "
                f"JWT_SECRET_KEY to the output of secrets.token_hex({shortest})"
            )
        return None
    found, prepared = prepare_key(key, algorithm)
    return found.check_key_length(prepared)


def public_key_of(key: Any, algorithm: str) -> Any:
    """The public half of a private key (PEM text or key object), for verifying what it signs."""
    return prepare_key(key, algorithm)[1].public_key()


def _no_algorithm(algorithm: object) -> str:
    if isinstance(algorithm, str) and algorithm.startswith(_NEEDS_CRYPTOGRAPHY):
        return f"{algorithm} needs cryptography: pip install 'jwt_authz[crypto]'"
    return f"{algorithm!r} is no algorithm to sign with: set JWT_ALGORITHM to HS256, ES256, ..."
