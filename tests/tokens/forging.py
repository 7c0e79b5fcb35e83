"""Tokens put together by hand, from any text, with a signature that is good or not."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

from jwt_authz.tokens import Verifier
from jwt_authz.tokens.keys import prepare_keys

SECRET = "a secret of this test, which is long enough for each of HS256, HS384, HS512"
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
HEADER = {"alg": "HS256", "typ": "JWT"}


def encoded(part: Any) -> str:
    """A segment: bytes and text as they are, anything else as JSON."""
    if not isinstance(part, str | bytes):
        part = json.dumps(part, separators=(",", ":"))
    data = part.encode() if isinstance(part, str) else part
    return urlsafe_b64encode(data).decode().rstrip("=")


def signed(
    payload: Any = None,
    header: Any = None,
    secret: str | bytes = SECRET,
    algorithm: str = "HS256",
) -> str:
    """A token with a good HMAC signature over whatever it says."""
    payload = claims() if payload is None else payload
    return signed_text(
        f"{encoded(HEADER if header is None else header)}.{encoded(payload)}", secret, algorithm
    )


def signed_text(text: str, secret: str | bytes = SECRET, algorithm: str = "HS256") -> str:
    """Any text, a dot, and the good HMAC signature over the text."""
    key = secret.encode() if isinstance(secret, str) else secret
    digest = hmac.new(key, text.encode("utf-8", "surrogatepass"), HASHES[algorithm]).digest()
    return f"{text}.{encoded(digest)}"


def claims(**more: Any) -> dict[str, Any]:
    """The claims of a good access token, and more."""
    now = int(time.time())
    return {"sub": "u1", "exp": now + 3_600, "iat": now, "type": "access", **more}


def without(payload: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in names}


def verifier(**settings: Any) -> Verifier:
    """A verifier of the tokens above."""
    settings.setdefault("keys", prepare_keys(SECRET, ["HS256"]))
    return Verifier(**settings)
