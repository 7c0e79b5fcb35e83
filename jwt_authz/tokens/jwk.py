"""JWK: creates and loads keys in JSON form (RFC 7517), each for exactly one algorithm."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from jwt.exceptions import InvalidKeyError

from ..errors import InvalidToken, MisuseError
from .jws import Key, Signed
from .key_strength import SHORTEST_SECRET, is_public_key, secret_weakness
from .keys import ALGORITHMS, prepare_key

try:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
except ImportError:  # ALGORITHMS then contains only algorithms that do not need it
    ec = ed448 = ed25519 = rsa = None  # type: ignore[assignment]

# kty and, if it has one, crv of each algorithm (RFC 7518 sections 3.1 and 6, RFC 8037, 8812, 9864).
_KINDS: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("HS256", "HS384", "HS512"), ("oct", None)),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES256K": ("EC", "secp256k1"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
    "Ed448": ("OKP", "Ed448"),
}
# The members that may be published; no others are.
_PUBLIC = ("kty", "kid", "use", "alg", "crv", "x", "y", "n", "e")
_THUMBPRINT = ("crv", "e", "kty", "n", "x", "y")  # RFC 7638 section 3.2, RFC 8037 section 2
_RSA_BITS = 3_072
_PRIMES = [n for n in range(3, 168) if all(n % factor for factor in range(2, n))]
_ROCA = {prime: {pow(65_537, n, prime) for n in range(prime)} for prime in _PRIMES}


def verify(token: str, jwk: Mapping[str, Any], alg: str) -> bool:
    """Return whether the token has a valid signature of this key and algorithm (RFC 7515).

    Returns False for anything else: a token that is malformed or has `crit`, a header that names
    another algorithm, and a key with an unsuitable `use`, `key_ops`, `alg`, kind, curve or size.
    The claims are not checked.
    """
    if not isinstance(token, str) or not isinstance(jwk, Mapping):
        return False
    try:
        Signed(token).check_signature(load_jwk(jwk, alg, "verify"))
    except (InvalidToken, MisuseError):
        return False
    return True


def load_jwk(jwk: Mapping[str, Any], alg: str, operation: str) -> Key:
    """Return the key of a JWK for one algorithm, and for `sign` or `verify`.

    Raises `MisuseError` if the key is not suitable.
    """
    if alg not in _KINDS or alg not in ALGORITHMS:
        raise MisuseError(
            f"Unsupported algorithm {alg!r} for a JWK: expected one of {', '.join(_KINDS)}."
        )
    _check_members(jwk, alg, operation)
    algorithm = ALGORITHMS[alg]
    try:
        key: Any = algorithm.from_jwk(dict(jwk))
    except (InvalidKeyError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise MisuseError(f"The JWK is invalid ({type(error).__name__}).") from None
    if operation == "verify" and hasattr(key, "public_key"):
        key = key.public_key()
    is_secret = isinstance(key, bytes)
    if is_secret and is_public_key(key):
        raise MisuseError(
            f"The secret for {alg} is an asymmetric key, which others may know: generate a secret."
        )
    problem = secret_weakness(key, alg) if is_secret else algorithm.check_key_length(key)
    if problem is not None:
        raise MisuseError(f"The JWK is too weak for {alg}: {problem}")
    if _KINDS[alg][0] == "RSA" and _has_roca(_modulus(key)):
        raise MisuseError(
            f"The JWK is too weak for {alg}: its prime factors can be computed (CVE-2017-15361)."
        )
    return Key(alg, algorithm, key)


def _modulus(key: Any) -> int:
    public = key.public_key() if hasattr(key, "public_key") else key
    return int(public.public_numbers().n)


def _has_roca(modulus: int) -> bool:
    """Return whether an RSA modulus has the pattern of CVE-2017-15361: powers of 65537.

    At most one in 2**27 sound moduli has it by chance.
    """
    return all(modulus % prime in powers for prime, powers in _ROCA.items())


def _check_members(jwk: Mapping[str, Any], alg: str, operation: str) -> None:
    kind, curve = _KINDS[alg]
    if jwk.get("kty") != kind or (curve is not None and jwk.get("crv") != curve):
        raise MisuseError(f"The JWK's kty or crv does not fit {alg}.")
    if jwk.get("alg", alg) != alg:
        raise MisuseError(f"The JWK's alg is not {alg}.")
    if jwk.get("use", "sig") != "sig":
        raise MisuseError("The JWK's use is not sig.")
    operations = jwk.get("key_ops", [operation])
    if not isinstance(operations, list) or operation not in operations:
        raise MisuseError(f"The JWK's key_ops do not contain {operation}.")
    if len(operations) != len(set(map(str, operations))):
        raise MisuseError("The JWK's key_ops repeat a value.")  # RFC 7517 section 4.3
    if operation == "sign" and kind != "oct" and "d" not in jwk:
        raise MisuseError("The JWK has no private part to sign with.")


def new_jwk(alg: str) -> dict[str, Any]:
    """Return a new private key as a JWK, with a random `kid`, `use` and `alg`."""
    if alg not in _KINDS:
        raise MisuseError(
            f"Unsupported algorithm {alg!r} for a JWK: expected one of {', '.join(_KINDS)}."
        )
    if alg not in ALGORITHMS:
        raise MisuseError(f"{alg} needs cryptography: pip install 'jwt_authz[crypto]'")
    named = {"kid": secrets.token_hex(8), "use": "sig", "alg": alg}
    kind, _ = _KINDS[alg]
    if kind == "oct":
        secret = secrets.token_bytes(SHORTEST_SECRET[alg])
        return {**named, "kty": "oct", "k": urlsafe_b64encode(secret).rstrip(b"=").decode()}
    jwk: dict[str, Any] = ALGORITHMS[alg].to_jwk(_generate(kind, alg), as_dict=True)
    jwk.pop("key_ops", None)  # the same file is used to sign and to verify
    return {**jwk, **named}


def public_jwk(jwk: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the public part of a JWK for publication (RFC 7517 section 5); None for a secret."""
    if jwk.get("kty") == "oct":
        return None
    return {name: jwk[name] for name in _PUBLIC if name in jwk}


def jwk_of(key: Any, alg: str) -> dict[str, Any]:
    """Return the public JWK of an asymmetric key (PEM text or key object) for publication.

    Its `kid` is the thumbprint of RFC 7638.
    """
    prepared = prepare_key(key, alg)
    made: Any = prepared.algorithm.to_jwk(prepared.prepared, as_dict=True)
    public = public_jwk(made) or {}
    named = {name: public[name] for name in _THUMBPRINT if name in public}
    digest = sha256(json.dumps(named, separators=(",", ":")).encode()).digest()
    kid = urlsafe_b64encode(digest).rstrip(b"=").decode()
    return {**public, "kid": kid, "use": "sig", "alg": alg}


def _generate(kind: str, alg: str) -> Any:
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65_537, key_size=_RSA_BITS)
    if kind == "EC":
        curves: dict[str, Any] = {
            "ES256": ec.SECP256R1,
            "ES256K": ec.SECP256K1,
            "ES384": ec.SECP384R1,
            "ES512": ec.SECP521R1,
        }
        return ec.generate_private_key(curves[alg]())
    if alg == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return ed25519.Ed25519PrivateKey.generate()
