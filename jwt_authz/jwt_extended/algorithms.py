"""Algorithms: register the names of RFC 9864 with PyJWT, by which Flask-JWT-Extended signs."""

from __future__ import annotations

from contextlib import suppress

import jwt
from jwt.algorithms import requires_cryptography

from ..tokens.edwards import EDWARDS, NAMES


def register_edwards() -> None:
    """Let PyJWT, and so Flask-JWT-Extended, sign and verify as `Ed25519` and `Ed448`."""
    requires_cryptography.update(NAMES)  # by this, FJE asks for a private key
    for name, algorithm in EDWARDS.items():
        with suppress(ValueError):  # PyJWT knows it, or someone else registered it
            jwt.register_algorithm(name, algorithm)
