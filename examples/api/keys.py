"""Keys: a random key pair for a start without one, and the public half of a private key."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from jwt_authz import MisuseError

CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES256K": ec.SECP256K1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
    "ES521": ec.SECP521R1(),
}


def new_private_key(algorithm: str) -> str:
    """A random private key that fits the algorithm, as PEM text."""
    key: Any
    if algorithm == "Ed448":
        key = ed448.Ed448PrivateKey.generate()
    elif algorithm in ("EdDSA", "Ed25519"):
        key = ed25519.Ed25519PrivateKey.generate()
    elif algorithm in CURVES:
        key = ec.generate_private_key(CURVES[algorithm])
    else:
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_key_of(private_key: str) -> str:
    """The public half of a private key, both as PEM text."""
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (TypeError, ValueError):
        raise MisuseError(
            "FLASK_JWT_PRIVATE_KEY cannot be read: give a private key as PEM text, unencrypted"
        ) from None
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
