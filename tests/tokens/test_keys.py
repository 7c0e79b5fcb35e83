"""Keys: one key, one algorithm; a public key is never a secret; weak ones are reported."""

import contextlib
import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from random import Random
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization as formats
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from flask import Flask

from jwt_authz import Authz, InvalidToken, MisuseError
from jwt_authz.tokens import Verifier
from jwt_authz.tokens.jws import Key
from jwt_authz.tokens.keys import ALGORITHMS as SUPPORTED
from jwt_authz.tokens.keys import prepare_key, prepare_keys, public_key_of, weakness
from tests.tokens.forging import HASHES, HEADER, SECRET, claims, encoded, signed

RSA = rsa.generate_private_key(65_537, 2_048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
K256 = ec.generate_private_key(ec.SECP256K1())
ED = ed25519.Ed25519PrivateKey.generate()
SHORT_RSA = rsa.generate_private_key(65_537, 1_024)

# Which algorithm each kind of key is for, and for no other (RFC 7518 section 3.1, RFC 8037).
KINDS: dict[str, tuple[Any, set[str]]] = {
    "secret": (SECRET, {"HS256", "HS384", "HS512"}),
    "RSA": (RSA, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "P-256": (P256, {"ES256"}),
    "P-384": (P384, {"ES384"}),
    "P-521": (P521, {"ES512", "ES521"}),
    "secp256k1": (K256, {"ES256K"}),
    "Ed25519": (ED, {"EdDSA", "Ed25519"}),
}
ALGORITHMS = sorted(SUPPORTED)
# An old misspelling that PyJWT still knows, and the name of RFC 9864 for signatures of EdDSA.
SAME = {"ES521": "ES512", "Ed25519": "EdDSA"}


def pem(key: Any) -> str:
    """A private key as text."""
    plain = formats.NoEncryption()
    return key.private_bytes(formats.Encoding.PEM, formats.PrivateFormat.PKCS8, plain).decode()


def public_pem(key: Any) -> str:
    return rendered(key, formats.Encoding.PEM, formats.PublicFormat.SubjectPublicKeyInfo).decode()


def rendered(key: Any, encoding: formats.Encoding, form: formats.PublicFormat) -> bytes:
    public: bytes = key.public_key().public_bytes(encoding, form)
    return public


def spellings(key: Any) -> list[Any]:
    """A public key in the forms in which an application configures one."""
    if isinstance(key, str):
        return [key, key.encode()]
    text = public_pem(key)
    return [key.public_key(), text, text.encode(), public_key_of(pem(key), own_algorithm(key))]


def own_algorithm(key: Any) -> str:
    return next(min(names - {"Ed25519"}) for one, names in KINDS.values() if one is key)


def signing_input_signed(key: Any, algorithm: str, header: dict[str, Any]) -> str:
    """A token that PyJWT signed with one algorithm, under a header that may name another."""
    text = f"{encoded(header)}.{encoded(claims())}"
    if isinstance(key, str):
        key = key.encode()
    signature = SUPPORTED[algorithm].sign(text.encode(), key)
    return f"{text}.{encoded(signature)}"


# One key, one algorithm


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_fits_the_algorithms_of_its_kind_and_no_other(kind: str) -> None:
    """SECURITY 1.5, 2.1."""
    key, own = KINDS[kind]
    for spelling in spellings(key):
        assert set(prepare_keys(spelling, ALGORITHMS)) == own & set(ALGORITHMS)
        for algorithm in ALGORITHMS:
            if algorithm not in own:
                with pytest.raises(MisuseError):
                    prepare_key(spelling, algorithm)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_only_the_diagonal_of_key_signature_and_header_verifies(kind: str) -> None:
    """SECURITY 1.5, 1.6, 2.1."""
    key, own = KINDS[kind]
    own = own & set(ALGORITHMS)
    verifiers = {
        allowed: Verifier(prepare_keys(spellings(key)[0], [allowed])) for allowed in ALGORITHMS
    }
    for signs in own:
        for says in ALGORITHMS:
            token = signing_input_signed(key, signs, {"alg": says})
            for allowed, verifier in verifiers.items():
                if says == allowed and SAME.get(signs, signs) == SAME.get(says, says):
                    assert verifier.verify(token).header["alg"] == says
                else:
                    with pytest.raises(InvalidToken):
                        verifier.verify(token)


@pytest.mark.slow
def test_no_key_of_one_kind_verifies_what_a_key_of_another_signed() -> None:
    for signs, (key, own) in KINDS.items():
        algorithm = min(own & set(ALGORITHMS))
        token = signing_input_signed(key, algorithm, {"alg": algorithm})
        for verifies, (other, _) in KINDS.items():
            verifier = Verifier(prepare_keys(spellings(other)[0], ALGORITHMS))
            if signs == verifies:
                assert verifier.verify(token)
            else:
                with pytest.raises(InvalidToken):
                    verifier.verify(token)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "secret"])
def test_another_key_of_the_same_kind_does_not_verify(kind: str) -> None:
    key, own = KINDS[kind]
    made: dict[str, Callable[[], Any]] = {
        "RSA": lambda: rsa.generate_private_key(65_537, 2_048),
        "Ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    other = made.get(kind, lambda: ec.generate_private_key(key.curve))()
    algorithm = min(own & set(ALGORITHMS))
    token = signing_input_signed(other, algorithm, {"alg": algorithm})
    with pytest.raises(InvalidToken):
        Verifier(prepare_keys(key.public_key(), [algorithm])).verify(token)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_of_any_signature_is_refused_and_raises_nothing_else(kind: str) -> None:
    """SECURITY 2.3."""
    key, own = KINDS[kind]
    for algorithm in own & set(ALGORITHMS):
        verifier = Verifier(prepare_keys(spellings(key)[0], [algorithm]))
        text = f"{encoded({'alg': algorithm})}.{encoded(claims())}"
        secret = key.encode() if isinstance(key, str) else key
        good = SUPPORTED[algorithm].sign(text.encode(), secret)
        assert verifier.verify(f"{text}.{encoded(good)}")
        wrong = [bytes([*good[:n], good[n] ^ 1, *good[n + 1 :]]) for n in range(0, len(good), 7)]
        wrong += [good[:-1], good + b"\0", b"\0" + good, good[1:], bytes(len(good)), b"\0"]
        wrong += [b"\xff" * len(good), good * 2, good[: len(good) // 2]]
        for signature in wrong:
            with pytest.raises(InvalidToken):
                verifier.verify(f"{text}.{encoded(signature)}")


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_a_signature_without_its_leading_zero_is_refused(algorithm: str) -> None:
    """RFC 8017 section 8.1.2: it is another text for the same number."""
    key, _ = KINDS["RSA"]
    verifier = Verifier(prepare_keys(key.public_key(), [algorithm]))
    for number in range(10_000):
        text = f"{encoded({'alg': algorithm})}.{encoded({**claims(), 'number': number})}"
        signature = SUPPORTED[algorithm].sign(text.encode(), key)
        if signature[0] == 0:
            break
    assert verifier.verify(f"{text}.{encoded(signature)}")
    with pytest.raises(InvalidToken):
        verifier.verify(f"{text}.{encoded(signature[1:])}")


# A public key is not a secret


def jwk(key: Any, **more: Any) -> dict[str, Any]:
    algorithm = SUPPORTED[own_algorithm(key)]
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **more}


def renderings(key: Any) -> dict[str, bytes]:
    """Every text in which a public key is passed around."""
    form, encoding = formats.PublicFormat, formats.Encoding
    spki = rendered(key, encoding.PEM, form.SubjectPublicKeyInfo)
    der = rendered(key, encoding.DER, form.SubjectPublicKeyInfo)
    found = {
        "SPKI": spki,
        "DER": der,
        "JWK": json.dumps(jwk(key)).encode(),
        "JWK on lines": json.dumps(jwk(key), indent=2).encode(),
        "JWK compact": json.dumps(jwk(key), separators=(",", ":")).encode(),
        "JWK with kid first": json.dumps({"kid": "k1", "use": "sig", **jwk(key)}).encode(),
        "JWK Set": json.dumps({"keys": [jwk(key, kid="k1")]}).encode(),
        "bare base64": b64encode(der),
        "one line": spki.replace(b"\n", b""),
        "escaped line breaks": spki.replace(b"\n", b"\\n"),
        "CRLF": spki.replace(b"\n", b"\r\n"),
    }
    if key is RSA:
        found["PKCS1"] = rendered(key, encoding.PEM, form.PKCS1)
        found["PKCS1 DER"] = rendered(key, encoding.DER, form.PKCS1)
    if key is not K256:
        found["SSH"] = rendered(key, encoding.OpenSSH, form.OpenSSH)
        found["SSH with a comment"] = found["SSH"] + b" alice@example.org\n"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        found["point"] = rendered(key, encoding.X962, form.UncompressedPoint)
    found["private PEM"] = pem(key).encode()
    ders = {name: data for name, data in found.items() if "DER" in name or name == "point"}
    for name, data in ders.items():
        found[f"{name[:5]} in hex"] = data.hex().encode()
        found[f"{name[:5]} in HEX on lines"] = "\n".join(wrapped(data.hex().upper())).encode()
        found[f"{name[:5]} in hex with colons"] = data.hex(":").encode()
        found[f"{name[:5]} in base64url"] = encoded(data).encode()
        found[f"{name[:5]} in base64 on lines"] = encodebytes(data)
    found["PEM in base64"] = b64encode(spki)
    found["JWK in base64url"] = encoded(found["JWK"]).encode()
    found["JWK as Python prints it"] = str(jwk(key)).encode()
    return found


def wrapped(text: str) -> list[str]:
    return [text[start : start + 64] for start in range(0, len(text), 64)]


AROUND: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda text: text,
    "a blank before": lambda text: b" " + text,
    "line breaks before": lambda text: b"\n\r\n\t" + text,
    "a byte order mark before": lambda text: b"\xef\xbb\xbf" + text,
    "a mark and blanks before": lambda text: b"\xef\xbb\xbf \n" + text,
    "a comment before": lambda text: b"# the public key\n" + text,
    "junk lines before": lambda text: b"Bag Attributes\n    friendlyName: key\n" + text,
    "NUL before": lambda text: b"\0" + text,
    "blanks behind": lambda text: text + b" \n\n",
    "junk behind": lambda text: text + b"\n-- \nthe end\n",
}
ASYMMETRIC = {kind: key for kind, (key, _) in KINDS.items() if kind != "secret"}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("kind", ASYMMETRIC)
def test_no_rendering_of_a_public_key_ever_serves_as_an_hmac_secret(kind: str, around: str) -> None:
    """SECURITY 1.1, 1.2."""
    served = []
    for name, text in renderings(ASYMMETRIC[kind]).items():
        if ("DER" in name or name == "point") and around != "as it is":
            continue  # bytes, and no text to stand between lines
        secret = AROUND[around](text)
        configured: list[Any] = [secret]
        with contextlib.suppress(UnicodeDecodeError):
            configured.append(secret.decode())
        for spelling in configured:
            verifier = Verifier(prepare_keys(spelling, HASHES))
            for algorithm in HASHES:
                token = signed(claims(), {**HEADER, "alg": algorithm}, secret, algorithm)
                try:
                    verifier.verify(token)
                except InvalidToken:
                    continue
                served.append((name, type(spelling).__name__, algorithm))
    assert served == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ASYMMETRIC)
def test_the_check_reports_a_public_key_that_is_configured_as_the_secret(kind: str) -> None:
    """SECURITY 1.1, 1.2."""
    for name, text in renderings(ASYMMETRIC[kind]).items():
        app = Flask("shop")
        app.config["JWT_SECRET_KEY"] = text
        with app.app_context(), pytest.raises(MisuseError, match="is a public key, which anyone"):
            Authz(app).check()
            pytest.fail(name)


@pytest.mark.parametrize("kind", ASYMMETRIC)
@pytest.mark.parametrize("algorithm", HASHES)
def test_a_key_object_never_reaches_an_hmac_routine(kind: str, algorithm: str) -> None:
    """SECURITY 1.2."""
    key = ASYMMETRIC[kind]
    for spelling in (key, key.public_key(), jwt.PyJWK(jwk(key)), jwk(key)):
        with pytest.raises(MisuseError):
            prepare_key(spelling, algorithm)
        assert prepare_keys(spelling, [algorithm]) == {}


def test_a_certificate_is_not_a_secret() -> None:
    fake = b"-----BEGIN CERTIFICATE-----\n" + b64encode(bytes(300)) + b"\n-----END CERTIFICATE-----"
    for spelling in (fake, fake.decode(), b"\n " + fake):
        assert prepare_keys(spelling, HASHES) == {}


@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        SECRET.encode(),
        "\u00e4" * 40,
        b"\xff" * 64,
        "{" * 64,
        "ssh" * 30,
        "-" * 64,
        b"\x30" * 64,
        '{"a": 1}' * 9,
        "1" * 64,
    ],
)
def test_an_ordinary_secret_is_not_taken_for_a_public_key(secret: Any) -> None:
    assert set(prepare_keys(secret, ALGORITHMS)) == set(HASHES)
    text = secret.encode() if isinstance(secret, str) else secret
    assert Verifier(prepare_keys(secret, ["HS256"])).verify(signed(secret=text))


def spelled(secret: bytes) -> list[Any]:
    """A random secret as it comes out of the usual commands."""
    return [secret, secret.hex(), b64encode(secret).decode(), urlsafe_b64encode(secret).decode()]


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 33, 48, 49, 64, 65, 66, 67, 97])
def test_no_random_secret_is_taken_for_a_public_key(size: int) -> None:
    random = Random(size)
    for _ in range(300):
        for secret in spelled(random.randbytes(size)):
            assert prepare_key(secret, "HS256").name == "HS256"
    for first in (0x02, 0x03, 0x04, 0x30):  # what points and DER begin with
        for _ in range(30):
            for secret in spelled(bytes([first]) + random.randbytes(size - 1)):
                assert prepare_key(secret, "HS256").name == "HS256"


# Bound keys


def test_a_bound_key_serves_its_own_algorithm_alone() -> None:
    for kind, key in ASYMMETRIC.items():
        algorithm = own_algorithm(key)
        bound = jwt.PyJWK(jwk(key), algorithm=algorithm)
        token = signing_input_signed(key, algorithm, {"alg": algorithm})
        assert Verifier({algorithm: prepare_key(bound, algorithm)}).verify(token), kind
        for other in ALGORITHMS:
            if other != algorithm:
                with pytest.raises(MisuseError, match=f"for {algorithm}, not for {other}"):
                    prepare_key(bound, other)


def test_a_bound_secret_serves_its_own_algorithm_alone() -> None:
    bound = jwt.PyJWK({"kty": "oct", "k": encoded(SECRET), "alg": "HS256"})
    key: Key = prepare_key(bound, "HS256")
    assert Verifier({"HS256": key}).verify(signed())
    for other in ("HS384", "HS512", "RS256"):
        with pytest.raises(MisuseError):
            prepare_key(bound, other)


# Misuse


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "HS255", "hs256", "RSA"])
def test_an_unknown_algorithm_is_refused_for_every_key(algorithm: str) -> None:
    """SECURITY 1.3, 1.5, 2.2."""
    for key in (SECRET, "", None, RSA, RSA.public_key()):
        with pytest.raises(MisuseError, match="Unsupported signing algorithm"):
            prepare_key(key, algorithm)
        assert prepare_keys(key, [algorithm]) == {}


@pytest.mark.parametrize("algorithm", [None, 256, True, b"HS256", ("HS256",), ["HS256"]], ids=repr)
def test_an_algorithm_that_is_not_a_text_is_refused(algorithm: Any) -> None:
    with pytest.raises(MisuseError):
        prepare_key(SECRET, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        b"",
        1,
        True,
        [],
        {},
        object(),
        1.5,
        dsa.generate_private_key(1_024).public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_what_is_not_a_key_is_refused_with_what_to_write(algorithm: str, key: Any) -> None:
    with pytest.raises(MisuseError, match=r"expected a secret for HS\*, else a PEM text"):
        prepare_key(key, algorithm)


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if not name.startswith("HS")])
@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "ssh-rsa AAAA",
        "ssh-ed25519 AAAA",
        "ecdsa-sha2-nistp256 AAAA",
        "ssh-dss AAAA",
        b"\xff\xfe",
        b"-----BEGIN PUBLIC KEY-----\n\xff\n-----END PUBLIC KEY-----",
        public_pem(x25519.X25519PrivateKey.generate()),
        public_pem(dsa.generate_private_key(1_024)),
        public_pem(ec.generate_private_key(ec.BrainpoolP256R1())),
        # A public key whose algorithm no library knows: an object identifier of this test.
        "-----BEGIN PUBLIC KEY-----\n"
        + b64encode(bytes.fromhex("300e300706032a037f05000303000102")).decode()
        + "\n-----END PUBLIC KEY-----",
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_a_text_that_is_not_a_such_key_is_a_misuse_and_no_other_error(
    algorithm: str, text: Any
) -> None:
    with pytest.raises(MisuseError):
        prepare_key(text, algorithm)
    assert prepare_keys(text, [algorithm]) == {}


def test_no_error_about_a_key_shows_it() -> None:
    for key in ("a very secret text", SECRET):
        with pytest.raises(MisuseError) as info:
            prepare_key(key, "RS256")
        assert key not in str(info.value)
        assert info.value.__cause__ is None


def test_a_private_key_gives_its_public_half() -> None:
    for key in ASYMMETRIC.values():
        for spelling in (key, pem(key)):
            public = public_key_of(spelling, own_algorithm(key))
            assert public == key.public_key()
            assert not hasattr(public, "private_bytes")


# Strength


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_shorter_than_its_hash_is_reported_with_what_to_write(
    algorithm: str, least: int
) -> None:
    """SECURITY 1.36, 2.5."""
    for size in (0, 1, 31, least - 1):
        for secret in ("~" * size, b"~" * size):
            message = weakness(secret, algorithm)
            assert message is not None
            assert f"has {size} bytes and needs {least}" in message
            assert f"secrets.token_hex({least})" in message
            assert secret in ("", b"") or str(secret) not in message
    assert weakness(b"x" * least, algorithm) is None
    assert weakness("x" * least, algorithm) is None


def test_the_bytes_of_a_secret_count_and_not_its_characters() -> None:
    assert weakness("\u00e4" * 16, "HS256") is None
    assert weakness("\U0001f600" * 8, "HS256") is None
    assert weakness("\u00e4" * 15, "HS256") is not None


@pytest.mark.parametrize(
    "secret",
    [
        "secret",
        "changeme",
        "super-secret",
        "your-256-bit-secret",
        "your-384-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    ],
)
def test_a_secret_that_everybody_knows_is_reported(secret: str) -> None:
    """SECURITY 1.36, 2.5."""
    assert weakness(secret, "HS256") is not None


def test_an_rsa_key_below_2048_bits_is_reported_and_a_longer_one_is_not() -> None:
    """SECURITY 2.2."""
    for spelling in (SHORT_RSA, SHORT_RSA.public_key(), pem(SHORT_RSA), public_pem(SHORT_RSA)):
        message = weakness(spelling, "RS256")
        assert message is not None
        assert "1024" in message
        assert "2048" in message
    assert weakness(RSA, "RS256") is None
    assert weakness(public_pem(RSA), "PS512") is None


@pytest.mark.parametrize("kind", [kind for kind in ASYMMETRIC if kind != "RSA"])
def test_a_key_on_a_curve_of_its_algorithm_is_strong_enough(kind: str) -> None:
    key = ASYMMETRIC[kind]
    assert weakness(key, own_algorithm(key)) is None


def test_the_strength_of_a_key_that_does_not_fit_is_a_misuse() -> None:
    for key, algorithm in ((None, "HS256"), (SECRET, "RS256"), (P384, "ES256"), (SECRET, "none")):
        with pytest.raises(MisuseError):
            weakness(key, algorithm)


def test_an_ed448_key_serves_edwards_curves_alone() -> None:
    key = ed448.Ed448PrivateKey.generate()
    assert set(prepare_keys(key.public_key(), ALGORITHMS)) == {"EdDSA", "Ed448"}
