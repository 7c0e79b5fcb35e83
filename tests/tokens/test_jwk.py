"""JWKs: `verify` answers yes to one token, one key and one algorithm that belong together."""

from __future__ import annotations

import functools
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from jwt_authz import MisuseError
from jwt_authz.tokens import verify
from jwt_authz.tokens.jwk import jwk_of, load_jwk, new_jwk, public_jwk
from jwt_authz.tokens.keys import ALGORITHMS as SUPPORTED
from tests.edge import private_key, private_pem
from tests.tokens.forging import encoded

PYJWT = SUPPORTED
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES = ("ES256", "ES256K", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448")
ALGORITHMS = ("HS256", "HS384", "HS512", *RSA_ALGORITHMS, *CURVES)
PAYLOAD = {"sub": "u1"}


def private_jwk_of(key: Any, algorithm: str) -> dict[str, Any]:
    jwk: Any = PYJWT[algorithm].to_jwk(key, as_dict=True)
    jwk.pop("key_ops", None)
    return dict(jwk)


_RSA_JWK = private_jwk_of(private_key("RS256"), "RS256")
# One key a kind, long enough for each algorithm of its kind, and bound to none.
PRIVATE: dict[str, dict[str, Any]] = {
    **{name: {"kty": "oct", "k": encoded(bytes(range(64)))} for name in ALGORITHMS[:3]},
    **{name: _RSA_JWK for name in RSA_ALGORITHMS},
    **{alg: private_jwk_of(private_key(alg), alg) for alg in CURVES},
}


def verifying(algorithm: str, **changes: Any) -> dict[str, Any]:
    """The key that others verify by, with changes; `...` drops a member."""
    jwk = {**(public_jwk(PRIVATE[algorithm]) or PRIVATE[algorithm]), **changes}
    return {name: value for name, value in jwk.items() if value is not ...}


@functools.cache
def signing_key(algorithm: str) -> Any:
    return PYJWT[algorithm].from_jwk(PRIVATE[algorithm])


def sign(algorithm: str, header: Any = None, payload: Any = PAYLOAD, jwk: Any = None) -> str:
    """A token that one algorithm signed, whatever its header says."""
    text = f"{encoded(header or {'alg': algorithm})}.{encoded(payload)}"
    key: Any = PYJWT[algorithm].from_jwk(jwk) if jwk else signing_key(algorithm)
    return f"{text}.{encoded(PYJWT[algorithm].sign(text.encode(), key))}"


# Every pair of algorithms


@pytest.mark.parametrize("signs", ALGORITHMS)
def test_only_the_diagonal_of_key_signature_header_and_algorithm_verifies(signs: str) -> None:
    """SECURITY 1.6, 2.1."""
    passed = set()
    tokens = {says: sign(signs, {"alg": says}) for says in (*ALGORITHMS, "none")}
    for says, token in tokens.items():
        for bound in (*ALGORITHMS, None):
            jwk = verifying(signs, alg=... if bound is None else bound)
            for wanted in ALGORITHMS:
                if verify(token, jwk, wanted):
                    passed.add((says, bound, wanted))
    # EdDSA and Ed25519 are two names for the same signatures, but a key is for one of them.
    names = ("EdDSA", "Ed25519") if signs in ("EdDSA", "Ed25519") else (signs,)
    assert passed == {(name, bound, name) for name in names for bound in (name, None)}


@pytest.mark.parametrize("signs", ALGORITHMS)
def test_no_key_of_another_kind_verifies(signs: str) -> None:
    for other in ALGORITHMS:
        same_key = PRIVATE[other] == PRIVATE[signs]
        for header in ({"alg": signs}, {"alg": other}):
            for wanted in (signs, other):
                good = same_key and header["alg"] == wanted == signs
                assert verify(sign(signs, header), verifying(other), wanted) is good


@pytest.mark.parametrize("wanted", ["none", "None", "", "HS257", "RS1", "ES256k", "hs256", None, 1])
def test_an_unknown_algorithm_verifies_nothing(wanted: Any) -> None:
    """SECURITY 1.3."""
    for signs in ALGORITHMS:
        for header in ({"alg": signs}, {"alg": wanted}):
            assert not verify(sign(signs, header), verifying(signs), wanted)
    unsigned = f"{encoded({'alg': wanted})}.{encoded(PAYLOAD)}."
    assert not verify(unsigned, verifying("HS256"), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_verifies_by_its_public_part_and_by_its_private_one(algorithm: str) -> None:
    token = sign(algorithm)
    for jwk in (verifying(algorithm), PRIVATE[algorithm]):
        for more in ({}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}):
            assert verify(token, {**jwk, **more}, algorithm), more
    another = (
        new_jwk(algorithm)
        if algorithm not in RSA_ALGORITHMS
        else private_jwk_of(private_key("RS256", 1), "RS256")
    )
    assert not verify(token, another, algorithm)
    assert not verify(sign(algorithm, jwk=another), verifying(algorithm), algorithm)


# Keys that do not fit


def test_a_key_bound_to_one_algorithm_verifies_no_other_of_its_kind() -> None:
    """A header's algorithm never overrules that of the key (RFC 8725 section 3.1)."""
    token = sign("PS384")
    assert verify(token, verifying("PS384"), "PS384")
    for algorithm in ("PS256", "PS384"):
        assert not verify(token, verifying("PS384", alg="PS256"), algorithm)
    assert not verify(sign("ES512"), verifying("ES512", alg="ES521"), "ES512")


WRONG_MEMBERS: dict[str, tuple[Any, ...]] = {
    "use": ("enc", "", None, "SIG", "sig ", ["sig"], 1, True),
    "key_ops": (
        ["sign"],
        [],
        ["encrypt"],
        ["deriveKey", "deriveBits"],
        ["Verify"],
        ["verify", "verify"],
        "verify",
        None,
        {"verify": True},
        [["verify"]],
        True,
    ),
    "kty": (..., "", None, "ec", "Oct", "rsa", "OKP ", ["RSA"], 1),
    "alg": ("", None, "none", "HS257", ["RS256"], 1, "dir", "RSA-OAEP"),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", WRONG_MEMBERS)
def test_a_key_for_another_use_verifies_nothing(algorithm: str, name: str) -> None:
    token = sign(algorithm)
    for jwk in (verifying(algorithm), PRIVATE[algorithm]):
        assert verify(token, jwk, algorithm)
        for value in WRONG_MEMBERS[name]:
            wrong = {**jwk, name: value}
            if value is ...:
                del wrong[name]
            assert not verify(token, wrong, algorithm), value


def rsa_jwk(bits: int) -> dict[str, Any]:
    return private_jwk_of(rsa.generate_private_key(65_537, bits), "RS256")


@pytest.mark.slow
@pytest.mark.parametrize("bits", [1_024, 2_040])
@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_an_rsa_key_of_less_than_2048_bits_verifies_nothing(bits: int, algorithm: str) -> None:
    """SECURITY 2.2."""
    short = rsa_jwk(bits)
    token = sign(algorithm, jwk=short)
    assert not verify(token, public_jwk(short) or {}, algorithm)
    with pytest.raises(MisuseError, match="too weak"):
        load_jwk(short, algorithm, "sign")


def test_an_rsa_key_whose_primes_can_be_found_is_refused() -> None:
    """CVE-2017-15361: the modulus is a power of 65537 modulo each small prime."""
    product = functools.reduce(lambda x, y: x * y, (n for n in range(3, 168) if is_prime(n)))
    modulus = pow(65_537, 12_345, product) + product * (1 << (2_048 - product.bit_length()))
    modulus += product * (1 - modulus % 2)
    jwk = {"kty": "RSA", "e": "AQAB", "n": encoded(modulus.to_bytes(260, "big").lstrip(b"\0"))}
    with pytest.raises(MisuseError, match="its prime factors can be computed"):
        load_jwk(jwk, "RS256", "verify")


def is_prime(number: int) -> bool:
    return all(number % factor for factor in range(2, number))


@pytest.mark.parametrize(
    ("algorithm", "size"), [("HS256", 31), ("HS384", 47), ("HS512", 63), ("HS256", 1), ("HS256", 0)]
)
def test_a_secret_that_is_too_short_verifies_nothing(algorithm: str, size: int) -> None:
    token = sign(algorithm, jwk={"kty": "oct", "k": encoded(b"x" * 64)})
    assert not verify(token, {"kty": "oct", "k": encoded(b"x" * size)}, algorithm)
    if size:
        short = {"kty": "oct", "k": encoded(b"x" * size)}
        assert not verify(sign(algorithm, jwk=short), short, algorithm)


def test_a_secret_that_everybody_knows_verifies_nothing() -> None:
    for known in (b"a-string-secret-at-least-256-bits-long", private_pem("ES256").encode()):
        jwk = {"kty": "oct", "k": encoded(known)}
        assert not verify(sign("HS256", jwk=jwk), jwk, "HS256")


def wrong_material() -> dict[str, tuple[str, dict[str, Any]]]:
    """Invalid keys: the message for each, its algorithm, and what it has for others."""
    es, ed, rs = (verifying(name) for name in ("ES256", "EdDSA", "RS256"))
    p384 = verifying("ES384")
    other_curve = PYJWT["EdDSA"].to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True)
    raw = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    k1: Any = PYJWT["ES256K"].to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key(), True)
    return {
        "a curve in lower case": ("ES256", {"crv": "p-256"}),
        "no curve": ("ES256", {"crv": ...}),
        "another curve's name": ("ES256", {"crv": "P-384"}),
        "another curve's point under this name": ("ES256", {**p384, "crv": "P-256"}),
        "a key of P-384": ("ES256", dict(p384)),
        "a key of secp256k1": ("ES256", dict(k1)),
        "a key of secp256k1 under this name": ("ES256", {**k1, "crv": "P-256"}),
        "a point off the curve": ("ES256", {"y": es["x"]}),
        "the point at infinity": ("ES256", {"x": encoded(bytes(32)), "y": encoded(bytes(32))}),
        "a point beyond the field": ("ES256", {"x": encoded(b"\xff" * 32)}),
        "no x": ("ES256", {"x": ...}),
        "x a number": ("ES256", {"x": 1}),
        "x of 31 bytes": ("ES256", {"x": es["x"][:-2]}),
        "Ed448": ("EdDSA", dict(other_curve)),
        "X25519": ("EdDSA", {"crv": "X25519", "x": encoded(raw)}),
        "x of 31 bytes, too": ("EdDSA", {"x": ed["x"][:-2]}),
        "no x, too": ("EdDSA", {"x": ...}),
        "e = 1": ("RS256", {"e": encoded(b"\x01")}),
        "e = 0": ("RS256", {"e": encoded(b"\x00")}),
        "an even e": ("RS256", {"e": encoded(b"\x02")}),
        "no e": ("RS256", {"e": ...}),
        "no n": ("RS256", {"n": ...}),
        "n a list": ("RS256", {"n": [rs["n"]]}),
        "no k": ("HS256", {"k": ...}),
        "k null": ("HS256", {"k": None}),
        "k a number": ("HS256", {"k": 10**40}),
        "k no base64url": ("HS256", {"k": "\u00e4" * 60}),
    }


WRONG_MATERIAL = wrong_material()


@pytest.mark.parametrize("said", WRONG_MATERIAL)
def test_an_invalid_key_verifies_nothing_and_raises_nothing(said: str) -> None:
    """SECURITY 2.4."""
    algorithm, changes = WRONG_MATERIAL[said]
    assert not verify(sign(algorithm), verifying(algorithm, **changes), algorithm)


@pytest.mark.parametrize("jwk", [None, "", "{}", [], {}, {"keys": []}, 1, b"x"], ids=repr)
def test_what_is_not_a_jwk_verifies_nothing_and_raises_nothing(jwk: Any) -> None:
    for algorithm in ALGORITHMS:
        assert verify(sign(algorithm), jwk, algorithm) is False


# Headers

WRONG_HEADERS: dict[str, dict[str, Any]] = {
    "crit with what is unknown": {"crit": ["x"], "x": 1},
    "crit with a claim": {"crit": ["exp"], "exp": 9_999_999_999},
    "crit with what the header lacks": {"crit": ["exp"]},
    "crit with alg": {"crit": ["alg"]},
    "crit empty": {"crit": []},
    "crit twice the same": {"crit": ["b64", "b64"], "b64": True},
    "crit a text": {"crit": "exp"},
    "crit null": {"crit": None},
    "crit false": {"crit": False},
    "crit an object": {"crit": {}},
    "b64 false": {"b64": False},
    "b64 false and critical": {"b64": False, "crit": ["b64"]},
    "b64 true and critical": {"b64": True, "crit": ["b64"]},
    "zip": {"zip": "DEF"},
    "enc": {"enc": "A256GCM"},
    "p2c": {"p2c": 10**9},
    "kid a number": {"kid": 1},
    "kid a list": {"kid": ["a"]},
    "typ a list": {"typ": ["JWT"]},
    "cty a number": {"cty": 1},
}


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("said", WRONG_HEADERS)
def test_a_header_that_is_not_plainly_signed_verifies_nothing(said: str, algorithm: str) -> None:
    token = sign(algorithm, {"alg": algorithm, **WRONG_HEADERS[said]})
    assert not verify(token, verifying(algorithm), algorithm)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Alg": "HS256"},
        {"alg": None},
        {"alg": 1},
        {"alg": ["HS256"]},
        {"alg": "hs256"},
        {"alg": "HS256 "},
        '{"alg":"none","alg":"HS256"}',
        '{"alg":"HS256","alg":"HS256"}',
        '["HS256"]',
        '"HS256"',
        "null",
        '\ufeff{"alg":"HS256"}',
        '{"alg":"HS256","x":NaN}',
        '{"alg":"HS256"}x',
        '{"alg":"HS256","x":' + "[" * 2_000 + "]" * 2_000 + "}",
    ],
    ids=lambda header: str(header)[:30],
)
def test_a_header_that_does_not_say_the_algorithm_verifies_nothing(header: Any) -> None:
    text = f"{encoded(header)}.{encoded(PAYLOAD)}"
    key: Any = PYJWT["HS256"].from_jwk(PRIVATE["HS256"])
    token = f"{text}.{encoded(PYJWT['HS256'].sign(text.encode(), key))}"
    assert not verify(token, verifying("HS256"), "HS256")


def test_a_key_inside_the_header_is_never_used() -> None:
    evil = new_jwk("ES256")
    own = {"jwk": public_jwk(evil), "jku": "https://evil.example/", "x5u": "https://evil.example/"}
    for header in ({"alg": "ES256", **own}, {"alg": "ES256", "kid": evil["kid"], **own}):
        assert not verify(sign("ES256", header, jwk=evil), verifying("ES256"), "ES256")
        assert verify(sign("ES256", header), verifying("ES256"), "ES256")


def test_a_public_key_is_never_a_secret() -> None:
    """SECURITY 1.1, 1.2."""
    from tests.tokens.forging import signed_text

    for algorithm in ("RS256", "ES256", "EdDSA"):
        jwk = verifying(algorithm)
        for said in (algorithm, "HS256"):
            text = f"{encoded({'alg': said})}.{encoded(PAYLOAD)}"
            for secret in (json.dumps(jwk), jwk.get("n", jwk.get("x", ""))):
                token = signed_text(text, secret)
                assert not verify(token, jwk, algorithm)
                assert not verify(token, jwk, "HS256")


# Signatures


def _der(signature: bytes) -> bytes:
    half = len(signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    return encode_dss_signature(r, s)


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "the first bit": lambda s: bytes([s[0] ^ 128]) + s[1:],
    "the last bit": lambda s: s[:-1] + bytes([s[-1] ^ 1]),
    "one byte less": lambda s: s[:-1],
    "one byte less in front": lambda s: s[1:],
    "a zero behind": lambda s: s + b"\0",
    "a zero in front": lambda s: b"\0" + s,
    "half of it": lambda s: s[: len(s) // 2],
    "twice": lambda s: s * 2,
    "zeros": lambda s: bytes(len(s)),
    "ones": lambda s: b"\xff" * len(s),
    "its halves swapped": lambda s: s[len(s) // 2 :] + s[: len(s) // 2],
    "one byte": lambda s: b"\0",
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("said", _SPOILT)
def test_a_signature_that_was_touched_verifies_nothing(algorithm: str, said: str) -> None:
    text, _, signature = sign(algorithm).rpartition(".")
    from jwt.utils import base64url_decode

    spoilt = _SPOILT[said](base64url_decode(signature))
    assert not verify(f"{text}.{encoded(spoilt)}", verifying(algorithm), algorithm)


def test_an_ecdsa_signature_has_one_form_and_numbers_in_range() -> None:
    """SECURITY 2.3, 2.4."""
    from jwt.utils import base64url_decode

    text, _, signature = sign("ES256").rpartition(".")
    good = base64url_decode(signature)
    assert decode_dss_signature(_der(good))
    r, s = good[:32], int.from_bytes(good[32:], "big")
    odd = [_der(good), r + P256_ORDER.to_bytes(32, "big")]
    edges = (0, 1, P256_ORDER - 1, P256_ORDER)
    odd += [a.to_bytes(32, "big") + b.to_bytes(32, "big") for a in edges for b in edges]
    odd += [r + (s + P256_ORDER).to_bytes(33, "big")]
    for spoilt in odd:
        assert not verify(f"{text}.{encoded(spoilt)}", verifying("ES256"), "ES256")


def test_a_token_has_one_spelling() -> None:
    header, payload, signature = sign("HS256").split(".")
    good = f"{header}.{payload}.{signature}"
    assert verify(good, verifying("HS256"), "HS256")
    again = "".join(chr(ord(c) + 1) if n == 42 else c for n, c in enumerate(signature))
    wrong = [
        "",
        ".",
        "..",
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f".{payload}.{signature}",
        f"{header}..{signature}",
        f"{good}.",
        f".{good}",
        f"{good}.{signature}",
        f"{good}=",
        f"{header}.{payload}=.{signature}",
        f" {good}",
        f"{good}\n",
        f"{header}. {payload}.{signature}",
        f"{header}?.{payload}.{signature}",
        f"{header[:-1]}?{header[-1]}.{payload}.{signature}",
        f"{header}.{payload}?.{signature}",
        f"{header}.{payload}.?{signature}",
        f"{header}.{payload}.{again}",
        good.replace("-", "+").replace("_", "/") + "+",
        good + "\u00e4",
        json.dumps({"protected": header, "payload": payload, "signature": signature}),
        b64encode(good.encode()).decode(),
    ]
    for token in wrong:
        assert verify(token, verifying("HS256"), "HS256") is False, token


@pytest.mark.parametrize("token", [None, 1, b"a.b.c", ["a.b.c"], {}, True], ids=repr)
def test_what_is_not_a_text_is_not_a_token(token: Any) -> None:
    assert verify(token, verifying("HS256"), "HS256") is False


def test_the_payload_is_not_looked_at_and_its_bytes_are_what_was_signed() -> None:
    for payload in ("foo", b"\xff\xfe", "[]", '{"exp":1}', "x" * 5_000):
        assert verify(sign("ES256", payload=payload), verifying("ES256"), "ES256")
    header, _, signature = sign("ES256", payload="foo").split(".")
    assert not verify(f"{header}.{encoded('fop')}.{signature}", verifying("ES256"), "ES256")
    assert not verify(sign("HS256", payload="x" * 20_000), verifying("HS256"), "HS256")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_empty_payload_with_a_good_signature_verifies(algorithm: str) -> None:
    """RFC 7515 signs any bytes, none included; that a JWT has claims is checked elsewhere."""
    token = sign(algorithm, payload=b"")
    assert ".." in token
    assert verify(token, verifying(algorithm), algorithm)
    header, _, signature = token.split(".")
    for other in ("AA", "e30"):
        assert not verify(f"{header}.{other}.{signature}", verifying(algorithm), algorithm)


@pytest.mark.parametrize("payload", ["AB", "A", "AAB", "AA=", "AA==", " AA", "AA ", "A+", "AAAAA"])
def test_a_payload_that_is_not_canonical_base64url_verifies_nothing(payload: str) -> None:
    """Although the signature is good for its characters (RFC 4648 section 3.5)."""
    text = f"{encoded({'alg': 'HS256'})}.{payload}"
    key: Any = PYJWT["HS256"].from_jwk(PRIVATE["HS256"])
    token = f"{text}.{encoded(PYJWT['HS256'].sign(text.encode(), key))}"
    assert not verify(token, verifying("HS256"), "HS256")


# Making and publishing keys


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", *CURVES])
def test_a_new_key_signs_and_verifies_with_its_algorithm(algorithm: str) -> None:
    jwk = new_jwk(algorithm)
    assert (jwk["alg"], jwk["use"]) == (algorithm, "sig")
    assert verify(sign(algorithm, jwk=jwk), public_jwk(jwk) or jwk, algorithm)
    assert load_jwk(jwk, algorithm, "sign").name == algorithm


@pytest.mark.slow
def test_a_new_rsa_key_has_3072_bits_and_each_new_key_another_id() -> None:
    key: Any = load_jwk(new_jwk("PS256"), "PS256", "sign").prepared
    assert key.key_size == 3_072
    kids = {new_jwk("HS256")["kid"] for _ in range(200)}
    assert len(kids) == 200
    assert not any(kid.startswith("-") for kid in kids)


@pytest.mark.parametrize("algorithm", ["none", "", "ES521", "RSA", None])
def test_no_key_is_made_for_what_is_not_an_algorithm(algorithm: Any) -> None:
    with pytest.raises(MisuseError, match="expected one of HS256, "):
        new_jwk(algorithm)


def test_what_is_published_holds_nothing_that_signs() -> None:
    for algorithm in ALGORITHMS:
        odd = {
            "kid": "k",
            "priv": "secret",
            "note": "secret",
            "x5c": ["secret"],
            "key_ops": ["sign"],
        }
        public = public_jwk({**PRIVATE[algorithm], **odd, "alg": algorithm})
        if algorithm.startswith("HS"):
            assert public is None
            continue
        assert public is not None
        assert public.keys() <= {"kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"}
        assert "secret" not in json.dumps(public)
        with pytest.raises(MisuseError, match="no private part"):
            load_jwk(public, algorithm, "sign")


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["RS256", "PS512", *CURVES])
def test_a_pem_key_is_published_under_its_thumbprint(algorithm: str) -> None:
    for key in (
        private_pem(algorithm),
        private_key(algorithm),
        private_key(algorithm).public_key(),
    ):
        jwk = jwk_of(key, algorithm)
        assert jwk.keys() <= {"kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"}
        assert (jwk["use"], jwk["alg"], len(jwk["kid"])) == ("sig", algorithm, 43)
        assert verify(
            sign(algorithm, jwk=private_jwk_of(private_key(algorithm), algorithm)), jwk, algorithm
        )
    assert jwk_of(private_pem(algorithm), algorithm) == jwk_of(private_key(algorithm), algorithm)


# RFC 7638 section 3.1 and RFC 8037 appendix A.3.
THUMBPRINTS: list[tuple[str, Mapping[str, str], str]] = [
    (
        "RS256",
        {
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1"
            "L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4"
            "QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO"
            "pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF"
            "Cur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
        },
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    ),
    (
        "EdDSA",
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    ),
]


@pytest.mark.parametrize(("algorithm", "jwk", "thumbprint"), THUMBPRINTS, ids=["RSA", "OKP"])
def test_the_thumbprint_is_that_of_rfc_7638(
    algorithm: str, jwk: Mapping[str, str], thumbprint: str
) -> None:
    assert jwk_of(PYJWT[algorithm].from_jwk(dict(jwk)), algorithm)["kid"] == thumbprint


def test_urlsafe_text_is_what_a_jwk_holds() -> None:
    secret = new_jwk("HS512")["k"]
    assert urlsafe_b64encode(bytes(64)).rstrip(b"=").decode() != secret
    assert len(secret) == 86
