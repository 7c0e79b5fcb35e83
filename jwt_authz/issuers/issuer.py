"""Issuer: an identity provider that is trusted, and what of its tokens' payloads is believed."""

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
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)

_MOST_LEEWAY = 600
_NO_PERMISSIONS = PermissionSet()

# Tokens of equal permissions share one set, which goes when the last of them goes.
_NO_TEXTS: Mapping[str, str] = MappingProxyType({})
_sets: weakref.WeakValueDictionary[frozenset[str], PermissionSet] = weakref.WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider whose access tokens are accepted, and on which terms: a frozen value.

    `issuer` is the exact `iss` of its tokens; `{tenantid}` in it stands for the tenant, with
    which the token's tenant claim must then agree. `audience` names this API: a string or
    several, at `audience_at`. `algorithms` are those of its keys, which come from one of
    `discovery` (True, or the URL of the metadata), `jwks_uri` and `keys` (JWKs). A secret that
    is shared (HS*) must be asked for by `unsafe_shared_secret`. `leeway` is seconds of tolerance
    between clocks, by default 5 for `nbf` and `iat` and none for `exp`; `typ` the
    accepted values of the header's `typ`, None among them where it may
    be missing.

    Places are JSON Pointers (RFC 6901), one or several: the subject is the first that is there;
    roles, permissions and scopes are gathered from all. `roles` maps the issuer's roles to ours
    that it may grant, `permissions` likewise, or as an allow list: what is not in them is
    dropped. `tenants` are those that it may speak for, a list or a mapping to ours, `any_tenant`
    lets all in; `tenant` is the one that all its tokens belong to. `required` and `refused` map
    places to values that a token must have and must not have, `...` being any. `subject_prefix`
    is put before each subject, `""` says that its subjects are the application's own users; without
    it, conditions do not know its callers by `subject`.
    Raises `MisuseError` for what cannot work.
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
        """The JWKs that were given as `keys`."""
        return _jwks(self.keys) if self.keys is not None else ()

    @property
    def role_names(self) -> frozenset[str]:
        """All of our roles that the issuer may grant."""
        return self._rules.roles.ours

    def speaks_for(self, issuer: str) -> bool:
        """Whether an `iss` is this issuer's: the same to the letter, but for `{tenantid}`."""
        return self._rules.tenants.speaks_for(issuer)

    def subject_of(self, payload: Mapping[str, Any]) -> str:
        """The subject of a payload; raises `ClaimMissing` or `ClaimInvalid`."""
        for place in self._rules.subject:
            found = place.string(payload)
            if found:
                return f"{self.subject_prefix or ''}{found}"
        raise ClaimMissing("the claim that holds the subject is missing or empty")

    def check(self, payload: Mapping[str, Any]) -> None:
        """Raises the `InvalidToken` of a payload that is none of an access token for this API."""
        issuer = payload.get("iss")
        if not isinstance(issuer, str) or not self.speaks_for(issuer):
            raise IssuerInvalid
        self._rules.refused.check(payload)
        self._rules.check_audience(payload)
        self._rules.required.check(payload)
        self._rules.check_all_is_there(payload)

    def read(self, subject: str, payload: Mapping[str, Any], catalogue: Roles | None) -> Identity:
        """The identity of a payload, with what the issuer may grant and no more.

        Raises what `check` raises, `ClaimInvalid` for a place of the wrong JSON type, and
        `ClaimMissing` for a token without a tenant where there is to be one.
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
    """What an `Issuer` says, made ready for use."""

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
        # Groups alone are ever left out; what stands deeper begins with the same name.
        self._gathered = {p.names[0] for p in (*self.roles.places, *self.permissions.places)}
        roles = tuple(place.text for place in self.roles.places)
        more = tuple(place.text for place in self.permissions.places)
        scopes = tuple(place.text for place in self.scopes)
        self.sources = Sources(roles, (*roles, *more), scopes)

    def check_audience(self, payload: Mapping[str, Any]) -> None:
        """Raises `ClaimMissing` or `AudienceInvalid` unless a token is meant for this API."""
        named = [name for place in self.audience_at for name in place.listed(payload)]
        if not any(named):
            raise ClaimMissing("the claim that names the audience is missing")
        if self.audience.isdisjoint(named):
            raise AudienceInvalid

    def check_all_is_there(self, payload: Mapping[str, Any]) -> None:
        """Raises `ClaimsLeftOut` where a claim that roles come from is elsewhere.

        As distributed claims (OpenID Connect Core section 5.6.2) and Entra's groups are.
        """
        elsewhere = payload.get("_claim_names", {})
        if not isinstance(elsewhere, Mapping):
            raise ClaimInvalid("_claim_names is no object")
        left_out = self._gathered.intersection(elsewhere)
        if left_out or (
            "groups" in self._gathered and payload.get("hasgroups", False) is not False
        ):
            raise ClaimsLeftOut


def _held(roles: Iterable[str], granted: frozenset[str], catalogue: Roles | None) -> PermissionSet:
    """The permissions of the roles and those that were granted beside them."""
    of_roles = catalogue.permissions_of(roles) if catalogue is not None else _NO_PERMISSIONS
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
        raise MisuseError(f"{what} needs a place: write {what}='/sub', say")
    return pointers


def _jwks(given: Any) -> tuple[dict[str, Any], ...]:
    keys = given.get("keys") if isinstance(given, Mapping) else given
    listed = tuple(keys) if isinstance(keys, Iterable) and not isinstance(keys, str) else ()
    if not listed or not all(isinstance(key, Mapping) for key in listed):
        raise MisuseError("keys is a list of JWKs, or a JWK Set: write keys=[{'kty': ...}]")
    return tuple(dict(key) for key in listed)


def _refuse_misuse(said: Issuer) -> None:
    """Raises `MisuseError` for what can be seen of an `Issuer` at a glance."""
    if not isinstance(said.issuer, str) or not said.issuer:
        raise MisuseError(f"an issuer is the iss of its tokens, a text, not {said.issuer!r}")
    if not said.audience:
        raise MisuseError("an issuer needs an audience: what its tokens name this API, in aud")
    sources = (said.discovery is not False, said.jwks_uri is not None, said.keys is not None)
    if sum(sources) != 1:
        raise MisuseError(
            "an issuer's keys come from one place: write discovery=True, jwks_uri='https://...' "
            "or keys=[...]"
        )
    leeway = 0 if said.leeway is None else said.leeway
    is_number = isinstance(leeway, int | float) and not isinstance(leeway, bool)
    if not is_number or not 0 <= leeway <= _MOST_LEEWAY:
        raise MisuseError(f"leeway is seconds, {_MOST_LEEWAY} at most, not {said.leeway!r}")
    if not isinstance(said.subject_prefix, str | None):
        raise MisuseError(f"subject_prefix is a text, not {said.subject_prefix!r}")
    if isinstance(said.typ, str) or not said.typ:
        raise MisuseError(f"typ is a list of what the header may say, not {said.typ!r}")
    if not all(typ is None or isinstance(typ, str) for typ in said.typ):
        raise MisuseError("typ lists texts, and None where typ may be missing")
    _refuse_algorithms(said)


def _refuse_algorithms(said: Issuer) -> None:
    algorithms = names_of("algorithms", said.algorithms)
    unknown = [name for name in algorithms if name not in ASYMMETRIC | SYMMETRIC]
    if unknown or not algorithms:
        raise MisuseError(
            f"{said.algorithms!r} are no algorithms of an issuer: write those of its keys, RS256 "
            f"or another of {', '.join(sorted(ASYMMETRIC))}"
        )
    if SYMMETRIC.isdisjoint(algorithms):
        return
    if not SYMMETRIC.issuperset(algorithms):
        raise MisuseError(
            f"{said.algorithms!r} are for a secret and for public keys: write those of one kind, "
            "since whoever has the secret signs in place of the issuer's own keys"
        )
    if not said.unsafe_shared_secret:
        raise MisuseError(
            "a secret that is shared lets everybody who verifies a token make one, too: have the "
            "issuer sign with RS256 or ES256, or write unsafe_shared_secret=True"
        )
    if said.keys is None:
        raise MisuseError("a shared secret is not published: write keys=[{'kty': 'oct', ...}]")
