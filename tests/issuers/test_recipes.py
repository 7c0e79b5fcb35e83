"""The recipes of docs/issuers.md: each reads what its provider documents, and refuses the rest.

The issuers are those of the page itself; the payloads are written from the providers'
documentation, with names and IDs invented.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jwt_authz import Identity, Role, Roles
from jwt_authz.errors import (
    AudienceInvalid,
    ClaimInvalid,
    ClaimMissing,
    InvalidToken,
    IssuerInvalid,
    KindInvalid,
)
from jwt_authz.issuers import Issuer
from tests.docs.reading import Page, module_of, run

PAGE = Page(Path(__file__).resolve().parents[2] / "docs" / "issuers.md")
CATALOG = Roles(Role("clerk", "orders:read"), Role("manager", "orders:*", includes="clerk"))
TIMES = {"iat": 1_700_000_000, "exp": 1_700_003_600}
API = "https://orders.example.com"
APPLICATION = "e9fdb985-9173-4e01-9d73-ac2d60d1dc8e"

ZITADEL: dict[str, Any] = {
    **TIMES,
    "iss": "https://shop-x1y2z3.zitadel.cloud",
    "sub": "163840776835432705",
    "aud": ["219587261413654529", "285643214325"],
    "nbf": TIMES["iat"],
    "jti": "V2_2410",
    "client_id": "219587261413654529",
    "urn:zitadel:iam:org:project:285643214325:roles": {"seller": {"4711": "shop.example"}},
    "urn:zitadel:iam:org:project:999:roles": {"admin": {"4711": "shop.example"}},
}
FUSIONAUTH: dict[str, Any] = {
    **TIMES,
    "iss": "acme.com",
    "aud": APPLICATION,
    "sub": "00000000-0000-0000-0000-111111111111",
    "jti": "2e2271d7",
    "authenticationType": "PASSWORD",
    "applicationId": APPLICATION,
    "scope": "openid offline_access",
    "roles": ["seller", "admin"],
    "tid": "d7d09513",
}
HYDRA: dict[str, Any] = {
    **TIMES,
    "iss": "https://hydra.example.com/",
    "aud": [API],
    "client_id": "shop-web",
    "sub": "ada",
    "jti": "c2f1",
    "nbf": TIMES["iat"],
    "scp": ["orders", "offline"],
    "ext": {"roles": ["seller", "admin"]},
}
GITLAB: dict[str, Any] = {
    **TIMES,
    "iss": "https://gitlab.example.com",
    "aud": API,
    "sub": "project_path:shop/deploy:ref_type:branch:ref:main",
    "jti": "63ab",
    "nbf": TIMES["iat"],
    "namespace_id": "72",
    "namespace_path": "shop",
    "project_id": "4711",
    "project_path": "shop/deploy",
    "user_id": "1",
    "user_login": "ada",
    "pipeline_id": "455",
    "pipeline_source": "push",
    "job_id": "1123",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "runner_id": 1,
    "runner_environment": "self-hosted",
}
GITHUB: dict[str, Any] = {
    **TIMES,
    "iss": "https://token.actions.githubusercontent.com",
    "aud": API,
    "sub": "repo:shop/deploy:ref:refs/heads/main",
    "jti": "a1b2",
    "nbf": TIMES["iat"],
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "repository": "shop/deploy",
    "repository_id": "1296269",
    "repository_owner": "shop",
    "repository_owner_id": "583231",
    "repository_visibility": "private",
    "event_name": "push",
    "actor_id": "12",
    "workflow": "deploy",
    "job_workflow_ref": "shop/deploy/.github/workflows/deploy.yml@refs/heads/main",
}
KUBERNETES: dict[str, Any] = {
    **TIMES,
    "iss": "https://oidc.eks.eu-central-1.amazonaws.com/id/ABCD",
    "aud": [API],
    "nbf": TIMES["iat"],
    "sub": "system:serviceaccount:shop:billing",
    "kubernetes.io": {
        "namespace": "shop",
        "pod": {"name": "billing-0", "uid": "900f80ed"},
        "serviceaccount": {"name": "billing", "uid": "a709ef71"},
    },
}
NAMESPACE = "https://hasura.io/jwt/claims"
HASURA: dict[str, Any] = {
    **TIMES,
    "iss": "https://auth.example.com",
    "aud": "shop-hasura",
    "sub": "ignored",
    NAMESPACE: {
        "x-hasura-default-role": "user",
        "x-hasura-allowed-roles": ["user", "seller"],
        "x-hasura-user-id": "123",
        "x-hasura-org-id": "456",
    },
}
B2C: dict[str, Any] = {
    **TIMES,
    "iss": "https://shop.b2clogin.com/7f3c2a10-5b1e-4c7d-9a35-0c9e51d7a001/v2.0/",
    "aud": "2c1f6b3e-94a7-4f6b-8a0e-3a2d6f1b7c55",
    "sub": "884408e1",
    "nbf": TIMES["iat"],
    "tfp": "B2C_1_signin",
    "scp": "orders.read",
    "azp": "5d1f0c1a",
    "ver": "1.0",
    "extension_Role": "seller",
}

READ: dict[str, tuple[dict[str, Any], str, str]] = {
    "zitadel": (ZITADEL, "zitadel|163840776835432705", "clerk"),
    "fusionauth": (FUSIONAUTH, "fusionauth|00000000-0000-0000-0000-111111111111", "clerk"),
    "hydra": (HYDRA, "hydra|ada", "clerk"),
    "gitlab": (GITLAB, "project_path:shop/deploy:ref_type:branch:ref:main", "manager"),
    "github": (GITHUB, "repo:shop/deploy:ref:refs/heads/main", "manager"),
    "kubernetes": (KUBERNETES, "system:serviceaccount:shop:billing", "clerk"),
    "hasura": (HASURA, "hasura|123", "clerk"),
    "b2c": (B2C, "b2c|884408e1", "clerk"),
}
REFUSED: list[tuple[str, dict[str, Any], type[InvalidToken]]] = [
    ("zitadel", {"jti": ...}, ClaimMissing),  # an ID token
    ("zitadel", {"at_hash": "h"}, KindInvalid),
    ("zitadel", {"urn:zitadel:iam:org:project:285643214325:roles": ["seller"]}, ClaimInvalid),
    ("zitadel", {"aud": ["999"]}, AudienceInvalid),
    ("fusionauth", {"applicationId": ...}, ClaimMissing),  # not registered, or an ID token
    ("fusionauth", {"applicationId": "other"}, ClaimInvalid),
    ("fusionauth", {"c_hash": "h"}, KindInvalid),
    ("fusionauth", {"iss": "acme.com.evil"}, IssuerInvalid),
    ("hydra", {"client_id": ...}, ClaimMissing),  # an ID token
    ("hydra", {"iss": "https://hydra.example.com"}, IssuerInvalid),
    ("hydra", {"ext": "seller"}, ClaimInvalid),
    ("gitlab", {"ref_protected": "false"}, ClaimInvalid),
    ("gitlab", {"ref_protected": True}, ClaimInvalid),
    ("gitlab", {"ref_type": "tag"}, ClaimInvalid),
    ("gitlab", {"aud": "https://gitlab.example.com"}, AudienceInvalid),
    ("github", {"event_name": "pull_request_target"}, ClaimInvalid),
    ("github", {"repository_owner_id": "1"}, ClaimInvalid),
    ("github", {"ref": "refs/pull/1/merge"}, ClaimInvalid),
    ("github", {"aud": "https://github.com/shop"}, AudienceInvalid),
    ("kubernetes", {"kubernetes.io": {"namespace": "kube-system"}}, ClaimInvalid),
    ("kubernetes", {"kubernetes.io": ...}, ClaimMissing),
    ("kubernetes", {"iss": "kubernetes/serviceaccount"}, IssuerInvalid),
    ("kubernetes", {"aud": ["https://kubernetes.default.svc"]}, AudienceInvalid),
    ("hasura", {NAMESPACE: '{"x-hasura-user-id": "123"}'}, ClaimInvalid),
    ("hasura", {NAMESPACE: ...}, ClaimMissing),
    ("hasura", {"aud": "other"}, AudienceInvalid),
    ("b2c", {"tfp": "B2C_1_reset"}, ClaimInvalid),
    ("b2c", {"azp": ...}, ClaimMissing),  # an ID token
    ("b2c", {"nonce": "n"}, KindInvalid),
    ("b2c", {"iss": B2C["iss"].rstrip("/")}, IssuerInvalid),
]


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the page's blocks define, once they have run."""
    with module_of(PAGE) as module:
        for block in PAGE.python_until():
            run(PAGE, block, module)
    return module.__dict__


def read(issuer: Issuer, payload: dict[str, Any]) -> Identity:
    return issuer.read(issuer.subject_of(payload), payload, CATALOG)


def test_every_recipe_that_is_asked_for_is_tested() -> None:
    wanted = ("Zitadel", "FusionAuth", "Ory Hydra", "GitLab CI", "GitHub Actions")
    wanted += ("Kubernetes", "Hasura", "Azure AD B2C")
    assert [name for name in wanted if f"\n**{name}**: " not in PAGE.text] == []
    assert len(READ) == len(wanted)


@pytest.mark.parametrize("name", READ)
def test_a_recipe_reads_what_its_provider_documents(name: str, page: dict[str, Any]) -> None:
    payload, subject, role = READ[name]
    identity = read(page[name], payload)
    assert (identity.subject, identity.roles) == (subject, {role})
    assert identity.issuer == payload["iss"]


def test_a_recipe_reads_scopes_and_tenants_where_the_provider_has_them(
    page: dict[str, Any],
) -> None:
    assert read(page["hydra"], HYDRA).scopes == {"orders", "offline"}
    assert read(page["b2c"], B2C).scopes == {"orders.read"}
    assert read(page["kubernetes"], KUBERNETES).tenant == "shop"


@pytest.mark.parametrize(("name", "changes", "condition"), REFUSED)
def test_a_recipe_refuses_what_is_not_for_this_api(
    name: str, changes: dict[str, Any], condition: type[InvalidToken], page: dict[str, Any]
) -> None:
    payload = {**READ[name][0], **changes}
    with pytest.raises(condition):
        read(page[name], {claim: value for claim, value in payload.items() if value is not ...})


OTHERS = {
    "zitadel": {"urn:zitadel:iam:org:project:285643214325:roles": {"admin": {}}},
    "fusionauth": {"roles": ["admin"]},
    "hydra": {"ext": {"roles": ["admin"]}},
    "gitlab": {"project_id": "4712"},
    "github": {"repository_id": "1296270"},
    "kubernetes": {"sub": "system:serviceaccount:shop:default"},
    "hasura": {NAMESPACE: {"x-hasura-user-id": "1", "x-hasura-allowed-roles": ["admin"]}},
    "b2c": {"extension_Role": "admin"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_recipe_drops_the_roles_of_others(name: str, page: dict[str, Any]) -> None:
    assert read(page[name], {**READ[name][0], **OTHERS[name]}).roles == frozenset()
