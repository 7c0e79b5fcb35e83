"""Wrap how `JWTManager` encodes and decodes tokens, for applications with an Authz.

Importing this file wraps both methods of the class, since an application may create its JWTManager
after its Authz, or share one. Nothing changes for applications without an Authz.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from copy import copy
from datetime import timedelta
from time import time
from typing import Any, Protocol

import jwt
from flask import Flask, current_app
from flask_jwt_extended import JWTManager
from flask_jwt_extended import default_callbacks as _defaults
from flask_jwt_extended.config import config as _fje
from flask_jwt_extended.tokens import _decode_jwt
from jwt import ExpiredSignatureError, InvalidTokenError, get_unverified_header

from .._context import get_app
from ..errors import InvalidToken, MisuseError
from ..settings import Settings
from ..tokens import KeySet
from ..tokens.page import is_for_own_endpoint
from .algorithms import register_edwards
from .bridge import has_encode_key_loader, key_loader, manager_of
from .own_claims import own_claims
from .own_keys import check_own, decode_algorithms, has_former_key, published_kid, verifying
from .times import DefaultLeeway, has_default_leeway, lifetime_of

OWN_TOKENS = "jwt_authz.own_tokens"
"""The key of an application's `OwnTokens` in `app.extensions`."""


class OwnTokens(Protocol):
    """What an Authz adds to the tokens of its application, and what decoding them needs."""

    @property
    def settings(self) -> Settings:
        """The application's `AUTHZ_*` settings."""

    @property
    def keys(self) -> KeySet | None:
        """The application's current key set, None if it has none."""

    def keys_knowing(self, kid: str) -> KeySet | None:
        """Return the current key set; read it again if no key has this `kid`."""

    def is_of_trusted_issuer(self, payload: dict[str, Any]) -> bool:
        """Return whether the `iss` of a payload is a trusted foreign issuer."""

    def complete(
        self, subject: Any, claims: dict[str, Any]
    ) -> tuple[dict[str, Any], Callable[[str], dict[str, Any] | None]]:
        """Return claims to add to a token, and a function that returns fewer if it is too long."""

    def times(
        self, subject: Any, claims: dict[str, Any], fresh: Any, expires: timedelta | None
    ) -> dict[str, Any]:
        """Return the times of a new token, by the store's clock."""


class Subject(str):
    """The value of `sub`, which is not passed to the `user_identity_loader`."""

    __slots__ = ()


class Measured(Subject):
    """The subject of a token that is only measured: errors of claims loaders are ignored."""

    __slots__ = ()


class Sample(Subject):
    """Any user as the subject of a token that is only measured: no loader is called."""

    __slots__ = ()


def check_subject(identity: Any) -> None:
    """Raise `MisuseError` if the subject of a token would not be a non-empty string."""
    app = get_app()
    is_subject = isinstance(identity, Subject)
    subject = identity if is_subject else manager_of(app)._user_identity_callback(identity)
    if not isinstance(subject, str) or not subject:
        raise MisuseError(
            f"Invalid subject of type {type(subject).__name__}: expected a non-empty string. "
            "Write issue(str(user.id)), or set a user_identity_loader."
        )


_encode = JWTManager._encode_jwt_from_config


@functools.wraps(_encode)
def _encode_completed(
    manager: JWTManager, identity: Any, token_type: str, claims: Any = None, **rest: Any
) -> str:
    """Encode a token as FJE does, with what the current application's Authz adds.

    So a plain `create_access_token(..., additional_claims={"roles": [...]})` has the permissions of
    its roles. `OwnTokens.complete` adds claims, and returns a function of the finished token that
    returns the claims of a shorter one if needed. `OwnTokens.times` sets the times of all tokens.
    """
    own: OwnTokens | None = current_app.extensions.get(OWN_TOKENS)
    if own is None:
        return _encode(manager, identity, token_type, claims, **rest)
    once = copy(manager)  # for this one token, so that no loader is called twice
    is_subject = isinstance(identity, Subject)
    subject = str(identity) if is_subject else manager._user_identity_callback(identity)
    once.user_identity_loader(lambda user: subject)
    claims = {**_loaded_claims(manager, identity), **(claims or {})}
    once._user_claims_callback = _defaults.default_additional_claims_callback
    keys = own.keys
    if keys is not None:
        once._encode_key_callback = lambda identity: keys.signing.prepared
        named = {"kid": keys.active, "alg": keys.signing.name}
        rest["headers"] = {**(rest.get("headers") or {}), **named}
    elif not has_encode_key_loader(manager) and (kid := published_kid()) is not None:
        # By it others find the key in the published set.
        rest["headers"] = {**(rest.get("headers") or {}), "kid": kid}
    shortened = None
    if token_type == "access":  # noqa: S105 no password
        more, shortened = own.complete(subject, claims)
        claims |= more
    times: dict[str, Any] = {}
    if not isinstance(identity, Measured | Sample):  # measured without a call to the store
        lifetime = lifetime_of(token_type, rest.get("expires_delta"))
        times = own.times(subject, claims, rest.get("fresh"), lifetime)
    token = _encode(once, identity, token_type, {**times, **claims}, **rest)
    fewer = None if shortened is None else shortened(token)
    return token if fewer is None else _encode(once, identity, token_type, times | fewer, **rest)


def _loaded_claims(manager: JWTManager, identity: Any) -> dict[str, Any]:
    """Return the claims of the application's `additional_claims_loader`."""
    if isinstance(identity, Sample):
        return {}
    try:
        return manager._user_claims_callback(identity)
    except Exception:
        if not isinstance(identity, Measured):
            raise
        return {}


_decode = JWTManager._decode_jwt_from_config


def _decode_own(
    manager: JWTManager, encoded_token: str, csrf_value: Any, allow_expired: bool
) -> dict[str, Any]:
    """Decode a token; refuse the same kinds, issuers and audiences as a guard does.

    So `jwt_required` and `requires` agree.
    """
    own: OwnTokens | None = current_app.extensions.get(OWN_TOKENS)
    if own is None:
        return _decode(manager, encoded_token, csrf_value, allow_expired)
    if is_for_own_endpoint(encoded_token):
        raise InvalidTokenError("this kind of token is accepted by its own endpoint only")
    payload = _decode_by_key_set(own, manager, encoded_token, csrf_value, allow_expired)
    if key_loader(manager) is not None and own.is_of_trusted_issuer(payload):
        return payload  # the application's decode_key_loader chose the key
    # Decode it again without FJE's defaults, which add claims that the token may lack.
    token = jwt.decode_complete(encoded_token, options={"verify_signature": False})
    try:
        check_own(token["header"], token["payload"], own_claims(own.settings))
    except InvalidToken as error:
        raise InvalidTokenError(str(error)) from None
    return payload


def _decode_by_key_set(
    own: OwnTokens,
    manager: JWTManager,
    encoded_token: str,
    csrf_value: Any,
    allow_expired: bool,
) -> dict[str, Any]:
    """Return the verified payload, by the key in the key set that `kid` names.

    So the key set also applies to `jwt_required` and to cookies.
    """
    if key_loader(manager) is not None:
        return _decode(manager, encoded_token, csrf_value, allow_expired)
    keys = own.keys
    if keys is None:
        return _decode(verifying(manager), encoded_token, csrf_value, allow_expired)
    header = get_unverified_header(encoded_token)
    if _is_of_former_key(header, keys):
        return _decode(verifying(manager), encoded_token, csrf_value, allow_expired)
    kid = header.get("kid", "")
    key = (own.keys_knowing(kid) or keys).verifying.get(kid)
    if key is None or key.name != header.get("alg"):
        raise InvalidTokenError("the token's key is not known")
    read = functools.partial(
        _decode_jwt,
        algorithms=[key.name],
        audience=_fje.decode_audience,
        csrf_value=csrf_value,
        encoded_token=encoded_token,
        identity_claim_key=_fje.identity_claim_key,
        issuer=_fje.decode_issuer,
        leeway=_fje.leeway,
        secret=key.prepared,
        verify_aud=_fje.decode_audience is not None,
        verify_sub=_fje.verify_sub,
    )
    try:
        return read(allow_expired=allow_expired)
    except ExpiredSignatureError as error:  # for FJE's expired_token_loader
        vars(error).update(jwt_header=header, jwt_data=read(allow_expired=True))
        raise


def _is_of_former_key(header: dict[str, Any], keys: KeySet) -> bool:
    """Return whether a token is verified by the former key in the `JWT_*` settings."""
    if not has_former_key() or header.get("alg") not in decode_algorithms():
        return False
    if "kid" not in header:
        return True
    return header["kid"] not in keys.verifying and header["kid"] == published_kid()


@functools.wraps(_decode)
def _decode_in_time(
    manager: JWTManager, encoded_token: str, csrf_value: Any = None, allow_expired: bool = False
) -> dict[str, Any]:
    """Decode a token as FJE does, but without the default leeway for `exp`."""
    claims = _decode_own(manager, encoded_token, csrf_value, allow_expired)
    is_checked = not allow_expired and has_default_leeway() and "exp" in claims
    if is_checked and int(claims["exp"]) <= time():
        error = ExpiredSignatureError("Signature has expired")
        vars(error).update(jwt_header=get_unverified_header(encoded_token), jwt_data=claims)
        raise error
    return claims


_set_defaults = JWTManager._set_default_configuration_options


def _set_defaults_marked(app: Flask) -> None:
    """Set FJE's defaults, with a leeway that differs from a 0 that the application sets."""
    app.config.setdefault("JWT_DECODE_LEEWAY", DefaultLeeway(0))
    _set_defaults(app)


JWTManager._set_default_configuration_options = staticmethod(_set_defaults_marked)  # type: ignore[method-assign]


register_edwards()
JWTManager._encode_jwt_from_config = _encode_completed  # type: ignore[method-assign, assignment]
JWTManager._decode_jwt_from_config = _decode_in_time  # type: ignore[method-assign, assignment]
