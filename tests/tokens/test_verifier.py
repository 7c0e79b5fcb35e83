"""Verifier: every claim is checked, at the edges of its time and in every JSON type."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from jwt_authz import InvalidToken
from jwt_authz.errors import (
    AlgorithmNotAllowed,
    AudienceInvalid,
    ClaimInvalid,
    ClaimMissing,
    IssuerInvalid,
    KeyUnknown,
    KindInvalid,
    SignatureInvalid,
    TokenExpired,
    TokenNotYetValid,
)
from jwt_authz.tokens import Verified, Verifier
from jwt_authz.tokens.encodings import IdentityReader
from jwt_authz.tokens.keys import prepare_key, prepare_keys
from tests.tokens.forging import HEADER, SECRET, claims, signed, verifier, without

NOW = 1_800_000_000.0
ISSUER = "https://id.example"
AUDIENCE = "https://api.example"
NO_STRINGS = [None, 0, 1, 1.5, True, False, [], ["x"], [["x"]], {}, {"x": 1}]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets the time of day; it stands still."""

    def set_to(now: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now)

    set_to(NOW)
    yield set_to


def good(**more: Any) -> dict[str, Any]:
    return {"sub": "u1", "exp": NOW + 60, "type": "access", **more}


def verify(payload: Any, header: Any = None, **settings: Any) -> Verified:
    return verifier(**settings).verify(signed(payload, header))


def assert_refused(
    condition: type[InvalidToken], payload: Any, header: Any = None, **settings: Any
) -> InvalidToken:
    with pytest.raises(InvalidToken) as info:
        verify(payload, header, **settings)
    assert type(info.value) is condition, repr(info.value)
    return info.value


# exp


@pytest.mark.parametrize("leeway", [0, 1, 60, 0.5])
def test_a_token_is_good_until_the_second_of_its_exp_and_no_longer(
    clock: Any, leeway: float
) -> None:
    """SECURITY 2.14."""
    payload = {"sub": "u1", "exp": NOW}
    for now, is_good in (
        (NOW + leeway - 1, True),
        (NOW + leeway - 0.001, True),
        (NOW + leeway, False),
        (NOW + leeway + 0.001, False),
        (NOW + leeway + 1, False),
    ):
        clock(now)
        if is_good:
            assert verify(payload, leeway=leeway).payload["exp"] == NOW
        else:
            assert_refused(TokenExpired, payload, leeway=leeway)


def test_a_token_without_exp_is_refused(clock: Any) -> None:
    assert_refused(ClaimMissing, {"sub": "u1"})
    for name in ("Exp", "EXP", "exp ", "expires", "\u0435xp"):
        assert_refused(ClaimMissing, {"sub": "u1", name: NOW + 60})


@pytest.mark.parametrize("exp", [0, -1, -0.0, -1e9, 1e-9, 1, -(2**53)])
def test_an_exp_of_long_ago_has_passed(clock: Any, exp: float) -> None:
    assert_refused(TokenExpired, {"sub": "u1", "exp": exp})


@pytest.mark.parametrize("exp", [2**31, 2**32, 4_102_444_800, 2**40, 4_102_444_800.5])
def test_an_exp_beyond_2038_and_2106_is_a_time_like_any_other(clock: Any, exp: float) -> None:
    """SECURITY F13."""
    assert verify({"sub": "u1", "exp": exp}).expires <= exp
    clock(float(exp))
    assert_refused(TokenExpired, {"sub": "u1", "exp": exp})


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", [2**53 + 2, 2**63, 2**64, 10**30, 1e300, -1e300, -(2**64), 10**300]
)
def test_a_time_too_large_for_a_date_is_an_invalid_claim(clock: Any, name: str, value: Any) -> None:
    assert_refused(ClaimInvalid, good(**{name: value}))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [None, True, False, "", "1900000000", "never", [], [NOW + 60], {}, {"at": NOW}],
    ids=repr,
)
def test_a_time_that_is_not_a_number_is_an_invalid_claim(clock: Any, name: str, value: Any) -> None:
    assert name in str(assert_refused(ClaimInvalid, good(**{name: value})))


def test_a_fraction_of_a_second_makes_no_token_last_longer(clock: Any) -> None:
    for fraction in (0.1, 0.5, 0.999):
        payload = {"sub": "u1", "exp": NOW + fraction}
        clock(NOW + fraction)
        assert_refused(TokenExpired, payload)
        clock(NOW - 1)
        assert verify(payload)


# nbf, iat


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("leeway", [0, 1, 60])
def test_a_token_is_good_from_the_second_of_its_start(clock: Any, name: str, leeway: int) -> None:
    payload = {"sub": "u1", "exp": NOW + 600, name: NOW}
    for now, is_good in (
        (NOW - leeway - 1, False),
        (NOW - leeway - 0.001, False),
        (NOW - leeway, True),
        (NOW - leeway + 1, True),
    ):
        clock(now)
        if is_good:
            assert verify(payload, leeway=leeway)
        else:
            assert_refused(TokenNotYetValid, payload, leeway=leeway)


def test_the_later_of_two_starts_counts(clock: Any) -> None:
    assert_refused(TokenNotYetValid, good(nbf=NOW + 1, iat=NOW - 1))
    assert_refused(TokenNotYetValid, good(nbf=NOW - 1, iat=NOW + 1))
    assert verify(good(nbf=NOW, iat=NOW - 5))


def test_a_fraction_of_a_second_makes_no_token_good_earlier(clock: Any) -> None:
    payload = good(nbf=NOW + 0.9)
    assert_refused(TokenNotYetValid, payload)
    clock(NOW + 0.8)
    assert_refused(TokenNotYetValid, payload)
    clock(NOW + 0.9)
    assert verify(payload)


def test_a_token_issued_this_very_moment_is_good_whatever_its_fraction(clock: Any) -> None:
    for fraction in (0.0, 0.25, 0.999):
        clock(NOW + fraction)
        assert verify(good(iat=NOW + fraction, nbf=NOW + fraction))
        assert verify(good(iat=int(NOW + fraction), nbf=int(NOW + fraction)))


def test_the_times_of_a_verified_token_are_those_within_which_it_verifies(clock: Any) -> None:
    payload = good(nbf=NOW - 5, iat=NOW - 10)
    for leeway in (0, 30):
        clock(NOW)
        verified = verify(payload, leeway=leeway)
        for now in (NOW - 100, NOW - 36, NOW - 35, NOW - 5, NOW, NOW + 59, NOW + 60, NOW + 90):
            clock(now)
            try:
                verify(payload, leeway=leeway)
            except InvalidToken as error:
                with pytest.raises(type(error)):
                    verified.check_time(now)
                assert not verified.starts <= now < verified.expires
            else:
                verified.check_time(now)
                assert verified.starts <= now < verified.expires


def test_a_token_without_a_start_has_always_begun(clock: Any) -> None:
    assert verify(good()).starts < -1e300


# sub and the other strings


@pytest.mark.parametrize("name", ["sub", "iss", "jti", "client_id", "csrf"])
@pytest.mark.parametrize("value", NO_STRINGS, ids=repr)
def test_a_registered_string_of_another_type_is_an_invalid_claim(
    clock: Any, name: str, value: Any
) -> None:
    error = assert_refused(ClaimInvalid, good(**{name: value}))
    assert str(error) == f"{name} is not a string"


def test_a_token_without_a_subject_is_refused(clock: Any) -> None:
    assert_refused(ClaimMissing, without(good(), "sub"))
    assert_refused(ClaimMissing, good(sub=""))
    for name in ("Sub", "SUB", "sub ", "subject", "\u0455ub"):
        assert_refused(ClaimMissing, {"exp": NOW + 60, name: "u1"})


def test_the_subject_may_stand_in_another_claim(clock: Any) -> None:
    assert verify({"exp": NOW + 60, "uid": "u1"}, subject_claim="uid").payload["uid"] == "u1"
    assert_refused(ClaimMissing, good(), subject_claim="uid")
    assert_refused(ClaimMissing, good(uid=""), subject_claim="uid")
    for value in NO_STRINGS:
        assert_refused(ClaimInvalid, good(uid=value), subject_claim="uid")


# iss

WRONG_ISSUERS = [
    "",
    " ",
    "https",
    "https://id.exampl",
    "https://id.example/",
    "https://id.example.evil.test",
    "https://evil.test/https://id.example",
    "xhttps://id.example",
    "https://ID.example",
    "HTTPS://id.example",
    "http://id.example",
    "https://id.example:443",
    "https://id%2eexample",
    "https://id.example\n",
    " https://id.example",
    "https://\u0456d.example",
    "https://id\u3002example",
    "https://id.example#",
    "https://id.example?",
    "//id.example",
    "id.example",
    "https://id.example,https://other.example",
]


class Text(str):
    """A string that is not quite one."""


@pytest.mark.parametrize(
    "issuer",
    [
        ISSUER,
        Text(ISSUER),
        [ISSUER, "https://other.example"],
        (ISSUER,),
        {ISSUER, "https://other.example"},
        frozenset({ISSUER}),
        {ISSUER: "keys"},
    ],
    ids=lambda issuer: type(issuer).__name__,
)
def test_only_the_very_issuer_is_the_issuer(clock: Any, issuer: Any) -> None:
    """SECURITY 1.10."""
    assert verify(good(iss=ISSUER), issuer=issuer).payload["iss"] == ISSUER
    for wrong in WRONG_ISSUERS:
        assert_refused(IssuerInvalid, good(iss=wrong), issuer=issuer)
    assert_refused(ClaimMissing, good(), issuer=issuer)
    for value in [*NO_STRINGS, [ISSUER], {ISSUER: 1}]:
        assert_refused(ClaimInvalid, good(iss=value), issuer=issuer)
    for name in ("Iss", "ISS", "iss ", "issuer"):
        assert_refused(ClaimMissing, good(**{name: ISSUER}), issuer=issuer)


@pytest.mark.parametrize("issuer", [[], (), set(), frozenset(), {}], ids=repr)
def test_where_no_issuer_is_trusted_no_token_is_good(clock: Any, issuer: Any) -> None:
    assert_refused(IssuerInvalid, good(iss=ISSUER), issuer=issuer)
    assert_refused(ClaimMissing, good(), issuer=issuer)


def test_where_no_issuer_is_asked_for_any_string_passes_and_nothing_else(clock: Any) -> None:
    assert verify(good(iss="https://anybody.example"))
    assert verify(good())
    for value in NO_STRINGS:
        assert_refused(ClaimInvalid, good(iss=value))


@pytest.mark.parametrize("issuer", [ISSUER, [ISSUER, "https://second.example"]], ids=repr)
def test_an_optional_issuer_is_checked_if_it_is_present(clock: Any, issuer: Any) -> None:
    settings = {"issuer": issuer, "optional": frozenset({"iss"})}
    assert verify(good(), **settings)
    assert verify(good(iss=ISSUER), **settings)
    for wrong in WRONG_ISSUERS:
        assert_refused(IssuerInvalid, good(iss=wrong), **settings)
    for value in [*NO_STRINGS, [ISSUER], {ISSUER: 1}]:
        assert_refused(ClaimInvalid, good(iss=value), **settings)
        with pytest.raises(InvalidToken):
            verifier(**settings).check_origin({"iss": value})


# aud

WRONG_AUDIENCES = [
    "",
    " ",
    "https://api.exampl",
    "https://api.example/",
    "https://api.example.evil.test",
    "https://API.example",
    "xhttps://api.example",
    "https://api.example\n",
    "api.example",
    "h",
    "https://api.example https://other.example",
]
NO_AUDIENCES = [None, 0, 1, 1.5, True, False, {}, {AUDIENCE: 1}, [1], [None], [[AUDIENCE]]]
NO_AUDIENCES += [[AUDIENCE, 1], [AUDIENCE, None], [{AUDIENCE: 1}], [True]]


@pytest.mark.parametrize(
    "audience",
    [AUDIENCE, Text(AUDIENCE), [AUDIENCE, "https://second.example"], (AUDIENCE,), {AUDIENCE}],
    ids=lambda audience: type(audience).__name__,
)
def test_only_the_very_audience_is_ours(clock: Any, audience: Any) -> None:
    """SECURITY 1.13, 2.8."""
    for fitting in (AUDIENCE, [AUDIENCE], ["https://other.example", AUDIENCE], ["", AUDIENCE]):
        assert verify(good(aud=fitting), audience=audience)
    for wrong in WRONG_AUDIENCES:
        condition = AudienceInvalid if wrong else ClaimMissing
        assert_refused(condition, good(aud=wrong), audience=audience)
        assert_refused(AudienceInvalid, good(aud=[wrong]), audience=audience)
        assert_refused(
            AudienceInvalid, good(aud=[wrong, "https://other.example"]), audience=audience
        )
    for value in NO_AUDIENCES:
        assert_refused(ClaimInvalid, good(aud=value), audience=audience)
    for missing in (good(), good(aud=[]), good(Aud=AUDIENCE), good(AUD=[AUDIENCE])):
        assert_refused(ClaimMissing, missing, audience=audience)


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE, "https://second.example"]], ids=repr)
def test_an_optional_audience_is_checked_if_it_is_present(clock: Any, audience: Any) -> None:
    settings = {"audience": audience, "optional": frozenset({"aud"})}
    assert verify(good(), **settings)
    for fitting in (AUDIENCE, [AUDIENCE], ["https://other.example", AUDIENCE]):
        assert verify(good(aud=fitting), **settings)
    for wrong in WRONG_AUDIENCES:
        condition = AudienceInvalid if wrong else ClaimMissing
        assert_refused(condition, good(aud=wrong), **settings)
        assert_refused(AudienceInvalid, good(aud=[wrong]), **settings)
    for value in NO_AUDIENCES:
        assert_refused(ClaimInvalid, good(aud=value), **settings)
    assert_refused(ClaimMissing, good(aud=[]), **settings)


def test_a_refused_origin_names_the_settings_to_look_at(clock: Any) -> None:
    refused = assert_refused(IssuerInvalid, good(iss="x"), issuer=ISSUER)
    assert "AUTHZ_ISSUER and JWT_DECODE_ISSUER" in refused.detail
    refused = assert_refused(AudienceInvalid, good(aud="x"), audience=AUDIENCE)
    assert "AUTHZ_AUDIENCE and JWT_DECODE_AUDIENCE" in refused.detail


@pytest.mark.parametrize("audience", [[], (), set()], ids=repr)
def test_where_no_audience_is_ours_no_token_is_good(clock: Any, audience: Any) -> None:
    assert_refused(AudienceInvalid, good(aud=AUDIENCE), audience=audience)


def test_where_no_audience_is_asked_for_its_json_type_is_checked_all_the_same(clock: Any) -> None:
    assert verify(good(aud="anything"))
    assert verify(good(aud=["anything", "else"]))
    for value in NO_AUDIENCES:
        assert_refused(ClaimInvalid, good(aud=value))


# Kinds


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_a_typ_of_an_access_token_is_accepted_in_any_case(clock: Any, typ: str) -> None:
    assert verify(good(), {**HEADER, "typ": typ})
    assert verify(good(), {"alg": "HS256"})


@pytest.mark.parametrize(
    "typ",
    [
        "",
        "rt+jwt",
        "refresh",
        "id+jwt",
        "logout+jwt",
        "secevent+jwt",
        "dpop+jwt",
        "JWE",
        "JOSE",
        "at+jwt ",
        " at+jwt",
        "at jwt",
        "xat+jwt",
        "at+jwtx",
        "application/jwt-at",
        "\u0410T+JWT",
        "application/x.at+jwt",
        "JWT,at+jwt",
        "kb+jwt",
        "entity-statement+jwt",
        "oauth-authz-req+jwt",
    ],
)
def test_a_typ_of_another_kind_of_token_is_refused(clock: Any, typ: str) -> None:
    """SECURITY 2.10, 2.11."""
    assert_refused(KindInvalid, good(), {**HEADER, "typ": typ})


@pytest.mark.parametrize(
    "kind",
    ["refresh", "id", "", "Access", "ACCESS", "access ", " access", "accessx", "\u0430ccess"],
)
def test_a_type_that_is_not_exactly_access_is_refused(clock: Any, kind: str) -> None:
    assert_refused(KindInvalid, good(type=kind))
    assert verify(good(type="access"))


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", None])
def test_a_token_without_type_names_its_kind_by_its_typ(clock: Any, typ: str | None) -> None:
    header = {"alg": "HS256"} if typ is None else {**HEADER, "typ": typ}
    for named in ({}, {"iss": ISSUER}, {"aud": AUDIENCE}, {"iss": None}, {"aud": []}):
        payload = without(good(**named), "type")
        if typ == "at+jwt" and None not in named.values():
            assert verify(payload, header)
        elif typ == "JWT" and not named:
            assert verify(payload, header).payload["type"] == "access"
        else:
            with pytest.raises(InvalidToken):
                verify(payload, header)


@pytest.mark.parametrize("kind", NO_STRINGS, ids=repr)
def test_a_type_that_is_not_a_string_is_refused(clock: Any, kind: Any) -> None:
    with pytest.raises((KindInvalid, ClaimInvalid)):
        verify(good(type=kind))


@pytest.mark.parametrize("cnf", [None, {}, {"jkt": "x"}, {"x5t#S256": "x"}, "", []], ids=repr)
def test_a_token_bound_to_a_key_is_refused(clock: Any, cnf: Any) -> None:
    assert_refused(KindInvalid, good(cnf=cnf))


@pytest.mark.parametrize("fresh", [None, "", "true", "1", [], [True], {}], ids=repr)
def test_a_fresh_that_is_neither_bool_nor_number_is_an_invalid_claim(
    clock: Any, fresh: Any
) -> None:
    assert_refused(ClaimInvalid, good(fresh=fresh))


@pytest.mark.parametrize("fresh", [True, False, 0, 1, NOW, NOW + 0.5, -1])
def test_a_fresh_that_is_bool_or_number_is_kept_as_it_is(clock: Any, fresh: Any) -> None:
    kept = verify(good(fresh=fresh)).payload["fresh"]
    assert kept == fresh
    assert type(kept) is type(fresh)
    assert verify(good()).payload["fresh"] is False


# Keys


def test_a_verifier_without_keys_accepts_nothing(clock: Any) -> None:
    """SECURITY 1.5."""
    for alg in ("HS256", "none", "RS256"):
        assert_refused(AlgorithmNotAllowed, good(), {**HEADER, "alg": alg}, keys={})


def test_a_key_that_is_given_is_the_only_one(clock: Any) -> None:
    other = "another secret that is long enough for HS256"
    token = signed(good(), secret=other)
    with pytest.raises(SignatureInvalid):
        verifier().verify(token)
    assert verifier().verify(token, prepare_key(other, "HS256"))
    with pytest.raises(SignatureInvalid):
        verifier().verify(signed(good()), prepare_key(other, "HS256"))
    assert verifier(keys={}).verify(token, prepare_key(other, "HS256"))


@pytest.mark.parametrize("alg", ["HS384", "HS512", "RS256", "ES256", "none", "hs256", ""])
def test_a_key_that_is_given_is_not_used_for_another_algorithm_than_the_header_names(
    clock: Any, alg: str
) -> None:
    token = signed(good(), {**HEADER, "alg": alg})
    with pytest.raises(AlgorithmNotAllowed):
        verifier().verify(token, prepare_key(SECRET, "HS256"))


def test_a_key_id_is_refused_where_no_key_has_one(clock: Any) -> None:
    assert_refused(KeyUnknown, good(), {**HEADER, "kid": "k1"})


def test_each_hash_of_the_hmac_family_verifies_its_own_tokens_alone(clock: Any) -> None:
    names = ("HS256", "HS384", "HS512")
    both = verifier(keys=prepare_keys(SECRET, names))
    for signs in names:
        for says in names:
            token = signed(good(), {**HEADER, "alg": says}, algorithm=signs)
            if signs == says:
                assert both.verify(token)
            else:
                with pytest.raises(SignatureInvalid):
                    both.verify(token)


# The whole


def test_a_verifier_cannot_be_changed() -> None:
    one = verifier()
    for name, value in (("keys", {}), ("issuer", None), ("audience", None), ("leeway", 1e9)):
        with pytest.raises(AttributeError):
            setattr(one, name, value)


def test_a_verifier_shows_no_key() -> None:
    assert SECRET not in repr(verifier())
    assert "Algorithm" not in repr(verifier())


SECRETIVE = "alice@example.org"


@pytest.mark.parametrize(
    "payload",
    [
        {"sub": [SECRETIVE]},
        {"iss": SECRETIVE},
        {"iss": [SECRETIVE]},
        {"aud": SECRETIVE},
        {"aud": {SECRETIVE: 1}},
        {"exp": SECRETIVE},
        {"nbf": SECRETIVE},
        {"iat": SECRETIVE},
        {"type": SECRETIVE},
        {"fresh": SECRETIVE},
        {"jti": [SECRETIVE]},
        {"cnf": SECRETIVE},
    ],
    ids=lambda payload: next(iter(payload)),
)
def test_no_message_holds_a_claims_value(clock: Any, payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken) as info:
        verify(good(**payload), issuer=ISSUER, audience=AUDIENCE)
    assert SECRETIVE not in str(info.value)
    assert SECRETIVE not in repr(info.value)
    assert SECRETIVE not in info.value.detail


def test_a_token_that_lacks_a_claim_is_good_only_where_it_was_good_with_it(clock: Any) -> None:
    """SECURITY 1.16."""
    full = good(iss=ISSUER, aud=[AUDIENCE], iat=NOW, nbf=NOW, jti="j", client_id="c", scope="s")
    full |= {"roles": ["a"], "permissions": ["a:b"], "tenant": "t"}
    strict = verifier(issuer=ISSUER, audience=AUDIENCE)
    whole = strict.verify(signed(full))
    needed = set()
    for name in without(full, "type"):
        try:
            verified = strict.verify(signed(without(full, name)))
        except ClaimMissing:
            needed.add(name)
            continue
        assert verified.expires <= whole.expires
        identity = IdentityReader("full", None).read("u1", verified.payload)
        assert set(identity.permissions) <= {"a:b"}
        assert identity.roles <= {"a"}
        assert identity.scopes <= {"s"}
    assert needed == {"sub", "exp", "iss", "aud"}


def test_the_clock_is_read_again_for_each_token(clock: Any) -> None:
    token, one = signed(good()), verifier()
    assert one.verify(token)
    clock(NOW + 60)
    with pytest.raises(TokenExpired):
        one.verify(token)
    clock(NOW)
    assert one.verify(token)


def test_a_signature_is_asked_for_before_any_claim(clock: Any) -> None:
    for payload in (good(exp=0), good(sub=1), good(iss="x"), good(type="refresh")):
        token = signed(payload, secret="a wrong secret, but one that is long enough")
        with pytest.raises(SignatureInvalid):
            verifier(issuer=ISSUER).verify(token)


def test_each_way_to_build_a_verifier_refuses_the_same_bad_tokens() -> None:
    """SECURITY 1.17."""
    keys = prepare_keys(SECRET, ["HS256"])
    ways = [Verifier(keys), Verifier(keys=keys, leeway=0), verifier(), verifier(issuer=None)]
    bad = [
        claims(exp=1),
        without(claims(), "exp"),
        without(claims(), "sub"),
        claims(iat=time.time() + 1_000),
        claims(nbf=time.time() + 1_000),
        claims(aud=1),
        claims(type="refresh"),
        claims(cnf={}),
        claims(jti=1),
    ]
    for payload in bad:
        found = set()
        for way in ways:
            with pytest.raises(InvalidToken) as info:
                way.verify(signed(payload))
            found.add(type(info.value))
        assert len(found) == 1, payload
