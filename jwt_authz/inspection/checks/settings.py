"""Checks of settings: values that are invalid, and tokens that never expire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ...findings import Found, misuse_of
from ...tokens.claim_names import RESERVED
from ..inspected import Inspected


def invalid_settings(seen: Inspected) -> Iterator[Found]:
    """Yield the `AUTHZ_*` settings that are unknown or have an invalid value."""
    for found in misuse_of(lambda: seen.state.settings):
        name = found.message.partition(" ")[0]
        yield found._replace(place={"setting": name} if name.startswith("AUTHZ_") else None)


def invalid_jwt_settings(seen: Inspected) -> Iterator[Found]:
    """Yield the `JWT_*` settings that have an invalid value."""
    leeway, claim = seen.app.config["JWT_DECODE_LEEWAY"], seen.app.config["JWT_IDENTITY_CLAIM"]
    if not isinstance(leeway, int | float | timedelta):
        yield Found(
            "JWT_DECODE_LEEWAY is in seconds: write a number or a timedelta",
            {"setting": "JWT_DECODE_LEEWAY"},
        )
    if claim in RESERVED - {"sub"}:
        yield Found(
            f"JWT_IDENTITY_CLAIM is {claim!r}, which means something else: write 'sub'",
            {"setting": "JWT_IDENTITY_CLAIM"},
        )


def endless_access_tokens(seen: Inspected) -> Iterator[Found]:
    """Yield a finding if access tokens never expire."""
    if seen.app.config["JWT_ACCESS_TOKEN_EXPIRES"] is False:
        yield Found(
            "access tokens never expire: set JWT_ACCESS_TOKEN_EXPIRES to a timedelta of minutes",
            {"setting": "JWT_ACCESS_TOKEN_EXPIRES"},
        )
