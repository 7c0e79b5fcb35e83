"""Compact JWS: a token's text is read strictly, or not at all."""

import json
import string
import time
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from random import Random
from typing import Any

import pytest

from jwt_authz import InvalidToken
from jwt_authz.errors import (
    AlgorithmNotAllowed,
    KeyUnknown,
    SignatureInvalid,
    TokenMalformed,
    TokenTooLong,
)
from jwt_authz.tokens.encodings import IdentityReader
from jwt_authz.tokens.jws import LONGEST_TOKEN, Signed, choose_key, read_object
from jwt_authz.tokens.keys import prepare_keys
from tests.steps import steps_of
from tests.tokens.forging import (
    HEADER,
    SECRET,
    claims,
    encoded,
    signed,
    signed_text,
    verifier,
    without,
)

ALPHABET = string.ascii_letters + string.digits + "-_"
HUGE = 10_000_000


def assert_refused(
    token: str, condition: type[InvalidToken] = TokenMalformed, **settings: Any
) -> None:
    """The token is refused with this condition, and its text is in no message."""
    with pytest.raises(InvalidToken) as info:
        verifier(**settings).verify(token)
    assert type(info.value) is condition, repr(info.value)
    assert len(token) < 20 or token[:20] not in str(info.value)


def test_a_good_token_is_read_to_its_header_and_payload() -> None:
    payload = claims(roles=["a"], text="\u00e4\u4e2d\U0001f600", number=1.5, none=None)
    verified = verifier().verify(signed(payload))
    assert verified.header == HEADER
    assert {name: verified.payload[name] for name in payload} == payload


def test_json_with_blanks_and_escapes_is_json() -> None:
    text = json.dumps(claims(text="\u00e4\U0001f600"), indent=2)
    assert "\\ud83d\\ude00" in text
    assert verifier().verify(signed(text)).payload["text"] == "\u00e4\U0001f600"


# The form


def parts() -> tuple[str, str, str]:
    header, payload, signature = signed().split(".")
    return header, payload, signature


@pytest.mark.parametrize(
    "forge",
    [
        lambda h, p, s: "",
        lambda h, p, s: ".",
        lambda h, p, s: "..",
        lambda h, p, s: "...",
        lambda h, p, s: h,
        lambda h, p, s: f"{h}.{p}",
        lambda h, p, s: f"{h}.{p}.",
        lambda h, p, s: f".{p}.{s}",
        lambda h, p, s: f"{h}.{p}.{s}.",
        lambda h, p, s: f".{h}.{p}.{s}",
        lambda h, p, s: f"{h}.{p}.{s}.{s}",
        lambda h, p, s: f"{h}.{p}.{s}.{s}.{s}",
        lambda h, p, s: f"{h}.{h}.{p}.{p}.{s}",
        lambda h, p, s: f"{h}.{p}.{s}~",
        lambda h, p, s: f"{h}.{p}.{s}~{h}.{p}.{s}~",
        lambda h, p, s: f"{h} .{p}.{s}",
        lambda h, p, s: f"{h}. {p}.{s}",
        lambda h, p, s: f" {h}.{p}.{s}",
        lambda h, p, s: f"{h}.{p}.{s} ",
        lambda h, p, s: f"{h}.{p}.{s}\n",
        lambda h, p, s: f"\n{h}.{p}.{s}",
        lambda h, p, s: f"{h}.{p}\r\n.{s}",
        lambda h, p, s: f"{h}.{p[:5]}\n{p[5:]}.{s}",
        lambda h, p, s: f"{h}.{p[:5]} {p[5:]}.{s}",
        lambda h, p, s: f"\ufeff{h}.{p}.{s}",
        lambda h, p, s: f"{h}.{p}.{s}\0",
        lambda h, p, s: f"{h}\u3002{p}\u3002{s}",
        lambda h, p, s: f"{h},{p},{s}",
        lambda h, p, s: f'"{h}.{p}.{s}"',
        lambda h, p, s: f"Bearer {h}.{p}.{s}",
        lambda h, p, s: json.dumps({"protected": h, "payload": p, "signature": s}),
        lambda h, p, s: json.dumps(
            {"payload": p, "signatures": [{"protected": h, "signature": s}]}
        ),
        lambda h, p, s: json.dumps({f"{h}.{p}.{s}": ""}),
        lambda h, p, s: f"{h}=.{p}.{s}",
        lambda h, p, s: f"{h}.{p}==.{s}",
        lambda h, p, s: f"{h}.{p}.{s}=",
        lambda h, p, s: f"{h}.{p}.{s}==",
        lambda h, p, s: f"{h}.{p}.{s}====",
        lambda h, p, s: f"{h}.{p}.{s[:-1]}\uff21",
        lambda h, p, s: f"{h}.{p}.{s[:-1]}\u0661",
        lambda h, p, s: f"{h}.{p}.{s}\udc80",
    ],
)
def test_what_is_not_three_segments_of_base64url_is_refused(forge: Any) -> None:
    assert_refused(forge(*parts()))


def test_a_signed_segment_in_the_wrong_alphabet_or_with_padding_is_refused() -> None:
    data = json.dumps(claims(text="\u00fb\u00ff\u00fe~~~???")).encode()
    for pad in range(4):
        payload = data + b" " * pad
        plain = urlsafe_b64encode(payload).decode()
        for text in (plain, b64encode(payload).decode(), b64encode(payload).decode().rstrip("=")):
            if set(text) - set(ALPHABET):
                assert_refused(signed_text(f"{encoded(HEADER)}.{text}"))
    header = urlsafe_b64encode(json.dumps({**HEADER, "x": "1"}).encode()).decode()
    assert_refused(signed_text(f"{header}=.{encoded(claims())}"))


def other_ends(segment: str) -> list[str]:
    """The texts that a lenient decoder takes for the same bytes."""
    spare = {2: 16, 3: 4}.get(len(segment) % 4)
    if spare is None:
        return []
    last = ALPHABET_IN_ORDER.index(segment[-1])
    assert last % spare == 0
    return [segment[:-1] + ALPHABET_IN_ORDER[last + more] for more in range(1, spare)]


ALPHABET_IN_ORDER = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def test_only_one_text_stands_for_the_same_bytes_in_each_segment() -> None:
    tried = 0
    for pad in range(3):
        header = encoded(json.dumps(HEADER) + " " * pad)
        payload = encoded(json.dumps(claims()) + " " * pad)
        good = signed_text(f"{header}.{payload}")
        verifier().verify(good)
        signature = good.split(".")[2]
        forged = [f"{header}.{payload}.{end}" for end in other_ends(signature)]
        forged += [signed_text(f"{end}.{payload}") for end in other_ends(header)]
        forged += [signed_text(f"{header}.{end}") for end in other_ends(payload)]
        for token in forged:
            assert_refused(token)
        tried += len(forged)
    assert tried > 30


@pytest.mark.parametrize("segment", range(3))
def test_a_segment_of_an_impossible_length_is_refused(segment: int) -> None:
    texts = list(parts())
    while len(texts[segment]) % 4 != 1:
        texts[segment] += "A"
    if segment < 2:
        assert_refused(signed_text(".".join(texts[:2])))
    else:
        assert_refused(".".join(texts))


def test_each_single_character_changed_makes_a_token_that_is_refused() -> None:
    """SECURITY 2.3."""
    good = signed(claims(roles=["admin"]))
    random = Random(7)
    verifier().verify(good)
    for place, char in enumerate(good):
        for other in {*random.sample(ALPHABET, 4), ".", chr(ord(char) ^ 1), char.swapcase()}:
            if other == char:
                continue
            with pytest.raises(InvalidToken):
                verifier().verify(f"{good[:place]}{other}{good[place + 1 :]}")


def test_each_single_character_left_out_or_doubled_makes_a_token_that_is_refused() -> None:
    good = signed()
    for place in range(len(good)):
        for text in (good[:place] + good[place + 1 :], good[:place] + good[place] + good[place:]):
            if text != good:
                with pytest.raises(InvalidToken):
                    verifier().verify(text)
    for end in range(len(good)):
        with pytest.raises(InvalidToken):
            verifier().verify(good[:end])


def test_an_empty_payload_is_signed_bytes_and_still_no_token() -> None:
    token = signed_text(f"{encoded(HEADER)}.")
    Signed(token).check_signature(prepare_keys(SECRET, ["HS256"])["HS256"])
    assert_refused(token)
    assert_refused(f"{token[:-4]}AAAA", SignatureInvalid)


# Size


def test_a_token_that_is_too_long_is_refused_unread() -> None:
    """SECURITY 1.9, F12."""
    good = signed(claims(text="x" * LONGEST_TOKEN))
    assert_refused(good, TokenTooLong)
    assert_refused("." * 100_000, TokenTooLong)
    assert_refused("A" * (LONGEST_TOKEN + 1), TokenTooLong)
    assert_refused("A" * LONGEST_TOKEN, TokenMalformed)


def test_the_longest_token_that_is_read_can_be_set() -> None:
    token = signed()
    assert verifier(longest=len(token)).verify(token)
    assert_refused(token, TokenTooLong, longest=len(token) - 1)


@pytest.mark.long
def test_a_huge_text_is_refused_in_no_time() -> None:
    """SECURITY 1.9, F12."""
    for text in ("." * HUGE, "A" * HUGE, f"{signed()}{'.' * HUGE}", "{" * HUGE):
        started = time.thread_time()
        with pytest.raises(TokenTooLong):
            verifier().verify(text)
        assert time.thread_time() - started < 0.01


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    [
        "." * 100_000,
        "A" * 100_000 + ".",
        "A." * 50_000,
        ("A" * 30_000 + ".") * 3,
        encoded(HEADER) + "." + "A" * 100_000 + ".A!",
    ],
    ids=lambda text: text[:10],
)
def test_a_text_without_form_is_refused_in_linear_time_where_long_ones_are_read(text: str) -> None:
    """SECURITY 1.9, F12."""
    started = time.thread_time()
    with pytest.raises(InvalidToken):
        verifier(longest=10**6).verify(text)
    assert time.thread_time() - started < 0.05


# JSON

GOOD = json.dumps(claims())


def with_member(text: str) -> str:
    """The good payload's text with one more member."""
    return f"{GOOD[:-1]},{text}}}"


BAD_JSON = {
    "nothing": "",
    "blank": " ",
    "array": "[]",
    "array of pairs": json.dumps([["sub", "u1"], ["exp", 9999999999]]),
    "array with the payload": f"[{GOOD}]",
    "string": '"sub"',
    "number": "1",
    "true": "true",
    "null": "null",
    "two objects": GOOD + GOOD,
    "an object and junk": GOOD + "x",
    "an object and NUL": GOOD + "\0",
    "no end": GOOD[:-1],
    "single quotes": "{'sub':'u1'}",
    "comma at the end": GOOD[:-1] + ",}",
    "comment": GOOD + "/* */",
    "javascript": "{sub:1}",
    "NaN": with_member('"x":NaN'),
    "Infinity": with_member('"x":Infinity'),
    "-Infinity": with_member('"x":-Infinity'),
    "NaN inside": with_member('"x":[{"y":NaN}]'),
    "1e999": with_member('"x":1e999'),
    "-1e999": with_member('"x":-1e999'),
    "1e999 inside": with_member('"x":[[1e999]]'),
    "leading zero": with_member('"x":01'),
    "plus": with_member('"x":+1'),
    "hex": with_member('"x":0x1'),
    "point at the end": with_member('"x":1.'),
    "a thousand digits too many": with_member('"x":' + "9" * 5_000),
    "repeated member": with_member('"sub":"u2"'),
    "repeated and equal": with_member('"sub":"u1"'),
    "repeated by an escape": with_member('"\\u0073ub":"u2"'),
    "repeated inside": with_member('"x":{"a":1,"a":2}'),
    "repeated in a list": with_member('"x":[{"a":1},{"b":1,"b":1}]'),
    "repeated empty name": with_member('"":1,"":2'),
    "line break in a string": with_member('"x":"a\nb"'),
    "tab in a string": with_member('"x":"a\tb"'),
    "bad escape": with_member('"x":"\\x"'),
    "lone high surrogate": with_member('"x":"\\ud800"'),
    "lone low surrogate": with_member('"x":"\\udc00"'),
    "surrogates the wrong way round": with_member('"x":"\\udc00\\ud800"'),
    "lone surrogate in a name": with_member('"\\ud800":1'),
    "lone surrogate inside": with_member('"x":[{"y":["\\udfff"]}]'),
    "byte order mark": "\ufeff" + GOOD,
    "no-break space": "\u00a0" + GOOD,
    "vertical tab": "\v" + GOOD,
}
BAD_BYTES = {
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-16 little": GOOD.encode("utf-16-le"),
    "UTF-16 big": GOOD.encode("utf-16-be"),
    "UTF-32": GOOD.encode("utf-32-le"),
    "UTF-8 with a mark": GOOD.encode("utf-8-sig"),
    "latin": with_member('"x":"\u00e4"').encode("latin-1"),
    "overlong": with_member('"x":"?"').encode().replace(b"?", b"\xc0\xaf"),
    "overlong NUL": with_member('"x":"?"').encode().replace(b"?", b"\xc0\x80"),
    "surrogate in UTF-8": with_member('"x":"?"').encode().replace(b"?", b"\xed\xa0\x80"),
    "pair of them": with_member('"x":"?"').encode().replace(b"?", b"\xed\xa0\x80\xed\xb0\x80"),
    "beyond Unicode": with_member('"x":"?"').encode().replace(b"?", b"\xf4\x90\x80\x80"),
    "cut off": with_member('"x":"?"').encode().replace(b"?", b"\xe4\xb8"),
    "compressed": b"\x1f\x8b\x08\x00",
}
BAD = {**BAD_JSON, **BAD_BYTES}


@pytest.mark.parametrize("name", [name for name in BAD if BAD[name]])
def test_a_signed_payload_that_is_not_a_strict_json_object_is_refused(name: str) -> None:
    """SECURITY 1.12, 2.6, 2.51."""
    assert_refused(signed(BAD[name]))


@pytest.mark.parametrize("name", [name for name in BAD if BAD[name]])
def test_a_header_that_is_not_a_strict_json_object_is_refused(name: str) -> None:
    part = BAD[name]
    member = ('"sub"', '"alg"') if isinstance(part, str) else (b'"sub"', b'"alg"')
    value = ('"u1"', '"HS256"') if isinstance(part, str) else (b'"u1"', b'"HS256"')
    text = part.replace(*member).replace(*value)  # type: ignore[arg-type]
    if isinstance(part, str):
        text = text.replace('"\\u0073ub"', '"\\u0061lg"')  # type: ignore[arg-type]
    assert_refused(signed(header=text))


@pytest.mark.parametrize("name", BAD)
def test_the_reader_of_objects_refuses_the_same_texts_by_itself(name: str) -> None:
    data = BAD[name]
    with pytest.raises(TokenMalformed, match=r"^the thing is "):
        read_object(data.encode() if isinstance(data, str) else data, "thing")


@pytest.mark.parametrize("depth", [1, 20, 50, 400, 900, 1_500, 3_000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"x":'], ids=["lists", "objects"])
def test_json_nested_deep_is_refused_or_can_be_used_to_its_bottom(depth: int, opening: str) -> None:
    """SECURITY F12."""
    closing = "]" if opening == "[" else "}"
    deep = f"{opening * depth}1{closing * depth}"
    reader = IdentityReader("full", None)
    for token in (
        signed(with_member(f'"deep":{deep}')),
        signed(header=f'{{"alg":"HS256","deep":{deep}}}'),
    ):
        try:
            verified = verifier(longest=10**7).verify(token)
            identity = reader.read("u1", verified.payload)
        except InvalidToken:
            assert depth > 20
            continue
        copied = identity.claims.copy()
        assert copied["sub"] == "u1"


@pytest.mark.long
def test_a_number_of_a_million_digits_is_refused_in_no_time() -> None:
    """SECURITY F12."""
    for text in ("9" * 10**6, "-" + "9" * 10**6, "0." + "9" * 10**6, "1e" + "9" * 10**6):
        started = time.thread_time()
        token = signed(with_member(f'"x":{text}'))
        try:
            verifier(longest=10**7).verify(token)
        except TokenMalformed:
            pass
        else:
            assert text.startswith("0.")  # a fraction, however long, is an ordinary number
        assert time.thread_time() - started < 0.5


def test_members_are_read_in_steps_in_proportion_to_their_number() -> None:
    def steps(count: int) -> int:
        token = signed(claims(**{f"member{n}": n for n in range(count)}))
        return steps_of(lambda: verifier(longest=10**7).verify(token))

    assert steps(4_000) < 4 * 1.2 * steps(1_000)


# The header


@pytest.mark.parametrize(
    "alg",
    [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS255",
        "hs256",
        "HS256 ",
        "HS384",
        "HS512",
        "RS256",
        "ES256",
        "EdDSA",
        "HMAC",
        "HS256\0",
    ],
)
@pytest.mark.parametrize("signature", ["good", "any", "empty"])
def test_an_algorithm_that_is_not_configured_is_refused(alg: str, signature: str) -> None:
    token = signed(header={"alg": alg, "typ": "JWT"})
    text = token.rpartition(".")[0]
    forged = {"good": token, "any": f"{text}.AAAA", "empty": f"{text}."}[signature]
    assert_refused(forged, TokenMalformed if signature == "empty" else AlgorithmNotAllowed)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"alg": None},
        {"alg": 1},
        {"alg": 256},
        {"alg": True},
        {"alg": ["HS256"]},
        {"alg": {"HS256": 1}},
        {"ALG": "HS256"},
        {"Alg": "HS256"},
        {"alg ": "HS256"},
        {},
    ],
    ids=repr,
)
def test_a_header_without_an_algorithms_name_is_refused(header: dict[str, Any]) -> None:
    assert_refused(signed(header=header), AlgorithmNotAllowed)


@pytest.mark.parametrize(
    "crit",
    [[], ["exp"], ["alg"], ["b64"], ["unknown"], ["exp", "exp"], "exp", "", None, 0, True, {}],
    ids=repr,
)
def test_a_critical_extension_of_any_shape_is_refused(crit: Any) -> None:
    """SECURITY 1.7."""
    assert_refused(signed(header={**HEADER, "crit": crit}))
    assert_refused(signed(header={**HEADER, "crit": crit, "unknown": 1, "exp": 1}))


@pytest.mark.parametrize("name", ["b64", "zip", "enc", "p2c", "p2s", "epk"])
@pytest.mark.parametrize("value", [False, True, None, "DEF", 10**9, {}], ids=repr)
def test_a_header_of_what_is_not_a_plain_signed_token_is_refused(name: str, value: Any) -> None:
    assert_refused(signed(header={**HEADER, name: value}))


@pytest.mark.parametrize("name", ["kid", "typ", "cty"])
@pytest.mark.parametrize("value", [None, 1, 1.5, True, False, [], ["a"], {}, {"a": 1}], ids=repr)
def test_a_header_member_of_the_wrong_type_is_refused(name: str, value: Any) -> None:
    assert_refused(signed(header={**HEADER, name: value}))


@pytest.mark.parametrize(
    "kid",
    ["", "1", "../../dev/null", "/dev/null", "' OR 1=1 --", "a\nb", "\0", "x" * 10_000, "HS256"],
    ids=lambda kid: ascii(kid)[:20],
)
def test_a_key_id_that_is_not_known_is_refused_and_not_looked_up(kid: str) -> None:
    """SECURITY 2.9."""
    assert_refused(signed(header={**HEADER, "kid": kid}), KeyUnknown)


def test_a_key_id_that_is_known_is_taken_and_needs_its_own_spelling() -> None:
    keys = prepare_keys("x" * 32, ["HS256"])
    known = {"k1": keys["HS256"]}
    assert choose_key({"alg": "HS256", "kid": "k1"}, {}, known) == keys["HS256"]
    assert choose_key({"alg": "HS256"}, keys, {}) == keys["HS256"]
    with pytest.raises(KeyUnknown):
        choose_key({"alg": "HS256"}, {}, known)
    assert choose_key({"alg": "HS256"}, keys, known) == keys["HS256"]
    for kid in ("K1", "k1 ", "k", "k11", ""):
        with pytest.raises(KeyUnknown):
            choose_key({"alg": "HS256", "kid": kid}, keys, known)


@pytest.mark.parametrize("keys", [{}, None], ids=["no key at all", "the secret"])
@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t"])
def test_a_key_in_the_header_is_never_the_key(name: str, keys: Any) -> None:
    own = "a secret that the sender of the token chose, long enough"
    jwk = {"kty": "oct", "k": encoded(own), "alg": "HS256"}
    value = {"jwk": jwk, "jku": "http://127.0.0.1:9/jwks", "x5c": [encoded(own)]}.get(name, own)
    token = signed(header={**HEADER, name: value}, secret=own)
    settings = {} if keys is None else {"keys": keys}
    assert_refused(token, SignatureInvalid if keys is None else AlgorithmNotAllowed, **settings)


def test_a_header_that_was_handed_out_can_be_changed_without_another_tokens_changing() -> None:
    header = {**HEADER, "x": {"list": [1]}, "only": "in this test"}
    one = verifier().verify(signed(header=header)).header
    one["x"]["list"].append(2)
    one["alg"] = "none"
    assert verifier().verify(signed(header=header)).header == header


# The signature


def test_a_signature_of_another_key_another_token_or_another_length_is_refused() -> None:
    token = signed()
    text, _, signature = token.rpartition(".")
    other = signed(claims(sub="u2")).rpartition(".")[2]
    assert_refused(signed(secret="another secret that is long enough as well"), SignatureInvalid)
    assert_refused(f"{text}.{other}", SignatureInvalid)
    assert_refused(f"{text}.{encoded(bytes(32))}", SignatureInvalid)
    assert_refused(f"{text}.{encoded(bytes(31))}", SignatureInvalid)
    assert_refused(f"{text}.{encoded(b'x')}", SignatureInvalid)
    digest = urlsafe_b64decode(signature + "=")
    for wrong in (digest + b"x", digest + digest, digest[:-1], digest[1:], digest[::-1]):
        assert_refused(f"{text}.{encoded(wrong)}", SignatureInvalid)
    assert_refused(signed_text(text, algorithm="HS384"), SignatureInvalid)


def test_the_payload_is_not_looked_at_before_the_signature_is_good() -> None:
    text, _, _ = signed("this is not JSON").rpartition(".")
    assert_refused(f"{text}.{encoded(bytes(32))}", SignatureInvalid)
    assert_refused(signed("this is not JSON"))


def test_the_payload_that_was_verified_is_the_payload_that_is_read() -> None:
    """SECURITY 1.15."""
    header, payload, signature = signed(claims(sub="u1")).split(".")
    forged = encoded(claims(sub="admin"))
    assert_refused(f"{header}.{forged}.{signature}", SignatureInvalid)
    read = Signed(f"{header}.{payload}.{signature}")
    assert read.unverified()["sub"] == "u1"
    assert without(read.unverified(), "exp", "iat", "type") == {"sub": "u1"}
