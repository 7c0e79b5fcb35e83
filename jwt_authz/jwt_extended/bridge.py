"""What Flask-JWT-Extended ("FJE") keeps to itself and this library uses: settings and callbacks.

A test pins them, what `jwt_manager.py` and `blocklist.py` wrap, and the slots of
`request_slots.py` against the installed FJE; no other file touches what is private to it.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Set
from copy import copy
from datetime import timedelta
from typing import Any

from flask import Flask, current_app
from flask_jwt_extended import JWTManager
from flask_jwt_extended import default_callbacks as _defaults
from flask_jwt_extended import view_decorators as _view_decorators
from flask_jwt_extended.config import config as _fje

from ..errors import ClaimInvalid, MisuseError, SubjectUnknown, TokenRevoked
from ..revocation.sharing import id_of_secret
from ..settings import Settings
from ..tokens import KeySet, Verifier
from ..tokens.jwk import jwk_of
from ..tokens.jws import Key
from ..tokens.keys import prepare_key, prepare_keys, public_key_of
from ..tokens.verifier import START_LEEWAY, check_kind_is_named

EXTENSION = "flask-jwt-extended"

# Every setting that decides which tokens are good. One C call reads them all, so that a request
# notices a changed setting for a third of a microsecond.
_DECIDING = (
    "JWT_ALGORITHM",
    "JWT_DECODE_ALGORITHMS",
    "JWT_SECRET_KEY",
    "SECRET_KEY",
    "JWT_PUBLIC_KEY",
    "JWT_PRIVATE_KEY",
    "JWT_DECODE_ISSUER",
    "JWT_DECODE_AUDIENCE",
    "JWT_ENCODE_ISSUER",
    "JWT_ENCODE_AUDIENCE",
    "JWT_DECODE_LEEWAY",
    "JWT_IDENTITY_CLAIM",
    "JWT_HEADER_NAME",
    "JWT_HEADER_TYPE",
    "JWT_TOKEN_LOCATION",
)
read_deciding: Callable[[Any], tuple[Any, ...]] = operator.itemgetter(*_DECIDING)


def manager_of(app: Flask) -> JWTManager:
    """The application's JWTManager as of now: a later one replaces an earlier."""
    try:
        return app.extensions[EXTENSION]  # type: ignore[no-any-return]
    except KeyError:
        raise MisuseError("the application has no JWTManager: write Authz(app)") from None


def make_verifier(
    longest: int,
    keys: KeySet | None,
    own: dict[str, Any],
    needs_key: bool = True,
    needs_profile: bool = False,
    kind: type[Verifier] = Verifier,
) -> Verifier:
    """Return the verifier that the current application's `JWT_*` settings and key set describe.

    `own` has the `iss` and `aud` of the application's own tokens, which are the accepted ones
    unless `JWT_DECODE_*` names others. With `needs_profile` a token must have all that RFC 9068
    demands; without, it may lack an `iss` or `aud` that `JWT_DECODE_*` does not name. Unless it
    needs a key, the verifier may have none, and then verifies no token. `kind` is its class.
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
        start_leeway=_seconds(_fje.leeway),
        longest=longest,
        needs_profile=needs_profile,
    )


def check_own(header: dict[str, Any], payload: dict[str, Any], own: dict[str, Any]) -> None:
    """Raise an `InvalidToken` if a token names another issuer or audience, or no kind.

    For Flask-JWT-Extended's reader, which itself checks what `JWT_DECODE_*` names. `own` is that of
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
    """Return the keys of tokens without a `kid`: those of the `JWT_*` settings.

    Beside a key set they are the keys of before, which verify until their tokens end.
    """
    is_wanted = needs_key or has_own_key() if keys is None else has_former_key()
    return prepare_keys(verifying_key(), decode_algorithms()) if is_wanted else {}


def has_former_key() -> bool:
    """Return whether a `JWT_*` setting names a key, which beside a key set only verifies.

    Flask's `SECRET_KEY` is not one: it is there for sessions.
    """
    if _fje.is_asymmetric:
        return bool(current_app.config["JWT_PUBLIC_KEY"] or current_app.config["JWT_PRIVATE_KEY"])
    return bool(current_app.config["JWT_SECRET_KEY"])


def _keys_with_kid() -> dict[str, Key]:
    """Return the one asymmetric key of the `JWT_*` settings by the `kid` of its tokens."""
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
    """Cache what is read from a PEM text: to read an RSA key takes longer than to sign with it."""
    cached = functools.lru_cache(maxsize=32)(read)
    return lambda key, algorithm: (cached if isinstance(key, str) else read)(key, algorithm)


_public_half = _once_per_text(public_key_of)
_jwk_of = _once_per_text(jwk_of)


def has_own_key() -> bool:
    """Whether the `JWT_*` settings name a key that own tokens are verified with."""
    try:
        return verifying_key() is not None
    except RuntimeError:  # FJE's, for a key that is not set
        return False


def has_user_lookup(manager: JWTManager) -> bool:
    """Whether the application looks its users up by what stands in their tokens."""
    return manager._user_lookup_callback is not None


def is_asymmetric() -> bool:
    """Return whether `JWT_ALGORITHM` signs with a private key."""
    return bool(_fje.is_asymmetric)


def decode_algorithms() -> list[str]:
    """The algorithms that are accepted: those of the kind of key that `JWT_ALGORITHM` names.

    So `none` is never one, and no public key is ever tried as an HMAC secret.
    """
    wanted = _fje.algorithm.startswith("HS")
    return [name for name in algorithms_for_loader() if name.startswith("HS") is wanted]


def algorithms_for_loader() -> frozenset[str]:
    """The algorithms that are accepted where a `decode_key_loader` picks the key."""
    return frozenset(name for name in algorithms_configured() if name.lower() != "none")


def algorithms_configured() -> set[str]:
    """The algorithms that the settings name, whatever they are."""
    configured = current_app.config["JWT_DECODE_ALGORITHMS"] or ()
    names = (configured,) if isinstance(configured, str) else configured
    return {str(name) for name in (_fje.algorithm, *names)}


def verifying_key() -> Any:
    """The key that verifies own tokens: the secret, or the public half of the private key."""
    if _lacks_public_key():
        return _public_half(_fje.encode_key, _fje.algorithm)
    return _fje.decode_key


def _lacks_public_key() -> bool:
    return bool(_fje.is_asymmetric and not current_app.config["JWT_PUBLIC_KEY"])


def verifying(manager: JWTManager) -> JWTManager:
    """Return the manager, or one that verifies with the public half of `JWT_PRIVATE_KEY`.

    Flask-JWT-Extended itself requires `JWT_PUBLIC_KEY`.
    """
    if not _lacks_public_key():
        return manager
    one = copy(manager)
    one.decode_key_loader(lambda header, payload: verifying_key())
    return one


def own_key_id() -> str | None:
    """Return an id of the key that the `JWT_*` settings name, None if there is none."""
    try:
        kid = published_kid()
        return id_of_secret(verifying_key()) if kid is None and has_own_key() else kid
    except MisuseError:  # the check reports an invalid key
        return None


def published_key() -> tuple[Any, str]:
    """The public key that others may verify own tokens by, and its algorithm; None for none."""
    try:
        return (verifying_key() if _fje.is_asymmetric else None), _fje.algorithm
    except RuntimeError:  # there is none: a decode_key_loader has them, say
        return None, _fje.algorithm


FINDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "cookies": lambda: _view_decorators._decode_jwt_from_cookies(False),
    "query_string": lambda: _view_decorators._decode_jwt_from_query_string(),
    "json": lambda: _view_decorators._decode_jwt_from_json(False),
}
"""FJE's own ways to find a request's access token, and the CSRF value that came with it."""


def key_loader(manager: JWTManager) -> Callable[[dict[str, Any], dict[str, Any]], Any] | None:
    """The application's own `decode_key_loader`, which is asked on every request, or None."""
    loader = manager._decode_key_callback
    return None if loader is _defaults.default_decode_key_callback else loader


def has_encode_key_loader(manager: JWTManager) -> bool:
    """Return whether the application chooses the key to sign with."""
    return manager._encode_key_callback is not _defaults.default_encode_key_callback


def is_blocklisted(manager: JWTManager, header: dict[str, Any], payload: dict[str, Any]) -> bool:
    """Whether the application's `token_in_blocklist_loader` knows the token."""
    return bool(manager._token_in_blocklist_callback(header, payload))


read_callbacks: Callable[[JWTManager], tuple[Any, ...]] = operator.attrgetter(
    "_decode_key_callback",
    "_token_in_blocklist_callback",
    "_user_lookup_callback",
    "_token_verification_callback",
)
"""Read the callbacks that are asked on every request."""

_DEFAULT_CALLBACKS = (
    _defaults.default_decode_key_callback,
    _defaults.default_blocklist_callback,
    None,
    _defaults.default_token_verification_callback,
)


def has_callbacks(manager: JWTManager) -> bool:
    """Return whether the application has set one of the callbacks asked on every request."""
    return read_callbacks(manager) != _DEFAULT_CALLBACKS


def ask_callbacks(manager: JWTManager, header: dict[str, Any], payload: dict[str, Any]) -> Any:
    """Ask what FJE asks after verification; returns what FJE keeps of the user.

    Raises `TokenRevoked`, `ClaimInvalid` or `SubjectUnknown`, as the callbacks say.
    """
    if manager._token_in_blocklist_callback(header, payload):
        raise TokenRevoked
    if not manager._token_verification_callback(header, payload):
        raise ClaimInvalid("refused by the token_verification_loader")
    if manager._user_lookup_callback is None:
        return None
    user = manager._user_lookup_callback(header, payload)
    if user is None:
        raise SubjectUnknown
    return {"loaded_user": user}


def longest_token() -> float:
    """The seconds that the longest token lives from its issue, leeway included."""
    lives = (_fje.access_expires, _fje.refresh_expires)
    longest = max((one.total_seconds() for one in lives if one), default=_FOR_EVER)
    return longest + leeway()


def access_lifetime() -> float:
    """The seconds that an access token lives which is issued now."""
    lifetime = _fje.access_expires
    return lifetime.total_seconds() if lifetime else _FOR_EVER


def lifetime_of(token_type: str, given: timedelta | None) -> timedelta | None:
    """Return how long a token made with this `expires_delta` lives; None if it never expires."""
    is_access = token_type == "access"  # noqa: S105 no password
    default = _fje.access_expires if is_access else _fje.refresh_expires
    return (default if given is None else given) or None


def encodes_nbf() -> bool:
    """Return whether tokens get an `nbf`."""
    return bool(_fje.encode_nbf)


def refresh_lifetime() -> float | None:
    """The seconds from a log-in to the end of its refresh tokens, None where they never end."""
    lifetime = _fje.refresh_expires
    return lifetime.total_seconds() if lifetime else None


class DefaultLeeway(timedelta):
    """`JWT_DECODE_LEEWAY` if the application does not set it: for `iat` and `nbf` only.

    It is 0, as in FJE, until the application has an Authz. It never equals another leeway, so
    that one which the application sets later is noticed as a change.
    """

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = timedelta.__hash__


def use_default_leeway(app: Flask) -> None:
    """Accept tokens from clocks that are a little ahead, unless `JWT_DECODE_LEEWAY` is set."""
    if isinstance(app.config["JWT_DECODE_LEEWAY"], DefaultLeeway):
        app.config["JWT_DECODE_LEEWAY"] = DefaultLeeway(seconds=START_LEEWAY)


def has_default_leeway() -> bool:
    """Return whether the application leaves `JWT_DECODE_LEEWAY` alone."""
    return isinstance(_fje.leeway, DefaultLeeway)


def leeway() -> float:
    """Return the seconds that a token is accepted after its `exp`."""
    return 0.0 if has_default_leeway() else _seconds(_fje.leeway)


def _seconds(value: Any) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


_FOR_EVER = 10 * 365 * 86_400.0  # for tokens that never expire, which `check` tells of


def standing_claims() -> dict[str, Any]:
    """Return the issuer and audience of own tokens that the `JWT_*` settings name, else None.

    Of several `JWT_ENCODE_AUDIENCE`s a token names all, as Flask-JWT-Extended does. Of several
    `JWT_DECODE_*` values, which say what is accepted, it names the first.
    """
    config = current_app.config
    issuer = config["JWT_ENCODE_ISSUER"] or config["JWT_DECODE_ISSUER"]
    audience = _every(config["JWT_ENCODE_AUDIENCE"]) or _first(config["JWT_DECODE_AUDIENCE"])
    return {"iss": _first(issuer), "aud": audience}


def own_claims(settings: Settings) -> dict[str, Any]:
    """Return the `iss`, `aud` and `client_id` of the tokens that the application issues.

    `aud` is a list if `JWT_ENCODE_AUDIENCE` names several.
    """
    standing, name = standing_claims(), current_app.name
    return {
        "iss": standing["iss"] or settings.issuer or name,
        "aud": standing["aud"] or settings.audience or name,
        "client_id": settings.client_id or name,
    }


def _first(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return next(iter(value), None)


def _every(audience: Any) -> str | list[str] | None:
    """Return all audiences for `aud`; a single one is a string (RFC 7519 section 4.1.3)."""
    if audience is None or isinstance(audience, str):
        return audience
    named = sorted(audience) if isinstance(audience, Set) else list(dict.fromkeys(audience))
    return named if len(named) > 1 else _first(named)
