"""Presets: the `Issuer` of each well-known identity provider.

Each takes further arguments of `Issuer` by name, which replace the preset's own, except that
`required` and `refused` are added to them. A preset grants only the roles and permissions given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..errors import MisuseError
from .claim_checks import NOT_ACCESS_TOKENS
from .grants import Granted
from .issuer import Issuer
from .pointers import pointer
from .tenants import TENANT, Tenants

Names = str | Collection[str]

_KEYS = ("discovery", "jwks_uri", "keys")
_MICROSOFT = "https://login.microsoftonline.com"


def keycloak(
    url: str,
    realm: str,
    audience: Names,
    *,
    client: str | None = None,
    roles: Granted = (),
    realm_roles: Granted = (),
    **more: Any,
) -> Issuer:
    """Return the `Issuer` of a Keycloak realm.

    `roles` are those of one `client` or, without a client, of the realm; `realm_roles` are those
    of the realm if there is a client. For a token to name the API in `aud`, the client needs an
    audience mapper. Raises `MisuseError` for `realm_roles` without a client.

    >>> from jwt_authz.issuers import keycloak
    >>> issuer = keycloak("https://sso.example.com", "shop", "orders-api", roles=["clerk"])
    >>> issuer.issuer
    'https://sso.example.com/realms/shop'
    """
    if client is None and realm_roles:
        raise MisuseError(
            "Without a client, the roles are those of the realm: write roles= instead of "
            "realm_roles=."
        )
    places: dict[str, Granted] = {"/realm_access/roles": roles if client is None else realm_roles}
    if client is not None:
        places[pointer("resource_access", client, "roles")] = roles
    # Before version 24, access tokens have a nonce, too; the claim `typ` identifies them.
    refused = {place: value for place, value in NOT_ACCESS_TOKENS.items() if place != "/nonce"}
    return _issuer(
        more,
        issuer=f"{url.rstrip('/')}/realms/{realm}",
        audience=audience,
        **_roles(more, roles, places),
        required={"/typ": "Bearer"},
        refused=refused,
    )


def auth0(domain: str, audience: Names, *, permissions: Granted = (), **more: Any) -> Issuer:
    """Return the `Issuer` of an Auth0 tenant; its permissions are written `action:resource`.

    Accepts Auth0's own token profile and that of RFC 9068. Auth0 adds the permissions if "Add
    Permissions in the Access Token" is enabled for the API. Roles need a claim that an Action
    adds: `roles_at=pointer("https://example.com/roles")`.

    >>> from jwt_authz.issuers import auth0
    >>> issuer = auth0("shop.eu.auth0.com", "https://api.example.com", permissions=["orders:read"])
    >>> issuer.issuer
    'https://shop.eu.auth0.com/'
    """
    return _issuer(
        more,
        issuer=f"https://{domain}/",
        audience=audience,
        permissions=permissions,
        permission_order="action:resource",
        typ=("JWT", "at+jwt"),
    )


def entra_v2(
    tenant: str | Tenants | None,
    audience: Names,
    *,
    roles: Granted = (),
    groups: Granted = (),
    **more: Any,
) -> Issuer:
    """Return the `Issuer` for version 2.0 tokens of Microsoft Entra ID.

    `tenant` is the ID of the tenant, or of several; None with `any_tenant=True` accepts every
    tenant. `audience` is the API's client ID. Roles are app roles; `groups` are object IDs. If
    `groups` grants any, tokens from which groups were left out, because there were too many, are
    refused. Tokens of an application itself have `roles` but no `scp`: `required={"/scp": ...}`
    refuses them.

    >>> from jwt_authz.issuers import entra_v2
    >>> issuer = entra_v2("11111111-2222-3333-4444-555555555555", "my-api", roles=["clerk"])
    >>> issuer.issuer
    'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0'
    """
    return _entra(
        more,
        tenant,
        f"{_MICROSOFT}/{TENANT}/v2.0",
        f"{_MICROSOFT}/{{}}/v2.0/.well-known/openid-configuration",
        audience=audience,
        **_roles(more, roles, {"/roles": roles, "/groups": groups}),
        required={"/ver": "2.0", "/azp": ...},
    )


def entra_v1(
    tenant: str | Tenants | None,
    audience: Names,
    *,
    roles: Granted = (),
    groups: Granted = (),
    **more: Any,
) -> Issuer:
    """Return the `Issuer` for version 1.0 tokens of Microsoft Entra ID; otherwise as `entra_v2`.

    `audience` is the API's client ID or its application ID URI (`api://...`), as it was requested.

    >>> from jwt_authz.issuers import entra_v1
    >>> entra_v1("11111111-2222-3333-4444-555555555555", "api://orders").issuer
    'https://sts.windows.net/11111111-2222-3333-4444-555555555555/'
    """
    return _entra(
        more,
        tenant,
        f"https://sts.windows.net/{TENANT}/",
        f"{_MICROSOFT}/{{}}/.well-known/openid-configuration",
        audience=audience,
        **_roles(more, roles, {"/roles": roles, "/groups": groups}),
        required={"/ver": "1.0", "/appid": ...},
    )


def cognito(
    region: str, user_pool: str, clients: Names, *, roles: Granted = (), **more: Any
) -> Issuer:
    """Return the `Issuer` of an Amazon Cognito user pool, whose groups are the roles.

    Accepts access tokens of the given app clients: they name the client in `client_id` and, by
    default, have no `aud`.

    >>> from jwt_authz.issuers import cognito
    >>> cognito("eu-north-1", "eu-north-1_Ab1", "my-client", roles=["clerk"]).issuer
    'https://cognito-idp.eu-north-1.amazonaws.com/eu-north-1_Ab1'
    """
    return _issuer(
        more,
        issuer=f"https://cognito-idp.{region}.amazonaws.com/{user_pool}",
        audience=clients,
        audience_at="/client_id",
        roles=roles,
        roles_at="/cognito:groups",
        required={"/token_use": "access"},
    )


def okta(
    domain: str, audience: Names, *, server: str = "default", roles: Granted = (), **more: Any
) -> Issuer:
    """Return the `Issuer` of an Okta custom authorization server.

    Roles come from the claim `groups`, which the server must be configured to add. Access tokens
    of the org authorization server are only for Okta. `sub` is the user's name, which may later be
    given to another user; `subject_at="/uid"` is the user's ID.

    >>> from jwt_authz.issuers import okta
    >>> okta("shop.okta.com", "api://default", roles=["clerk"]).issuer
    'https://shop.okta.com/oauth2/default'
    """
    return _issuer(
        more,
        issuer=f"https://{domain}/oauth2/{server}",
        audience=audience,
        roles=roles,
        roles_at="/groups",
        scope_at="/scp",
        required={"/cid": ...},
    )


def firebase(project: str, *, roles: Granted = (), anonymous: bool = False, **more: Any) -> Issuer:
    """Return the `Issuer` of a Firebase project, whose ID tokens are used to call an API.

    Roles come from the custom claim `roles`. Users who signed in anonymously are refused, unless
    `anonymous` is true.

    >>> from jwt_authz.issuers import firebase
    >>> firebase("my-project", roles=["clerk"]).issuer
    'https://securetoken.google.com/my-project'
    """
    refused = {} if anonymous else {"/firebase/sign_in_provider": "anonymous"}
    return _issuer(
        more,
        issuer=f"https://securetoken.google.com/{project}",
        audience=project,
        roles=roles,
        required={"/auth_time": ...},
        refused={**NOT_ACCESS_TOKENS, **refused},
    )


def supabase(
    url: str,
    *,
    audience: Names = "authenticated",
    algorithms: Names = "ES256",
    roles: Granted = (),
    anonymous: bool = False,
    **more: Any,
) -> Issuer:
    """Return the `Issuer` of a Supabase project with asymmetric signing keys.

    Roles come from `role`, and from `roles` in `app_metadata`, but never from `user_metadata`,
    which users can change themselves. Users who signed in anonymously are refused, unless
    `anonymous` is true.

    >>> from jwt_authz.issuers import supabase
    >>> supabase("https://abc.supabase.co", roles=["clerk"]).issuer
    'https://abc.supabase.co/auth/v1'
    """
    refused = {} if anonymous else {"/is_anonymous": True}
    issuer = f"{url.rstrip('/')}/auth/v1"
    return _issuer(
        more,
        issuer=issuer,
        audience=audience,
        algorithms=algorithms,
        jwks_uri=f"{issuer}/.well-known/jwks.json",
        roles=roles,
        roles_at=("/role", "/app_metadata/roles"),
        required={"/session_id": ...},
        refused={**NOT_ACCESS_TOKENS, **refused},
    )


def rfc9068(
    issuer: str,
    audience: Names,
    algorithms: Names = "RS256",
    *,
    roles: Granted = (),
    groups: Granted = (),
    permissions: Granted = (),
    **more: Any,
) -> Issuer:
    """Return the `Issuer` of any provider with RFC 9068 access tokens.

    Reads the claims `roles`, `groups` and `entitlements` (RFC 9068 section 2.2.3.1).

    >>> from jwt_authz.issuers import rfc9068
    >>> rfc9068("https://id.example.com", "my-api", roles=["clerk"]).audience
    ('my-api',)
    """
    return _issuer(
        more,
        issuer=issuer,
        audience=audience,
        algorithms=algorithms,
        typ=("at+jwt",),
        **_roles(more, roles, {"/roles": roles, "/groups": groups}),
        permissions=permissions,
        permissions_at="/entitlements",
        required={"/client_id": ..., "/iat": ..., "/jti": ...},
    )


def _entra(
    more: Mapping[str, Any],
    tenant: str | Tenants | None,
    issuer: str,
    metadata: str,
    **said: Any,
) -> Issuer:
    """Return the issuer and the metadata of one tenant, or those that stand for all tenants."""
    is_one = isinstance(tenant, str)
    return _issuer(
        more,
        issuer=issuer.replace(TENANT, tenant) if isinstance(tenant, str) else issuer,
        discovery=metadata.format(tenant if is_one else "common"),
        tenants=[tenant] if is_one else tenant,
        tenant_at="/tid",
        scope_at="/scp",
        **said,
    )


def _roles(
    more: Mapping[str, Any], roles: Granted, places: Mapping[str, Granted]
) -> dict[str, Any]:
    """Return the places of roles and their grants; only `roles` if the caller gives `roles_at`."""
    return {"roles": roles} if "roles_at" in more else {"roles_at": places}


def _issuer(more: Mapping[str, Any], **said: Any) -> Issuer:
    """Return the issuer of a preset, with the caller's arguments in place of the preset's."""
    defaults = {"algorithms": "RS256", "refused": NOT_ACCESS_TOKENS, "required": {}, **said}
    if not any(name in more for name in _KEYS):
        defaults.setdefault("discovery", "jwks_uri" not in said)
    else:
        defaults = {name: value for name, value in defaults.items() if name not in _KEYS}
    added = {
        name: {**defaults[name], **more[name]} for name in ("required", "refused") if name in more
    }
    return Issuer(**{**defaults, **more, **added})
