"""Presets: the `Issuer` of an identity provider, from what its documentation says of its tokens.

Each takes further arguments of `Issuer` by name; they count in place of the preset's own, but
`required` and `refused`, which are added to them. None grants a role that is not named to it.
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
    """Keycloak: `roles` of one `client`, or, without a client, those of the realm.

    `realm_roles` are those of the realm beside a client's. Keycloak puts an API into `aud` where
    the client has an audience mapper for it.
    """
    if client is None and realm_roles:
        raise MisuseError(
            "without a client the roles are the realm's: write roles=, not realm_roles="
        )
    places: dict[str, Granted] = {"/realm_access/roles": roles if client is None else realm_roles}
    if client is not None:
        places[pointer("resource_access", client, "roles")] = roles
    # Before version 24 access tokens have a nonce, too; `typ` in the payload is what parts them.
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
    """Auth0, in its own token profile and in RFC 9068's: permissions `action:resource`.

    Auth0 writes them where "Add Permissions in the Access Token" is set for the API. Roles stand
    in a claim that an Action adds: `roles_at=pointer("https://example.com/roles")`.
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
    """Microsoft Entra ID, tokens of version 2.0: app roles, and groups by their object IDs.

    `tenant` is the tenant's ID, or those of several; None with `any_tenant=True` lets in every
    tenant that there is. `audience` is the API's client ID. Tokens whose groups were left out,
    since there are too many, are refused if `groups` grants any. An application's own tokens
    have `roles` and no `scp`: `required={"/scp": ...}` refuses them.
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
    """Microsoft Entra ID, tokens of version 1.0; otherwise as `entra_v2`.

    `audience` is the API's client ID or its application ID URI (`api://...`), as it was asked for.
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
    """Amazon Cognito: access tokens of these app clients; roles are the user pool's groups.

    Its access tokens name the client in `client_id` and, by default, have no `aud`.
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
    """Okta, a custom authorization server: roles come from the claim `groups` that it is to add.

    Access tokens of the org authorization server are for Okta alone. `sub` is the user's name,
    which may be given to another; `subject_at="/uid"` is the user's ID.
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
    """Firebase Authentication: its ID tokens, which is what it has for calling an API.

    Roles come from the custom claim `roles`. Users who signed in anonymously are refused, unless
    `anonymous` lets them in.
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
    """Supabase Auth, with asymmetric signing keys: `role`, and `roles` in `app_metadata`.

    Never `user_metadata`, which users write themselves. Users who signed in anonymously are
    refused, unless `anonymous` lets them in.
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
    """Any provider whose access tokens have RFC 9068's shape: `roles`, `groups`, `entitlements`."""
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
    """One tenant's own issuer and metadata, or those that stand for all tenants."""
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
    """Where roles stand and what they become; `roles` alone where the caller says where."""
    return {"roles": roles} if "roles_at" in more else {"roles_at": places}


def _issuer(more: Mapping[str, Any], **said: Any) -> Issuer:
    """The issuer of a preset, with what the caller says otherwise."""
    defaults = {"algorithms": "RS256", "refused": NOT_ACCESS_TOKENS, "required": {}, **said}
    if not any(name in more for name in _KEYS):
        defaults.setdefault("discovery", "jwks_uri" not in said)
    else:
        defaults = {name: value for name, value in defaults.items() if name not in _KEYS}
    added = {
        name: {**defaults[name], **more[name]} for name in ("required", "refused") if name in more
    }
    return Issuer(**{**defaults, **more, **added})
