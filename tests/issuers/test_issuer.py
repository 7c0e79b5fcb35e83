"""Issuer: what it believes of a payload, what it may grant, and what it refuses to be."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from jwt_authz import Identity, Role, Roles
from jwt_authz.errors import (
    AudienceInvalid,
    ClaimInvalid,
    ClaimMissing,
    ClaimsLeftOut,
    InvalidToken,
    IssuerInvalid,
    KindInvalid,
    MisuseError,
)
from jwt_authz.issuers import Issuer, members_of, pointer
from jwt_authz.policy.identity import Sources
from tests.foreign import AUDIENCE, ISSUER, jwk, payload_of, trusted
from tests.steps import steps_of

CATALOG = Roles(
    Role("clerk", "orders:read", level=1),
    Role("manager", "orders:write", includes="clerk", level=2),
)
TENANTS = "https://login.example/{tenantid}/v2.0"


def read(issuer: Issuer, payload: dict[str, Any], catalog: Roles | None = CATALOG) -> Identity:
    return issuer.read(issuer.subject_of(payload), payload, catalog)


def refused(issuer: Issuer, payload: dict[str, Any]) -> type[InvalidToken]:
    with pytest.raises(InvalidToken) as error:
        read(issuer, payload)
    return type(error.value)


# --- the identity --------------------------------------------------------------------------------


def test_an_identity_has_the_subject_and_the_issuer_of_its_token() -> None:
    identity = read(trusted(), payload_of())
    assert (identity.subject, identity.issuer) == ("ada", ISSUER)
    assert identity.claims["aud"] == AUDIENCE
    assert identity.catalogue is CATALOG


def test_equal_subjects_of_two_issuers_are_two_identities() -> None:
    """SECURITY 1.40."""
    one = read(trusted(), payload_of())
    other = read(trusted(issuer="https://other.example"), payload_of("https://other.example"))
    assert one.subject == other.subject
    assert one != other


def test_an_e_mail_address_makes_nobody_anybody() -> None:
    """SECURITY 1.40: an issuer may let its users say what they like there."""
    email = {"email": "ada@example.org", "preferred_username": "ada", "upn": "ada@example.org"}
    one = read(trusted(), payload_of(**email, sub="u1"))
    other = read(trusted(), payload_of(**email, sub="u2"))
    assert (one.subject, other.subject) == ("u1", "u2")
    assert one != other
    assert refused(trusted(), payload_of(**email, sub=...)) is ClaimMissing


def test_the_subject_is_the_first_that_is_there() -> None:
    issuer = trusted(subject_at=("/oid", "/sub"))
    assert issuer.subject_of(payload_of(oid="o-1")) == "o-1"
    assert issuer.subject_of(payload_of()) == "ada"


def test_a_prefix_tells_an_issuers_subjects_from_all_others() -> None:
    """SECURITY 1.40."""
    assert trusted(subject_prefix="example|").subject_of(payload_of()) == "example|ada"


@pytest.mark.parametrize("subject", [..., ""])
def test_a_token_without_a_subject_is_refused(subject: Any) -> None:
    with pytest.raises(ClaimMissing):
        trusted().subject_of(payload_of(sub=subject))


@pytest.mark.parametrize("subject", [None, 7, True, ["ada"], {"id": "ada"}])
def test_a_subject_of_another_type_is_refused(subject: Any) -> None:
    with pytest.raises(ClaimInvalid):
        trusted().subject_of(payload_of(sub=subject))


def test_scopes_are_those_of_all_places() -> None:
    issuer = trusted(scope_at=("/scope", "/scp"))
    identity = read(issuer, payload_of(scope="orders profile", scp=["email"]))
    assert identity.scopes == {"orders", "profile", "email"}


# --- what it may grant ---------------------------------------------------------------------------


def test_an_issuer_grants_nothing_unless_it_is_said() -> None:
    identity = read(trusted(), payload_of(roles=["clerk"], permissions=["orders:read"]))
    assert identity.roles == frozenset()
    assert list(identity.permissions) == []
    assert identity.level == 0


def test_a_role_of_theirs_becomes_ours_and_any_other_is_dropped() -> None:
    issuer = trusted(roles={"Sales": "clerk", "Boss": ["clerk", "manager"]})
    assert read(issuer, payload_of(roles=["Sales", "manager", "sales"])).roles == {"clerk"}
    identity = read(issuer, payload_of(roles=["Boss"]))
    assert identity.roles == {"clerk", "manager"}
    assert identity.has_permission("orders:write")
    assert identity.level == 2


def test_a_list_of_roles_is_of_names_that_are_the_same_on_both_sides() -> None:
    issuer = trusted(roles=["clerk"])
    assert read(issuer, payload_of(roles=["clerk", "manager"])).roles == {"clerk"}


def test_roles_are_gathered_from_all_places() -> None:
    issuer = trusted(roles=["clerk", "manager"], roles_at=["/roles", "/realm_access/roles"])
    payload = payload_of(roles=["clerk"], realm_access={"roles": ["manager"]})
    assert read(issuer, payload).roles == {"clerk", "manager"}


def test_each_place_can_have_grants_of_its_own() -> None:
    issuer = trusted(roles_at={"/a": {"admin": "manager"}, "/b": {"admin": "clerk"}})
    assert read(issuer, payload_of(a=["admin"])).roles == {"manager"}
    assert read(issuer, payload_of(b=["admin"])).roles == {"clerk"}
    assert issuer.role_names == {"clerk", "manager"}


def test_the_members_of_an_object_can_be_roles() -> None:
    issuer = trusted(roles=["clerk"], roles_at=members_of("/projects"))
    assert read(issuer, payload_of(projects={"clerk": {"4711": "x"}})).roles == {"clerk"}


def test_a_place_with_dots_slashes_and_colons_in_its_name_is_found() -> None:
    place = pointer("https://example.com/v1.0", "x:roles")
    issuer = trusted(roles=["clerk"], roles_at=place)
    payload = payload_of(**{"https://example.com/v1.0": {"x:roles": ["clerk"]}})
    assert read(issuer, payload).roles == {"clerk"}


@pytest.mark.parametrize("roles", [None, 7, True, {"clerk": 1}, [7], [None], [["clerk"]]])
def test_roles_of_another_type_are_refused_and_not_empty(roles: Any) -> None:
    assert refused(trusted(roles=["clerk"]), payload_of(roles=roles)) is ClaimInvalid


def test_a_place_that_nothing_is_granted_from_may_hold_anything() -> None:
    assert read(trusted(), payload_of(roles={"any": "thing"}, permissions=7)).roles == frozenset()


def test_an_identity_names_the_places_that_its_roles_permissions_and_scopes_were_read_from() -> (
    None
):
    issuer = trusted(
        roles=["clerk"],
        roles_at=("/realm_access/roles", "/groups"),
        permissions=["orders:*"],
        permissions_at="/may",
        scope_at="/scp",
    )
    identity = read(issuer, payload_of(may=["orders:write"]))
    roles = ("/realm_access/roles", "/groups")
    assert identity.sources == Sources(roles, (*roles, "/may"), ("/scp",))
    assert read(trusted(), payload_of()).sources == Sources((), (), ("/scope",))


def test_an_allow_list_of_permissions_lets_those_pass_that_it_covers() -> None:
    issuer = trusted(permissions=["orders:*", "users:read"])
    theirs = ["orders:refund", "users:read", "users:write", "*:*", "*:read", "users:*", "orders:*"]
    identity = read(issuer, payload_of(permissions=theirs))
    assert set(identity.permissions) == {"orders:refund", "users:read", "orders:*"}


@pytest.mark.parametrize("junk", ["orders", "orders:", ":read", "orders:read:now", "", "::", ":"])
def test_what_is_not_a_permission_gives_none(junk: str) -> None:
    allowed = ["orders:*", "*:read", "*:now"]
    identity = read(trusted(permissions=allowed), payload_of(permissions=[junk]))
    assert list(identity.permissions) == []


def test_permissions_can_be_written_action_first() -> None:
    issuer = trusted(permissions=["orders:read"], permission_order="action:resource")
    identity = read(issuer, payload_of(permissions=["read:orders", "orders:read", "write:orders"]))
    assert set(identity.permissions) == {"orders:read"}


def test_a_mapping_of_permissions_is_exact() -> None:
    issuer = trusted(permissions={"Orders.Read": "orders:read", "all": ["orders:*", "users:*"]})
    assert set(read(issuer, payload_of(permissions=["Orders.Read", "x"])).permissions) == {
        "orders:read"
    }
    assert read(issuer, payload_of(permissions=["all"])).has_permission("users:delete")


def test_permissions_may_stand_in_the_scope() -> None:
    issuer = trusted(permissions=["orders:read"], permissions_at="/scope")
    assert set(read(issuer, payload_of(scope="orders:read openid")).permissions) == {"orders:read"}


def test_permissions_granted_stand_beside_those_of_the_roles() -> None:
    issuer = trusted(roles=["clerk"], permissions=["orders:refund"])
    identity = read(issuer, payload_of(roles=["clerk"], permissions=["orders:refund"]))
    assert set(identity.permissions) == {"orders:read", "orders:refund"}


def test_without_a_catalog_a_role_gives_no_permission() -> None:
    identity = read(trusted(roles=["clerk"]), payload_of(roles=["clerk"]), catalog=None)
    assert identity.roles == {"clerk"}
    assert list(identity.permissions) == []


def test_tokens_of_equal_permissions_share_one_set() -> None:
    issuer = trusted(permissions=["orders:*"])
    payload = payload_of(permissions=["orders:read", "orders:write"])
    assert read(issuer, payload).permissions is read(issuer, payload).permissions


def test_reading_takes_steps_in_proportion_to_the_roles_and_permissions() -> None:
    """SECURITY 2.53, F12."""
    issuer = trusted(roles=["clerk"], permissions=["orders:*"])

    def steps(count: int) -> int:
        many = payload_of(
            roles=[f"r{n}" for n in range(count)], permissions=[f"p{n}:read" for n in range(count)]
        )
        return steps_of(lambda: read(issuer, many))

    assert steps(2_000) < 4 * 1.2 * steps(500)


# --- for whom it may speak -----------------------------------------------------------------------


def test_an_issuer_has_no_tenant_unless_it_is_said() -> None:
    assert read(trusted(), payload_of(tenant="acme", tid="acme")).tenant is None


def test_all_tokens_of_an_issuer_can_be_of_one_tenant() -> None:
    assert read(trusted(tenant="acme"), payload_of(tenant="other")).tenant == "acme"


def test_an_issuer_speaks_for_the_tenants_that_are_listed_alone() -> None:
    issuer = trusted(tenants=["acme", "zeta"], tenant_at="/org")
    assert read(issuer, payload_of(org="zeta")).tenant == "zeta"
    for other in ("other", "Acme", "acme ", "acm"):
        assert refused(issuer, payload_of(org=other)) is ClaimInvalid


def test_a_tenant_can_have_another_name_here() -> None:
    issuer = trusted(tenants={"t-1": "acme"}, tenant_at="/org")
    assert read(issuer, payload_of(org="t-1")).tenant == "acme"
    assert refused(issuer, payload_of(org="acme")) is ClaimInvalid


@pytest.mark.parametrize("tenant", [..., ""])
@pytest.mark.parametrize("which", [{"tenants": ["acme"]}, {"any_tenant": True}])
def test_a_token_without_a_tenant_is_refused_where_there_is_to_be_one(
    tenant: Any, which: dict[str, Any]
) -> None:
    assert refused(trusted(tenant_at="/org", **which), payload_of(org=tenant)) is ClaimMissing


@pytest.mark.parametrize("tenant", [None, 7, ["acme"], {"id": "acme"}])
def test_a_tenant_of_another_type_is_refused(tenant: Any) -> None:
    issuer = trusted(tenant_at="/org", tenants=["acme"])
    assert refused(issuer, payload_of(org=tenant)) is ClaimInvalid


def tenants(**more: Any) -> Issuer:
    return trusted(issuer=TENANTS, **{"tenants": ["t-1", "t-2"], **more})


def of_tenant(in_issuer: str, in_claim: Any) -> dict[str, Any]:
    return payload_of(TENANTS.replace("{tenantid}", in_issuer), tid=in_claim)


def test_an_issuer_of_several_tenants_names_each_in_its_iss() -> None:
    identity = read(tenants(), of_tenant("t-1", "t-1"))
    assert (identity.tenant, identity.issuer) == ("t-1", "https://login.example/t-1/v2.0")


def test_the_tenant_of_the_claim_and_that_of_the_iss_must_agree() -> None:
    assert refused(tenants(), of_tenant("t-1", "t-2")) is IssuerInvalid
    assert refused(tenants(any_tenant=True, tenants=None), of_tenant("t-1", "t-2")) is IssuerInvalid


def test_a_tenant_that_is_not_listed_is_refused() -> None:
    assert refused(tenants(), of_tenant("t-3", "t-3")) is ClaimInvalid
    assert read(tenants(any_tenant=True, tenants=None), of_tenant("t-3", "t-3")).tenant == "t-3"


def test_the_text_for_the_tenant_is_none_itself() -> None:
    assert refused(tenants(), of_tenant("{tenantid}", "{tenantid}")) is IssuerInvalid


@pytest.mark.parametrize("tenant", ["", "t-1/x", "t-1/v2.0/..", "t-1#", "a.b", "t 1", "t-1\n", "*"])
def test_a_tenant_in_the_iss_is_a_plain_word(tenant: str) -> None:
    assert not tenants().speaks_for(TENANTS.replace("{tenantid}", tenant))


# --- what it refuses -----------------------------------------------------------------------------

NEARLY = [
    *("https://issuer.exampl", "https://issuer.example/", "https://issuer.example.evil"),
    *("https://issuer.example/realms/a", "HTTPS://issuer.example", "https://Issuer.example"),
    *(
        "http://issuer.example",
        "issuer.example",
        "https://issuer.example ",
        " https://issuer.example",
    ),
    *("https://issuer%2eexample", "https://\u0456ssuer.example", "", "https://"),
    "https://issuer.example\u3000",
]


@pytest.mark.parametrize("issuer", [*NEARLY, None, 7, True, [ISSUER], {"iss": ISSUER}, ...])
def test_an_iss_that_is_not_the_issuers_to_the_letter_is_refused(issuer: Any) -> None:
    """SECURITY 1.10."""
    payload = payload_of(iss=issuer)
    assert refused(trusted(), payload) is IssuerInvalid


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE], ["", AUDIENCE]])
def test_a_token_for_this_api_is_good_alone_or_among_others(audience: Any) -> None:
    assert read(trusted(), payload_of(aud=audience)).subject == "ada"


@pytest.mark.parametrize("audience", [..., "", [], [""]])
def test_a_token_for_nobody_is_refused(audience: Any) -> None:
    """SECURITY 1.13, 2.8."""
    assert refused(trusted(), payload_of(aud=audience)) is ClaimMissing


@pytest.mark.parametrize(
    "audience",
    ["other", AUDIENCE[:-1], AUDIENCE + "/", AUDIENCE.upper(), ["other"], [f"{AUDIENCE} other"]],
)
def test_a_token_for_another_api_is_refused(audience: Any) -> None:
    assert refused(trusted(), payload_of(aud=audience)) is AudienceInvalid


@pytest.mark.parametrize("audience", [None, 7, True, {"a": AUDIENCE}, [7], [[AUDIENCE]]])
def test_an_audience_of_another_type_is_refused(audience: Any) -> None:
    assert refused(trusted(), payload_of(aud=audience)) is ClaimInvalid


def test_the_audience_may_stand_in_another_claim_and_then_counts_there_alone() -> None:
    issuer = trusted(audience="my-client", audience_at="/client_id")
    assert read(issuer, payload_of(client_id="my-client", aud="any")).subject == "ada"
    assert refused(issuer, payload_of(client_id="other", aud="my-client")) is AudienceInvalid
    assert refused(issuer, payload_of(aud="my-client")) is ClaimMissing


@pytest.mark.parametrize(
    "marks",
    [
        *({"nonce": "n"}, {"nonce": None}, {"at_hash": "h"}, {"c_hash": "h"}, {"events": {}}),
        *({"typ": "ID"}, {"typ": "Refresh"}, {"typ": "refresh"}, {"typ": "Offline"}),
        *({"typ": "Logout"}, {"token_use": "id"}, {"token_use": "ID"}, {"type": "refresh"}),
        *({"token_type": "refresh_token"}, {"type": "id_token"}, {"type": ["access", "refresh"]}),
    ],
)
def test_id_refresh_and_log_out_tokens_are_not_access_tokens(marks: dict[str, Any]) -> None:
    assert refused(trusted(), payload_of(**marks)) is KindInvalid


@pytest.mark.parametrize("marks", [{"typ": "Bearer"}, {"token_use": "access"}, {"type": "access"}])
def test_the_marks_of_access_tokens_are_not_refused(marks: dict[str, Any]) -> None:
    assert read(trusted(), payload_of(**marks)).subject == "ada"


def test_what_is_refused_can_be_said_otherwise() -> None:
    issuer = trusted(refused={"/is_anonymous": True})
    assert read(issuer, payload_of(nonce="n", is_anonymous=False)).subject == "ada"
    assert refused(issuer, payload_of(is_anonymous=True)) is KindInvalid


def test_a_claim_that_is_required_must_have_the_value() -> None:
    issuer = trusted(required={"/token_use": "access", "/azp": {"app", "web"}, "/jti": ...})
    good = payload_of(token_use="access", azp="web", jti="j")
    assert read(issuer, good).subject == "ada"
    for name, value in itertools.product(("token_use", "azp", "jti"), (..., None, "", [], {})):
        wrong = {**good, name: value} if value is not ... else {**good}
        if value is ...:
            del wrong[name]
        assert refused(issuer, wrong) is ClaimMissing, (name, value)
    assert refused(issuer, {**good, "token_use": "id"}) is KindInvalid
    assert refused(issuer, {**good, "token_use": "Access"}) is ClaimInvalid
    assert refused(issuer, {**good, "azp": "other"}) is ClaimInvalid


def test_a_list_has_a_required_value_among_its_members() -> None:
    issuer = trusted(required={"/amr": ["mfa", "otp"]})
    assert read(issuer, payload_of(amr=["pwd", "otp"])).subject == "ada"
    assert refused(issuer, payload_of(amr=["pwd"])) is ClaimInvalid


@pytest.mark.parametrize(("wanted", "found"), [(True, 1), (1, True), (1, "1"), ("1", 1)])
def test_a_required_value_is_of_the_same_type(wanted: Any, found: Any) -> None:
    assert refused(trusted(required={"/x": wanted}), payload_of(x=found)) is ClaimInvalid
    assert read(trusted(required={"/x": wanted}), payload_of(x=wanted)).subject == "ada"


OVERAGE = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "https://x"}},
}


@pytest.mark.parametrize("left_out", [OVERAGE, {"hasgroups": True}, {"hasgroups": "true"}])
def test_groups_that_are_left_out_are_refused_and_not_empty(left_out: dict[str, Any]) -> None:
    issuer = trusted(roles={"g-1": "clerk"}, roles_at=["/roles", "/groups"])
    assert refused(issuer, payload_of(**left_out)) is ClaimsLeftOut
    with pytest.raises(ClaimsLeftOut, match="leaves out claims that are needed"):
        read(issuer, payload_of(**left_out))


def test_groups_that_are_left_out_do_not_matter_where_nothing_comes_of_them() -> None:
    issuer = trusted(roles_at={"/roles": ["clerk"], "/groups": ()})
    assert read(issuer, payload_of(roles=["clerk"], **OVERAGE)).roles == {"clerk"}


@pytest.mark.parametrize("names", [None, 7, "groups", ["groups"]])
def test_names_of_claims_elsewhere_of_another_type_are_refused(names: Any) -> None:
    assert refused(trusted(), payload_of(_claim_names=names)) is ClaimInvalid


def test_dropping_a_claim_never_makes_the_identity_more() -> None:
    """SECURITY 1.16."""
    issuer = trusted(
        roles=["clerk"],
        permissions=["orders:refund"],
        tenants=["acme"],
        tenant_at="/org",
        required={"/azp": "web"},
    )
    whole = payload_of(
        roles=["clerk"], permissions=["orders:refund"], org="acme", azp="web", scope="orders"
    )
    most = read(issuer, whole)
    for name in whole:
        less = {other: value for other, value in whole.items() if other != name}
        try:
            identity = read(issuer, less)
        except InvalidToken:
            continue
        assert identity.roles <= most.roles
        assert set(identity.permissions) <= set(most.permissions)
        assert identity.scopes <= most.scopes
        assert identity.tenant == most.tenant


# --- what it refuses to be -----------------------------------------------------------------------

MISUSES: list[tuple[dict[str, Any], str]] = [
    ({"issuer": ""}, "Invalid issuer"),
    ({"issuer": None}, "Invalid issuer"),
    ({"audience": ""}, "needs audience="),
    ({"audience": []}, "needs audience="),
    ({"audience": None}, "needs audience="),
    ({"audience": [""]}, "audience takes names"),
    ({"algorithms": []}, "Unsupported algorithms"),
    ({"algorithms": "none"}, "Unsupported algorithms"),
    ({"algorithms": ["RS256", "nOnE"]}, "Unsupported algorithms"),
    ({"algorithms": "HS256"}, "Anyone who verifies tokens with a shared secret"),
    ({"algorithms": ["HS256", "HS512"]}, "Anyone who verifies tokens with a shared secret"),
    ({"algorithms": ["RS256", "HS256"]}, "mixes algorithms"),
    ({"algorithms": None}, "algorithms takes a name or a list"),
    ({"discovery": True}, "exactly one source"),
    ({"keys": None, "jwks_uri": None}, "exactly one source"),
    ({"jwks_uri": "https://a.example", "discovery": True}, "exactly one source"),
    ({"keys": []}, "keys must be a list of JWKs"),
    ({"keys": {"keys": []}}, "keys must be a list of JWKs"),
    ({"keys": "https://issuer.example"}, "keys must be a list of JWKs"),
    ({"keys": ["k1"]}, "keys must be a list of JWKs"),
    ({"leeway": -1}, "Invalid leeway"),
    ({"leeway": 3_600}, "Invalid leeway"),
    ({"leeway": True}, "Invalid leeway"),
    ({"leeway": "5"}, "Invalid leeway"),
    ({"typ": "JWT"}, "Invalid typ"),
    ({"typ": ()}, "Invalid typ"),
    ({"typ": [7]}, "Invalid typ"),
    ({"subject_at": "sub"}, "Invalid JSON Pointer"),
    ({"subject_at": ()}, "subject_at needs a JSON Pointer"),
    ({"audience_at": ()}, "audience_at needs a JSON Pointer"),
    ({"subject_prefix": 7}, "Invalid subject_prefix"),
    ({"roles": "clerk"}, "Invalid roles"),
    ({"roles": 7}, "Invalid roles"),
    ({"roles": {"theirs": 7}}, "roles takes a name or a list"),
    ({"roles": {"": "clerk"}}, "roles takes names"),
    ({"roles": ["clerk"], "roles_at": {"/roles": ["clerk"]}}, "remove roles="),
    ({"permissions": "orders:read"}, "Invalid permissions"),
    ({"permissions": ["orders"]}, "Invalid permission"),
    ({"permissions": {"theirs": "orders"}}, "Invalid permission"),
    ({"permission_order": "action"}, "Invalid permission_order 'action'"),
    ({"tenants": ["acme"]}, "tenants= needs the place"),
    ({"tenant_at": "/tid"}, "needs tenants="),
    ({"tenants": "acme", "tenant_at": "/tid"}, "expected a list of tenants"),
    ({"tenants": [], "tenant_at": "/tid"}, "expected a list of tenants"),
    ({"tenants": [7], "tenant_at": "/tid"}, "Invalid tenant 7"),
    (
        {"tenants": ["a"], "any_tenant": True, "tenant_at": "/tid"},
        "any_tenant accepts every tenant",
    ),
    ({"tenant": "acme", "tenants": ["acme"], "tenant_at": "/tid"}, "tenant= is the tenant of all"),
    ({"tenant": ""}, "Invalid tenant ''"),
    ({"issuer": TENANTS}, "needs tenants="),
    ({"issuer": "https://a.example/{tenant}"}, "the only placeholder"),
    ({"issuer": "https://{tenantid}/{tenantid}", "tenants": ["a"]}, "contains the tenant twice"),
    ({"required": ["/azp"]}, "required must map"),
    ({"required": {"azp": "web"}}, "Invalid JSON Pointer"),
    ({"required": {"/azp": None}}, "required takes a value"),
    ({"required": {"/azp": []}}, "required takes a value"),
    ({"required": {"/azp": [None]}}, "required takes strings"),
    ({"refused": "/nonce"}, "refused must map"),
]


@pytest.mark.parametrize(("said", "message"), MISUSES, ids=lambda value: str(value)[:40])
def test_what_cannot_work_is_reported_where_it_is_written(
    said: dict[str, Any], message: str
) -> None:
    whole = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": "ES256", "keys": [jwk()], **said}
    with pytest.raises(MisuseError, match=message):
        Issuer(**whole)


def test_a_shared_secret_is_taken_by_an_ugly_name_and_given_alone() -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0"}
    said = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": "HS256"}
    assert Issuer(**said, keys=[secret], unsafe_shared_secret=True).algorithms == ("HS256",)
    with pytest.raises(MisuseError, match="A shared secret is not published"):
        Issuer(**said, discovery=True, unsafe_shared_secret=True)


def test_an_issuer_is_a_frozen_value() -> None:
    assert trusted() == trusted()
    assert trusted() != trusted(leeway=10)
    assert hash(trusted(roles={"a": "clerk"})) == hash(trusted(roles={"a": "clerk"}))
    with pytest.raises(AttributeError):
        trusted().audience = "other"  # type: ignore[misc]


def test_an_issuer_shows_what_it_says_and_none_of_its_keys() -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0"}
    shown = repr(trusted(algorithms="HS256", keys=[secret], unsafe_shared_secret=True))
    assert ISSUER in shown
    assert "c2VjcmV0" not in shown


@pytest.mark.parametrize("name", ["jwks_uri", "discovery"])
def test_an_issuer_does_not_show_a_url_that_may_hold_a_key(name: str) -> None:
    url = "https://id.example/keys?key=c2VjcmV0"
    assert "c2VjcmV0" not in repr(trusted(**{"jwks_uri": None, "keys": None, name: url}))


def test_what_is_changed_afterwards_in_a_mapping_that_was_given_changes_nothing() -> None:
    roles = {"Sales": "clerk"}
    issuer = trusted(roles=roles)
    roles["Sales"] = "manager"
    assert read(issuer, payload_of(roles=["Sales"])).roles == {"clerk"}
