"""Issuer: a trusted identity provider, and how identities are read from its tokens."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import Any

from ..errors import (
    AudienceInvalid,
    ClaimInvalid,
    ClaimMissing,
    ClaimsLeftOut,
    IssuerInvalid,
    MisuseError,
)
from ..policy.identity import Claims, Identity, Sources
from ..policy.permissions import PermissionSet
from ..policy.roles import Roles
from .claim_checks import NOT_ACCESS_TOKENS, Marks, RefusedMarks, RequiredClaims
from .grants import Granted, Order, PermissionGrants, RoleGrants, RolePlaces, names_of
from .pointers import Places, Pointer, as_pointers
from .tenants import TenantRule, Tenants

SYMMETRIC = frozenset({"HS256", "HS384", "HS512"})
ASYMMETRIC = frozenset(
    (
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES256K", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"),
    )
)

_MOST_LEEWAY = 600
_NO_PERMISSIONS = PermissionSet()

# Tokens with equal permissions share one set, which is freed with the last of them.
_NO_TEXTS: Mapping[str, str] = MappingProxyType({})
_sets: weakref.WeakValueDictionary[frozenset[str], PermissionSet] = weakref.WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider whose access tokens are accepted, and on which terms; immutable.

    - `issuer`: the exact `iss` of its tokens. `{tenantid}` in it stands for the tenant, which must
      then agree with the tenant claim.
    - `audience`: the name of this API, or several, in the claim at `audience_at`.
    - `algorithms`: those of its keys.
    - `discovery` (True, or the URL of the metadata), `jwks_uri` or `keys` (JWKs): where its keys
      come from.
    - `ca_bundle`: the path of a PEM file of the certificate authorities that its server is trusted
      by, instead of those of the machine.
    - `unsafe_plain_http`: fetch its keys without TLS inside a private network, where anyone
      who changes the responses can sign tokens.
    - `unsafe_shared_secret`: required for a shared secret (HS*).
    - `leeway`: the tolerance for clocks in seconds; by default 5 for `nbf` and `iat`, 0 for `exp`.
    - `typ`: the accepted values of the header's `typ`; None among them if it may be missing.
    - `roles`, `permissions`: what the issuer may grant, as a mapping of its names to ours, or as
      an allow list. Anything else is dropped.
    - `tenants`: the tenants that it may speak for, as a list or a mapping to our names;
      `any_tenant` accepts all; `tenant` is the one to which all its tokens belong.
    - `required`, `refused`: values that claims must have, or must not have; `...` is any value.
    - `subject_prefix`: put before each subject; `""` means that its subjects are the application's
      own users. Without it, `subject` in conditions is unknown for its callers.

    Arguments that end in `_at` are JSON Pointers (RFC 6901), one or several: the subject is the
    first that is present; roles, permissions and scopes are collected from all. Raises
    `MisuseError` for invalid arguments.

    >>> from jwt_authz.issuers import Issuer
    >>> partner = Issuer(
    ...     "https://id.example.com",
    ...     "orders-api",
    ...     "RS256",
    ...     jwks_uri="https://id.example.com/jwks",
    ...     roles={"sales": "clerk"},
    ...     roles_at="/groups",
    ... )
    >>> partner.speaks_for("https://id.example.com/")
    False
    """

    issuer: str
    audience: str | Collection[str]
    algorithms: str | Collection[str]
    _: KW_ONLY
    discovery: bool | str = field(default=False, repr=False)  # a URL may hold a key
    jwks_uri: str | None = field(default=None, repr=False)
    keys: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = field(
        default=None, repr=False, hash=False
    )
    ca_bundle: str | None = None
    unsafe_plain_http: bool = False
    unsafe_shared_secret: bool = False
    leeway: float | None = None
    typ: Collection[str | None] = ("JWT", "at+jwt", None)
    audience_at: Places = "/aud"
    subject_at: Places = "/sub"
    subject_prefix: str | None = None
    roles: Granted = field(default=(), hash=False)
    roles_at: RolePlaces = field(default="/roles", hash=False)
    permissions: Granted = field(default=(), hash=False)
    permissions_at: Places = "/permissions"
    permission_order: Order = "resource:action"
    scope_at: Places = "/scope"
    tenant: str | None = None
    tenants: Tenants | None = field(default=None, hash=False)
    any_tenant: bool = False
    tenant_at: Places = ()
    required: Marks = field(default_factory=dict, hash=False)
    refused: Marks = field(default_factory=lambda: NOT_ACCESS_TOKENS, hash=False)
    _rules: _Rules = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _refuse_misuse(self)
        for name in ("audience", "algorithms"):
            object.__setattr__(self, name, names_of(name, getattr(self, name)))
        for name in ("typ", "audience_at", "subject_at", "permissions_at", "scope_at", "tenant_at"):
            if not isinstance(getattr(self, name), str | Pointer):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.keys is not None:
            object.__setattr__(self, "keys", _jwks(self.keys))
        object.__setattr__(self, "_rules", _Rules(self))

    @property
    def jwks(self) -> tuple[Mapping[str, Any], ...]:
        """The JWKs given as `keys`."""
        return _jwks(self.keys) if self.keys is not None else ()

    @property
    def role_names(self) -> frozenset[str]:
        """All of our roles that the issuer may grant."""
        return self._rules.roles.ours

    def speaks_for(self, issuer: str) -> bool:
        """Return whether an `iss` is exactly this issuer's, with any value for `{tenantid}`."""
        return self._rules.tenants.speaks_for(issuer)

    def subject_of(self, payload: Mapping[str, Any]) -> str:
        """Return the subject of a payload; raise `ClaimMissing` or `ClaimInvalid`."""
        for place in self._rules.subject:
            found = place.string(payload)
            if found:
                return f"{self.subject_prefix or ''}{found}"
        raise ClaimMissing("the claim of the subject is missing or empty")

    def check(self, payload: Mapping[str, Any]) -> None:
        """Raise an `InvalidToken` if a payload is not that of an access token for this API."""
        issuer = payload.get("iss")
        if not isinstance(issuer, str) or not self.speaks_for(issuer):
            raise IssuerInvalid
        self._rules.refused.check(payload)
        self._rules.check_audience(payload)
        self._rules.required.check(payload)
        self._rules.check_all_is_there(payload)

    def read(self, subject: str, payload: Mapping[str, Any], catalogue: Roles | None) -> Identity:
        """Return the identity of a payload, with only what the issuer may grant.

        Raises what `check` raises, `ClaimInvalid` for a claim of the wrong JSON type, and
        `ClaimMissing` for a token without a tenant if one is required.
        """
        self.check(payload)
        roles = self._rules.roles.granted(payload)
        granted = self._rules.permissions.granted(payload)
        return Identity(
            subject,
            issuer=payload["iss"],
            tenant=self._rules.tenants.tenant_of(payload),
            roles=frozenset(roles),
            permissions=_held(roles, granted, catalogue),
            scopes=frozenset(name for place in self._rules.scopes for name in place.words(payload)),
            claims=Claims(payload, _NO_TEXTS if catalogue is None else catalogue.texts),
            catalogue=catalogue,
            sources=self._rules.sources,
            subject_is_foreign=self.subject_prefix is None,
        )


class _Rules:
    """The parts of an `Issuer` in a form that is fast to use."""

    def __init__(self, said: Issuer) -> None:
        self.subject = _some("subject_at", said.subject_at)
        self.audience = frozenset(said.audience)
        self.audience_at = _some("audience_at", said.audience_at)
        self.roles = RoleGrants(said.roles_at, said.roles)
        self.permissions = PermissionGrants(
            said.permissions_at, said.permissions, said.permission_order
        )
        self.scopes = as_pointers(said.scope_at)
        self.tenants = TenantRule(
            said.issuer, said.tenant, said.tenants, said.any_tenant, said.tenant_at
        )
        self.required = RequiredClaims(said.required)
        self.refused = RefusedMarks(said.refused)
        # Only groups are ever left out; claims nested deeper start with the same name.
        self._gathered = {p.names[0] for p in (*self.roles.places, *self.permissions.places)}
        roles = tuple(place.text for place in self.roles.places)
        more = tuple(place.text for place in self.permissions.places)
        scopes = tuple(place.text for place in self.scopes)
        self.sources = Sources(roles, (*roles, *more), scopes)

    def check_audience(self, payload: Mapping[str, Any]) -> None:
        """Raise `ClaimMissing` or `AudienceInvalid` unless a token is for this API."""
        named = [name for place in self.audience_at for name in place.listed(payload)]
        if not any(named):
            raise ClaimMissing("the claim of the audience is missing")
        if self.audience.isdisjoint(named):
            raise AudienceInvalid

    def check_all_is_there(self, payload: Mapping[str, Any]) -> None:
        """Raise `ClaimsLeftOut` if a claim that contains roles is not in the token.

        Distributed claims (OpenID Connect Core section 5.6.2) and Entra's groups can be left out.
        """
        elsewhere = payload.get("_claim_names", {})
        if not isinstance(elsewhere, Mapping):
            raise ClaimInvalid("_claim_names is not an object")
        left_out = self._gathered.intersection(elsewhere)
        if left_out or (
            "groups" in self._gathered and payload.get("hasgroups", False) is not False
        ):
            raise ClaimsLeftOut


def _held(roles: Iterable[str], granted: frozenset[str], catalog: Roles | None) -> PermissionSet:
    """Return the permissions of the roles, together with those granted directly."""
    of_roles = catalog.permissions_of(roles) if catalog is not None else _NO_PERMISSIONS
    if not granted:
        return of_roles
    names = granted.union(of_roles)
    held = _sets.get(names)
    if held is None:
        held = _sets.setdefault(names, PermissionSet(names))
    return held


def _some(what: str, places: Places) -> tuple[Pointer, ...]:
    pointers = as_pointers(places)
    if not pointers:
        raise MisuseError(f"{what} needs a JSON Pointer, such as {what}='/sub'.")
    return pointers


def _jwks(given: Any) -> tuple[dict[str, Any], ...]:
    keys = given.get("keys") if isinstance(given, Mapping) else given
    listed = tuple(keys) if isinstance(keys, Iterable) and not isinstance(keys, str) else ()
    if not listed or not all(isinstance(key, Mapping) for key in listed):
        raise MisuseError("keys must be a list of JWKs or a JWK Set: write keys=[{'kty': ...}].")
    return tuple(dict(key) for key in listed)


def _refuse_misuse(said: Issuer) -> None:
    """Raise `MisuseError` for arguments that are invalid by themselves."""
    if not isinstance(said.issuer, str) or not said.issuer:
        raise MisuseError(
            f"Invalid issuer {said.issuer!r}: expected the iss of its tokens, a string."
        )
    if not said.audience:
        raise MisuseError("An issuer needs audience=..., the value of aud in tokens for this API.")
    sources = (said.discovery is not False, said.jwks_uri is not None, said.keys is not None)
    if sum(sources) != 1:
        raise MisuseError(
            "Give exactly one source of an issuer's keys: discovery=True, "
            "jwks_uri='https://...' or keys=[...]."
        )
    leeway = 0 if said.leeway is None else said.leeway
    is_number = isinstance(leeway, int | float) and not isinstance(leeway, bool)
    if not is_number or not 0 <= leeway <= _MOST_LEEWAY:
        raise MisuseError(f"Invalid leeway {said.leeway!r}: expected 0 to {_MOST_LEEWAY} seconds.")
    if not isinstance(said.subject_prefix, str | None):
        raise MisuseError(f"Invalid subject_prefix {said.subject_prefix!r}: expected a string.")
    if isinstance(said.typ, str) or not said.typ:
        raise MisuseError(
            f"Invalid typ {said.typ!r}: expected a list of accepted values of the header's typ."
        )
    if not all(typ is None or isinstance(typ, str) for typ in said.typ):
        raise MisuseError("Invalid typ: expected strings, and None if typ may be missing.")
    _refuse_algorithms(said)


def _refuse_algorithms(said: Issuer) -> None:
    algorithms = names_of("algorithms", said.algorithms)
    unknown = [name for name in algorithms if name not in ASYMMETRIC | SYMMETRIC]
    if unknown or not algorithms:
        raise MisuseError(
            f"Unsupported algorithms {said.algorithms!r}: write those of the issuer's keys, "
            f"RS256 or another of {', '.join(sorted(ASYMMETRIC))}."
        )
    if SYMMETRIC.isdisjoint(algorithms):
        return
    if not SYMMETRIC.issuperset(algorithms):
        raise MisuseError(
            f"{said.algorithms!r} mixes algorithms for secrets and for public keys: write one "
            "kind, since anyone who has the secret could sign in place of the issuer's own "
            "keys."
        )
    if not said.unsafe_shared_secret:
        raise MisuseError(
            "Anyone who verifies tokens with a shared secret can also create them: let the "
            "issuer sign with RS256 or ES256, or write unsafe_shared_secret=True."
        )
    if said.keys is None:
        raise MisuseError("A shared secret is not published: write keys=[{'kty': 'oct', ...}].")
