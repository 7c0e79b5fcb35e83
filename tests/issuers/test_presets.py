"""Presets: each reads what its provider documents, and refuses what is not for this API.

The payloads are written from the providers' documentation of their access tokens; names and IDs
are invented.
"""

from __future__ import annotations

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
from jwt_authz.issuers import (
    Issuer,
    auth0,
    cognito,
    entra_v1,
    entra_v2,
    firebase,
    keycloak,
    okta,
    pointer,
    rfc9068,
    supabase,
)
from jwt_authz.issuers.trust import Trust
from tests.foreign import jwk

CATALOG = Roles(Role("clerk", "orders:read"), Role("manager", "orders:write", includes="clerk"))
TENANT = "7f3c2a10-5b1e-4c7d-9a35-0c9e51d7a001"
OTHER_TENANT = "7f3c2a10-5b1e-4c7d-9a35-0c9e51d7a002"
API = "2c1f6b3e-94a7-4f6b-8a0e-3a2d6f1b7c55"
TIMES = {"iat": 1_700_000_000, "exp": 1_700_003_600}


def read(issuer: Issuer, payload: dict[str, Any]) -> Identity:
    return issuer.read(issuer.subject_of(payload), payload, CATALOG)


def refused(issuer: Issuer, payload: dict[str, Any]) -> type[InvalidToken]:
    with pytest.raises(InvalidToken) as error:
        read(issuer, payload)
    return type(error.value)


def without(payload: dict[str, Any], name: str) -> dict[str, Any]:
    return {other: value for other, value in payload.items() if other != name}


# --- Keycloak ------------------------------------------------------------------------------------

KEYCLOAK = {
    **TIMES,
    "jti": "onrtac:4f1d",
    "iss": "https://id.example/realms/shop",
    "aud": ["orders-api", "account"],
    "sub": "f6c0a1de-0d43-4f0b-a7f9-2f2fd4a8a001",
    "typ": "Bearer",
    "azp": "shop-web",
    "sid": "a0e1",
    "acr": "1",
    "realm_access": {"roles": ["offline_access", "auditor", "uma_authorization"]},
    "resource_access": {
        "shop.web/eu": {"roles": ["seller"]},
        "account": {"roles": ["manage-account", "boss"]},
    },
    "scope": "profile email",
    "preferred_username": "ada",
}


def shop(**more: Any) -> Issuer:
    said = {"client": "shop.web/eu", "roles": {"seller": "clerk", "boss": "manager"}, **more}
    return keycloak("https://id.example/", "shop", "orders-api", **said)


def test_keycloak_grants_the_roles_of_the_client() -> None:
    identity = read(shop(), KEYCLOAK)
    assert identity.roles == {"clerk"}  # the role boss is that of another client
    assert identity.subject == KEYCLOAK["sub"]
    assert identity.scopes == {"profile", "email"}
    assert shop().issuer == "https://id.example/realms/shop"
    assert shop().discovery is True


def test_keycloak_without_a_client_grants_the_roles_of_the_realm() -> None:
    issuer = keycloak("https://id.example", "shop", "orders-api", roles={"auditor": "clerk"})
    assert read(issuer, KEYCLOAK).roles == {"clerk"}


def test_keycloak_tells_a_realm_role_from_a_client_role_of_the_same_name() -> None:
    payload = {**KEYCLOAK, "realm_access": {"roles": ["seller"]}, "resource_access": {}}
    assert read(shop(), payload).roles == frozenset()
    assert read(shop(realm_roles={"seller": "manager"}), payload).roles == {"manager"}


def test_keycloak_wants_realm_roles_by_their_own_name_beside_a_client_alone() -> None:
    with pytest.raises(MisuseError, match="write roles= instead of realm_roles="):
        keycloak("https://id.example", "shop", "orders-api", realm_roles=["clerk"])


def test_keycloak_before_24_has_a_nonce_in_access_tokens_which_is_not_a_mark() -> None:
    assert read(shop(), {**KEYCLOAK, "nonce": "n"}).roles == {"clerk"}


@pytest.mark.parametrize("typ", ["ID", "Refresh", "Offline", "Logout", "DPoP", "bearer"])
def test_keycloak_has_other_tokens_which_are_refused(typ: str) -> None:
    assert refused(shop(), {**KEYCLOAK, "typ": typ}) in (KindInvalid, ClaimInvalid)
    assert refused(shop(), without(KEYCLOAK, "typ")) is ClaimMissing


def test_keycloak_has_sibling_realms_which_are_other_issuers() -> None:
    for realm in ("shop2", "shop/", "shop/x", "Shop", "master"):
        issuer = f"https://id.example/realms/{realm}"
        assert refused(shop(), {**KEYCLOAK, "iss": issuer}) is IssuerInvalid


def test_keycloak_without_an_audience_mapper_is_not_for_this_api() -> None:
    assert refused(shop(), {**KEYCLOAK, "aud": "account"}) is AudienceInvalid
    assert refused(shop(), without(KEYCLOAK, "aud")) is ClaimMissing


# --- Auth0 ---------------------------------------------------------------------------------------

AUTH0 = {
    **TIMES,
    "iss": "https://shop.eu.auth0.com/",
    "sub": "auth0|5f1a",
    "aud": ["https://api.example/", "https://shop.eu.auth0.com/userinfo"],
    "azp": "clientweb",
    "scope": "openid profile read:orders",
    "permissions": ["read:orders", "delete:orders", "delete:users"],
    "https://shop.example/roles": ["Sales"],
}
AUTH0_RFC9068 = {**without(AUTH0, "azp"), "client_id": "clientweb", "jti": "73Wa"}


@pytest.mark.parametrize("payload", [AUTH0, AUTH0_RFC9068])
def test_auth0_grants_permissions_that_are_written_action_first(payload: dict[str, Any]) -> None:
    issuer = auth0("shop.eu.auth0.com", "https://api.example/", permissions=["orders:*"])
    identity = read(issuer, payload)
    assert set(identity.permissions) == {"orders:read", "orders:delete"}
    assert identity.roles == frozenset()
    assert identity.scopes == {"openid", "profile", "read:orders"}
    assert set(issuer.typ) == {"JWT", "at+jwt"}


def test_auth0_has_roles_in_a_claim_of_ones_own() -> None:
    issuer = auth0(
        "shop.eu.auth0.com",
        "https://api.example/",
        roles={"Sales": "clerk"},
        roles_at=pointer("https://shop.example/roles"),
    )
    assert read(issuer, AUTH0).roles == {"clerk"}


def test_auth0_gives_the_client_an_id_token_for_itself() -> None:
    issuer = auth0("shop.eu.auth0.com", "https://api.example/")
    assert refused(issuer, {**AUTH0, "aud": "clientweb"}) is AudienceInvalid
    assert refused(issuer, {**AUTH0, "nonce": "n"}) is KindInvalid


def test_auth0_has_sibling_tenants_which_are_other_issuers() -> None:
    issuer = auth0("shop.eu.auth0.com", "https://api.example/")
    for sibling in ("https://shop2.eu.auth0.com/", "https://shop.eu.auth0.com"):
        assert refused(issuer, {**AUTH0, "iss": sibling}) is IssuerInvalid


# --- Microsoft Entra ID --------------------------------------------------------------------------

GROUP = "0b1c7a60-62f3-4d5a-8f00-7f3f0b1c0001"
ENTRA_2_USER = {
    **TIMES,
    "aud": API,
    "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "nbf": TIMES["iat"],
    "azp": "5d1f0c1a-0000-4000-8000-000000000001",
    "azpacr": "0",
    "name": "Ada",
    "oid": "1e0fd3f5-0000-4000-8000-00000000000a",
    "preferred_username": "ada@shop.example",
    "roles": ["Orders.Seller", "Other.Role"],
    "groups": [GROUP],
    "scp": "orders.read orders.write",
    "sub": "HKZpfaHyWadeOouYlitjrI",
    "tid": TENANT,
    "uti": "fqiBqXLPj0eQa82S",
    "ver": "2.0",
}
ENTRA_2_APP = {
    **without(without(without(ENTRA_2_USER, "scp"), "groups"), "name"),
    "azpacr": "1",
    "idtyp": "app",
    "roles": ["Orders.Boss"],
    "sub": "1e0fd3f5-0000-4000-8000-00000000000b",
}
ENTRA_1_USER = {
    **without(without(ENTRA_2_USER, "azp"), "azpacr"),
    "aud": f"api://{API}",
    "iss": f"https://sts.windows.net/{TENANT}/",
    "acr": "1",
    "amr": ["pwd"],
    "appid": "5d1f0c1a-0000-4000-8000-000000000001",
    "appidacr": "0",
    "unique_name": "ada@shop.example",
    "ver": "1.0",
}
ENTRA_ROLES = {"Orders.Seller": "clerk", "Orders.Boss": "manager"}


def entra_2(tenant: Any = TENANT, **more: Any) -> Issuer:
    return entra_v2(tenant, API, roles=ENTRA_ROLES, **more)


def entra_1(tenant: Any = TENANT, **more: Any) -> Issuer:
    return entra_v1(tenant, f"api://{API}", roles=ENTRA_ROLES, **more)


@pytest.mark.parametrize(
    ("issuer", "payload"), [(entra_2(), ENTRA_2_USER), (entra_1(), ENTRA_1_USER)], ids=["v2", "v1"]
)
def test_entra_grants_a_user_the_app_roles_and_gives_the_tenant(
    issuer: Issuer, payload: dict[str, Any]
) -> None:
    identity = read(issuer, payload)
    assert identity.roles == {"clerk"}
    assert identity.tenant == TENANT
    assert identity.scopes == {"orders.read", "orders.write"}
    assert identity.subject == "HKZpfaHyWadeOouYlitjrI"


def test_entra_grants_an_application_its_roles_unless_a_user_is_required() -> None:
    """SECURITY 2.32."""
    identity = read(entra_2(), ENTRA_2_APP)
    assert identity.roles == {"manager"}
    assert identity.scopes == frozenset()
    assert refused(entra_2(required={"/scp": ...}), ENTRA_2_APP) is ClaimMissing


def test_entra_grants_what_groups_are_mapped_to() -> None:
    assert read(entra_2(groups={GROUP: "manager"}), ENTRA_2_USER).roles == {"clerk", "manager"}


@pytest.mark.parametrize(
    "overage",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}},
        {"hasgroups": True},
    ],
)
def test_entra_with_too_many_groups_is_refused_where_groups_decide(overage: dict[str, Any]) -> None:
    payload = {**without(ENTRA_2_USER, "groups"), **overage}
    assert refused(entra_2(groups={GROUP: "manager"}), payload) is ClaimsLeftOut
    assert read(entra_2(), payload).roles == {"clerk"}


@pytest.mark.parametrize(
    ("issuer", "payload", "template"),
    [
        (entra_2(), ENTRA_2_USER, "https://login.microsoftonline.com/{}/v2.0"),
        (entra_1(), ENTRA_1_USER, "https://sts.windows.net/{}/"),
    ],
    ids=["v2", "v1"],
)
def test_entra_of_another_tenant_is_refused(
    issuer: Issuer, payload: dict[str, Any], template: str
) -> None:
    assert refused(issuer, {**payload, "tid": OTHER_TENANT}) is ClaimInvalid
    other = template.format(OTHER_TENANT)
    assert refused(issuer, {**payload, "iss": other, "tid": OTHER_TENANT}) is IssuerInvalid
    assert refused(issuer, {**payload, "iss": other}) is IssuerInvalid


def test_entra_of_several_tenants_takes_those_and_no_other() -> None:
    issuer = entra_2({TENANT: "shop", OTHER_TENANT: "mall"})
    assert read(issuer, ENTRA_2_USER).tenant == "shop"
    other = {
        **ENTRA_2_USER,
        "iss": f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0",
        "tid": OTHER_TENANT,
    }
    assert read(issuer, other).tenant == "mall"
    assert refused(issuer, {**other, "tid": TENANT}) is IssuerInvalid
    assert refused(entra_2([TENANT]), other) is ClaimInvalid
    assert read(entra_2(None, any_tenant=True), other).tenant == OTHER_TENANT


def test_entra_of_every_tenant_has_to_be_asked_for_by_name() -> None:
    with pytest.raises(MisuseError, match="any_tenant=True to accept every tenant"):
        entra_2(None)


def test_entra_takes_each_versions_tokens_from_its_own_address() -> None:
    microsoft, metadata = "https://login.microsoftonline.com", ".well-known/openid-configuration"
    assert entra_2().discovery == f"{microsoft}/{TENANT}/v2.0/{metadata}"
    assert entra_1().discovery == f"{microsoft}/{TENANT}/{metadata}"
    assert entra_2([TENANT]).discovery == f"{microsoft}/common/v2.0/{metadata}"
    assert entra_1([TENANT]).discovery == f"{microsoft}/common/{metadata}"


def test_entra_versions_are_not_mixed_up_and_id_tokens_are_refused() -> None:
    assert refused(entra_2(), {**ENTRA_2_USER, "ver": "1.0"}) is ClaimInvalid
    assert refused(entra_1(), {**ENTRA_1_USER, "ver": "2.0"}) is ClaimInvalid
    id_token = without(without(ENTRA_2_USER, "azp"), "scp")
    assert refused(entra_2(), id_token) is ClaimMissing
    assert refused(entra_2(), {**ENTRA_2_USER, "nonce": "n"}) is KindInvalid


def test_entra_for_another_api_is_refused() -> None:
    graph = "00000003-0000-0000-c000-000000000000"
    assert refused(entra_2(), {**ENTRA_2_USER, "aud": graph}) is AudienceInvalid
    assert refused(entra_1(), {**ENTRA_1_USER, "aud": API}) is AudienceInvalid


# --- Cognito -------------------------------------------------------------------------------------

COGNITO = {
    **TIMES,
    "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "cognito:groups": ["sellers", "eu-central-1_AbCd_Google"],
    "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCd",
    "client_id": "3n4b5urk1ft4fl3mg5e62d9ado",
    "origin_jti": "o",
    "event_id": "e",
    "token_use": "access",
    "scope": "openid orders/read",
    "auth_time": TIMES["iat"],
    "jti": "j",
    "username": "ada",
}
COGNITO_ID = {
    **without(without(COGNITO, "client_id"), "scope"),
    "aud": "3n4b5urk1ft4fl3mg5e62d9ado",
    "token_use": "id",
    "at_hash": "h",
}


def pool(clients: Any = "3n4b5urk1ft4fl3mg5e62d9ado") -> Issuer:
    return cognito("eu-central-1", "eu-central-1_AbCd", clients, roles={"sellers": "clerk"})


def test_cognito_grants_what_groups_are_mapped_to_and_needs_no_aud() -> None:
    identity = read(pool(), COGNITO)
    assert identity.roles == {"clerk"}
    assert identity.scopes == {"openid", "orders/read"}
    assert None in pool().typ  # its header has neither typ nor anything but alg and kid


def test_cognito_of_another_client_or_pool_is_refused() -> None:
    assert refused(pool(), {**COGNITO, "client_id": "other"}) is AudienceInvalid
    assert refused(pool(), without(COGNITO, "client_id")) is ClaimMissing
    sibling = COGNITO["iss"] + "2"
    assert refused(pool(), {**COGNITO, "iss": sibling}) is IssuerInvalid
    assert read(pool(["other", "3n4b5urk1ft4fl3mg5e62d9ado"]), COGNITO).subject


def test_cognitos_id_tokens_are_refused() -> None:
    assert refused(pool(), COGNITO_ID) is KindInvalid
    assert refused(pool(), {**COGNITO, "token_use": "id"}) is KindInvalid
    assert refused(pool(), without(COGNITO, "token_use")) is ClaimMissing


# --- Okta ----------------------------------------------------------------------------------------

OKTA = {
    **TIMES,
    "ver": 1,
    "jti": "AT.0mP4",
    "iss": "https://shop.okta.com/oauth2/default",
    "aud": "api://default",
    "sub": "ada@shop.example",
    "cid": "0oa1client",
    "uid": "00u1ada",
    "scp": ["openid", "orders"],
    "groups": ["Everyone", "Sellers"],
}


def org(**more: Any) -> Issuer:
    return okta("shop.okta.com", "api://default", roles={"Sellers": "clerk"}, **more)


def test_okta_grants_what_groups_are_mapped_to_and_lists_its_scopes() -> None:
    identity = read(org(), OKTA)
    assert identity.roles == {"clerk"}
    assert identity.scopes == {"openid", "orders"}
    assert identity.subject == "ada@shop.example"
    assert read(org(subject_at="/uid"), OKTA).subject == "00u1ada"


def test_okta_has_sibling_servers_which_are_other_issuers() -> None:
    assert org(server="aus1").issuer == "https://shop.okta.com/oauth2/aus1"
    for sibling in ("https://shop.okta.com", "https://shop.okta.com/oauth2/default2"):
        assert refused(org(), {**OKTA, "iss": sibling}) is IssuerInvalid


def test_oktas_id_tokens_are_refused() -> None:
    id_token = {**without(without(OKTA, "cid"), "scp"), "at_hash": "h", "jti": "ID.rad"}
    assert refused(org(), id_token) is KindInvalid
    assert refused(org(), without(OKTA, "cid")) is ClaimMissing
    assert refused(org(), {**OKTA, "aud": "0oa1client"}) is AudienceInvalid


# --- Firebase ------------------------------------------------------------------------------------

FIREBASE = {
    **TIMES,
    "iss": "https://securetoken.google.com/shop-prod",
    "aud": "shop-prod",
    "auth_time": TIMES["iat"],
    "user_id": "NIZX38015decs0zX2LML",
    "sub": "NIZX38015decs0zX2LML",
    "email": "ada@shop.example",
    "email_verified": True,
    "roles": ["seller"],
    "firebase": {"identities": {"email": ["ada@shop.example"]}, "sign_in_provider": "password"},
}
FIREBASE_ANONYMOUS = {
    **without(FIREBASE, "email"),
    "provider_id": "anonymous",
    "firebase": {"identities": {}, "sign_in_provider": "anonymous"},
}


def project(**more: Any) -> Issuer:
    return firebase("shop-prod", roles={"seller": "clerk"}, **more)


def test_firebase_grants_what_a_custom_claim_says() -> None:
    assert read(project(), FIREBASE).roles == {"clerk"}
    assert read(project(), FIREBASE).subject == "NIZX38015decs0zX2LML"


def test_firebase_users_who_signed_in_anonymously_are_nobody_unless_they_are_let_in() -> None:
    assert refused(project(), FIREBASE_ANONYMOUS) is KindInvalid
    assert read(project(anonymous=True), FIREBASE_ANONYMOUS).subject


def test_firebase_projects_share_their_keys_so_that_the_project_is_checked_twice() -> None:
    other = {**FIREBASE, "aud": "evil"}
    assert refused(project(), other) is AudienceInvalid
    assert refused(project(), {**other, "iss": "https://securetoken.google.com/evil"}) is (
        IssuerInvalid
    )
    session = {**FIREBASE, "iss": "https://session.firebase.google.com/shop-prod"}
    assert refused(project(), session) is IssuerInvalid


def test_firebase_tenants_can_be_reported_apart() -> None:
    issuer = project(tenants=["mall-1"], tenant_at="/firebase/tenant")
    assert refused(issuer, FIREBASE) is ClaimMissing
    inside = {**FIREBASE, "firebase": {"tenant": "mall-1"}}
    assert read(issuer, inside).tenant == "mall-1"
    assert refused(issuer, {**FIREBASE, "firebase": {"tenant": "mall-2"}}) is ClaimInvalid


# --- Supabase ------------------------------------------------------------------------------------

SUPABASE = {
    **TIMES,
    "iss": "https://abcd.supabase.co/auth/v1",
    "aud": "authenticated",
    "sub": "123e4567-e89b-12d3-a456-426614174000",
    "role": "authenticated",
    "aal": "aal1",
    "session_id": "s-1",
    "email": "ada@shop.example",
    "phone": "",
    "is_anonymous": False,
    "amr": [{"method": "password", "timestamp": TIMES["iat"]}],
    "app_metadata": {"provider": "email", "roles": ["seller"]},
    "user_metadata": {"roles": ["boss"], "role": "boss"},
}


def base(**more: Any) -> Issuer:
    roles = {"seller": "clerk", "boss": "manager", "service_role": "manager"}
    return supabase("https://abcd.supabase.co", roles=roles, **more)


def test_supabase_grants_what_the_apps_metadata_say_and_never_the_users() -> None:
    assert read(base(), SUPABASE).roles == {"clerk"}
    assert base().jwks_uri == "https://abcd.supabase.co/auth/v1/.well-known/jwks.json"
    assert base().algorithms == ("ES256",)


def test_supabase_users_who_signed_in_anonymously_are_nobody_unless_they_are_let_in() -> None:
    anonymous = {**SUPABASE, "is_anonymous": True}
    assert refused(base(), anonymous) is KindInvalid
    assert read(base(anonymous=True), anonymous).subject


def test_supabases_api_keys_are_not_tokens_of_users() -> None:
    """SECURITY 2.11."""
    api_key = {**TIMES, "iss": "supabase", "ref": "abcd", "role": "service_role"}
    with pytest.raises(IssuerInvalid):
        base().read("anybody", api_key, CATALOG)
    forged = {**SUPABASE, "role": "service_role"}
    assert refused(base(), without(forged, "session_id")) is ClaimMissing
    assert refused(base(), {**SUPABASE, "aud": "anon"}) is AudienceInvalid


# --- RFC 9068 ------------------------------------------------------------------------------------

GENERIC = {
    **TIMES,
    "iss": "https://as.example",
    "sub": "5ba552d67",
    "aud": "https://rs.example/",
    "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
    "client_id": "s6BhdRkqt3",
    "scope": "openid profile reademail",
    "roles": ["seller"],
    "groups": ["eu"],
    "entitlements": ["orders:refund", "users:delete"],
}


def generic(**more: Any) -> Issuer:
    return rfc9068("https://as.example", "https://rs.example/", roles={"seller": "clerk"}, **more)


def test_rfc_9068_names_roles_groups_and_entitlements() -> None:
    """SECURITY 2.13."""
    identity = read(generic(groups={"eu": "manager"}, permissions=["orders:refund"]), GENERIC)
    assert identity.roles == {"clerk", "manager"}
    assert identity.has_permission("orders:refund")
    assert not identity.has_permission("users:delete")
    assert list(generic().typ) == ["at+jwt"]


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "client_id", "iat", "jti"])
def test_rfc_9068_lacks_none_of_its_claims(name: str) -> None:
    assert refused(generic(), without(GENERIC, name)) in (ClaimMissing, IssuerInvalid)


# --- all of them ---------------------------------------------------------------------------------

ALL: dict[str, tuple[Any, dict[str, Any]]] = {
    "keycloak": (shop, KEYCLOAK),
    "auth0": (lambda **more: auth0("shop.eu.auth0.com", "https://api.example/", **more), AUTH0),
    "entra_v2": (entra_2, ENTRA_2_USER),
    "entra_v1": (entra_1, ENTRA_1_USER),
    "cognito": (
        lambda **more: cognito("eu-central-1", "eu-central-1_AbCd", COGNITO["client_id"], **more),
        COGNITO,
    ),
    "okta": (org, OKTA),
    "firebase": (project, FIREBASE),
    "supabase": (base, SUPABASE),
    "rfc9068": (generic, GENERIC),
}
each = pytest.mark.parametrize(("preset", "payload"), ALL.values(), ids=ALL)


@each
def test_a_preset_grants_nothing_but_what_it_is_reported(
    preset: Any, payload: dict[str, Any]
) -> None:
    everything = {**payload, "roles": ["admin", "clerk"], "permissions": ["orders:read"]}
    assert read(preset(), everything).roles <= {"clerk", "manager"}
    assert not read(preset(), everything).has_permission("users:delete")


@each
def test_a_preset_signs_asymmetrically_and_has_one_source_of_keys(
    preset: Any, payload: dict[str, Any]
) -> None:
    assert preset().algorithms in (("RS256",), ("ES256",))
    assert (preset().discovery is False) == (preset().jwks_uri is not None)
    assert preset().keys is None


@each
def test_a_preset_takes_what_is_said_otherwise(preset: Any, payload: dict[str, Any]) -> None:
    issuer = preset(
        keys=[jwk()],
        algorithms="ES256",
        leeway=30,
        subject_prefix="them|",
        required={"/extra": "yes"},
        refused={"/banned": True},
    )
    assert (issuer.leeway, issuer.discovery, issuer.jwks_uri) == (30, False, None)
    good = {**payload, "extra": "yes"}
    assert read(issuer, good).subject.startswith("them|")
    assert refused(issuer, payload) is ClaimMissing
    assert refused(issuer, {**good, "banned": True}) is KindInvalid
    assert refused(issuer, {**good, "at_hash": "h"}) is KindInvalid  # as before
    assert preset(jwks_uri="https://keys.example/jwks").discovery is False


@each
def test_a_presets_issuer_can_be_trusted(preset: Any, payload: dict[str, Any]) -> None:
    trust = Trust().with_more([preset()], CATALOG)
    assert trust.find(payload["iss"]) is not None
    assert trust.find(payload["iss"] + "x") is None
