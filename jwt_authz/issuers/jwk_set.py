"""JWK Set: the published keys of an issuer (RFC 7517 section 5), each for one algorithm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import KeyUnknown, MisuseError
from ..tokens.jwk import load_jwk
from ..tokens.jws import Key

MOST_KEYS = 100
"""The maximum number of keys in a set; a larger set is refused."""

_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth")


class BoundKey(NamedTuple):
    """A key with its `kid` and, if the set says so, the issuer that it is for."""

    key: Key
    kid: str | None
    issuer: str | None


class PublicKeys:
    """Keys by their `kid`; a single key also verifies tokens without a `kid`.

    `left_out` says why other keys are not used.
    """

    __slots__ = ("_by_kid", "_lone", "left_out")

    def __init__(self, keys: Collection[BoundKey], left_out: Iterable[str] = ()) -> None:
        self.left_out = list(left_out)
        times = Counter(bound.kid for bound in keys)
        self._by_kid = {bound.kid: bound for bound in keys if bound.kid and times[bound.kid] == 1}
        self._lone = next(iter(keys)) if len(keys) == 1 else None
        if any(number > 1 for kid, number in times.items() if kid):
            self.left_out.append("two keys have the same kid")
        if times[None] and len(keys) > 1:
            self.left_out.append("one of several keys has no kid")

    def __bool__(self) -> bool:
        return bool(self._by_kid) or self._lone is not None

    def find(self, header: Mapping[str, Any], issuer: str) -> Key | None:
        """Return the key that a header names; None for an unknown `kid`.

        Raises `KeyUnknown` for a missing `kid` if there is not exactly one key, and for a key of
        another issuer.
        """
        kid = header.get("kid")
        bound = self._lone if kid is None else self._by_kid.get(kid)
        if bound is None:
            if kid is None:
                raise KeyUnknown("the header has no kid, but the issuer has several keys")
            return None
        if bound.issuer is not None and bound.issuer != issuer:
            raise KeyUnknown("the key is that of another issuer in the same set")
        return bound.key


def read_jwk_set(keys: object, algorithms: Collection[str], template: str | None) -> PublicKeys:
    """Return the keys of a JWK Set that fit one of the algorithms; leave out the others.

    `template` is the issuer of several tenants, whose set may contain keys of single tenants.
    Raises `MisuseError` if `keys` is not a list of keys.
    """
    if not isinstance(keys, list | tuple):
        raise MisuseError("a JWK Set must have a list of keys")
    if len(keys) > MOST_KEYS:
        raise MisuseError(f"a JWK Set must have at most {MOST_KEYS} keys, not {len(keys)}")
    bound: list[BoundKey] = []
    left_out: list[str] = []
    for jwk in keys:
        try:
            bound.append(_bound(jwk, algorithms, template))
        except MisuseError as error:
            left_out.append(str(error))
    return PublicKeys(bound, left_out)


def _bound(jwk: object, algorithms: Collection[str], template: str | None) -> BoundKey:
    if not isinstance(jwk, Mapping):
        raise MisuseError("a JWK must be an object")
    kid, issuer = jwk.get("kid"), jwk.get("issuer") if template is not None else None
    if kid is not None and (not isinstance(kid, str) or not kid):
        raise MisuseError("a JWK's kid must be a non-empty string")
    if issuer is not None and not isinstance(issuer, str):
        raise MisuseError("a JWK's issuer must be a string")
    if any(name in jwk for name in _PRIVATE):
        raise MisuseError("a published JWK must not have a private part")
    return BoundKey(_load(jwk, algorithms), kid, None if issuer == template else issuer)


def _load(jwk: Mapping[str, Any], algorithms: Collection[str]) -> Key:
    """Return the key for the one algorithm that it fits (RFC 8725 section 3.1)."""
    fitting: list[Key] = []
    reason = MisuseError("the JWK fits none of the algorithms")
    for algorithm in algorithms:
        try:
            fitting.append(load_jwk(jwk, algorithm, "verify"))
        except MisuseError as error:
            reason = error
    if not fitting:
        raise reason
    if len(fitting) > 1:
        raise MisuseError(
            "the JWK has no alg and fits several of the algorithms: name only one of them"
        )
    return fitting[0]
