"""What the tests of the Flask edge share: keys, a catalog, applications and tokens."""

from __future__ import annotations

import functools
import sys
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token
from werkzeug.test import TestResponse

from jwt_authz import Authz, Role, Roles

SECRET = "an-hmac-secret-for-tests-alone:" + 40 * "x"
OTHER_SECRET = "another-secret-for-tests-alone:" + 40 * "y"
ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")

PROBLEM = "application/problem+json"
TYPE = "urn:jwt-authz:problem:"


def catalog() -> Roles:
    """viewer < editor < admin."""
    return Roles(
        Role("viewer", "article:read", level=0),
        Role("editor", "article:edit", "report:read", includes="viewer", level=1),
        Role("admin", "article:delete", "user:read", includes="editor", level=2),
    )


def private_key(algorithm: str, which: int = 0) -> Any:
    """A private key for an asymmetric algorithm; another `which` is another key."""
    return _made_key(algorithm, which)


@functools.cache
def _made_key(algorithm: str, which: int) -> Any:
    if algorithm.startswith(("RS", "PS")):
        return rsa.generate_private_key(65537, 2048)
    if algorithm.startswith("ES"):
        curves = (ec.SECP256R1(), ec.SECP256K1(), ec.SECP384R1(), ec.SECP521R1())
        curve = dict(zip(("ES256", "ES256K", "ES384", "ES512"), curves, strict=True))
        return ec.generate_private_key(curve[algorithm])
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return ed25519.Ed25519PrivateKey.generate()


def private_pem(algorithm: str, which: int = 0) -> str:
    key = private_key(algorithm, which)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(algorithm: str, which: int = 0) -> str:
    key = private_key(algorithm, which).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_settings(algorithm: str = "HS256") -> dict[str, Any]:
    """The `JWT_*` settings of an application that signs and verifies with an algorithm."""
    if algorithm.startswith("HS"):
        return {"JWT_ALGORITHM": algorithm, "JWT_SECRET_KEY": SECRET}
    return {
        "JWT_ALGORITHM": algorithm,
        "JWT_PRIVATE_KEY": private_pem(algorithm),
        "JWT_PUBLIC_KEY": public_pem(algorithm),
    }


def bare_app(algorithm: str = "HS256", name: str = "edge", **config: Any) -> Flask:
    """An application with keys and settings, and nothing else."""
    app = Flask(name)
    app.config.update(key_settings(algorithm))
    app.config.update(config)
    return app


def guarded_app(
    algorithm: str = "HS256",
    name: str = "edge",
    authz: dict[str, Any] | None = None,
    **config: Any,
) -> Flask:
    """An application with an Authz over the catalog; `authz` are arguments of `Authz`."""
    app = bare_app(algorithm, name, **config)
    Authz(app, **{"roles": catalog(), **(authz or {})})
    return app


def token_for(app: Flask, subject: Any = "alice", *roles: str, **options: Any) -> str:
    """A token of the application's own making, with these roles and their permissions."""
    claims = {"roles": list(roles), **options.pop("claims", {})}
    with app.app_context():
        return create_access_token(subject, additional_claims=claims, **options)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def get(client: FlaskClient, path: str, token: str | None = None, **options: Any) -> TestResponse:
    headers = {**options.pop("headers", {}), **(bearer(token) if token is not None else {})}
    return client.get(path, headers=headers, **options)


def claims_of(subject: str = "alice", **changes: Any) -> dict[str, Any]:
    """A payload as an application of the tests would sign it; a change to `...` drops a claim."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": subject,
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "jti": f"jti-{subject}",
        "type": "access",
        "fresh": False,
        "roles": ["viewer"],
        "permissions": ["article:read"],
    }
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not ...}


def turn_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the library see a clock that is off by some seconds, wherever it reads one."""

    def turned() -> float:
        return _REAL_TIME() + seconds

    clocks = (_REAL_TIME, time.time)
    for name, module in list(sys.modules.items()):
        if name == "jwt_authz" or name.startswith("jwt_authz."):
            for attribute, value in list(vars(module).items()):
                if any(value is clock for clock in clocks):
                    monkeypatch.setattr(module, attribute, turned)
    monkeypatch.setattr(time, "time", turned)


_REAL_TIME = time.time
