"""Trust: the foreign issuers that an application trusts, with their keys and checks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..errors import AlgorithmNotAllowed, MisuseError
from ..policy.identity import Identity
from ..policy.roles import Roles
from ..tokens import Verified
from ..tokens.jws import Signed
from ..tokens.verifier import START_LEEWAY
from .egress import open_client
from .foreign import ForeignVerifier, plain_typ
from .issuer import Issuer
from .jwk_set import read_jwk_set
from .remote_keys import FixedKeys, KeySource, Lease, RemoteKeys
from .tenants import TENANT

_DISCOVERY = "/.well-known/openid-configuration"  # OpenID Connect Discovery section 4


class Trusted:
    """One issuer with its keys; raise `MisuseError` for keys that cannot be used or fetched."""

    __slots__ = ("_keys", "_verifier", "issuer")

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self._keys = _key_source(issuer)
        self._verifier = ForeignVerifier(
            keys={},
            issuer=_Speaking(issuer),
            leeway=issuer.leeway or 0,
            start_leeway=START_LEEWAY if issuer.leeway is None else 0,
            typ=frozenset(None if typ is None else plain_typ(typ) for typ in issuer.typ),
        )

    def verify(self, signed: Signed, iss: str) -> tuple[Verified, Lease]:
        """Return the verified token, and the lease of its key.

        `iss` is that of the token, which is not verified yet. Raise an `InvalidToken`, or
        `StoreUnavailable` if the keys cannot be fetched now.
        """
        if signed.header["alg"] not in self.issuer.algorithms:  # before a key is fetched for it
            raise AlgorithmNotAllowed
        lease = self._keys.key_for(signed.header, iss)
        return self._verifier.check(signed, lease.key), lease


class Trust:
    """All the issuers that one `Authz` trusts."""

    __slots__ = ("_by_name", "_of_tenants", "issuers")

    def __init__(self, trusted: Collection[Trusted] = ()) -> None:
        self.issuers = tuple(one.issuer for one in trusted)
        self._by_name = {one.issuer.issuer: one for one in trusted}
        self._of_tenants = tuple(one for one in trusted if TENANT in one.issuer.issuer)

    def find(self, iss: object) -> Trusted | None:
        """Return the issuer with exactly this `iss`; None if it is not trusted."""
        if not isinstance(iss, str):
            return None
        found = self._by_name.get(iss)
        if found is None or TENANT in iss:
            found = next((one for one in self._of_tenants if one.issuer.speaks_for(iss)), None)
        return found

    def marked(self, identity: Any, read: Identity | None = None) -> Any:
        """Return the identity, its subject marked as foreign if an issuer does not map it.

        `read` is the identity that was read from the token; a loader may have returned another one.
        """
        if not isinstance(identity, Identity) or identity.subject_is_foreign:
            return identity
        is_unchanged = (
            read is not None and read.subject_is_foreign and read.subject == identity.subject
        )
        found = self.find(identity.issuer)
        if is_unchanged or (found is not None and found.issuer.subject_prefix is None):
            return identity.with_foreign_subject()
        return identity

    def with_more(self, issuers: Collection[Any], catalog: Roles | None) -> Trust:
        """Return a trust in more issuers as well; raise `MisuseError` for an unsuitable one."""
        trusted = dict(self._by_name)
        if not issuers:
            raise MisuseError("trust() takes at least one issuer: write trust(Issuer(...)).")
        for issuer in issuers:
            if not isinstance(issuer, Issuer):
                raise MisuseError(
                    f"trust() takes issuers, not {issuer!r}: write trust(Issuer(...))."
                )
            if issuer.issuer in trusted:
                raise MisuseError(f"{issuer.issuer!r} is already trusted: name each issuer once.")
            _refuse_unknown_roles(issuer, catalog)
            trusted[issuer.issuer] = Trusted(issuer)
        return Trust(tuple(trusted.values()))


class _Speaking:
    """The accepted `iss` values of an issuer; `in` says whether one is among them."""

    __slots__ = ("_issuer",)

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def __contains__(self, iss: object) -> bool:
        return isinstance(iss, str) and self._issuer.speaks_for(iss)


def _key_source(issuer: Issuer) -> KeySource:
    template = issuer.issuer if TENANT in issuer.issuer else None
    algorithms = tuple(issuer.algorithms)
    if issuer.keys is not None:
        signing = [jwk for jwk in issuer.jwks if jwk.get("use") != "enc"]
        keys = read_jwk_set(signing, algorithms, template)
        if keys.left_out:
            raise MisuseError(f"the keys of {issuer.issuer!r}: {keys.left_out[0]}")
        return FixedKeys(keys)
    if issuer.jwks_uri is not None:
        metadata = None
    elif isinstance(issuer.discovery, str):
        metadata = issuer.discovery
    elif template is None:
        metadata = issuer.issuer.rstrip("/") + _DISCOVERY
    else:
        raise MisuseError(
            f"the issuer {template!r} has no metadata at its own address: write "
            "discovery='https://.../.well-known/openid-configuration'"
        )
    return RemoteKeys(
        issuer.issuer,
        algorithms,
        open_client(issuer.ca_bundle, issuer.unsafe_plain_http).get_json,
        jwks_uri=issuer.jwks_uri,
        metadata=metadata,
        template=template,
        plain_http=issuer.unsafe_plain_http,
    )


def _refuse_unknown_roles(issuer: Issuer, catalog: Roles | None) -> None:
    unknown = sorted(issuer.role_names.difference(catalog or issuer.role_names))
    if catalog is not None and unknown:
        raise MisuseError(
            f"the issuer {issuer.issuer!r} may grant the unknown role {unknown[0]!r}: "
            f"add Role({unknown[0]!r}, ...) to Roles(...), or fix the spelling"
        )
