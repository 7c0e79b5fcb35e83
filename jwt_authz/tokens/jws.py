"""JWS: parses a token strictly into header and payload (RFC 7515), and checks its signature.

PyJWT's algorithm objects do the cryptography. The token is parsed only here, once and strictly: if
two parsers disagree on a token, a forged one may pass (RFC 8725 section 2).
"""

from __future__ import annotations

import copy
import functools
import json
import math
import re
from base64 import urlsafe_b64decode
from typing import Any, NamedTuple

from jwt.algorithms import Algorithm

from ..errors import (
    AlgorithmNotAllowed,
    KeyUnknown,
    SignatureInvalid,
    TokenMalformed,
    TokenTooLong,
)
from ..policy.identity import DEEPEST_CLAIMS

LONGEST_TOKEN = 16_384
"""The longest token that is parsed, in characters; a longer one is refused."""

# The payload may be empty (RFC 7515 signs any bytes); it is then not JSON, and so not a JWT.
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]+)")
# The characters that may end a segment whose length is not a multiple of four: with others, two
# texts would decode to the same bytes (RFC 4648 section 3.5).
_LAST = {0: None, 2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
# Not supported: encryption, compression and an unencoded payload.
_NOT_SIGNED_ONLY = ("enc", "zip", "b64", "p2c", "p2s", "epk")
_RSA = ("RS", "PS")
_USUAL_HEADER = 512  # characters


class Key(NamedTuple):
    """A key for one algorithm: its name, PyJWT's object for it, and the prepared key."""

    name: str
    algorithm: Algorithm
    prepared: Any

    def __repr__(self) -> str:
        return f"Key({self.name!r})"  # without the key, which may be secret


class Signed:
    """A parsed token that is not yet verified: its header, and the parts to verify."""

    __slots__ = ("_payload", "_signature", "_signing_input", "header")

    def __init__(self, token: str, longest: int = LONGEST_TOKEN) -> None:
        """Parse a token; raise `TokenTooLong`, `TokenMalformed` or `AlgorithmNotAllowed`."""
        if len(token) > longest:
            raise TokenTooLong(f"{len(token)} characters; at most {longest} are accepted")
        match = _COMPACT.fullmatch(token)
        if match is None:
            raise TokenMalformed("not three base64url segments separated by dots")
        header, payload, signature = match.groups()
        self.header = copy.deepcopy(_header(header))
        self._payload = _decode(payload)
        self._signature = _decode(signature)
        self._signing_input = token[: match.end(2)].encode("ascii")

    def verified(self, key: Key) -> dict[str, Any]:
        """Return the payload if the signature is valid; raise as `check_signature` does."""
        self.check_signature(key)
        return self.unverified()

    def check_signature(self, key: Key) -> None:
        """Raise `SignatureInvalid` unless the token is signed with this key.

        Raises `AlgorithmNotAllowed` if the header names another algorithm than the key's.
        """
        if self.header["alg"] != key.name:
            raise AlgorithmNotAllowed
        # RFC 8017 section 8.1.2; OpenSSL accepts a PSS signature without its leading zero.
        if key.name.startswith(_RSA) and len(self._signature) != (key.prepared.key_size + 7) // 8:
            raise SignatureInvalid
        if not key.algorithm.verify(self._signing_input, key.prepared, self._signature):
            raise SignatureInvalid

    def unverified(self) -> dict[str, Any]:
        """Return the payload without a check of the signature: only for choosing a key."""
        return read_object(self._payload, "payload")


def choose_key(header: dict[str, Any], keys: dict[str, Key], by_kid: dict[str, Key]) -> Key:
    """Return the configured key for a header; a key inside the header is never used.

    It is the key of `by_kid` that `kid` names or, without `kid`, that of the algorithm in `keys`.
    Raises `AlgorithmNotAllowed`, and `KeyUnknown` for an unknown `kid`, or a missing one if all
    keys have one.
    """
    if "kid" in header or (by_kid and not keys):
        key = by_kid.get(header.get("kid", ""))
        if key is None:
            raise KeyUnknown
        return key
    if header["alg"] not in keys:
        raise AlgorithmNotAllowed
    return keys[header["alg"]]


def _header(segment: str) -> dict[str, Any]:
    # Only short headers are cached: unsigned tokens come here, too.
    return (_usual_header if len(segment) <= _USUAL_HEADER else _read_header)(segment)


def _read_header(segment: str) -> dict[str, Any]:
    header = read_object(_decode(segment), "header")
    if not isinstance(header.get("alg"), str):
        raise AlgorithmNotAllowed("the header names no algorithm")
    if "crit" in header:  # RFC 7515 section 4.1.11: we understand no extension
        raise TokenMalformed("the header has crit")
    if any(name in header for name in _NOT_SIGNED_ONLY):
        raise TokenMalformed("the header is not that of a plain signed token")
    for name in ("kid", "typ", "cty"):
        if name in header and not isinstance(header[name], str):
            raise TokenMalformed(f"the header's {name} is not a string")
    return header


_usual_header = functools.lru_cache(maxsize=128)(_read_header)
"""Cached, since all tokens of an issuer usually have the same header."""


def _decode(segment: str) -> bytes:
    rest = len(segment) % 4
    last = _LAST.get(rest, frozenset())
    if last is not None and segment[-1] not in last:
        raise TokenMalformed("a segment is not canonical base64url")
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def read_object(text: bytes, what: str = "object") -> dict[str, Any]:
    """Return the JSON object in UTF-8 bytes (RFC 8259); raise `TokenMalformed` if invalid.

    Stricter than the json module, it refuses another encoding, a byte order mark, a repeated
    member, NaN and infinities, lone surrogates, and nesting deeper than `DEEPEST_CLAIMS`.
    """
    try:
        decoded = text.decode("utf-8")
        value = _decoder.decode(decoded)
        if "\\u" in decoded:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise TokenMalformed(f"the {what} is not strict JSON ({type(error).__name__})") from None
    if not isinstance(value, dict):
        raise TokenMalformed(f"the {what} is not a JSON object")
    if decoded.count("[") + decoded.count("{") > DEEPEST_CLAIMS:
        _refuse_deep(value, what)
    return value


def _refuse_deep(value: dict[str, Any], what: str) -> None:
    level: list[Any] = [value]
    for _ in range(DEEPEST_CLAIMS + 1):
        if not level:
            return
        items = (i for v in level for i in (v.values() if isinstance(v, dict) else v))
        level = [item for item in items if isinstance(item, dict | list)]
    raise TokenMalformed(f"the {what} is nested deeper than {DEEPEST_CLAIMS} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _constant(text: str) -> float:
    raise ValueError("NaN and Infinity are not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_finite, parse_constant=_constant
)
