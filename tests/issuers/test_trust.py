"""Foreign issuers end to end: whose tokens pass, by whose keys, and what they may do here."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask, jsonify
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    get_jwt,
    get_jwt_header,
    get_jwt_identity,
    jwt_required,
    verify_jwt_in_request,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.test import TestResponse

from jwt_authz import (
    Authz,
    Identity,
    Role,
    Roles,
    allowed,
    attr,
    current_identity,
    requires,
)
from jwt_authz.conditions import subject
from jwt_authz.errors import MisuseError
from jwt_authz.issuers import Issuer, entra_v2, keycloak
from jwt_authz.issuers.foreign import ForeignVerifier
from jwt_authz.issuers.remote_keys import FRESH, KEPT
from jwt_authz.issuers.trust import Trust
from jwt_authz.testing import acting_as
from tests.edge import SECRET, TYPE, bearer, private_pem, public_pem, token_for, turn_clock
from tests.foreign import (
    AUDIENCE,
    ISSUER,
    KeyServer,
    jwk,
    jwks,
    listening,
    payload_of,
    signed,
    signed_as_it_is,
    trusted,
)
from tests.patience import eventually
from tests.tokens.forging import encoded, signed_text

OTHER = "https://other.example"


HEADER = {"alg": "ES256", "kid": "k1"}


def catalog() -> Roles:
    return Roles(
        Role("clerk", "orders:read", level=1),
        Role("manager", "orders:write", includes="clerk", level=2),
    )


def one(**more: Any) -> Issuer:
    return trusted(**{"roles": {"Sales": "clerk"}, **more})


def other(**more: Any) -> Issuer:
    said = {"issuer": OTHER, "keys": [jwk("k1", which=1)], "roles": ["manager"], **more}
    return trusted(**said)


def app_trusting(*issuers: Issuer, own_key: bool = True, **config: Any) -> Flask:
    """An application with a route for each kind of need, which trusts these issuers."""
    app = Flask("shop")
    app.config.update({"JWT_SECRET_KEY": SECRET} if own_key else {}, **config)
    authz = Authz(app, roles=catalog())
    if issuers:
        authz.trust(*issuers)

    @app.get("/me")
    @requires()
    def me() -> Any:
        return jsonify(
            subject=current_identity.subject,
            issuer=current_identity.issuer,
            tenant=current_identity.tenant,
            roles=sorted(current_identity.roles),
            level=current_identity.level,
            jwt=get_jwt(),
            jwt_identity=get_jwt_identity(),
            jwt_header=get_jwt_header(),
        )

    @app.get("/orders")
    @requires("orders:read")
    def orders() -> Any:
        return jsonify(may_write=allowed("orders:write"))

    @app.get("/fresh")
    @requires(fresh=True)
    def fresh() -> Any:
        return "fresh"

    @app.get("/open")
    def open_to_all() -> str:
        return "open"

    return app


def get(app: Flask, token: str | None = None, path: str = "/me") -> TestResponse:
    return app.test_client().get(path, headers=bearer(token) if token is not None else {})


def refusal(app: Flask, token: str, path: str = "/me") -> str:
    """The name of the problem that a token is answered with, the same twice."""
    first, second = get(app, token, path), get(app, token, path)
    assert first.status_code == second.status_code == 401, first.data
    assert first.json is not None
    assert second.json is not None
    assert first.json["type"] == second.json["type"]
    return str(first.json["type"]).removeprefix(TYPE)


# --- who passes ----------------------------------------------------------------------------------


def test_a_token_of_a_trusted_issuer_is_that_of_its_subject_with_the_roles_it_may_grant() -> None:
    app = app_trusting(one())
    token = signed(payload_of(roles=["Sales", "manager", "admin"]))
    for _ in ("first", "kept"):
        answer = get(app, token)
        assert answer.status_code == 200
        assert answer.json is not None
        assert answer.json["subject"] == "ada"
        assert answer.json["issuer"] == ISSUER
        assert answer.json["roles"] == ["clerk"]
        assert answer.json["level"] == 1
        assert get(app, token, "/orders").json == {"may_write": False}


def test_own_tokens_and_those_of_two_issuers_are_reported_apart_in_any_order() -> None:
    """SECURITY 1.19, 1.40."""
    now = {
        name: signed(payload_of(name), which=which) for which, name in enumerate((ISSUER, OTHER))
    }
    for order in itertools.permutations(("own", ISSUER, OTHER)):
        app = app_trusting(one(), other())
        tokens = {**now, "own": token_for(app, "ada", "clerk")}
        for name in (*order, *order):
            answer = get(app, tokens[name])
            assert answer.status_code == 200, (order, name)
            assert answer.json is not None
            assert answer.json["subject"] == "ada"
            assert answer.json["issuer"] == (None if name == "own" else name)


def test_flask_jwt_extendeds_accessors_give_a_foreign_token_as_they_give_an_own_one() -> None:
    app = app_trusting(one())
    token = signed(payload_of(scope="orders", deep={"er": [1, {"x": "y"}]}))
    for _ in ("first", "kept"):
        found = get(app, token).json
        assert found is not None
        assert found["jwt_identity"] == "ada"
        assert found["jwt_header"] == jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        assert found["jwt"] == {**claims, "fresh": False, "jti": None, "type": "access"}


@pytest.mark.parametrize("claim", ["sub", "user_id"])
def test_get_jwt_identity_is_the_subject_wherever_the_issuer_has_it(claim: str) -> None:
    issuer = one(subject_at="/oid", subject_prefix="one|")
    app = app_trusting(issuer, JWT_IDENTITY_CLAIM=claim)
    found = get(app, signed(payload_of(oid="o-1"))).json
    assert found is not None
    assert found["subject"] == found["jwt_identity"] == "one|o-1"


def test_a_foreign_token_is_verified_once_and_then_known(monkeypatch: pytest.MonkeyPatch) -> None:
    app, checks = app_trusting(one()), []
    check = ForeignVerifier.check
    monkeypatch.setattr(
        ForeignVerifier, "check", lambda *arguments: checks.append(1) or check(*arguments)
    )
    token = signed(payload_of())
    assert [get(app, token).status_code for _ in range(5)] == [200] * 5
    assert len(checks) == 1


@pytest.mark.parametrize("cache_bytes", [0, 24 * 1024 * 1024])
def test_the_answers_are_the_same_with_and_without_the_cache(cache_bytes: int) -> None:
    app = app_trusting(one(), other(), AUTHZ_CACHE_BYTES=cache_bytes)
    good, bad = signed(payload_of(roles=["Sales"])), signed(payload_of(), which=1)
    for _ in range(2):
        assert get(app, good, "/orders").status_code == 200
        assert get(app, bad, "/orders").status_code == 401


def test_trust_counts_from_now_on_also_after_the_first_request() -> None:
    app = app_trusting()
    token = signed(payload_of())
    assert get(app, token).status_code == 401
    app.extensions["jwt_authz"].trust(one())
    assert get(app, token).status_code == 200
    app.extensions["jwt_authz"].trust(other())
    assert get(app, token).status_code == 200
    assert get(app, signed(payload_of(OTHER), which=1)).status_code == 200


def test_one_authz_trusts_for_all_its_applications_and_for_no_other() -> None:
    authz = Authz(roles=catalog())
    apps = [Flask(name) for name in ("one", "two")]
    for app in apps:
        app.config["JWT_SECRET_KEY"] = SECRET
        authz.init_app(app)
        app.add_url_rule("/me", view_func=requires()(lambda: current_identity.subject))
    authz.trust(one())
    token = signed(payload_of())
    assert [get(app, token).status_code for app in apps] == [200, 200]
    assert get(app_trusting(other()), token).status_code == 401


def test_callers_at_once_are_each_their_own_issuers() -> None:
    app, wrong, start = app_trusting(one(), other()), [], threading.Barrier(8)

    def call(caller: int) -> None:
        start.wait()
        for number in range(25):
            which = (caller + number) % 2
            issuer, subject = (ISSUER, OTHER)[which], f"{caller}-{number // 2}"
            found = get(app, signed(payload_of(issuer, sub=subject), which=which)).json
            if found is None or (found["subject"], found["issuer"]) != (subject, issuer):
                wrong.append((found, subject, issuer))

    callers = [threading.Thread(target=call, args=(caller,)) for caller in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


# --- whose key -----------------------------------------------------------------------------------


def test_the_key_of_one_issuer_does_not_sign_for_another() -> None:
    """SECURITY 2.7."""
    app = app_trusting(one(), other())
    assert refusal(app, signed(payload_of(OTHER), which=0)) == "signature-invalid"
    assert refusal(app, signed(payload_of(ISSUER), which=1)) == "signature-invalid"


def test_an_own_key_does_not_sign_for_a_trusted_issuer() -> None:
    """SECURITY 2.7."""
    app = app_trusting(one())
    for options in ({}, {"headers": {"kid": "k1"}}):
        token = token_for(app, "ada", "manager", claims={"iss": ISSUER}, **_fje(options))
        assert refusal(app, token) in ("algorithm-not-allowed", "key-unknown")


def _fje(options: dict[str, Any]) -> dict[str, Any]:
    return {"additional_headers": options["headers"]} if options else {}


def test_an_own_key_of_the_same_algorithm_does_not_sign_for_a_trusted_issuer() -> None:
    keys = {"JWT_PRIVATE_KEY": private_pem("ES256", 2), "JWT_PUBLIC_KEY": public_pem("ES256", 2)}
    app = app_trusting(one(), own_key=False, JWT_ALGORITHM="ES256", **keys)
    assert get(app, token_for(app, "ada", "clerk")).status_code == 200
    forged = signed(payload_of(sub="root", roles=["Sales"]), which=2)
    assert refusal(app, forged) == "signature-invalid"


@pytest.mark.parametrize("issuer", [..., "https://untrusted.example", "shop", ISSUER + "/"])
def test_an_issuers_key_signs_for_nobody_else(issuer: Any) -> None:
    app = app_trusting(one())
    assert refusal(app, signed(payload_of(iss=issuer))) in (
        "key-unknown",
        "algorithm-not-allowed",
    )


@pytest.mark.parametrize(
    "issuer",
    [
        *(f"{ISSUER}/", f"{ISSUER}.evil", f"{ISSUER}/realms/shop", ISSUER[:-1], ISSUER.upper()),
        *("https://issuer%2eexample", f" {ISSUER}", f"{ISSUER} ", "http://issuer.example"),
    ],
)
def test_a_sibling_issuer_is_another_one(issuer: str) -> None:
    app = app_trusting(one(), own_key=False)
    assert refusal(app, signed(payload_of(issuer))) == "issuer-invalid"


@pytest.mark.parametrize("issuer", [None, 7, True, [ISSUER], {"iss": ISSUER}, [[ISSUER]]])
def test_an_iss_of_another_type_is_nobodys(issuer: Any) -> None:
    app = app_trusting(one(), own_key=False)
    token = signed_as_it_is(HEADER, payload_of(iss=issuer))
    assert refusal(app, token) == "issuer-invalid"


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "jwks_uri"])
def test_a_key_that_the_header_brings_or_points_to_is_never_looked_at(name: str) -> None:
    """SECURITY 1.4."""
    with listening() as (url, met), KeyServer() as server:
        value = {"jwk": jwk("k9", which=3), "x5c": ["MIID"]}.get(name, url)
        server.document = {"keys": []}
        without_keys = one(keys=None, jwks_uri=f"{server.url}/jwks")
        for kid in ("k1", "k9", None):
            forged = signed(payload_of(jku=url), which=3, kid=kid, **{name: value})
            assert get(app_trusting(one()), forged).status_code == 401
            assert get(app_trusting(without_keys), forged).status_code == 503
        assert get(app_trusting(one()), signed(payload_of(), **{name: value})).status_code == 200
        time.sleep(0.1)
        assert met == []


def test_an_iss_that_points_somewhere_makes_no_connection() -> None:
    with listening() as (url, met):
        app = app_trusting(one())
        assert get(app, signed(payload_of(url), which=3)).status_code == 401
        assert get(app, signed(payload_of(iss=f"{ISSUER}@{url}"))).status_code == 401
        time.sleep(0.1)
        assert met == []


@pytest.mark.parametrize("kid", ["k2", "", "../k1", "k1\x00", "' OR 1=1", "K1", "k" * 10_000])
def test_an_unknown_kid_is_refused(kid: str) -> None:
    assert refusal(app_trusting(one()), signed(payload_of(), kid=kid)) == "key-unknown"


def test_a_token_without_a_kid_is_refused_where_the_issuer_has_several_keys() -> None:
    several = one(keys=[jwk("k1"), jwk("k2", which=1)])
    assert refusal(app_trusting(several), signed(payload_of(), kid=None)) == "key-unknown"
    assert get(app_trusting(one()), signed(payload_of(), kid=None)).status_code == 200


def test_only_the_algorithm_of_the_key_is_accepted() -> None:
    app = app_trusting(one(algorithms=["ES256", "RS256"], keys=[jwk(), jwk("r", "RS256")]))
    assert get(app, signed(payload_of(), "RS256", kid="r")).status_code == 200
    assert refusal(app, signed(payload_of(), "RS256", kid="k1")) == "algorithm-not-allowed"
    assert refusal(app, signed(payload_of(), "ES256", kid="r")) == "algorithm-not-allowed"
    assert refusal(app, signed(payload_of(), "RS512", kid="r")) == "algorithm-not-allowed"


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "HS256"])
def test_neither_none_nor_a_public_key_as_a_secret_is_accepted(algorithm: str) -> None:
    """SECURITY 1.1, 1.3."""
    app = app_trusting(one())
    header = {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    text = f"{encoded(header)}.{encoded(payload_of())}"
    for secret in (public_pem("ES256"), json.dumps(jwk())):
        assert refusal(app, signed_text(text, secret)) == "algorithm-not-allowed"
    assert refusal(app, f"{text}.") == "token-malformed"


# --- what else is checked ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("audience", "problem"),
    [
        (..., "claim-missing"),
        ("", "claim-missing"),
        ([], "claim-missing"),
        ([""], "claim-missing"),
        ("https://api.exampl", "audience-invalid"),
        (["https://a.example", "https://b.example"], "audience-invalid"),
    ],
)
def test_a_token_for_another_api_is_refused(audience: Any, problem: str) -> None:
    """SECURITY 2.8."""
    assert refusal(app_trusting(one()), signed(payload_of(aud=audience))) == problem


def test_a_token_for_several_apis_is_good_for_each() -> None:
    token = signed(payload_of(aud=["https://b.example", AUDIENCE]))
    assert get(app_trusting(one()), token).status_code == 200


def test_the_own_audience_and_issuer_are_not_asked_of_a_foreign_token() -> None:
    own = {"JWT_DECODE_AUDIENCE": "shop", "JWT_DECODE_ISSUER": "shop", "JWT_DECODE_LEEWAY": 600}
    app = app_trusting(one(), **own, AUTHZ_TOKEN_PROFILE="at+jwt")
    assert get(app, signed(payload_of())).status_code == 200
    late = payload_of(exp=int(time.time()) - 60)
    assert refusal(app, signed(late)) == "token-expired"


TIMES: list[tuple[dict[str, Any], str | None]] = [
    ({"exp": 60}, None),
    ({"exp": -2}, "token-expired"),  # the default leeway is for nbf and iat alone
    ({"exp": -10}, "token-expired"),
    ({"nbf": 2}, None),
    ({"nbf": 60}, "token-not-yet-valid"),
    ({"iat": 60}, "token-not-yet-valid"),
]


@pytest.mark.parametrize(("changes", "problem"), TIMES)
def test_a_token_is_good_in_its_time_with_a_little_leeway(
    changes: dict[str, int], problem: str | None
) -> None:
    now = int(time.time())
    token = signed(payload_of(**{name: now + seconds for name, seconds in changes.items()}))
    app = app_trusting(one())
    if problem is None:
        assert get(app, token).status_code == 200
    else:
        assert refusal(app, token) == problem


def test_a_leeway_that_is_set_counts_for_the_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/issuers.md has it; the default one does not: see `TIMES`."""
    base = int(time.time()) + 1_000
    token = signed(payload_of(iat=base, nbf=base, exp=base + 100))
    real = time.time

    def at(moment: float, **said: Any) -> int:
        turn_clock(monkeypatch, moment - real())
        return get(app_trusting(one(**said)), token).status_code

    # A second off the edges where time that passes would matter.
    assert at(base + 102) == 401
    assert [at(base + edge, leeway=5) for edge in (-6, -5, 104, 105)] == [401, 200, 200, 401]
    assert [at(base + edge, leeway=0) for edge in (-1, 0, 99, 100)] == [401, 200, 200, 401]


@pytest.mark.parametrize("exp", [..., None, "9999999999", True, [9999999999], 1e300, -1e300])
def test_a_token_without_a_proper_end_is_refused(exp: Any) -> None:
    token = signed_as_it_is(HEADER, payload_of(exp=exp))
    assert get(app_trusting(one()), token).status_code == 401


def test_a_known_token_dies_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    app, token = app_trusting(one()), signed(payload_of())
    assert get(app, token).status_code == 200
    turn_clock(monkeypatch, 606)
    assert refusal(app, token) == "token-expired"


TYPS: list[tuple[Any, str | None, bool]] = [
    (("JWT", "at+jwt", None), "JWT", True),
    (("JWT", "at+jwt", None), "jwt", True),
    (("JWT", "at+jwt", None), "application/at+jwt", True),
    (("JWT", "at+jwt", None), None, True),
    (("JWT", "at+jwt", None), "", False),
    (("JWT", "at+jwt", None), "logout+jwt", False),
    (("JWT", "at+jwt", None), "dpop+jwt", False),
    (("at+jwt",), "at+JWT", True),
    (("at+jwt",), "JWT", False),
    (("at+jwt",), None, False),
    (("JWT",), "at+jwt", False),
]


@pytest.mark.parametrize(("accepted", "typ", "is_good"), TYPS)
def test_the_headers_typ_is_one_that_the_issuer_uses(
    accepted: Any, typ: str | None, is_good: bool
) -> None:
    app = app_trusting(one(typ=accepted))
    header = HEADER if typ is None else {**HEADER, "typ": typ}
    token = signed_as_it_is(header, payload_of())
    assert (get(app, token).status_code == 200) is is_good


@pytest.mark.parametrize(
    "marks",
    [{"nonce": "n"}, {"at_hash": "h"}, {"typ": "Refresh"}, {"token_use": "id"}, {"cnf": {}}],
)
def test_id_and_refresh_tokens_are_not_access_tokens(marks: dict[str, Any]) -> None:
    """SECURITY 2.10, 2.11."""
    assert refusal(app_trusting(one()), signed(payload_of(**marks))) == "kind-invalid"


UNSTRICT = [
    '{"iss": "https://issuer.example", "iss": "https://issuer.example"}',
    '{"iss": "https://issuer.example", "exp": NaN}',
    '{"iss": "https://issuer.example", "exp": 1e999}',
    '{"iss": "https://issuer.example", "x": ' + "[" * 5_000 + "]" * 5_000 + "}",
    '{"iss": "https://issuer.example", "x": "\\ud800"}',
    '["iss"]',
    "null",
    '"https://issuer.example"',
    "",
]


@pytest.mark.parametrize("payload", UNSTRICT, ids=lambda text: text[:40])
def test_what_is_signed_and_no_strict_json_is_refused(payload: str) -> None:
    """SECURITY 1.12."""
    token = signed_as_it_is(HEADER, payload)
    assert refusal(app_trusting(one()), token) == "token-malformed"


@pytest.mark.parametrize("more", [{"crit": ["exp"]}, {"b64": False}, {"zip": "DEF"}, {"kid": 7}])
def test_a_header_that_asks_for_more_is_refused(more: dict[str, Any]) -> None:
    token = signed_as_it_is({**HEADER, **more}, payload_of())
    assert refusal(app_trusting(one()), token) == "token-malformed"


@pytest.mark.parametrize("name", ["sub", "jti", "client_id"])
@pytest.mark.parametrize("value", [None, 7, True, ["ada"], {"id": "ada"}])
def test_a_registered_claim_of_another_type_is_refused(name: str, value: Any) -> None:
    """SECURITY 1.11."""
    token = signed_as_it_is(HEADER, payload_of(**{name: value}))
    assert refusal(app_trusting(one()), token) == "claim-invalid"


def test_a_subject_that_is_empty_is_nobody() -> None:
    assert refusal(app_trusting(one()), signed(payload_of(sub=""))) == "claim-missing"


def test_roles_of_another_client_are_not_ours() -> None:
    issuer = keycloak(
        "https://id.example", "shop", AUDIENCE, client="web", roles=["clerk"],
        keys=[jwk()], algorithms="ES256",
    )  # fmt: skip
    app, iss = app_trusting(issuer), "https://id.example/realms/shop"
    theirs = {"other": {"roles": ["clerk"]}, "web": {"roles": ["buyer"]}}
    ours = {"other": {"roles": ["buyer"]}, "web": {"roles": ["clerk"]}}
    for access, status in ((theirs, 403), (ours, 200)):
        payload = payload_of(iss, typ="Bearer", resource_access=access, roles=["clerk"])
        assert get(app, signed(payload), "/orders").status_code == status


def test_a_tenant_is_taken_from_its_own_issuer_alone() -> None:
    """SECURITY 1.41, 2.33."""
    issuer = entra_v2(["t-1", "t-2"], AUDIENCE, keys=[jwk()], algorithms="ES256")
    app = app_trusting(issuer, own_key=False)

    def token(in_iss: str, in_tid: Any) -> str:
        iss = f"https://login.microsoftonline.com/{in_iss}/v2.0"
        return signed(payload_of(iss, tid=in_tid, ver="2.0", azp="a"))

    for tenant in ("t-1", "t-2"):
        found = get(app, token(tenant, tenant)).json
        assert found is not None
        assert found["tenant"] == tenant
        assert found["issuer"] == f"https://login.microsoftonline.com/{tenant}/v2.0"
    assert refusal(app, token("t-1", "t-2")) == "issuer-invalid"
    assert refusal(app, token("t-3", "t-3")) == "claim-invalid"
    assert refusal(app, token("t-3", "t-1")) == "issuer-invalid"
    assert refusal(app, token("t-1", ...)) == "claim-missing"
    assert refusal(app, token("{tenantid}", "{tenantid}")) == "issuer-invalid"


def test_a_key_of_one_tenant_does_not_sign_for_another() -> None:
    """SECURITY 1.41, 2.33."""
    template = "https://login.microsoftonline.com/{tenantid}/v2.0"
    keys = [jwk("k1", issuer=template.replace("{tenantid}", "t-1"))]
    issuer = entra_v2(["t-1", "t-2"], AUDIENCE, keys=keys, algorithms="ES256")
    app = app_trusting(issuer)
    for tenant, status in (("t-1", 200), ("t-2", 401)):
        iss = template.replace("{tenantid}", tenant)
        payload = payload_of(iss, tid=tenant, ver="2.0", azp="a")
        assert get(app, signed(payload)).status_code == status


def test_groups_that_are_left_out_are_refused_with_a_sentence_of_their_own() -> None:
    app = app_trusting(one(roles_at="/groups"))
    token = signed(payload_of(_claim_names={"groups": "src1"}))
    assert refusal(app, token, "/orders") == "claims-left-out"
    answer = get(app, token, "/orders")
    assert answer.json is not None
    assert "fewer groups" in answer.json["detail"]


def test_a_foreign_token_is_never_fresh_by_a_claim_of_ours() -> None:
    app = app_trusting(one())
    for fresh in (True, int(time.time()) + 900):
        assert refusal(app, signed(payload_of(fresh=fresh)), "/fresh") == "token-not-fresh"
        assert get(app, signed(payload_of(fresh=fresh))).status_code == 200


# --- keys over the network -----------------------------------------------------------------------


def remote(server: KeyServer, **more: Any) -> Issuer:
    return one(issuer=server.url, keys=None, jwks_uri=f"{server.url}/jwks", **more)


def test_keys_are_found_by_discovery() -> None:
    with KeyServer() as server:
        app = app_trusting(trusted(issuer=server.url, discovery=True))
        assert get(app, signed(payload_of(server.url))).status_code == 200
        assert server.asked == {"/.well-known/openid-configuration": 1, "/jwks": 1}


def test_a_token_of_a_key_that_was_withdrawn_stops_within_the_age_that_is_stated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with KeyServer() as server:
        app = app_trusting(remote(server))
        token = signed(payload_of(server.url, exp=int(time.time()) + 3_600))
        assert get(app, token).status_code == 200
        server.document = jwks(jwk("k2", which=1))
        turn_clock(monkeypatch, FRESH - 5)
        assert get(app, token).status_code == 200
        assert server.asked["/jwks"] == 1
        turn_clock(monkeypatch, FRESH + 1)
        assert until_refused(app, token) == 401
        newer = signed(payload_of(server.url), which=1, kid="k2")
        assert get(app, newer).status_code == 200


def until_refused(app: Flask, token: str) -> int:
    """The status once it is no longer 200; a fetch in the background takes a moment."""
    statuses: list[int] = []

    def is_refused() -> bool:
        statuses.append(get(app, token).status_code)
        return statuses[-1] != 200

    eventually(is_refused)
    return statuses[-1]


def test_a_known_token_goes_on_being_known_once_its_key_is_confirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks: list[int] = []
    check = ForeignVerifier.check
    monkeypatch.setattr(
        ForeignVerifier, "check", lambda *arguments: checks.append(1) or check(*arguments)
    )
    with KeyServer() as server:
        app = app_trusting(remote(server))
        token = signed(payload_of(server.url, exp=int(time.time()) + 3_600))
        get(app, token)
        turn_clock(monkeypatch, FRESH + 1)
        get(app, token)

        def is_known_again() -> bool:
            before = len(checks)
            assert get(app, token).status_code == 200
            return server.asked["/jwks"] == 2 and len(checks) == before

        eventually(is_known_again)
        before = len(checks)
        assert [get(app, token).status_code for _ in range(20)] == [200] * 20
        assert len(checks) == before
        assert server.asked["/jwks"] == 2


def test_an_issuer_without_keys_is_a_503_for_its_own_tokens_alone() -> None:
    with KeyServer() as server:
        server.sends("{}", 500)
        app = app_trusting(remote(server), other())
        answer = get(app, signed(payload_of(server.url)))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert answer.mimetype == "application/problem+json"
        assert get(app, signed(payload_of(OTHER), which=1)).status_code == 200
        assert get(app, token_for(app, "ada", "clerk")).status_code == 200
        assert get(app, path="/open").status_code == 200
        assert server.asked["/jwks"] == 1


def test_tokens_go_on_for_a_day_while_their_issuer_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with KeyServer() as server:
        app = app_trusting(remote(server))
        token = signed(payload_of(server.url, exp=int(time.time()) + 10 * 86_400))
        assert get(app, token).status_code == 200
        server.sends("{}", 500)
        for age in (FRESH + 1, KEPT / 2, KEPT - 1):
            turn_clock(monkeypatch, age)
            assert [get(app, token).status_code for _ in range(3)] == [200] * 3
            time.sleep(0.1)
        turn_clock(monkeypatch, KEPT + 60)
        assert get(app, token).status_code == 503


def test_two_keys_with_one_kid_are_none() -> None:
    with KeyServer() as server:
        server.document = jwks(jwk(), jwk(which=1), jwk("k2", which=2))
        app = app_trusting(remote(server))
        assert refusal(app, signed(payload_of(server.url))) == "key-unknown"
        assert get(app, signed(payload_of(server.url), which=2, kid="k2")).status_code == 200


def test_a_flood_of_unknown_kids_makes_one_fetch() -> None:
    with KeyServer() as server:
        app = app_trusting(remote(server))
        client, payload = app.test_client(), payload_of(server.url)
        for number in range(300):
            token = signed(payload, kid=f"no-{number}")
            assert client.get("/me", headers=bearer(token)).status_code == 401
        assert server.asked["/jwks"] == 1


def test_an_algorithm_that_is_not_the_issuers_makes_no_fetch() -> None:
    with KeyServer() as server:
        app = app_trusting(remote(server))
        token = signed(payload_of(server.url), "RS256")
        assert refusal(app, token) == "algorithm-not-allowed"
        assert not server.asked


# --- without an own key --------------------------------------------------------------------------


def test_an_application_may_have_foreign_issuers_and_no_key_of_its_own() -> None:
    app = app_trusting(one(), own_key=False)
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []
    assert get(app, signed(payload_of())).status_code == 200
    for forged in ({"kid": "k1"}, {}):
        token = jwt.encode(payload_of("shop"), SECRET, "HS256", headers=forged)
        assert refusal(app, token) == "issuer-invalid"
    assert get(app).status_code == 401


def test_without_own_key_and_issuers_the_check_complains_as_ever() -> None:
    app = app_trusting(own_key=False)
    with app.app_context(), pytest.raises(MisuseError, match="JWT_SECRET_KEY"):
        app.extensions["jwt_authz"].check()


def test_a_weak_own_key_is_reported_beside_issuers_too() -> None:
    app = app_trusting(one(), own_key=False, JWT_SECRET_KEY="short")
    with app.app_context(), pytest.raises(MisuseError, match="has 5 bytes and needs 32"):
        app.extensions["jwt_authz"].check()


# --- what the check says -------------------------------------------------------------------------


def app_asking(permission: str, *issuers: Issuer) -> Flask:
    app = app_trusting(*issuers)
    app.add_url_rule("/asked", view_func=requires(permission)(lambda: "yes"), endpoint="asked")
    return app


def test_a_permission_that_no_role_grants_is_an_error_without_and_a_warning_with_issuers() -> None:
    with app_asking("orders:refund").app_context(), pytest.raises(MisuseError, match="refund"):
        app_asking("orders:refund").extensions["jwt_authz"].check()
    app = app_asking("orders:refund", one(permissions=["orders:refund"]))
    with app.app_context():
        (warning,) = app.extensions["jwt_authz"].check()
    assert "asked: no role grants 'orders:refund'" in warning


def test_a_permission_that_no_role_grants_is_not_an_error_where_an_issuer_may_grant_it() -> None:
    app = app_asking("orders:refund", one(permissions=["orders:refund"]))
    holder = signed(payload_of(permissions=["orders:refund"]))
    assert get(app, holder, "/asked").status_code == 200
    for nobody in (signed(payload_of()), token_for(app, "ada", "manager")):
        assert get(app, nobody, "/asked").status_code == 403


def test_an_unknown_permission_can_be_turned_round_where_an_issuer_is_trusted() -> None:
    app = app_trusting(one())
    view = requires(~_permission("orders:refund"))(lambda: "yes")
    app.add_url_rule("/not", view_func=view, endpoint="not")
    assert get(app, signed(payload_of()), "/not").status_code == 200


def _permission(name: str) -> Any:
    from jwt_authz import has_permission

    return has_permission(name)


def test_a_role_that_the_catalog_lacks_is_a_misuse_with_issuers_too() -> None:
    authz = Authz(roles=catalog())
    with pytest.raises(MisuseError, match="may grant the unknown role 'boss'"):
        authz.trust(one(roles={"Boss": "boss"}))


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: (), r"trust\(\) takes at least one"),
    (lambda: (ISSUER,), r"trust\(\) takes issuers, not"),
    (lambda: (one(), one(leeway=10)), "is already trusted"),
    (lambda: (one(keys=[{"kty": "EC", "kid": "k1"}]),), "the keys of"),
    (lambda: (one(keys=[jwk(), jwk(which=1)]),), "two keys have the same kid"),
    (lambda: (one(keys=[jwk("k1", "RS256")]),), "the keys of"),
    (
        lambda: (one(keys=None, jwks_uri="http://issuer.example/jwks"),),
        "plain http is only for loopback",
    ),
    (lambda: (one(issuer="issuer", keys=None, discovery=True),), "Invalid URL"),
    (lambda: (one(keys=None, discovery="file:///etc/passwd"),), "Invalid URL"),
    (
        lambda: (one(issuer="https://x/{tenantid}", keys=None, discovery=True, any_tenant=True),),
        "has no metadata at its own address",
    ),
]


@pytest.mark.parametrize(("issuers", "message"), MISTAKES, ids=[text for _, text in MISTAKES])
def test_what_cannot_be_trusted_raises_at_once(issuers: Any, message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        Authz(roles=catalog()).trust(*issuers())


def test_a_trust_that_failed_changes_nothing() -> None:
    app = app_trusting(one())
    with pytest.raises(MisuseError):
        app.extensions["jwt_authz"].trust(other(), other())
    assert get(app, signed(payload_of())).status_code == 200
    assert get(app, signed(payload_of(OTHER), which=1)).status_code == 401


def test_a_published_set_with_keys_for_encryption_can_be_given_as_it_is() -> None:
    issuer = one(keys=jwks(jwk(), jwk("e", "RS256", use="enc", alg="RSA-OAEP")))
    assert get(app_trusting(issuer), signed(payload_of())).status_code == 200


@pytest.mark.parametrize(
    "config",
    [{"AUTHZ_ISSUER": ISSUER}, {"JWT_ENCODE_ISSUER": ISSUER}, {"JWT_DECODE_ISSUER": ISSUER}],
)
def test_own_tokens_with_the_iss_of_a_trusted_issuer_are_a_misuse(config: dict[str, str]) -> None:
    app = app_trusting(one(), **config)
    with app.app_context(), pytest.raises(MisuseError, match="is that of a trusted issuer"):
        app.extensions["jwt_authz"].check()


def test_a_shared_secret_is_warned_of() -> None:
    secret = {"kty": "oct", "kid": "k1", "alg": "HS256", "k": 43 * "x" + "w"}
    issuer = one(algorithms="HS256", keys=[secret], unsafe_shared_secret=True)
    app = app_trusting(issuer)
    with app.app_context():
        (warning,) = app.extensions["jwt_authz"].check()
    assert "it shares its secret" in warning
    key = jwt.utils.base64url_decode(secret["k"])
    assert get(app, signed(payload_of(), "HS256", key=key)).status_code == 200
    assert refusal(app, signed(payload_of(), "HS256", key=SECRET)) == "signature-invalid"


def test_keys_that_are_fetched_over_plain_http_are_warned_of() -> None:
    url = "http://keycloak.internal:8080/jwks"
    with pytest.raises(MisuseError, match="or unsafe_plain_http=True for a server in a private"):
        app_trusting(one(jwks_uri=url))
    app = app_trusting(one(jwks_uri=url, unsafe_plain_http=True))
    with app.app_context():
        (warning,) = app.extensions["jwt_authz"].check()
    assert "are fetched over plain http" in warning


def test_a_ca_bundle_that_cannot_be_read_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match=r"Unusable ca_bundle 'missing\.pem'"):
        app_trusting(one(jwks_uri="https://issuer.example/jwks", ca_bundle="missing.pem"))


def test_a_user_look_up_by_foreign_subjects_is_warned_of() -> None:
    for prefix, warnings in ((None, 1), ("one|", 0), ("", 0)):
        app = app_trusting(one(subject_prefix=prefix))
        manager: JWTManager = app.extensions["flask-jwt-extended"]
        manager.user_lookup_loader(lambda header, payload: payload["sub"])
        with app.app_context():
            assert len(app.extensions["jwt_authz"].check()) == warnings


# --- whose subject -------------------------------------------------------------------------------


class Note:
    owner = "5"


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "notes"
    owner: Mapped[str] = mapped_column(primary_key=True)


def app_with_notes(*issuers: Issuer) -> Flask:
    """An application with rules that compare the owner of a note with the subject."""
    app = app_trusting(*issuers)
    add_notes(app)
    return app


def add_notes(app: Flask) -> None:
    authz: Authz = app.extensions["jwt_authz"]
    authz.rule("notes:read", Note, attr("owner") == subject)
    authz.rule("notes:share", Note, ~(attr("owner") == subject))
    authz.rule("notes:copy", Note, attr("owner") != subject)

    @app.get("/notes/<action>")
    @requires()
    def ask(action: str) -> Any:
        return jsonify(allowed(f"notes:{action}", on=Note()))


ACTIONS = ("read", "share", "copy")


def answers(app: Flask, token: str) -> list[Any]:
    return [get(app, token, f"/notes/{action}").json for action in ACTIONS]


@pytest.mark.parametrize(
    ("prefix", "of_five", "of_six"),
    [
        (None, [False, False, False], [False, False, False]),
        ("", [True, False, False], [False, True, True]),
        ("one|", [False, True, True], [False, True, True]),
    ],
    ids=repr,
)
def test_a_foreign_subject_owns_what_the_issuer_says_that_it_owns(
    prefix: str | None, of_five: list[bool], of_six: list[bool]
) -> None:
    app = app_with_notes(one(subject_prefix=prefix))
    for _ in range(2):  # the second time from the cache
        assert answers(app, signed(payload_of(sub="5"))) == of_five
        assert answers(app, signed(payload_of(sub="6"))) == of_six


@pytest.mark.parametrize("own_issuer", [{}, {"AUTHZ_ISSUER": "shop"}], ids=str)
def test_an_own_subject_is_compared_beside_a_foreign_issuer(own_issuer: dict[str, str]) -> None:
    app = app_with_notes(one())
    app.config.update(own_issuer)
    assert answers(app, token_for(app, "5")) == [True, False, False]
    with app.app_context():
        assert answers(app, app.extensions["jwt_authz"].issue("5")) == [True, False, False]


def load_from_cache(app: Flask) -> None:
    """Have the application take one identity for all callers of a subject."""
    users = {"5": Identity("5"), "6": Identity("6")}
    app.extensions["jwt_authz"].identity_loader(lambda subject, claims: users[subject])


def load_with_issuer(app: Flask) -> None:
    app.extensions["jwt_authz"].identity_loader(
        lambda subject, claims: Identity(subject, claims.get("iss"))
    )


def load_with_subclass(app: Flask) -> None:
    class Caller(Identity):
        def __init__(self, subject: str, department: str) -> None:
            super().__init__(subject)
            object.__setattr__(self, "department", department)

    authz: Authz = app.extensions["jwt_authz"]
    authz.identity_loader(lambda subject, claims: Caller(subject, "sales"))

    @app.get("/department")
    @requires()
    def department() -> Any:
        return jsonify(current_identity.department)


LOADERS = [load_from_cache, load_with_issuer, load_with_subclass]


@pytest.mark.parametrize("load", LOADERS)
def test_an_identity_loader_makes_no_own_subject_of_a_foreign_one(
    load: Callable[[Flask], None],
) -> None:
    app = app_with_notes(one())
    load(app)
    for _ in range(2):
        assert answers(app, signed(payload_of(sub="5"))) == [False, False, False]
        assert answers(app, signed(payload_of(sub="6"))) == [False, False, False]
        assert answers(app, token_for(app, "5")) == [True, False, False]
        assert answers(app, token_for(app, "6")) == [False, True, True]


@pytest.mark.parametrize("load", LOADERS)
def test_a_loader_gets_the_subjects_that_an_issuer_says_are_own(
    load: Callable[[Flask], None],
) -> None:
    app = app_with_notes(one(subject_prefix=""))
    load(app)
    assert answers(app, signed(payload_of(sub="5"))) == [True, False, False]


def test_a_loader_may_map_a_foreign_subject_to_an_own_one() -> None:
    app = app_with_notes(one())
    users = {(ISSUER, "ada"): "5"}
    app.extensions["jwt_authz"].identity_loader(
        lambda subject, claims: Identity(users[claims["iss"], subject])
    )
    assert answers(app, signed(payload_of(sub="ada"))) == [True, False, False]


def test_an_identity_of_the_applications_own_class_keeps_what_it_has() -> None:
    app = app_with_notes(one())
    load_with_subclass(app)
    assert get(app, signed(payload_of()), "/department").json == "sales"


def test_a_loader_that_looks_at_no_token_makes_no_own_subject_of_a_foreign_one() -> None:
    app, caller = Flask("shop"), [Identity("5", ISSUER)]
    authz = Authz(app, roles=catalog())
    authz.trust(one())
    authz.identity_loader(lambda: caller[0])
    add_notes(app)
    assert [get(app, path=f"/notes/{action}").json for action in ACTIONS] == [False] * 3
    caller[0] = Identity("5")
    assert [get(app, path=f"/notes/{action}").json for action in ACTIONS] == [True, False, False]


@pytest.mark.parametrize("issuer", [None, "shop", ISSUER], ids=repr)
def test_an_identity_that_is_given_is_of_the_issuer_that_it_names(issuer: str | None) -> None:
    app, who = app_with_notes(one()), Identity("5", issuer)
    app.config["AUTHZ_ISSUER"] = "shop"
    authz: Authz = app.extensions["jwt_authz"]
    is_own = issuer != ISSUER
    mine = attr("owner") == subject
    with app.app_context():
        assert allowed("notes:read", on=Note(), identity=who) is is_own
        assert allowed(~mine, on={"owner": "6"}, identity=who) is is_own
        assert bool(authz.explain("notes:read", on=Note(), identity=who)) is is_own
        assert (str(authz.filter(mine, Row, identity=who)) == "false") is not is_own
        assert (str(authz.filter(~mine, Row, identity=who)) == "false") is not is_own
    with acting_as(app, who):
        assert get(app, path="/notes/read").json is is_own


def test_each_place_that_compares_the_subject_is_warned_of_for_an_issuer_without_a_prefix() -> None:
    app = app_with_notes(one(), other(subject_prefix="other|"))

    @app.get("/mine")
    @requires(attr("owner") == subject.as_(int), on=Note)
    def mine() -> str:
        return "mine"

    @app.get("/named")
    @requires()
    def named() -> Any:
        return jsonify(allowed(attr("owner") == subject, on=Note()))

    with app.app_context():
        (warning,) = app.extensions["jwt_authz"].check()
    assert "the view me" not in warning  # it shows the subject, and compares nothing
    for place in (
        "the rule of 'notes:read' for Note",
        "the rule of 'notes:share' for Note",
        "the guard of GET /mine (mine)",
        "the view named",
        repr(ISSUER),
        "write Issuer(..., subject_prefix='...')",
    ):
        assert place in warning
    assert OTHER not in warning


@pytest.mark.parametrize("prefix", ["", "one|"])
def test_an_issuer_with_a_prefix_is_not_warned_of(prefix: str) -> None:
    app = app_with_notes(one(subject_prefix=prefix))
    with app.app_context():
        assert app.extensions["jwt_authz"].check() == []


# --- the application's own callbacks -------------------------------------------------------------


def test_a_decode_key_loader_is_asked_of_own_tokens_alone() -> None:
    app, asked = app_trusting(one()), []
    manager: JWTManager = app.extensions["flask-jwt-extended"]

    @manager.decode_key_loader
    def find(header: dict[str, Any], payload: dict[str, Any]) -> str:
        asked.append(payload.get("iss"))
        return SECRET

    for _ in range(2):
        assert get(app, signed(payload_of())).status_code == 200
    assert asked == []
    assert refusal(app, token_for(app, "ada", claims={"iss": ISSUER})) != ""
    assert ISSUER not in asked
    assert get(app, token_for(app, "ada", "clerk")).status_code == 200
    assert asked == [None]


def test_the_blocklist_and_the_user_look_up_are_asked_of_foreign_tokens_too() -> None:
    app, blocked = app_trusting(one(subject_prefix="one|")), set()
    manager: JWTManager = app.extensions["flask-jwt-extended"]
    manager.token_in_blocklist_loader(lambda header, payload: payload["jti"] in blocked)
    seen: list[str] = []
    manager.user_lookup_loader(lambda header, payload: seen.append(payload["sub"]) or "user")
    token = signed(payload_of(jti="j-1"))
    assert get(app, token).status_code == 200
    assert seen == ["one|ada"]
    blocked.add("j-1")
    assert refusal(app, token) == "token-revoked"


def test_an_identity_loader_gets_the_issuers_own_reading_and_not_the_tokens_roles() -> None:
    app = app_trusting(one(permissions=["orders:read"]))
    authz: Authz = app.extensions["jwt_authz"]

    @authz.identity_loader
    def load(subject: str, claims: dict[str, Any]) -> Identity:
        return authz.read_identity(subject, claims)

    forged = payload_of(roles=["Sales", "manager"], permissions=["orders:read", "orders:write"])
    found = get(app, signed(forged)).json
    assert found is not None
    assert found["roles"] == ["clerk"]
    assert get(app, signed(forged), "/orders").json == {"may_write": False}
    own = get(app, token_for(app, "ada", "manager"), "/orders")
    assert own.json == {"may_write": True}


@pytest.mark.parametrize("catalog", ["spring", 7, ["spring"]], ids=repr)
def test_a_foreign_token_is_of_no_catalog_whatever_it_says(catalog: Any) -> None:
    app = app_trusting(one(permissions=["orders:read"]))
    payload = payload_of(permissions=["orders:read"])
    plainly, found = (
        get(app, signed(claims)).json for claims in (payload, {**payload, "catalogue": catalog})
    )
    assert plainly is not None and found is not None
    assert found.pop("jwt") == {**plainly.pop("jwt"), "catalogue": catalog}
    assert found == plainly


def test_jwt_required_alone_knows_own_tokens_alone() -> None:
    app = app_trusting(one())
    app.add_url_rule("/fje", view_func=jwt_required()(lambda: "yes"), endpoint="fje")
    assert get(app, signed(payload_of()), "/fje").status_code in (401, 422)
    assert get(app, token_for(app, "ada"), "/fje").status_code == 200


def test_a_foreign_token_in_a_cookie_is_not_taken() -> None:
    app = app_trusting(
        one(), JWT_TOKEN_LOCATION=["headers", "cookies"], JWT_COOKIE_CSRF_PROTECT=False
    )
    client = app.test_client()
    client.set_cookie("access_token_cookie", signed(payload_of()))
    assert client.get("/me").status_code == 401
    assert get(app, signed(payload_of())).status_code == 200
    with app.test_request_context(headers=bearer(token_for(app, "ada"))):
        assert verify_jwt_in_request() is not None


def test_an_own_token_in_a_cookie_does_not_speak_for_an_issuer() -> None:
    app = app_trusting(one(), JWT_TOKEN_LOCATION=["cookies"], JWT_COOKIE_CSRF_PROTECT=False)
    with app.app_context():
        forged = create_access_token("ada", additional_claims={"iss": ISSUER, "roles": ["manager"]})
        own = create_access_token("ada", additional_claims={"roles": ["manager"]})
    for token, status in ((forged, 401), (own, 200)):
        client = app.test_client()
        client.set_cookie("access_token_cookie", token)
        assert client.get("/me").status_code == status


def test_an_issuer_that_is_not_trusted_is_found_by_nobody() -> None:
    trust = Trust().with_more([one()], None)
    assert trust.find(ISSUER) is not None
    for iss in (None, 7, [ISSUER], ISSUER + "/", ISSUER.upper(), b"https://issuer.example", ""):
        assert trust.find(iss) is None
