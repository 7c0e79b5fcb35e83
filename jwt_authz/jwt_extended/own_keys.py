"""The application's own key in the `JWT_*` settings, and the verifier of its own tokens."""

from __future__ import annotations

import functools
from collections.abc import Callable
from copy import copy
from typing import Any

from flask import current_app
from flask_jwt_extended import JWTManager
from flask_jwt_extended.config import config as _fje

from ..errors import MisuseError
from ..revocation.sharing import id_of_secret
from ..tokens import KeySet, Verifier
from ..tokens.jwk import jwk_of
from ..tokens.jws import Key
from ..tokens.keys import prepare_key, prepare_keys, public_key_of
from ..tokens.verifier import check_kind_is_named
from .times import leeway, start_leeway


def make_verifier(
    longest: int,
    keys: KeySet | None,
    own: dict[str, Any],
    needs_key: bool = True,
    needs_profile: bool = False,
    kind: type[Verifier] = Verifier,
) -> Verifier:
    """Return the verifier for the current application's `JWT_*` settings and key set.

    `own` has the `iss` and `aud` of the application's own tokens: they are accepted unless
    `JWT_DECODE_*` names others. With `needs_profile` a token must have every claim that RFC 9068
    requires; otherwise, `iss` and `aud` are optional unless `JWT_DECODE_*` names them. Without a
    key, raise an error if `needs_key`, else return a verifier that verifies no token. `kind` is
    the class of the verifier.
    """
    issuer, audience = _fje.decode_issuer, _fje.decode_audience
    unnamed = {name for name, value in (("iss", issuer), ("aud", audience)) if value is None}
    issuer = own["iss"] if issuer is None else issuer
    audience = own["aud"] if audience is None else audience
    return kind(
        keys=_keys_without_kid(keys, needs_key),
        by_kid={**_keys_with_kid(), **({} if keys is None else keys.verifying)},
        subject_claim=_fje.identity_claim_key,
        issuer=issuer,
        audience=audience if isinstance(audience, str) else tuple(audience),
        optional=frozenset() if needs_profile else frozenset(unnamed),
        leeway=leeway(),
        start_leeway=start_leeway(),
        longest=longest,
        needs_profile=needs_profile,
    )


def check_own(header: dict[str, Any], payload: dict[str, Any], own: dict[str, Any]) -> None:
    """Raise an `InvalidToken` if a token names another issuer or audience, or no kind.

    For tokens that FJE decodes, since FJE only checks what `JWT_DECODE_*` names. For `own` see
    `make_verifier`.
    """
    check_kind_is_named(header, payload)
    Verifier(
        keys={},
        issuer=own["iss"] if _fje.decode_issuer is None else None,
        audience=own["aud"] if _fje.decode_audience is None else None,
        optional=frozenset({"iss", "aud"}),
    ).check_origin(payload)


def _keys_without_kid(keys: KeySet | None, needs_key: bool) -> dict[str, Key]:
    """Return the keys for tokens without a `kid`: those of the `JWT_*` settings.

    If there is a key set, these are former keys, which verify tokens until they expire.
    """
    is_wanted = needs_key or has_own_key() if keys is None else has_former_key()
    return prepare_keys(verifying_key(), decode_algorithms()) if is_wanted else {}


def has_former_key() -> bool:
    """Return whether a `JWT_*` setting has a key; if there is a key set, it only verifies.

    Flask's `SECRET_KEY` does not count, since it signs sessions.
    """
    if _fje.is_asymmetric:
        return bool(current_app.config["JWT_PUBLIC_KEY"] or current_app.config["JWT_PRIVATE_KEY"])
    return bool(current_app.config["JWT_SECRET_KEY"])


def _keys_with_kid() -> dict[str, Key]:
    """Return the asymmetric key of the `JWT_*` settings, if any, by the `kid` of its tokens."""
    (key, algorithm), kid = published_key(), published_kid()
    return {} if key is None or kid is None else {kid: prepare_key(key, algorithm)}


def published_kid() -> str | None:
    """Return the `kid` of the published key of the `JWT_*` settings; None if there is none."""
    jwk = published_jwk()
    return None if jwk is None else str(jwk["kid"])


def published_jwk() -> dict[str, Any] | None:
    """Return the public JWK of the key of the `JWT_*` settings; None if there is none."""
    key, algorithm = published_key()
    return None if key is None else dict(_jwk_of(key, algorithm))


def _once_per_text(read: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Cache what is read from PEM: reading an RSA key takes longer than signing with it."""
    cached = functools.lru_cache(maxsize=32)(read)
    return lambda key, algorithm: (cached if isinstance(key, str) else read)(key, algorithm)


_public_half = _once_per_text(public_key_of)
_jwk_of = _once_per_text(jwk_of)


def has_own_key() -> bool:
    """Return whether the `JWT_*` settings have a key that verifies own tokens."""
    try:
        return verifying_key() is not None
    except RuntimeError:  # FJE's, for a key that is not set
        return False


def is_asymmetric() -> bool:
    """Return whether `JWT_ALGORITHM` signs with a private key."""
    return bool(_fje.is_asymmetric)


def decode_algorithms() -> list[str]:
    """Return the accepted algorithms: those for the same kind of key as `JWT_ALGORITHM`.

    So `none` is never accepted, and a public key is never used as an HMAC secret.
    """
    wanted = _fje.algorithm.startswith("HS")
    return [name for name in algorithms_for_loader() if name.startswith("HS") is wanted]


def algorithms_for_loader() -> frozenset[str]:
    """Return the accepted algorithms if a `decode_key_loader` chooses the key."""
    return frozenset(name for name in algorithms_configured() if name.lower() != "none")


def algorithms_configured() -> set[str]:
    """Return all algorithms in the settings, valid or not."""
    configured = current_app.config["JWT_DECODE_ALGORITHMS"] or ()
    names = (configured,) if isinstance(configured, str) else configured
    return {str(name) for name in (_fje.algorithm, *names)}


def verifying_key() -> Any:
    """Return the key that verifies own tokens: the secret or the public key."""
    if _lacks_public_key():
        return _public_half(_fje.encode_key, _fje.algorithm)
    return _fje.decode_key


def _lacks_public_key() -> bool:
    return bool(_fje.is_asymmetric and not current_app.config["JWT_PUBLIC_KEY"])


def verifying(manager: JWTManager) -> JWTManager:
    """Return the manager, or one that verifies with the public half of `JWT_PRIVATE_KEY`.

    FJE itself requires `JWT_PUBLIC_KEY`.
    """
    if not _lacks_public_key():
        return manager
    one = copy(manager)
    one.decode_key_loader(lambda header, payload: verifying_key())
    return one


def own_key_id() -> str | None:
    """Return an id of the key in the `JWT_*` settings; None if there is none."""
    try:
        kid = published_kid()
        return id_of_secret(verifying_key()) if kid is None and has_own_key() else kid
    except MisuseError:  # the check reports an invalid key
        return None


def published_key() -> tuple[Any, str]:
    """Return the public key that verifies own tokens, or None, and the algorithm."""
    try:
        return (verifying_key() if _fje.is_asymmetric else None), _fje.algorithm
    except RuntimeError:  # FJE's, for a key that is not set, such as with a decode_key_loader
        return None, _fje.algorithm
