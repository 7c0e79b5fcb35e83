"""The lifetimes of own tokens and the leeway, as set by `JWT_*`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask
from flask_jwt_extended.config import config as _fje

from ..tokens.verifier import START_LEEWAY

_FOR_EVER = 10 * 365 * 86_400.0
"""The lifetime in seconds that is assumed for tokens that never expire; the check warns of them."""


def longest_token() -> float:
    """Return the maximum lifetime of a token in seconds, leeway included."""
    lives = (_fje.access_expires, _fje.refresh_expires)
    longest = max((one.total_seconds() for one in lives if one), default=_FOR_EVER)
    return longest + leeway()


def access_lifetime() -> float:
    """Return the lifetime of an access token in seconds."""
    lifetime = _fje.access_expires
    return lifetime.total_seconds() if lifetime else _FOR_EVER


def lifetime_of(token_type: str, given: timedelta | None) -> timedelta | None:
    """Return the lifetime of a token with this `expires_delta`; None if it never expires."""
    is_access = token_type == "access"  # noqa: S105 no password
    default = _fje.access_expires if is_access else _fje.refresh_expires
    return (default if given is None else given) or None


def encodes_nbf() -> bool:
    """Return whether tokens get an `nbf`."""
    return bool(_fje.encode_nbf)


def refresh_lifetime() -> float | None:
    """Return the lifetime of the refresh tokens of a log-in in seconds; None if unlimited."""
    lifetime = _fje.refresh_expires
    return lifetime.total_seconds() if lifetime else None


class DefaultLeeway(timedelta):
    """`JWT_DECODE_LEEWAY` if the application does not set it: for `iat` and `nbf` only.

    It is 0, as in FJE, until the application has an Authz. It never equals another leeway, so
    that a value which the application sets later is noticed as a change.
    """

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = timedelta.__hash__


def use_default_leeway(app: Flask) -> None:
    """Accept tokens from clocks that are a little ahead, unless `JWT_DECODE_LEEWAY` is set."""
    if isinstance(app.config["JWT_DECODE_LEEWAY"], DefaultLeeway):
        app.config["JWT_DECODE_LEEWAY"] = DefaultLeeway(seconds=START_LEEWAY)


def has_default_leeway() -> bool:
    """Return whether the application does not set `JWT_DECODE_LEEWAY`."""
    return isinstance(_fje.leeway, DefaultLeeway)


def leeway() -> float:
    """Return the seconds that a token is accepted after its `exp`."""
    return 0.0 if has_default_leeway() else _seconds(_fje.leeway)


def start_leeway() -> float:
    """Return the seconds that a token is accepted before its `nbf` or `iat`."""
    return _seconds(_fje.leeway)


def _seconds(value: Any) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value
