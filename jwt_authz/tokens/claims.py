"""The JSON types of the claims that become an Identity.

How it works. Nearly every token is found to be valid by `_is_plainly_good`. The schema answers for
the others, and its module, with marshmallow, is not imported before there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..errors import ClaimInvalid
from .claim_names import CATALOGUE, ClaimNames

_NAMES = ClaimNames()


def _is_plainly_good(payload: Mapping[str, Any], names: ClaimNames) -> bool:
    """The schema's answer for nearly every token, at a tenth of its time; a test compares them."""
    for name in (names.roles, names.permissions):
        held = payload.get(name, [])
        if type(held) is not list or not all(type(one) is str for one in held):
            return False
    texts = (names.scope, names.tenant, CATALOGUE)
    return all(type(payload.get(name, "")) is str for name in texts)


def check_payload(payload: Mapping[str, Any], names: ClaimNames = _NAMES) -> None:
    """Raises `ClaimInvalid` with the name of a claim whose JSON type is wrong."""
    if _is_plainly_good(payload, names):
        return
    wrong = import_module("jwt_authz.tokens.payload_schema").wrong_claims(payload, names)
    if wrong:
        raise ClaimInvalid(f"of the wrong JSON type: {', '.join(wrong)}")
