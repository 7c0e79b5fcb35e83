"""Claims: checks the JSON types of the claims that an identity is read from.

How it works. `_is_valid_usual_payload` accepts nearly every token. The schema decides on the
others, and its module, with marshmallow, is only imported for the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..errors import ClaimInvalid
from .claim_names import CATALOG, ClaimNames

_NAMES = ClaimNames()


def _is_valid_usual_payload(payload: Mapping[str, Any], names: ClaimNames) -> bool:
    """Return whether a usual payload is valid, in a tenth of the schema's time."""
    for name in (names.roles, names.permissions):
        held = payload.get(name, [])
        if type(held) is not list or not all(type(one) is str for one in held):
            return False
    texts = (names.scope, names.tenant, CATALOG)
    return all(type(payload.get(name, "")) is str for name in texts)


def check_payload(payload: Mapping[str, Any], names: ClaimNames = _NAMES) -> None:
    """Raise `ClaimInvalid`, with the names of the claims, if the JSON type of one is wrong."""
    if _is_valid_usual_payload(payload, names):
        return
    wrong = import_module("jwt_authz.tokens.payload_schema").wrong_claims(payload, names)
    if wrong:
        raise ClaimInvalid(f"wrong JSON type: {', '.join(wrong)}")
