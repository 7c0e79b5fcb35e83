"""Hostile tokens and headers: each must be answered 401, whatever was cached before.

`ATTEMPTS` is the table. An attempt is made for one of `TARGETS`, applications that differ in their
settings, and is built when it is sent, since a token's times count from now. Where
Flask-JWT-Extended alone would let the attempt pass, its `stricter` names the rule in `STRICTER`
that refuses it here; `KINDER` holds the reasons for the few that are the other way round.
"""

# ruff: noqa: RUF001 letters that look like others are what some attempts are made of

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_refresh_token
from jwt.algorithms import RSAAlgorithm, get_default_algorithms
from werkzeug.test import TestResponse

from tests.edge import OTHER_SECRET, SECRET, claims_of, key_settings, private_key

ISSUER = "https://id.example.org"
SECOND_ISSUER = "https://id.example.net"
AUDIENCE = "https://api.example.org"

TARGETS: dict[str, dict[str, Any]] = {
    **{algorithm: key_settings(algorithm) for algorithm in ("HS256", "RS256", "ES256", "EdDSA")},
    "bound": {
        **key_settings(),
        "JWT_DECODE_ISSUER": ISSUER,
        "JWT_DECODE_AUDIENCE": AUDIENCE,
    },
    "bound to a list": {
        **key_settings(),
        "JWT_DECODE_ISSUER": [ISSUER, SECOND_ISSUER],
        "JWT_DECODE_AUDIENCE": [AUDIENCE, "other"],
    },
    "bound to a tuple": {
        **key_settings(),
        "JWT_DECODE_ISSUER": (ISSUER, SECOND_ISSUER),
        "AUTHZ_AUDIENCE": AUDIENCE,
    },
    "bound to a set": {
        **key_settings(),
        "JWT_DECODE_ISSUER": {ISSUER, SECOND_ISSUER},
        "AUTHZ_AUDIENCE": AUDIENCE,
    },
    "issuing": {**key_settings(), "AUTHZ_ISSUER": ISSUER, "AUTHZ_AUDIENCE": AUDIENCE},
    "issuing for two": {
        **key_settings(),
        "JWT_ENCODE_ISSUER": ISSUER,
        "JWT_ENCODE_AUDIENCE": [AUDIENCE, "other"],
    },
}
"""The settings of the applications that are attacked."""

STRICTER = {
    "audience types": "`aud` must be a string or a list of strings, even if no audience is "
    "expected.",
    "b64": "An unencoded payload (RFC 7797) is not supported, whatever the value of `b64`.",
    "canonical base64": "A segment has exactly one valid encoding: no padding, no spare bits (RFC "
    "4648 3.5).",
    "claim types": "`iss`, `client_id` and `csrf` must be strings, times must be numbers (not "
    "strings of digits and not booleans), `fresh` must be a boolean or a number.",
    "cnf": "A token that is bound to a key (RFC 7800) needs a proof that is not checked here.",
    "encryption": "A header that mentions encryption or compression does not belong to a signed "
    "token.",
    "exp": "A token without `exp` would be valid forever.",
    "exp range": "A time beyond 2^53 cannot be a date.",
    "header": "The Authorization header must contain one scheme and one token, and nothing else.",
    "kind": "A token with neither the claim `type` nor the `typ` `at+jwt` does not name its kind; "
    "it is accepted only with `typ` `JWT` and without `iss` and `aud`.",
    "kid": "A `kid` names a key; an unknown one is refused.",
    "length": "A token of more than 16,384 characters is refused without reading it.",
    "nesting": "Lists and objects must not be nested more than 32 levels deep.",
    "origin": "`iss` and `aud`, if present, are those of this application's own tokens, unless "
    "`JWT_DECODE_ISSUER` or `JWT_DECODE_AUDIENCE` names others.",
    "repeated member": "Two readers can interpret a repeated member differently.",
    "roles types": "`roles` and `permissions` must be lists of strings (or `permissions` compact),"
    " `scope`, `tenant` and `catalogue` must be strings.",
    "strict JSON": "Header and payload must be JSON objects in UTF-8 (RFC 8259): no byte order "
    "mark, no NaN, no infinities, no lone surrogates.",
    "subject": "The subject must be a non-empty string.",
    "typ": "The header's `typ` must be absent, `JWT` or `at+jwt` (RFC 8725 3.11).",
    "type": "The claim `type` must be exactly `access`, or absent.",
}
"""What is refused here and not by Flask-JWT-Extended: the rule's name and its reason."""

KINDER = {
    "scheme": "Schemes are compared without regard to case (RFC 9110 section 11.1).",
}
"""What Flask-JWT-Extended refuses and is accepted here, with the reason."""


@dataclass(frozen=True)
class Sent:
    """What is sent: a token as `Bearer`, or a raw `authorization`, or something elsewhere."""

    token: str | None = None
    authorization: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def to(self, client: FlaskClient, path: str = "/open-to-any") -> TestResponse:
        options = dict(self.options)
        environ = dict(options.pop("environ", {}))
        value = f"Bearer {self.token}" if self.token is not None else self.authorization
        if value is not None:
            # By the environment, as a server does: werkzeug's client refuses line breaks.
            environ["HTTP_AUTHORIZATION"] = value
        return client.open(path, environ_overrides=environ, **{"method": "GET", **options})


@dataclass(frozen=True)
class Attempt:
    """One line of the table; `kinder` is set where the request is good, and refused by FJE."""

    name: str
    build: Callable[[], Sent]
    target: str = "HS256"
    stricter: str = ""
    kinder: str = ""

    def __str__(self) -> str:
        return f"{self.target}: {self.name}"


# --- building tokens -----------------------------------------------------------------------------


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return json.dumps(value, separators=(",", ":")).encode()


def header_of(**changes: Any) -> dict[str, Any]:
    header = {"alg": "HS256", "typ": "JWT", **changes}
    return {name: value for name, value in header.items() if value is not ...}


def by_hmac(secret: str | bytes, message: bytes, name: str = "sha256") -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.digest(key, message, name)


def token(
    payload: Any = None,
    header: Any = None,
    secret: str | bytes = SECRET,
    hashed: str = "sha256",
    signature: bytes | None = None,
) -> str:
    """A token signed by HMAC as the application would, whatever its header and payload are."""
    head = segment(_json(header_of() if header is None else header))
    body = segment(_json(claims_of() if payload is None else payload))
    signed = f"{head}.{body}"
    if signature is None:
        signature = by_hmac(secret, signed.encode(), hashed)
    return f"{signed}.{segment(signature)}"


def signed_by(algorithm: str, key: Any, payload: Any = None, header: Any = None) -> str:
    """A token with a genuine signature of an asymmetric algorithm."""
    head = segment(_json({"alg": algorithm, "typ": "JWT"} if header is None else header))
    body = segment(_json(claims_of() if payload is None else payload))
    message = f"{head}.{body}".encode()
    found = get_default_algorithms()[algorithm]
    return f"{head}.{body}.{segment(found.sign(message, found.prepare_key(key)))}"


def good_token(target: str) -> str:
    """A token that the target accepts."""
    algorithm = TARGETS[target]["JWT_ALGORITHM"]
    has_names = target.startswith(("bound", "issuing"))
    claims = claims_of(iss=ISSUER, aud=AUDIENCE) if has_names else claims_of()
    if algorithm.startswith("HS"):
        return token(claims)
    return signed_by(algorithm, private_key(algorithm), claims)


def raw_payload(text: str, **changes: Any) -> bytes:
    """A good payload with a piece of raw JSON put in behind its first brace."""
    rest = _json(claims_of(**changes))
    return b"{" + text.encode() + b"," + rest[1:]


# --- the table -----------------------------------------------------------------------------------

ATTEMPTS: list[Attempt] = []


def _add(name: str, build: Callable[[], str | Sent], target: str = "HS256", **verdict: str) -> None:
    def sent() -> Sent:
        built = build()
        return built if isinstance(built, Sent) else Sent(token=built)

    ATTEMPTS.append(Attempt(name, sent, target, **verdict))


def _payload(name: str, target: str = "HS256", stricter: str = "", **changes: Any) -> None:
    _add(name, lambda: token(claims_of(**changes)), target, stricter=stricter)


def _header(name: str, target: str = "HS256", stricter: str = "", **changes: Any) -> None:
    _add(name, lambda: token(header=header_of(**changes)), target, stricter=stricter)


# SECURITY 1.3: no algorithm, or an unknown one.
_NO_ALGORITHM: dict[str, Any] = {
    "none": "none",
    "None": "None",
    "nOnE": "nOnE",
    "NONE": "NONE",
    "an empty text": "",
    "a blank behind": "HS256 ",
    "a blank before": " HS256",
    "lower case": "hs256",
    "of no such name": "HS257",
    "full-width letters": "ＨＳ２５６",
    "missing": ...,
    "null": None,
    "a list": ["HS256"],
    "a list with none": ["none"],
    "an object": {"HS256": 1},
    "a number": 256,
    "zero": 0,
    "true": True,
    "of encryption": "dir",
    "of another kind": "RS256",
    "not configured": "HS512",
}
for _said, _alg in _NO_ALGORITHM.items():
    for _target in ("HS256", "RS256"):
        _add(
            f"alg {_said}, with a junk signature",
            lambda alg=_alg: token(header=header_of(alg=alg), signature=b"junk" * 8),
            _target,
        )
        _add(
            f"alg {_said}, without a signature",
            lambda alg=_alg: token(header=header_of(alg=alg), signature=b""),
            _target,
        )
    _header(f"alg {_said}, with the secret's signature", alg=_alg)

for _name, _hash in (("HS384", "sha384"), ("HS512", "sha512")):
    _add(
        f"{_name} signed with the secret where HS256 is configured",
        lambda name=_name, hashed=_hash: token(header=header_of(alg=name), hashed=hashed),
    )

for _secret in (b"", b"\0", b"null", b"None", b"secret", OTHER_SECRET.encode(), SECRET[:-1]):
    _add(f"signed with another secret, {_secret!r}", lambda secret=_secret: token(secret=secret))


# SECURITY 1.1, 1.2: a public key in some rendering, used as an HMAC secret.
def renderings(algorithm: str) -> dict[str, bytes]:
    """Every way in which someone may have written down the target's public key."""
    key = private_key(algorithm).public_key()
    spki = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ssh = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    jwk = get_default_algorithms()[algorithm].to_jwk(key, as_dict=False)
    found = {
        "SPKI PEM": spki,
        "SPKI PEM without its last line break": spki.rstrip(b"\n"),
        "SPKI PEM with CRLF": spki.replace(b"\n", b"\r\n"),
        "SPKI PEM behind blanks": b" \n\t" + spki,
        "SPKI PEM behind a byte order mark": b"\xef\xbb\xbf" + spki,
        "SPKI PEM behind a line of junk": b"# a comment\n" + spki,
        "SPKI PEM before a line of junk": spki + b"# a comment\n",
        "SPKI PEM on one line": b"".join(spki.split(b"\n")),
        "the base64 inside the PEM": b"".join(spki.split(b"\n")[1:-2]),
        "SPKI DER": der,
        "SPKI DER in hexadecimal digits": der.hex().encode(),
        "SSH": ssh,
        "SSH behind a blank": b" " + ssh,
        "SSH with a comment": ssh + b" user@host\n",
        "a JWK": jwk.encode(),
        "a JWK behind a blank": b" " + jwk.encode(),
        "a JWK Set": b'{"keys":[' + jwk.encode() + b"]}",
        "a digest of it": hashlib.sha256(der).hexdigest().encode(),
    }
    if algorithm == "RS256":
        found["PKCS1 PEM"] = key.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        found["PKCS1 DER"] = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        numbers = key.public_numbers()
        found["the modulus"] = numbers.n.to_bytes(256, "big")
        found["the modulus in decimal digits"] = str(numbers.n).encode()
    else:
        if algorithm == "ES256":
            found["an uncompressed point"] = key.public_bytes(
                Encoding.X962, PublicFormat.UncompressedPoint
            )
        else:
            found["the raw key"] = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return found


_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_RENDERED = (
    *("SPKI PEM", "SPKI PEM without its last line break", "SPKI PEM with CRLF"),
    *("SPKI PEM behind blanks", "SPKI PEM behind a byte order mark"),
    *("SPKI PEM behind a line of junk", "SPKI PEM before a line of junk", "SPKI PEM on one line"),
    *("the base64 inside the PEM", "SPKI DER", "SPKI DER in hexadecimal digits", "SSH"),
    *("SSH behind a blank", "SSH with a comment", "a JWK", "a JWK behind a blank", "a JWK Set"),
    "a digest of it",
)
_OF_ITS_OWN = {
    "RS256": ("PKCS1 PEM", "PKCS1 DER", "the modulus", "the modulus in decimal digits"),
    "ES256": ("an uncompressed point",),
    "EdDSA": ("the raw key",),
}
for _target, _own in _OF_ITS_OWN.items():
    for _rendering in (*_RENDERED, *_own):
        for _name, _hash in _HASHES.items():
            _add(
                f"{_name} with the public key as its secret: {_rendering}",
                lambda alg=_name, hashed=_hash, target=_target, which=_rendering: token(
                    header=header_of(alg=alg), secret=renderings(target)[which], hashed=hashed
                ),
                _target,
            )
        _add(
            f"{_target} named, HMAC made with the public key: {_rendering}",
            lambda target=_target, which=_rendering: token(
                header=header_of(alg=target), secret=renderings(target)[which]
            ),
            _target,
        )

# SECURITY 1.6: the key is ours, or another's; the algorithm is not the one configured.
for _alg in ("RS384", "RS512", "PS256", "PS512"):
    _add(
        f"{_alg} with our RSA key where RS256 is configured",
        lambda alg=_alg: signed_by(alg, private_key("RS256")),
        "RS256",
    )
    _add(
        f"RS256 named, signed as {_alg}",
        lambda alg=_alg: signed_by(alg, private_key("RS256"), header=header_of(alg="RS256")),
        "RS256",
    )
for _alg in ("RS256", "ES256", "EdDSA"):
    _add(
        f"{_alg} with a stranger's key",
        lambda alg=_alg: signed_by(alg, private_key(alg, 1)),
        _alg,
    )
    for _other in ("RS256", "ES256", "EdDSA", "HS256"):
        if _other != _alg:
            _add(
                f"{_alg} with a stranger's key, of another kind than asked",
                lambda alg=_alg: signed_by(alg, private_key(alg, 1)),
                _other,
            )


def _with_signature(algorithm: str, signature: bytes) -> str:
    head = segment(_json({"alg": algorithm, "typ": "JWT"}))
    return f"{head}.{segment(_json(claims_of()))}.{segment(signature)}"


for _said, _bytes in {"all zero": bytes(64), "all one": b"\xff" * 64, "short": b"\1" * 8}.items():
    for _alg in ("ES256", "EdDSA", "RS256"):
        _size = 256 if _alg == "RS256" and len(_bytes) == 64 else len(_bytes)
        _add(
            f"a signature of bytes that are {_said}",
            lambda alg=_alg, data=(_bytes * 4)[:_size]: _with_signature(alg, data),
            _alg,
        )


def _der_signature() -> str:
    head, body = good_token("ES256").split(".")[:2]
    data = private_key("ES256").sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    return f"{head}.{body}.{segment(data)}"


def _raw_rsa_signature() -> str:
    head, body = good_token("RS256").split(".")[:2]
    data = private_key("RS256").sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA1())
    return f"{head}.{body}.{segment(data)}"


_add("an ECDSA signature in DER", _der_signature, "ES256")
_add("an RSA signature over SHA-1", _raw_rsa_signature, "RS256")


def _mixed(part: int) -> str:
    """A good token with one segment of another good token."""
    mine, other = token().split("."), token(claims_of("mallory", roles=["admin"])).split(".")
    mine[part] = other[part]
    return ".".join(mine)


_add("the payload of one token in another", lambda: _mixed(1))
_add("the signature of one token on another", lambda: _mixed(2))


# SECURITY 1.4: the key, or where to get it, inside the header.
def attacker_jwk(**more: Any) -> dict[str, Any]:
    return RSAAlgorithm.to_jwk(private_key("RS256", 1).public_key(), as_dict=True) | more


def _own_key(**header: Any) -> Callable[[], str]:
    return lambda: signed_by(
        "RS256",
        private_key("RS256", 1),
        header={"alg": "RS256", "typ": "JWT"}
        | {name: value() if callable(value) else value for name, value in header.items()},
    )


KEY_HEADERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "jwk": lambda url: {"jwk": attacker_jwk},
    "jwk with a kid": lambda url: {"kid": "mine", "jwk": lambda: attacker_jwk(kid="mine")},
    "jku": lambda url: {"jku": f"{url}/keys.json", "kid": "mine"},
    "jku alone": lambda url: {"jku": f"{url}/keys.json"},
    "x5u": lambda url: {"x5u": f"{url}/chain.pem"},
    "x5c": lambda url: {"x5c": [base64.b64encode(b"no certificate").decode()]},
    "x5t": lambda url: {"x5t": segment(b"x" * 20), "x5t#S256": segment(b"x" * 32)},
    "all of them": lambda url: {
        "jwk": attacker_jwk,
        "jku": f"{url}/keys.json",
        "x5u": f"{url}/chain.pem",
        "x5c": [""],
        "kid": f"{url}/keys.json#mine",
    },
}
"""Headers that bring their own key, or a URL for it."""


def brings_its_key(which: str, url: str = "http://127.0.0.1:9") -> str:
    """A token signed by a stranger, whose header brings the key or says where it is."""
    return _own_key(**KEY_HEADERS[which](url))()


for _which in KEY_HEADERS:
    for _target in ("HS256", "RS256", "ES256"):
        _add(f"a stranger's key by {_which}", lambda which=_which: brings_its_key(which), _target)
_add(
    "a symmetric jwk in the header, and its signature",
    lambda: token(header=header_of(jwk={"kty": "oct", "k": segment(b"k" * 32)}), secret=b"k" * 32),
)

# SECURITY 1.7: extensions that we do not understand.
_CRIT: dict[str, Any] = {
    "an unknown name": ["x-new"],
    "no name": [],
    "a text": "exp",
    "exp": ["exp"],
    "alg": ["alg"],
    "b64": ["b64"],
    "one name twice": ["x-new", "x-new"],
    "null": None,
    "a number": 1,
    "an object": {},
    "a list of numbers": [1],
    "a list in a list": [["b64"]],
}
for _said, _value in _CRIT.items():
    _header(f"crit is {_said}", crit=_value)
_header("crit names a member that is there", crit=["x-new"], **{"x-new": 1})
for _value in (False, True, None, "false", 0):
    _rule = "" if _value is False else "b64"
    _header(f"b64 is {_value!r}", b64=_value, stricter=_rule)
    _header(f"b64 is {_value!r}, and crit says so", b64=_value, crit=["b64"], stricter=_rule)


def _unencoded() -> str:
    head = segment(_json(header_of(b64=False, crit=["b64"])))
    body = json.dumps(claims_of()).replace(".", "")
    return f"{head}.{body}.{segment(by_hmac(SECRET, f'{head}.{body}'.encode()))}"


_add("an unencoded payload", lambda: Sent(authorization=f"Bearer {_unencoded()}"))
_add(
    "a detached payload",
    lambda: "{0}..{2}".format(*token(header=header_of(b64=False, crit=["b64"])).split(".")),
)

# SECURITY F12: encryption and compression.
for _changes in (
    {"zip": "DEF"},
    {"zip": "GZIP"},
    {"enc": "A256GCM"},
    {"enc": "A128CBC-HS256", "alg": "dir"},
    {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 10**9, "p2s": "AAAA"},
    {"p2c": 10**9, "p2s": "AAAA"},
    {"epk": {"kty": "EC"}},
    {"alg": "RSA-OAEP", "enc": "A128GCM"},
):
    _header(
        "a header of encryption: " + ", ".join(f"{n} {v}" for n, v in _changes.items()),
        stricter="" if "alg" in _changes else "encryption",
        **_changes,
    )
_add("five parts", lambda: token() + ".AAAA.AAAA")
_add(
    "a JWE in compact form",
    lambda: ".".join(
        [segment(_json({"alg": "dir", "enc": "A256GCM"})), "", *3 * [segment(b"x" * 16)]]
    ),
)
_add(
    "a JWE that asks for a billion rounds",
    lambda: ".".join(
        [
            segment(_json({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 10**9})),
            *4 * [segment(b"x" * 16)],
        ]
    ),
)

# SECURITY 2.9: key ids are hostile input.
_KIDS: dict[str, Any] = {
    "a path to an empty file": "../../../../../../dev/null",
    "an absolute path": "/etc/passwd",
    "SQL": "' UNION SELECT 'secret' --",
    "a shell command": "$(id)",
    "line breaks": "a\r\nSet-Cookie: x=1",
    "a NUL": "key\0",
    "10 kB long": "k" * 10_000,
    "empty": "",
    "a URL": "http://127.0.0.1:9/key",
    "a template": "{{7*7}} %s {0}",
    "a lone bracket": "key]",
    "not known": "2024-01",
    "Unicode": "ключ",
    "a list": ["key"],
    "an object": {"key": 1},
    "a number": 1,
    "null": None,
    "true": True,
}
for _said, _kid in _KIDS.items():
    _header(f"kid is {_said}", kid=_kid, stricter="kid" if isinstance(_kid, str) else "")
    _add(
        f"kid is {_said}, signed with an empty secret",
        lambda kid=_kid: token(header=header_of(kid=kid), secret=b""),
    )

# SECURITY 2.10, 2.11: tokens of another kind.
for _typ in (
    *("refresh", "rt+jwt", "id_token", "logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", "JOSE"),
    *("token-introspection+jwt", "entity-statement+jwt", "passport", "kb+jwt", "sd+jwt"),
    *("at+jwt2", " at+jwt", "at+jwt ", "application/json", "text/at+jwt", "at+jwt;v=1", ""),
):
    _header(f"typ is {_typ!r}", typ=_typ, stricter="typ")
for _typ in (None, 1, True, ["at+jwt"], {"at+jwt": 1}):
    _header(f"typ is {_typ!r}", typ=_typ, stricter="typ")
for _cty in (1, None, ["JWT"]):
    _header(f"cty is {_cty!r}", cty=_cty, stricter="strict JSON")
for _type in ("refresh", "Access", "ACCESS", "access ", "", "id", "access\0", "áccess"):
    _payload(f"type is {_type!r}", type=_type, stricter="" if _type == "refresh" else "type")
for _type in (None, 1, True, ["access"], {"access": 1}):
    _payload(f"type is {_type!r}", type=_type, stricter="type")
# A kind that neither says, where a token has an origin, or not even the typ JWT.
for _said, _named in {
    "an issuer": {"iss": ISSUER},
    "an audience": {"aud": AUDIENCE},
    "both": {"iss": ISSUER, "aud": [AUDIENCE]},
}.items():
    _payload(f"no type, and {_said}", "issuing", "kind", type=..., **_named)
_add(
    "neither type nor typ",
    lambda: token(claims_of(type=...), header_of(typ=...)),
    stricter="kind",
)


def _refresh_token() -> str:
    from flask_jwt_extended import JWTManager

    app = Flask("refresh")
    app.config.update(TARGETS["HS256"])
    JWTManager(app)
    with app.app_context():
        return create_refresh_token("alice")


_add("a refresh token in place of an access token", _refresh_token)
_add("a token inside a token", lambda: token(token().encode(), header_of(cty="JWT")))

# SECURITY 1.12: payloads other than objects, with a good signature.
_NO_OBJECT: dict[str, bytes] = {
    "an array": b"[]",
    "an array of objects": _json([{"sub": "alice", "exp": 2**32}]),
    "an array of pairs": _json([["sub", "alice"], ["exp", 2**32]]),
    "a text": b'"alice"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "nothing": b"",
    "a blank": b" ",
    "no JSON": b"sub=alice",
    "single quotes": b"{'sub': 'alice'}",
    "an object that is cut off": b'{"sub":"alice"',
}
for _said, _bytes in _NO_OBJECT.items():
    _add(f"the payload is {_said}", lambda data=_bytes: token(data))
    _add(f"the header is {_said}", lambda data=_bytes: token(header=data))
_add("the payload is an empty object", lambda: token({}))
# SECURITY 2.6: invalid UTF-8, or more than UTF-8.
_ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda data: data.decode().encode("utf-16-le"),
    "UTF-32": lambda data: data.decode().encode("utf-32"),
    "UTF-8 behind a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "Latin-1": lambda data: data[:-1] + ',"x":"é"}'.encode("latin-1"),
    "overlong UTF-8": lambda data: data[:-1] + b',"x":"\xc0\xae"}',
    "UTF-8 with surrogates": lambda data: data[:-1] + b',"x":"\xed\xa0\x80"}',
    "UTF-8 before a second object": lambda data: data + b"{}",
    "UTF-8 before a NUL": lambda data: data + b"\0",
    "UTF-8 with a comment": lambda data: data[:-1] + b"/* x */}",
    "UTF-8 with a comma too many": lambda data: data[:-1] + b",}",
    "UTF-8 with a line break in a text": lambda data: data[:-1] + b',"x":"\n"}',
}
_FJE_READS = (
    *("UTF-16", "UTF-16 without a mark", "UTF-32", "UTF-8 behind a byte order mark"),
    "UTF-8 with surrogates",
)
for _said, _encode in _ENCODED.items():
    _rule = "strict JSON" if _said in _FJE_READS else ""
    _add(
        f"the payload is {_said}",
        lambda encode=_encode: token(encode(_json(claims_of()))),
        stricter=_rule,
    )
    _add(
        f"the header is {_said}",
        lambda encode=_encode: token(header=encode(_json(header_of()))),
        stricter=_rule,
    )
for _escape in (r'"\ud800"', r'"\udfff"', r'"\ude00\ud83d"', r'["\ud800"]', r'{"\ud800":1}'):
    _add(
        f"the payload holds a lone surrogate, {_escape}",
        lambda text=_escape: token(raw_payload(f'"x":{text}')),
        stricter="strict JSON",
    )
_add(
    "the subject is a lone surrogate",
    lambda: token(raw_payload(r'"sub":"\ud800"', sub=...)),
    stricter="strict JSON",
)
_add(
    "the header holds a lone surrogate",
    lambda: token(header=rb'{"alg":"HS256","x":"\ud800"}'),
    stricter="strict JSON",
)

# SECURITY 1.11: each claim in each JSON type that is not its own.
_JSON_TYPES: dict[str, Any] = {
    "a text": "x",
    "a number": 4_000_000_000,
    "a float": 4e9,
    "true": True,
    "false": False,
    "null": None,
    "an empty list": [],
    "a list": ["x"],
    "a list of numbers": [4_000_000_000],
    "a list in a list": [["x"]],
    "a list with a null": ["x", None],
    "an object": {"x": 1},
    "an empty object": {},
    "an object in a list": [{"x": 1}],
}
_STRING, _NUMBERS = {"a text"}, {"a number", "a float"}
_LIST = {"an empty list", "a list"}
_RIGHT = {
    "sub": _STRING,
    "iss": _STRING,
    "jti": _STRING,
    "client_id": _STRING,
    "csrf": _STRING,
    "exp": _NUMBERS,
    "nbf": set(),
    "iat": set(),
    "aud": _STRING | _LIST,
    "fresh": _NUMBERS | {"true", "false"},
    "roles": _LIST,
    "permissions": _LIST,
    "scope": _STRING,
    "tenant": _STRING,
    "catalogue": _STRING,
}
_RULE_OF = {
    "roles": "roles types",
    "permissions": "roles types",
    "scope": "roles types",
    "tenant": "roles types",
    "catalogue": "roles types",
    "aud": "audience types",
    **dict.fromkeys(("iss", "client_id", "csrf", "fresh", "nbf", "iat"), "claim types"),
}
for _claim, _right in _RIGHT.items():
    for _said, _value in _JSON_TYPES.items():
        if _said not in _right:
            _payload(
                f"{_claim} is {_said}",
                stricter=_RULE_OF.get(_claim, ""),
                **{_claim: _value},
            )
_payload("sub is missing", sub=...)
_payload("sub is empty", sub="", stricter="subject")

# SECURITY 1.10, 1.13, 2.7, 2.8: whose token it is, and for whom.
_WRONG_ISSUERS: dict[str, Any] = {
    "a prefix of ours": ISSUER[:-1],
    "a suffix of ours": ISSUER[1:],
    "a part of ours": "id.example",
    "one letter": "h",
    "ours and more": ISSUER + ".evil.example",
    "ours behind more": "https://evil.example/" + ISSUER,
    "in capitals": ISSUER.upper(),
    "with one capital": ISSUER.replace("id", "Id"),
    "ours with a slash": ISSUER + "/",
    "ours with a blank": ISSUER + " ",
    "ours with a port": ISSUER + ":443",
    "by another scheme": ISSUER.replace("https", "http"),
    "with %2e for a dot": ISSUER.replace(".", "%2e"),
    "with a full-width dot": ISSUER.replace(".", "。"),
    "with a letter of another script": ISSUER.replace("e", "е"),
    "in punycode": ISSUER.replace("example", "xn--xample-2of"),
    "empty": "",
    "ours with a NUL": ISSUER + "\0",
    "two of ours, with a comma": f"{ISSUER},{SECOND_ISSUER}",
    "missing": ...,
    "null": None,
    "a list of ours": [ISSUER],
    "an object of ours": {ISSUER: True},
    "a number": 1,
    "true": True,
}
for _target in (name for name in TARGETS if name.startswith("bound")):
    for _said, _issuer in _WRONG_ISSUERS.items():
        _payload(f"the issuer is {_said}", _target, iss=_issuer, aud=AUDIENCE)
_WRONG_AUDIENCES: dict[str, Any] = {
    "an empty list": [],
    "a list with an empty text": [""],
    "empty": "",
    "missing": ...,
    "null": None,
    "a prefix of ours": AUDIENCE[:-1],
    "ours and more": AUDIENCE + "/v2",
    "ours with a slash": AUDIENCE + "/",
    "in capitals": AUDIENCE.upper(),
    "one letter": "h",
    "others": ["https://a.example", "https://b.example"],
    "a list of the letters": list(AUDIENCE),
    "a list in a list": [[AUDIENCE]],
    "an object": {AUDIENCE: True},
    "ours, and a number": [AUDIENCE, 1],
    "ours, and null": [AUDIENCE, None],
    "true": True,
    "two in one text": f"{AUDIENCE} other",
}
for _target in ("bound", "bound to a list"):
    for _said, _audience in _WRONG_AUDIENCES.items():
        _payload(
            f"the audience is {_said}",
            _target,
            iss=ISSUER,
            aud=_audience,
        )
# The same where no JWT_DECODE_* names anything: what is present must be our own.
for _target in ("issuing", "issuing for two"):
    for _said, _issuer in _WRONG_ISSUERS.items():
        if _issuer is not ...:
            _payload(f"the issuer is {_said}", _target, "origin", iss=_issuer, aud=AUDIENCE)
            _payload(f"the issuer is {_said}, without aud", _target, "origin", iss=_issuer)
    for _said, _audience in _WRONG_AUDIENCES.items():
        if _audience is not ...:
            _payload(f"the audience is {_said}", _target, "origin", iss=ISSUER, aud=_audience)
            _payload(f"the audience is {_said}, without iss", _target, "origin", aud=_audience)
for _said, _named in {
    "issuer": {"iss": "https://other.example"},
    "audience": {"aud": "https://other.example"},
    "list of audiences": {"aud": ["other", "Target", "target/"]},
}.items():
    _payload(f"another {_said} than the application's name", "HS256", "origin", **_named)

# SECURITY 2.14: times. Numbers that JSON's own writer would not write go in as raw text.
_now = time.time
_TIMES: dict[str, Callable[[], str]] = {
    "exp is now": lambda: f'"exp":{int(_now())}',
    "exp was a second ago": lambda: f'"exp":{int(_now()) - 1}',
    "exp was half a second ago": lambda: f'"exp":{_now() - 0.5}',
    "exp was long ago": lambda: '"exp":1',
    "exp is zero": lambda: '"exp":0',
    "exp is minus zero": lambda: '"exp":-0',
    "exp is negative": lambda: '"exp":-4000000000',
    "exp is hugely negative": lambda: f'"exp":-{10**30}',
    "exp is a float just past": lambda: f'"exp":{int(_now()) - 0.001}',
    "exp is 2^53 + 1": lambda: f'"exp":{2**53 + 1}',
    "exp is 10^30": lambda: f'"exp":{10**30}',
    "exp is 1e308": lambda: '"exp":1e308',
    "exp is 1e999": lambda: '"exp":1e999',
    "exp is -1e999": lambda: '"exp":-1e999',
    "exp is NaN": lambda: '"exp":NaN',
    "exp is Infinity": lambda: '"exp":Infinity',
    "exp is -Infinity": lambda: '"exp":-Infinity',
    "exp is a text of digits": lambda: '"exp":"4000000000"',
    "exp is a word": lambda: '"exp":"tomorrow"',
    "exp is an ISO date": lambda: '"exp":"2099-01-01T00:00:00Z"',
    "exp is empty": lambda: '"exp":""',
    "exp is a number of 4,000 digits": lambda: f'"exp":{"9" * 4_000}',
    "exp is a number of 10,000 digits": lambda: f'"exp":{"9" * 10_000}',
    "exp is a number of 1,000,000 digits": lambda: f'"exp":{"9" * 1_000_000}',
    "exp is hexadecimal": lambda: '"exp":0xFFFFFFFF',
    "exp has a leading zero": lambda: '"exp":09999999999',
    "exp has a plus": lambda: '"exp":+4000000000',
    "nbf lies ahead": lambda: f'"nbf":{int(_now()) + 60}',
    "nbf lies ahead as a float": lambda: f'"nbf":{_now() + 60}',
    "nbf is in milliseconds": lambda: f'"nbf":{int(_now() * 1000)}',
    "nbf is 1e308": lambda: '"nbf":1e308',
    "nbf is 1e999": lambda: '"nbf":1e999',
    "nbf is NaN": lambda: '"nbf":NaN',
    "nbf is -Infinity": lambda: '"nbf":-Infinity',
    "nbf is a text of digits": lambda: '"nbf":"1"',
    "iat lies ahead": lambda: f'"iat":{int(_now()) + 60}',
    "iat lies ahead as a float": lambda: f'"iat":{_now() + 60}',
    "iat is NaN": lambda: '"iat":NaN',
    "iat is 1e999": lambda: '"iat":1e999',
    "iat is -1e999": lambda: '"iat":-1e999',
    "iat is a text of digits": lambda: '"iat":"1"',
    "a claim of the application's own is NaN": lambda: '"x":NaN',
    "a claim of the application's own is 1e999": lambda: '"x":[1e999]',
}
_RULE_OF_TIME = {
    **dict.fromkeys(("exp is 2^53 + 1", "exp is 10^30", "exp is 1e308"), "exp range"),
    "exp is a number of 4,000 digits": "exp range",
    "exp is a text of digits": "claim types",
    "nbf is a text of digits": "claim types",
    "iat is a text of digits": "claim types",
    "a claim of the application's own is NaN": "strict JSON",
    "a claim of the application's own is 1e999": "strict JSON",
}
for _said, _text in _TIMES.items():
    _claim = _said.split()[0]
    _add(
        _said,
        lambda text=_text, claim=_claim: token(raw_payload(text(), **{claim: ...})),
        stricter=_RULE_OF_TIME.get(_said, ""),
    )
_payload("exp is missing", exp=..., stricter="exp")
_payload("only EXP is there", exp=..., EXP=4_000_000_000, stricter="exp")
_payload("exp has passed, EXP has not", exp=1, EXP=4_000_000_000)

# SECURITY 1.14: names that only look like a claim's.
_payload("only Sub is there", sub=..., Sub="alice")
_payload("sub is spelled in full-width letters", sub=..., **{"ｓｕｂ": "alice"})
_payload("sub has a Cyrillic letter", sub=..., **{"ѕub": "alice"})
_payload("sub has a blank behind", sub=..., **{"sub ": "alice"})
_payload("sub has a NUL behind", sub=..., **{"sub\0": "alice"})
_payload(
    "exp is spelled in full-width letters", stricter="exp", exp=..., **{"ｅｘｐ": 4_000_000_000}
)
_payload("exp has a Cyrillic letter", exp=..., **{"еxp": 4_000_000_000}, stricter="exp")
_payload("exp has a blank behind", exp=..., **{"exp ": 4_000_000_000}, stricter="exp")

# SECURITY 2.51: members that are there twice.
for _text in (
    '"sub":"admin"',
    '"exp":4000000000',
    '"roles":["admin"]',
    '"permissions":["*:*"]',
    r'"s\u0075b":"admin"',
    '"x":1,"x":2',
    '"x":{"y":1,"y":2}',
    '"x":[{"y":1,"y":1}]',
):
    _add(
        f"a repeated member in the payload, {_text}",
        lambda text=_text: token(raw_payload(text)),
        stricter="repeated member",
    )
for _text in ('{"alg":"none","alg":"HS256"}', '{"alg":"HS256","alg":"HS256"}'):
    _add(
        f"a repeated member in the header, {_text}",
        lambda text=_text: token(header=text.encode()),
        stricter="repeated member",
    )
_add(
    "a repeated alg in the header, the last one none",
    lambda: token(header=b'{"alg":"HS256","alg":"none"}'),
)
_add(
    "two kids in the header",
    lambda: token(header=b'{"alg":"HS256","kid":"a","kid":"b"}'),
    stricter="repeated member",
)


# SECURITY 1.15: other serializations, and text other than a compact JWS.
def _json_forms() -> Iterator[tuple[str, Callable[[], str]]]:
    def parts() -> dict[str, str]:
        return dict(zip(("protected", "payload", "signature"), token().split("."), strict=True))

    def general() -> dict[str, Any]:
        found = parts()
        return {"payload": found.pop("payload"), "signatures": [found]}

    yield "a flattened JWS in JSON", lambda: json.dumps(parts(), separators=(",", ":"))
    yield "a general JWS in JSON", lambda: json.dumps(general(), separators=(",", ":"))
    yield (
        "a JWS in JSON with a compact one in it",
        lambda: json.dumps({**parts(), "x": token()}, separators=(",", ":")),
    )
    yield (
        "a compact JWS behind one in JSON",
        lambda: json.dumps(parts(), separators=(",", ":")) + token(),
    )
    yield (
        "a JWS in JSON, in base64",
        lambda: segment(json.dumps(parts()).encode()),
    )
    yield "a JWS in JSON with blanks", lambda: json.dumps(parts())


for _said, _form in _json_forms():
    _add(_said, _form)

_TEXTS: dict[str, Callable[[str], str]] = {
    "a blank before the payload": lambda text: text.replace(".", ". ", 1),
    "a blank behind the header": lambda text: text.replace(".", " .", 1),
    "a blank inside the payload": lambda text: text[:60] + " " + text[60:],
    "a tab inside the payload": lambda text: text[:60] + "\t" + text[60:],
    "a line break inside the payload": lambda text: text[:60] + "\n" + text[60:],
    "a line break and a header": lambda text: text + "\r\nX-Role: admin",
    "a NUL inside the payload": lambda text: text[:60] + "\0" + text[60:],
    "a NUL behind": lambda text: text + "\0",
    "a tilde behind": lambda text: text + "~",
    "disclosures of an SD-JWT": lambda text: text + "~WyJzYWx0Iiwicm9sZXMiXQ~",
    "four parts": lambda text: text + ".AAAA",
    "a dot behind": lambda text: text + ".",
    "a dot before": lambda text: "." + text,
    "two dots before the payload": lambda text: text.replace(".", "..", 1),
    "two parts": lambda text: text.rpartition(".")[0],
    "two parts and a dot": lambda text: text.rpartition(".")[0] + ".",
    "one part": lambda text: text.partition(".")[0],
    "no payload": lambda text: "{0}..{2}".format(*text.split(".")),
    "dots alone": lambda text: "..",
    "a dot alone": lambda text: ".",
    "text": lambda text: "token",
    "the word null": lambda text: "null",
    "the word undefined": lambda text: "undefined",
    "a JSON object": lambda text: "{}",
    "junk behind": lambda text: text + "!!!!",
    "a letter behind": lambda text: text + "A",
    "four letters behind": lambda text: text + "AAAA",
    "letters outside ASCII": lambda text: text[:60] + "é" + text[60:],
    "full-width dots": lambda text: text.replace(".", "\xad"),
    "percent signs for the dots": lambda text: text.replace(".", "%2E"),
    "quotes around it": lambda text: f'"{text}"',
    "angle brackets around it": lambda text: f"<{text}>",
    "all in capitals": str.upper,
    "all in lower case": str.lower,
    "backwards": lambda text: text[::-1],
    "twice in a row": lambda text: text + text,
    "twice with a dot": lambda text: text + "." + text,
    "half of the signature": lambda text: text[:-20],
}
for _said, _form in _TEXTS.items():
    _add(f"a token with {_said}", lambda form=_form: Sent(authorization=f"Bearer {form(token())}"))


def _respelled(change: Callable[[str], str]) -> str:
    """A token whose signature has spare bits in base64 and is spelled another way."""
    head, body, signature = token().split(".")
    return f"{head}.{body}.{change(signature)}"


def _padded(part: int) -> str:
    parts = token(claims_of("al")).split(".")
    parts[part] += "=" * (-len(parts[part]) % 4 or 4)
    return ".".join(parts)


def _next_letter(text: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


_add("spare bits in the signature's base64", lambda: _respelled(_next_letter))
_add("padding behind the signature", lambda: _padded(2), stricter="canonical base64")
_add("padding behind the payload", lambda: _padded(1))
_add("padding behind the header", lambda: _padded(0))
_add("one equals sign behind", lambda: token() + "=", stricter="canonical base64")
_add("three equals signs behind", lambda: token() + "===")


def _standard_alphabet(part: int) -> str:
    """A token whose segment has + or / where base64url has - or _."""
    for number in range(1_000):
        made = token(claims_of(jti=f"{number}???>>>"), header_of(x=f"{number}???>>>"))
        parts = made.split(".")
        changed = parts[part].replace("-", "+").replace("_", "/")
        if changed != parts[part]:
            parts[part] = changed
            return ".".join(parts)
    raise LookupError("no segment with - or _")


for _part, _said in enumerate(("header", "payload", "signature")):
    _add(f"+ and / in the {_said}", lambda part=_part: _standard_alphabet(part))

# SECURITY F12: size and depth.
for _size in (8 * 1024, 16 * 1024, 64 * 1024, 1024 * 1024):
    _add(f"{_size} letters", lambda size=_size: "a" * size)
    _add(f"{_size} letters in three parts", lambda size=_size: ".".join(3 * ["a" * (size // 3)]))
    _add(f"{_size} dots", lambda size=_size: "." * size)
    _add(f"{_size} blanks", lambda size=_size: Sent(authorization="Bearer " + " " * size))
    _add(
        f"{_size // 2} words",
        lambda size=_size: Sent(authorization="Bearer " + "a " * (size // 2)),
    )
    _add(
        f"{_size // 2} words of another scheme",
        lambda size=_size: Sent(authorization="Basic " + "a " * (size // 2)),
    )
    _add(f"{_size} commas", lambda size=_size: Sent(authorization="Bearer " + "," * size))
for _size in (16 * 1024, 64 * 1024, 1024 * 1024):
    _add(
        f"a good token that holds {_size} bytes more",
        lambda size=_size: token(claims_of(x="x" * size)),
        stricter="length",
    )
_add("100,000 dots", lambda: "." * 100_000)
_add("100,000 dots with letters", lambda: "a." * 100_000 + "a")
_add(
    "a header of 100,000 letters",
    lambda: token(header=header_of(x="x" * 100_000)),
    stricter="length",
)
for _depth in (100_000, 5_000, 2_500, 1_100, 100):
    _deep = ("[" * _depth + "]" * _depth, '{"x":' * _depth + "1" + "}" * _depth)
    for _kind, _text in zip(("arrays", "objects"), _deep, strict=True):
        _add(
            f"a payload with {_depth} nested {_kind}",
            lambda text=_text: token(raw_payload(f'"x":{text}')),
            stricter="nesting",  # how deep FJE reads depends on the Python
        )
        _add(
            f"a header with {_depth} nested {_kind}",
            lambda text=_text: token(header=b'{"alg":"HS256","x":' + text.encode() + b"}"),
            stricter="nesting",
        )
        _add(
            f"a payload of {_depth} nested {_kind}, unsigned",
            lambda text=_text: token(text.encode(), signature=b"x" * 32),
        )
_add("brackets that never close", lambda: token(b"[" * 10_000))
_add(
    "a number of 5,000 digits in the header", lambda: token(header=b'{"alg":' + b"9" * 5_000 + b"}")
)
_add(
    "10,000 members",
    lambda: token(claims_of(**{f"x{n}": n for n in range(10_000)})),
    stricter="length",
)
_add(
    "10,000 members in the header",
    lambda: token(header=header_of(**{f"x{n}": n for n in range(10_000)})),
    stricter="length",
)

# SECURITY 1.31, 2.15: headers.
_HEADERS: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "blank": lambda text: " ",
    "a comma": lambda text: ",",
    "commas": lambda text: ", ,",
    "commas and more commas": lambda text: ",,,, ,,,,",
    "Bearer alone": lambda text: "Bearer",
    "Bearer and a blank": lambda text: "Bearer ",
    "Bearer and a comma": lambda text: "Bearer ,",
    "Bearer twice": lambda text: "Bearer Bearer",
    "Bearer twice, and a token": lambda text: f"Bearer Bearer {text}",
    "Bearer a b": lambda text: "Bearer a b",
    "a token and a word": lambda text: f"Bearer {text} x",
    "a token and a parameter": lambda text: f'Bearer {text}, realm="x"',
    "two tokens": lambda text: f"Bearer {text} {text}",
    "the token alone": lambda text: text,
    "a colon behind Bearer": lambda text: f"Bearer: {text}",
    "no blank": lambda text: f"Bearer{text}",
    "an equals sign": lambda text: f"Bearer={text}",
    "a parameter": lambda text: f"Bearer token={text}",
    "quotes": lambda text: f'Bearer "{text}"',
    "another scheme": lambda text: f"Token {text}",
    "the scheme JWT": lambda text: f"JWT {text}",
    "the scheme DPoP": lambda text: f"DPoP {text}",
    "the scheme Basic": lambda text: f"Basic {text}",
    "the scheme Basic with a password": lambda text: "Basic YWxpY2U6c2VjcmV0",
    "a scheme that starts like ours": lambda text: f"BearerX {text}",
    "a scheme that ends like ours": lambda text: f"XBearer {text}",
    "a scheme in full-width letters": lambda text: f"Ｂearer {text}".encode().decode("latin-1"),
    "a comma behind the token": lambda text: f"Bearer {text},",
    "a comma before the scheme": lambda text: f",Bearer {text}",
    "one of ours and one of another scheme": lambda text: f"Bearer {text}, Basic YTpi",
    "one of another scheme and one of ours": lambda text: f"Basic YTpi, Bearer {text}",
    "one of another scheme and one of ours, no blank": lambda text: f"Basic YTpi,Bearer {text}",
    "two of ours": lambda text: f"Bearer {text}, Bearer {text}",
    "two of ours, no blank": lambda text: f"Bearer {text},Bearer {text}",
    "a good one and a bad one": lambda text: f"Bearer {text}, Bearer x.y.z",
    "a bad one and a good one": lambda text: f"Bearer x.y.z, Bearer {text}",
    "three of ours": lambda text: ", ".join(3 * [f"Bearer {text}"]),
    "a line break between": lambda text: f"Bearer\r\n{text}\r\nX-Role: admin",
}
_FJE_TAKES = (
    "a comma behind the token",
    "a comma before the scheme",
    "a token and a parameter",
    "one of ours and one of another scheme",
    "one of another scheme and one of ours",
    "one of another scheme and one of ours, no blank",
)
for _said, _form in _HEADERS.items():
    _add(
        f"the header is {_said}",
        lambda form=_form: Sent(authorization=form(token())),
        stricter="header" if _said in _FJE_TAKES else "",
    )


# SECURITY 2.15, 2.58: a token that came another way than the configured one, or a header that
# pretends.
def _elsewhere(name: str, options: Callable[[str], dict[str, Any]]) -> None:
    _add(name, lambda: Sent(options=options(token())))


_elsewhere("no token at all", lambda text: {})
_elsewhere(
    "a token in the query as access_token", lambda text: {"query_string": {"access_token": text}}
)
_elsewhere("a token in the query as jwt", lambda text: {"query_string": {"jwt": text}})
_elsewhere("a token in a form", lambda text: {"method": "POST", "data": {"access_token": text}})
_elsewhere(
    "a token in a JSON body", lambda text: {"method": "POST", "json": {"access_token": text}}
)
_elsewhere(
    "a token in a cookie",
    lambda text: {"environ": {"HTTP_COOKIE": f"access_token_cookie={text}; access_token={text}"}},
)
for _name in (
    *("HTTP_X_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "HTTP_X_FORWARDED_AUTHORIZATION"),
    *("HTTP_X_ACCESS_TOKEN", "REDIRECT_HTTP_AUTHORIZATION", "HTTP_X_JWT_ASSERTION"),
):
    _elsewhere(
        f"a token as {_name}", lambda text, name=_name: {"environ": {name: f"Bearer {text}"}}
    )
_elsewhere(
    "names of a user in headers of an intermediary",
    lambda text: {
        "environ": {
            "HTTP_X_USER": "admin",
            "HTTP_X_FORWARDED_USER": "admin",
            "HTTP_X_ROLES": "admin",
            "HTTP_X_HTTP_METHOD_OVERRIDE": "OPTIONS",
            "REMOTE_USER": "admin",
        }
    },
)

# SECURITY 2.46: bound to a key whose proof nobody asked for.
for _cnf in ({"jkt": "x" * 43}, {"x5t#S256": "x" * 43}, {"jwk": {}}, {}, "", None, True):
    _payload(f"cnf is {_cnf!r}", cnf=_cnf, stricter="cnf")


# --- good tokens, to compare with the bad ones ---------------------------------------------------

GOOD: list[Attempt] = []


def _good(name: str, build: Callable[[], Sent], target: str = "HS256", kinder: str = "") -> None:
    GOOD.append(Attempt(name, build, target, kinder=kinder))


def _good_payload(name: str, target: str = "HS256", **changes: Any) -> None:
    _good(name, lambda: Sent(token=token(claims_of(**changes))), target)


for _target in TARGETS:
    _good("an ordinary token", lambda target=_target: Sent(token=good_token(target)), _target)
for _scheme in ("bearer", "BEARER", "bEaReR"):
    _good(
        f"the scheme is {_scheme}",
        lambda scheme=_scheme: Sent(authorization=f"{scheme} {token()}"),
        kinder="scheme",
    )
_good("two blanks", lambda: Sent(authorization=f"Bearer  {token()}"))
_good("blanks around", lambda: Sent(authorization=f"  Bearer {token()}  "))
_good("a tab", lambda: Sent(authorization=f"Bearer\t{token()}"))
for _typ in ("at+jwt", "AT+JWT", "application/at+jwt", "jwt", ...):
    _good(f"typ is {_typ}", lambda typ=_typ: Sent(token=token(header=header_of(typ=typ))))
_good_payload("no type", type=...)
_good_payload("no fresh", fresh=...)
_good_payload("no jti", jti=...)
_good_payload("no iat and no nbf", iat=..., nbf=...)
_good_payload("no roles and no permissions", roles=..., permissions=...)
_good_payload("exp as a float", exp=4e9)
_good_payload("fresh as a time", fresh=4e9)
_good_payload("an unknown claim of each type", x=[1, 1.5, True, None, "é", {"y": []}])
_good_payload("a role that the catalog lacks", roles=["stranger"])
_good_payload("the application's name as issuer and audience", iss="target", aud="target")
_good_payload("the application among the audiences", aud=["other", "target"])
for _target in ("issuing", "issuing for two"):
    _good_payload("no issuer", _target, aud=AUDIENCE)
    _good_payload("no audience", _target, iss=ISSUER)
    _good_payload("neither issuer nor audience", _target)
_good_payload("the second audience", "issuing for two", iss=ISSUER, aud="other")
_good(
    "no type, and typ is at+jwt",
    lambda: Sent(
        token=token(claims_of(type=..., iss=ISSUER, aud=AUDIENCE), header_of(typ="at+jwt"))
    ),
    "issuing",
)
_good_payload("several audiences, one of them ours", "bound", iss=ISSUER, aud=["x", AUDIENCE])
_good_payload("the second issuer", "bound to a list", iss=SECOND_ISSUER, aud=AUDIENCE)
_good_payload("the second issuer", "bound to a set", iss=SECOND_ISSUER)
_good("a subject outside ASCII", lambda: Sent(token=token(claims_of("Åse 😀"))))
_good(
    "200 permissions",
    lambda: Sent(token=token(claims_of(permissions=[f"a{n}:r" for n in range(200)]))),
)
